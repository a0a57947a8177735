//! What the launcher tells while it works, for progress bars or plain lines.

use scalelaw_schema::record::{Failure, Outcome};
use scalelaw_schema::run_id::RunId;

/// One piece of news. `slot` counts from 0.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// The counts have changed.
    Counts(Counts),
    /// A worker has opened its device.
    WorkerReady { slot: usize, device: String },
    /// A worker was replaced, or will be when its slot gets another run.
    WorkerLeft { slot: usize, why: String },
    /// A run begins or is resumed.
    Started { slot: usize, run: RunId, step: u64, total_steps: u64 },
    /// A logged step; loss in nats per token.
    Step { slot: usize, run: RunId, step: u64, loss: f64, tokens_per_second: f64 },
    /// A checkpoint is on the disk.
    Checkpoint { slot: usize, run: RunId, step: u64 },
    /// Steps of the run were skipped because their gradient was not finite; told once, before its end.
    Skipped { run: RunId, n_steps: u64 },
    /// The run is over.
    Done { slot: usize, run: RunId, outcome: Outcome },
    /// An attempt has failed.
    Failed { slot: usize, run: RunId, failure: Failure, why: String, next: Next },
    /// The run was interrupted and keeps its last checkpoint.
    Interrupted { slot: usize, run: RunId },
    /// Another launcher trains this run; `holder` as `host pid 123`, where it can be read.
    Elsewhere { run: RunId, holder: Option<String> },
    /// Another launcher has ended this run.
    DoneElsewhere { run: RunId, outcome: Outcome },
    /// The run cannot be tried (its folder is not its own, its record is corrupt); the sweep goes on.
    Refused { run: RunId, why: String },
    /// Something that a person should read.
    Warning { text: String },
    /// The workers were asked to write checkpoints and leave.
    Stopping,
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another attempt, with so many sequences at once (`None`: as before).
    Retry { micro_batch: Option<usize> },
    /// No further attempt in this launch; the next `run` tries again.
    GiveUp,
}

/// Where the runs of a launch stand; the seven add up to the runs given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Finished, here or elsewhere.
    pub finished: usize,
    /// Diverged, here or elsewhere.
    pub diverged: usize,
    /// Stopped early, here or elsewhere.
    pub stopped: usize,
    /// Given up or refused.
    pub failed: usize,
    /// In a worker of this launcher.
    pub running: usize,
    /// In another launcher's hands when last looked at.
    pub elsewhere: usize,
    /// Not begun, or waiting for the next attempt.
    pub waiting: usize,
}

/// What a launch came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// Where the runs stood at the end.
    pub counts: Counts,
    /// Runs that were given up or refused.
    pub failed: Vec<FailedRun>,
    /// The launch was asked to stop before all runs were over.
    pub interrupted: bool,
}

/// A run without a record although it was tried, or could not be tried.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedRun {
    /// The run.
    pub run: RunId,
    /// Name of its folder.
    pub folder: String,
    /// The last message.
    pub why: String,
}
