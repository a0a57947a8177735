//! Progress of a sweep, as `scalelaw status` prints it and as JSON.

use serde::Serialize;

use crate::run_id::RunId;

/// Progress of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweepStatus {
    /// Version of this format.
    pub schema_version: u32,
    /// Name of the sweep.
    pub sweep: String,
    /// The planned runs by state.
    pub counts: StatusCounts,
    /// Share of the planned training FLOPs that is done, from 0 to 1.
    pub flops_done: f64,
    /// The planned runs in the order of the plan.
    pub runs: Vec<RunStatus>,
    /// Names of run folders that are not in the plan (left by an older one, say).
    pub not_planned: Vec<String>,
}

/// Planned runs by state; the sum is their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct StatusCounts {
    /// All steps were taken.
    pub finished: usize,
    /// The loss diverged.
    pub diverged: usize,
    /// Stopped early, since the loss was too high beside others.
    pub stopped: usize,
    /// Under a live lease.
    pub running: usize,
    /// Started, without a lease or a failed attempt.
    pub paused: usize,
    /// Not ended, without a lease, with a failed attempt.
    pub failed: usize,
    /// The record or the metrics cannot be read.
    pub broken: usize,
    /// Not started.
    pub waiting: usize,
}

/// One planned run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunStatus {
    /// The run.
    pub run: RunId,
    /// Name of its folder.
    pub folder: String,
    /// Its state.
    pub state: RunState,
    /// Steps taken, by the record or the last row of the metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// Steps in all.
    pub total_steps: u64,
    /// Training loss there, nats per token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Training tokens per second there, while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
    /// Number of failed attempts.
    pub failed_attempts: usize,
    /// Message of the last failed attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
}

/// State of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RunState {
    /// All steps were taken.
    Finished,
    /// The loss diverged.
    Diverged {
        /// At this step.
        step: u64,
    },
    /// Stopped early.
    Stopped {
        /// At this step.
        step: u64,
        /// Its loss, and the run that it was compared with.
        why: String,
    },
    /// A launcher trains it.
    Running {
        /// Name of its machine, if the lease can be read.
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// Process id of the launcher there.
        #[serde(skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
    },
    /// It resumes from its last checkpoint with the next `run`.
    Paused,
    /// An attempt failed; the next `run` tries again.
    Failed,
    /// Something in its folder cannot be read.
    Broken {
        /// What is wrong.
        why: String,
    },
    /// Not started.
    Waiting,
}

impl StatusCounts {
    /// Counts runs by state.
    pub fn of(runs: &[RunStatus]) -> StatusCounts {
        let mut counts = StatusCounts::default();
        for run in runs {
            let count = match run.state {
                RunState::Finished => &mut counts.finished,
                RunState::Diverged { .. } => &mut counts.diverged,
                RunState::Stopped { .. } => &mut counts.stopped,
                RunState::Running { .. } => &mut counts.running,
                RunState::Paused => &mut counts.paused,
                RunState::Failed => &mut counts.failed,
                RunState::Broken { .. } => &mut counts.broken,
                RunState::Waiting => &mut counts.waiting,
            };
            *count += 1;
        }
        counts
    }
}
