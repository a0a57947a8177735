//! Rows of `metrics.jsonl`, and the names in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One row: how far the run was, and what was measured there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsRow {
    /// Optimizer steps taken.
    pub step: u64,
    /// Training tokens seen, from the initial weights on.
    pub tokens: u64,
    /// Training FLOPs spent, from the initial weights on.
    pub flops: f64,
    /// Seconds since this run began, pauses left out.
    pub wall_seconds: f64,
    /// Measurements by name. Values that are not finite are left out.
    pub values: BTreeMap<String, f64>,
}

/// Training loss of the step's batch, nats per token.
pub const TRAIN_LOSS: &str = "train/loss";
/// Learning rate of the step.
pub const TRAIN_LR: &str = "train/lr";
/// Global norm of the gradient before clipping.
pub const TRAIN_GRAD_NORM: &str = "train/grad_norm";
/// Training tokens per second since the last row.
pub const TOKENS_PER_SECOND: &str = "throughput/tokens_per_second";
/// Training FLOPs per second over the device's measured matrix-product peak.
pub const MFU: &str = "throughput/mfu";
/// Peak memory of the process, bytes.
pub const PEAK_BYTES: &str = "memory/peak_bytes";

/// Loss on held-out text, nats per token.
pub fn eval_loss(name: &str) -> String {
    format!("eval/{name}/loss")
}

/// Loss on held-out text, bits per byte.
pub fn eval_bpb(name: &str) -> String {
    format!("eval/{name}/bpb")
}

/// Mean loss of a skill's answers, nats per answer token.
pub fn skill_nll(name: &str) -> String {
    format!("skill/{name}/nll")
}

/// Share of a skill's items that are right.
pub fn skill_accuracy(name: &str) -> String {
    format!("skill/{name}/accuracy")
}
