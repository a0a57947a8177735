//! What a run leaves behind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{FlopCount, ParamCount};
use crate::run_id::RunId;
use crate::train_spec::TrainSpec;

/// The content of `record.json`, written last: a run with a record has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// Version of this format.
    pub schema_version: u32,
    /// Hash of `train`.
    pub run: RunId,
    /// What was trained.
    pub train: TrainSpec,
    /// How it ended.
    pub outcome: Outcome,
    /// N by group, counted from the tensors that were trained.
    pub params: ParamCount,
    /// Steps taken.
    pub steps: u64,
    /// Training tokens from the initial weights to the final ones.
    pub tokens: u64,
    /// FLOPs from the initial weights to the final ones, along trunk and branch.
    pub flops_path: FlopCount,
    /// FLOPs that this run itself computed, steps repeated after a resume included.
    pub flops_spent: FlopCount,
    /// The trunk's id, or the run's own: runs that share a trajectory are one draw in a bootstrap.
    pub cluster: RunId,
    /// Mean training loss over the last twentieth of the steps, nats per token; absent where diverged.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub train_loss: Option<f64>,
    /// How often each corpus was read, by name: below 1, no token came twice.
    pub epochs: BTreeMap<String, f64>,
    /// Steps that were skipped because their gradient was not finite.
    pub skipped_steps: Vec<u64>,
    /// Seconds of training, pauses left out.
    pub wall_seconds: f64,
    /// Median of the logged rows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tokens_per_second: Option<f64>,
    /// Largest memory of the process that trained it, bytes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub peak_bytes: Option<u64>,
    /// Tokens computed at once; fewer than the batch has where gradients were accumulated.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub micro_batch_tokens: Option<u64>,
    /// The same in sequences: older records have this one. It is read and no longer written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub micro_batch: Option<usize>,
    /// Number of attempts.
    pub attempts: u32,
    /// Program and machine.
    pub provenance: Provenance,
}

/// How a run ended. A failure is not an outcome: it goes to `attempts.jsonl`, and the run is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// All steps were taken.
    Finished,
    /// The loss diverged; trying again is useless.
    Diverged {
        /// The step at which it diverged.
        step: u64,
    },
    /// Stopped early by [`crate::run::EarlyStop`], since its loss was too high beside a run of the same budget.
    /// Without the rule it resumes from its last checkpoint.
    Stopped {
        /// The step at which it was stopped.
        step: u64,
        /// Its loss, and the run that it was compared with.
        why: String,
    },
}

/// Where a number comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Version of the program.
    pub version: String,
    /// Git commit that the program was built from; absent outside a repository.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub git_commit: Option<String>,
    /// Version of burn.
    pub burn: String,
    /// Features compiled in that can change numbers.
    pub features: Vec<String>,
    /// `cpu`, `wgpu` (WGSL), `wgpu-spirv`, `wgpu-msl` or `cuda`; `simulated` where the loss was drawn from a law.
    pub backend: String,
    /// Name of the device.
    pub device: String,
    /// Driver with version, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub driver: Option<String>,
    /// Name of the machine.
    pub host: String,
    /// Operating system and processor architecture.
    pub platform: String,
    /// Threads of the process that did it.
    pub threads: usize,
    /// Start of the first attempt, RFC 3339, UTC.
    pub started: String,
    /// End, RFC 3339, UTC.
    pub ended: String,
}

/// A line of `attempts.jsonl`: an attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// When it ended, RFC 3339, UTC.
    pub ended: String,
    /// What went wrong.
    pub failure: Failure,
    /// The message.
    pub why: String,
    /// Tokens computed at once in this attempt. Defaults to the whole batch.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub micro_batch_tokens: Option<u64>,
    /// The same in sequences: older lines have this one. It is read and no longer written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub micro_batch: Option<usize>,
    /// Step of the last checkpoint, from which the next attempt resumes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resume_step: Option<u64>,
}

/// Why an attempt failed, by what the next one does differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The next attempt halves the micro-batch.
    OutOfMemory,
    /// The next attempt gets a new process.
    DeviceLost,
    /// The process exited without a message (killed by a signal, say). The next attempt gets a new process.
    WorkerDied,
    /// Any other error; another attempt may or may not succeed.
    Error,
    /// The user or the system asked the run to stop. The next attempt resumes from the last checkpoint.
    Interrupted,
}
