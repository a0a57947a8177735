//! Runs what a plan still lacks: worker processes that train run after run, can die at any moment and are replaced,
//! under leases that let several launchers share one sweep's folder. Knows nothing of burn: training comes in as a
//! child process (launcher) or as a closure (worker).
//!
//! - [`folder`]: what stands in a run's folder, and who may write there.
//! - [`launcher`]: the queue of runs and the workers' processes.
//! - [`worker`]: the other side of the pipes, and one run without a launcher.

#![warn(missing_docs)]

pub mod folder;
pub mod launcher;
pub mod worker;

mod error;

pub use error::RunnerError;
