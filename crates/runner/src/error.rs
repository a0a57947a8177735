//! What can go wrong beside the training itself, each with its path and a hint.

use std::io;
use std::path::PathBuf;

use scalelaw_disk::DiskError;
use scalelaw_schema::run_id::RunId;
use thiserror::Error;

/// Why a sweep, or one run of it, cannot continue.
#[derive(Debug, Error)]
pub enum RunnerError {
    /// The file system refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A run's folder cannot be created, so no run of the sweep can have one.
    #[error(transparent)]
    NoFolder(DiskError),
    /// A record that does not parse, or belongs to another run.
    #[error(
        "cannot read the record `{}`: {why} (hint: delete this one file to resume the run from its last \
         checkpoint, or restore it from a copy)",
        path.display()
    )]
    CorruptRecord {
        /// The record.
        path: PathBuf,
        /// What is wrong in it.
        why: String,
    },
    /// A `run.toml` that does not parse, or belongs to another run.
    #[error(
        "`{}` is not the planned run: {why} (hint: move the folder away; the run is then trained again from the start)",
        path.display()
    )]
    ForeignRun {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        why: String,
    },
    /// A plan that does not parse.
    #[error("`{}` is not a valid plan: {why} (hint: `scalelaw plan` writes a new one)", path.display())]
    BadPlan {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        why: String,
    },
    /// A run that cannot be written as TOML.
    #[error("run {run} cannot be written as TOML: {why}")]
    Unwritable {
        /// The run.
        run: RunId,
        /// What the format refuses.
        why: String,
    },
    /// The worker's program could not be started.
    #[error("cannot start the worker `{}`: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// The answer of the system.
        source: io::Error,
    },
    /// Worker after worker exited before its device was open.
    #[error("the worker exits before its device is open ({how}){}", quoted(stderr_tail))]
    WorkerStart {
        /// Exit code or signal.
        how: String,
        /// The exit code, unless a signal ended it.
        code: Option<i32>,
        /// The last lines of its standard error.
        stderr_tail: String,
    },
    /// A line that is not a valid command.
    #[error("`{line}` is not a valid command for a worker: {why}")]
    BadCommand {
        /// The line.
        line: String,
        /// What is wrong in it.
        why: String,
    },
    /// The training panicked; the state that it left in memory and on the device is unknown.
    #[error("the training panicked: {why}")]
    Panicked {
        /// The panic's message.
        why: String,
    },
}

impl RunnerError {
    /// Whether every other run of the sweep would meet it too, so that going on is useless.
    pub fn is_fatal(&self) -> bool {
        match self {
            RunnerError::Disk(error) => error.is_full_or_read_only(),
            RunnerError::NoFolder(_) | RunnerError::Spawn { .. } | RunnerError::WorkerStart { .. } => true,
            _ => false,
        }
    }
}

/// The end of a message about a worker's exit.
pub(crate) fn quoted(stderr_tail: &str) -> String {
    if stderr_tail.is_empty() { String::new() } else { format!("; stderr: {stderr_tail}") }
}
