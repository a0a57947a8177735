//! The settings of a launch.

use std::path::Path;
use std::time::Duration;

use super::process::WorkerCommand;

/// How to run a sweep.
#[derive(Debug, Clone)]
pub struct Launch<'a> {
    /// The sweep's folder, `runs/<sweep>`.
    pub sweep_dir: &'a Path,
    /// Workers at once, at least 1.
    pub slots: usize,
    /// How to start a worker.
    pub worker: WorkerCommand,
    /// A worker with more resident memory than this is replaced before its next run.
    pub memory_limit_bytes: Option<u64>,
    /// A run fails for this launch after so many attempts in a row that did not get beyond the checkpoint they started
    /// from. Attempts that run out of memory do not count while the micro-batch can still be halved.
    pub max_attempts: u32,
    /// Time between two beats of a lease; [`crate::folder::lease::HEARTBEAT`] is a good one.
    pub heartbeat: Duration,
}

/// Default of [`Launch::max_attempts`].
pub const MAX_ATTEMPTS: u32 = 3;
