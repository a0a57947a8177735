//! Turns fits into decisions: what is best at a budget, and where to look next. Pure: no files, no clock.

pub mod surface;

pub mod optimum;

pub mod center;

pub use center::center_of_next_budget;
pub use optimum::{Estimate, Optimum};
pub use surface::Surface;
