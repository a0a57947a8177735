//! Names of the files in a sweep's folder and in a run's folder. Everything above the run folders can be
//! rebuilt from them.

/// The sweep as it was written, all includes resolved.
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
/// The rule that an `lr` sweep measured, for later sweeps.
pub const LR_RULE_TOML: &str = "lr-rule.toml";
/// The page.
pub const REPORT_HTML: &str = "report.html";

/// The resolved run.
pub const RUN_TOML: &str = "run.toml";
/// Measurements during training, appended.
pub const METRICS_JSONL: &str = "metrics.jsonl";
/// Folder of checkpoints, each named by [`checkpoint_name`].
pub const CHECKPOINT_DIR: &str = "checkpoint";
/// Final weights.
pub const WEIGHTS_SAFETENSORS: &str = "weights.safetensors";
/// Folder of evaluations, `<hash>.json` each.
pub const EVALS_DIR: &str = "evals";
/// Failed attempts, appended.
pub const ATTEMPTS_JSONL: &str = "attempts.jsonl";
/// The record: its presence means that the run is over.
pub const RECORD_JSON: &str = "record.json";
/// What the worker said.
pub const LOG_TXT: &str = "log.txt";
/// Who may write here: a lock held by the launcher, with its heartbeat inside.
pub const LEASE: &str = "lease";

/// Name of the checkpoint after `step` steps, in [`CHECKPOINT_DIR`].
pub fn checkpoint_name(step: u64) -> String {
    format!("step-{step:08}.safetensors")
}

/// The step that a checkpoint is named for; `None` where the name is no checkpoint's.
pub fn checkpoint_step(name: &str) -> Option<u64> {
    name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok()
}
