//! Designs of experiments: laws whose parameters are known, and the power of a planned sweep.

mod power;
mod simulate;

pub use power::{Expected, Power, loss_name, power};
pub use simulate::{KnownLaw, parse_law_with_params};
