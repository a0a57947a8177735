//! Designs of experiments: laws whose parameters are known, and what a planned sweep will tell of them.

mod power;
mod simulate;

pub use power::{Expected, Power, loss_name, power};
pub use simulate::{KnownLaw, parse_law_with_params};
