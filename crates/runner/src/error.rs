//! What can go wrong beside the training itself, each with the path and the mend.

use std::io;
use std::path::{Path, PathBuf};

use scalelaw_schema::run_id::RunId;
use thiserror::Error;

/// Why a sweep, or one run of it, cannot go on.
#[derive(Debug, Error)]
pub enum RunnerError {
    /// The file system refused.
    #[error("cannot {action} `{}`: {source}{}", path.display(), hint(source))]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No run of the sweep can have a folder.
    #[error("cannot make the run's folder `{}`: {source}{}", path.display(), hint(source))]
    NoFolder {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A record that does not parse, or that is another run's.
    #[error(
        "the record `{}` cannot be read: {why} (hint: delete this one file to take the run up from its last \
         checkpoint, or bring the file back from a copy)",
        path.display()
    )]
    CorruptRecord {
        /// The record.
        path: PathBuf,
        /// What is wrong in it.
        why: String,
    },
    /// A `run.toml` that does not parse, or that is another run's.
    #[error(
        "`{}` is not the run that was planned: {why} (hint: move the folder away; the run is then trained anew)",
        path.display()
    )]
    ForeignRun {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        why: String,
    },
    /// A plan that cannot be read.
    #[error("`{}` is no plan: {why} (hint: `scalelaw plan` writes it anew)", path.display())]
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
        /// What the system said.
        source: io::Error,
    },
    /// Worker after worker ended before its device was open.
    #[error("the worker ends before its device is open ({how}){}", quoted(last_words))]
    WorkerStart {
        /// Exit code or signal.
        how: String,
        /// The exit code, where it left by itself.
        code: Option<i32>,
        /// The end of its standard error.
        last_words: String,
    },
    /// A line that is no command.
    #[error("`{line}` is no command for a worker: {why}")]
    BadCommand {
        /// The line.
        line: String,
        /// What is wrong in it.
        why: String,
    },
    /// The training panicked; what it left in memory or on the device is unknown.
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
            RunnerError::Io { source, .. } => is_storage(source),
            RunnerError::NoFolder { .. } | RunnerError::Spawn { .. } | RunnerError::WorkerStart { .. } => {
                true
            }
            _ => false,
        }
    }

    /// For `map_err`: the file system refused to `action` the `path`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RunnerError {
        move |source| RunnerError::Io { action, path: path.to_path_buf(), source }
    }
}

/// The disk takes nothing more, whatever the file.
fn is_storage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem
    )
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            " (hint: free some space and run again; every run goes on from its last checkpoint)"
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            " (hint: make the folder writable, or name another one with `--runs`)"
        }
        _ => "",
    }
}

fn quoted(last_words: &str) -> String {
    if last_words.is_empty() { String::new() } else { format!("; it said: {last_words}") }
}
