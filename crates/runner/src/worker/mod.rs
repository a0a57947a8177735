//! The worker's side: trains runs as a launcher commands, or one run for any other launcher.

pub mod serve;
pub mod train_one;

mod attempt;
mod this_process;

pub use attempt::{Task, TrainFailure, failure_in};
