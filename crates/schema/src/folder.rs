//! Names of the files in a sweep's folder and in a run's folder. All files of the sweep's folder can be rebuilt from
//! its run folders.

/// The sweep file, with all includes resolved.
pub const SWEEP_TOML: &str = "sweep.toml";
/// The plan: a budget's grid is frozen here once it starts.
pub const PLAN_JSON: &str = "plan.json";
/// One wide row per run.
pub const RESULTS_PARQUET: &str = "results.parquet";
/// One row per run, step and metric.
pub const METRICS_PARQUET: &str = "metrics.parquet";
/// What the sweep says, question by question.
pub const FINDINGS_JSON: &str = "findings.json";
/// The fit of the sweep, in folders of earlier versions.
pub const FIT_JSON: &str = "fit.json";
/// What the sweep's skills show, likewise.
pub const SKILLS_JSON: &str = "skills.json";
/// The learning rates of an `lr` sweep, likewise.
pub const LR_JSON: &str = "lr.json";
/// The learning-rate rule that an `lr` sweep measured, for later sweeps.
pub const LR_RULE_TOML: &str = "lr-rule.toml";
/// The report page.
pub const REPORT_HTML: &str = "report.html";

/// The resolved run.
pub const RUN_TOML: &str = "run.toml";
/// Measurements during training, appended.
pub const METRICS_JSONL: &str = "metrics.jsonl";
/// Folder of checkpoints, each named by [`checkpoint_name`].
pub const CHECKPOINT_DIR: &str = "checkpoint";
/// The final weights.
pub const WEIGHTS_SAFETENSORS: &str = "weights.safetensors";
/// Folder of evaluations, `<hash>.json` each.
pub const EVALS_DIR: &str = "evals";
/// Failed attempts, one line each, appended.
pub const ATTEMPTS_JSONL: &str = "attempts.jsonl";
/// The record, written last: a run with a record has ended.
pub const RECORD_JSON: &str = "record.json";
/// Standard error of the worker.
pub const LOG_TXT: &str = "log.txt";
/// Says who may write here: locked by the launcher, with its heartbeat inside.
pub const LEASE: &str = "lease";

/// Name of the checkpoint after `step` steps, in [`CHECKPOINT_DIR`].
pub fn checkpoint_name(step: u64) -> String {
    format!("step-{step:08}.safetensors")
}

/// The step in the name of a checkpoint; `None` for any other name.
pub fn checkpoint_step(name: &str) -> Option<u64> {
    name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok()
}
