//! A sweep with all choices made: the runs, what each will cost, and the cells that cannot be trained.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::count::CountRule;
use crate::lr_rule::LrRule;
use crate::run::RunSpec;
use crate::sweep::SkillTarget;

/// The content of `plan.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of this format.
    pub schema_version: u32,
    /// Name of the sweep.
    pub sweep: String,
    /// What the sweep asks, if the file says so.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub question: Option<String>,
    /// Kind of grid: `isoflop`, `validation`, `mix`, `ladder`, `product`, `lr`.
    pub kind: String,
    /// How N and C of this plan are counted.
    pub count_rule: CountRule,
    /// Runs in the order in which they are started: the cheapest first, and a trunk before its branches.
    pub runs: Vec<PlannedRun>,
    /// Cells that cannot be trained, each with its reason.
    pub dropped: Vec<DroppedCell>,
    /// Budgets of an IsoFLOP grid, each with the size that it is centred on.
    pub budgets: Vec<PlannedBudget>,
    /// What the user should know before starting, such as a corpus that will be read twice.
    pub warnings: Vec<String>,
    /// The measured rule that the learning rates come from, if the sweep names one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lr_rule: Option<LrRule>,
    /// Uses by name, each with the weights of its skills.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub uses: BTreeMap<String, BTreeMap<String, f64>>,
    /// Target of each skill that has one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub targets: BTreeMap<String, SkillTarget>,
    /// Sums over `runs`.
    pub total: PlanTotal,
    /// How many runs train at once, once the machine is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub packing: Option<Packing>,
}

/// One run and what it will cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedRun {
    /// The run.
    pub run: RunSpec,
    /// N under the plan's rule.
    pub n: f64,
    /// D: training tokens from the initial weights on, including those of a trunk.
    pub d: f64,
    /// C under the plan's rule, including the steps of a trunk.
    pub c: f64,
    /// Estimated cost.
    pub estimate: Estimate,
}

impl PlannedRun {
    /// Share of the path from the initial weights to the final ones that the run itself computes: below 1 for a branch.
    pub fn own_share(&self) -> f64 {
        let train = &self.run.train;
        match train.first_step() {
            // Exactly.
            0 => 1.0,
            _ => train.flops_spent().total() / train.flops().total(),
        }
    }

    /// FLOPs that the run itself computes, under the plan's rule.
    pub fn spent_c(&self) -> f64 {
        self.c * self.own_share()
    }

    /// Tokens that the run itself reads.
    pub fn spent_d(&self) -> f64 {
        let train = &self.run.train;
        (train.tokens() - train.tokens_until(train.first_step())) as f64
    }
}

/// Estimated cost of a run; `None` for what is not known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// Time in one slot from the device's measured speed, seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seconds: Option<f64>,
    /// Peak memory of training, bytes.
    pub memory_bytes: f64,
    /// Disk during training (checkpoints, weights, metrics), bytes.
    pub disk_bytes: f64,
    /// Energy, if `cost.watts` is given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kwh: Option<f64>,
    /// Money, if a price is given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub money: Option<f64>,
}

/// A cell of the grid that cannot be trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DroppedCell {
    /// The cell in words: budget, size, seed.
    pub cell: String,
    /// Why it cannot be trained.
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

/// How many runs train at once. This does not change the weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packing {
    /// Workers, each with one run.
    pub slots: usize,
    /// CPU threads of each worker.
    pub threads: usize,
    /// The reason, in words.
    pub why: String,
}

/// Sums over a plan's runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanTotal {
    /// Number of runs.
    pub n_runs: usize,
    /// Training FLOPs under the plan's count rule; the steps that branches share with their trunk count once.
    pub flops: f64,
    /// FLOPs of the same runs without trunks, if there are branches.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub flops_separate: Option<f64>,
    /// Training tokens, counted in the same way.
    pub tokens: f64,
    /// Wall-clock time with all slots, seconds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub wall_seconds: Option<f64>,
    /// Disk, bytes.
    pub disk_bytes: f64,
    /// Energy, kWh.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kwh: Option<f64>,
    /// Money, in `currency`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub money: Option<f64>,
    /// Name of the currency, as the sweep gives it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub currency: Option<String>,
}
