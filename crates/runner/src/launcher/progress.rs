//! What a launch reports while it works, for progress bars or plain lines.

use scalelaw_schema::record::{Failure, Outcome};
use scalelaw_schema::run_id::RunId;

/// One event of a launch.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// The counts have changed.
    Counts(Counts),
    /// A worker has opened its device.
    WorkerReady {
        /// The slot, counted from 0.
        slot: usize,
        /// Name of the device.
        device: String,
    },
    /// A worker has exited, or will before its slot gets another run.
    WorkerLeft {
        /// The slot, counted from 0.
        slot: usize,
        /// The reason.
        why: String,
    },
    /// A run starts or resumes.
    Started {
        /// The slot, counted from 0.
        slot: usize,
        /// The run.
        run: RunId,
        /// Steps taken.
        step: u64,
        /// Steps in all.
        total_steps: u64,
    },
    /// A logged step.
    Step {
        /// The slot, counted from 0.
        slot: usize,
        /// The run.
        run: RunId,
        /// Steps taken.
        step: u64,
        /// Training loss of the step, nats per token.
        loss: f64,
        /// Training tokens per second.
        tokens_per_second: f64,
    },
    /// A checkpoint is on the disk.
    Checkpoint {
        /// The slot, counted from 0.
        slot: usize,
        /// The run.
        run: RunId,
        /// Steps taken.
        step: u64,
    },
    /// Steps of the run were skipped because their gradient was not finite; told once, before its end.
    Skipped {
        /// The run.
        run: RunId,
        /// How many.
        n_steps: u64,
    },
    /// The run has ended.
    Done {
        /// The slot, counted from 0.
        slot: usize,
        /// The run.
        run: RunId,
        /// How it ended.
        outcome: Outcome,
    },
    /// An attempt has failed.
    Failed {
        /// The slot, counted from 0.
        slot: usize,
        /// The run.
        run: RunId,
        /// What kind of failure.
        failure: Failure,
        /// The reason.
        why: String,
        /// What follows.
        next: Next,
    },
    /// The run was interrupted and keeps its last checkpoint.
    Interrupted {
        /// The slot, counted from 0.
        slot: usize,
        /// The run.
        run: RunId,
    },
    /// Another launcher trains this run.
    Elsewhere {
        /// The run.
        run: RunId,
        /// As `host pid 123`; `None` if the lease cannot be read.
        holder: Option<String>,
    },
    /// The run has ended in another launcher.
    DoneElsewhere {
        /// The run.
        run: RunId,
        /// How it ended.
        outcome: Outcome,
    },
    /// The run cannot be tried (its folder belongs to another run, its record is corrupt, its trunk failed); the sweep
    /// continues.
    Refused {
        /// The run.
        run: RunId,
        /// The reason.
        why: String,
    },
    /// Something that the user should read.
    Warning {
        /// The text.
        text: String,
    },
    /// The workers were asked to write checkpoints and exit.
    Stopping,
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Another attempt.
    Retry {
        /// With so many tokens at once; `None`: the whole batch.
        micro_batch_tokens: Option<u64>,
    },
    /// No further attempt in this launch; the next `run` tries again.
    GiveUp,
}

/// The runs of a launch by state; the sum is the number of runs given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Finished, here or elsewhere.
    pub finished: usize,
    /// Diverged, here or elsewhere.
    pub diverged: usize,
    /// Stopped early, here or elsewhere.
    pub stopped: usize,
    /// Failed for this launch, or refused.
    pub failed: usize,
    /// In a worker of this launcher.
    pub running: usize,
    /// In another launcher when last inspected.
    pub elsewhere: usize,
    /// Not started, or waiting for the next attempt.
    pub waiting: usize,
}

/// Result of a launch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Summary {
    /// The runs by state at the end.
    pub counts: Counts,
    /// Runs that failed for this launch, or were refused.
    pub failed: Vec<FailedRun>,
    /// The launch was stopped before all runs had ended.
    pub interrupted: bool,
}

/// A run that has no record, although it was tried or since it could not be.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedRun {
    /// The run.
    pub run: RunId,
    /// Name of its folder.
    pub folder: String,
    /// The last message.
    pub why: String,
    /// It could not start, since the trunk that it branches from will not reach its step.
    pub is_blocked: bool,
}
