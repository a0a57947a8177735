//! A sweep with all choices made: the runs, what each will cost, and the cells that cannot be.

use serde::{Deserialize, Serialize};

use crate::count::CountRule;
use crate::lr_rule::LrRule;
use crate::run::RunSpec;

/// The content of `plan.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of this format.
    pub schema_version: u32,
    /// Name of the sweep.
    pub sweep: String,
    /// What the sweep asks, where the file says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub question: Option<String>,
    /// Kind of grid: `isoflop`, `ladder`, `product`, `lr`.
    pub kind: String,
    /// How N and C of this plan are counted.
    pub count_rule: CountRule,
    /// Runs in the order in which they are started: the cheapest first.
    pub runs: Vec<PlannedRun>,
    /// Cells that cannot be, each with its reason.
    pub dropped: Vec<DroppedCell>,
    /// Budgets of an IsoFLOP grid, each with the size that it is centred on.
    pub budgets: Vec<PlannedBudget>,
    /// Things a person should know before starting, such as a corpus that will be read twice.
    pub warnings: Vec<String>,
    /// The measured rule that the learning rates come from, where the sweep names one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lr_rule: Option<LrRule>,
    /// Sums over `runs`.
    pub total: PlanTotal,
}

/// One run and what it will cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedRun {
    /// The run.
    pub run: RunSpec,
    /// N under the plan's rule.
    pub n: f64,
    /// D, training tokens.
    pub d: f64,
    /// C under the plan's rule.
    pub c: f64,
    /// Cost before the fact.
    pub estimate: Estimate,
}

/// Cost before the fact; what cannot be known is absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// Time in one slot, from the device's measured speed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seconds: Option<f64>,
    /// Peak memory of training.
    pub memory_bytes: f64,
    /// Disk during training: checkpoints, weights, metrics.
    pub disk_bytes: f64,
    /// Energy, where watts are given or measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kwh: Option<f64>,
    /// Money, where a price is given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub money: Option<f64>,
}

/// A cell of the grid that cannot be trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DroppedCell {
    /// The cell in words: budget, size, seed.
    pub cell: String,
    /// Why it cannot be.
    pub why: String,
}

/// One budget of an IsoFLOP grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedBudget {
    /// FLOPs under the plan's count rule.
    pub flops: f64,
    /// N in the middle of the budget's sizes.
    pub center_n: f64,
    /// Where the centre comes from.
    pub center: CenterSource,
}

/// Where the centre of a budget's sizes comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CenterSource {
    /// The sweep's `tokens-per-param`.
    Prior,
    /// A fit of the smaller budgets of this sweep.
    Fit,
}

/// Sums over a plan's runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanTotal {
    /// Number of runs.
    pub n_runs: usize,
    /// Training FLOPs under the plan's count rule.
    pub flops: f64,
    /// Training tokens.
    pub tokens: f64,
    /// Wall-clock time over all slots.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wall_seconds: Option<f64>,
    /// Disk.
    pub disk_bytes: f64,
    /// Energy.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kwh: Option<f64>,
    /// Money, in `currency`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub money: Option<f64>,
    /// As the sweep names it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub currency: Option<String>,
}
