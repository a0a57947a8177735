//! Statistics that every fit uses, one home for each. Knows nothing of laws.
//!
//! Small symmetric systems ([`linalg`]) and least squares on top of them; quantiles of samples and of the normal,
//! Student and Fisher distributions ([`quantile`]); intervals; what is resampled together ([`Units`]); random streams
//! and normal draws; the width of a robust loss.

mod interval;
mod least_squares;
pub mod linalg;
pub mod quantile;
mod random;
mod robust;
mod units;

pub use interval::{Interval, LEAST_RESAMPLES, NOISE_DRAWS, Percentiles, percentiles, tail_of};
pub use least_squares::{Centred, LinearFit, NormalEquations, least_squares, line, weighted_line};
pub use random::{standard_normal, stream};
pub use robust::huber_delta;
pub use units::Units;
