//! What an `lr` sweep shows. These types are the JSON of `scalelaw fit` for such a sweep.

use scalelaw_fit::conclusion::Interval;
use scalelaw_schema::lr_rule::{Beta2Rule, RuleExponents, RulePoint, RuleRange};
use serde::{Deserialize, Serialize};

use super::critical_batch::CriticalBatches;

/// One run of an `lr` sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct LrRow {
    /// Id of the run.
    pub name: String,
    /// Parameters, all counted.
    pub n: f64,
    /// Training tokens.
    pub d: f64,
    /// Tokens of one step.
    pub batch_tokens: f64,
    /// AdamW's second decay.
    pub beta2: f64,
    /// Other settings (text, tokenizer, context, weight decay): only runs that share them are compared.
    pub variant: String,
    /// Peak learning rate.
    pub lr: f64,
    /// Held-out loss, nats per token; absent where the run diverged.
    pub loss: Option<f64>,
}

/// What an `lr` sweep shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LrConclusion {
    /// Version of this format.
    pub schema_version: u32,
    /// Name of the sweep.
    pub source: String,
    /// Level of all intervals.
    pub level: f64,
    /// One for each size, horizon, batch and beta2.
    pub optima: Vec<LrOptimum>,
    /// Standard deviation of ln loss about the quadratics, pooled; absent where none has a residual degree of
    /// freedom.
    pub noise: Option<f64>,
    /// The power law through the optima.
    pub law: Option<LrLaw>,
    /// Critical batch sizes, where the sweep varies the batch.
    pub critical_batches: Option<CriticalBatches>,
    /// Caveats: what to know before using the numbers.
    pub warnings: Vec<String>,
}

/// The best rate of one size, horizon, batch and beta2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LrOptimum {
    /// Parameters, all counted.
    pub n: f64,
    /// Training tokens.
    pub d: f64,
    /// Tokens of one step.
    pub batch_tokens: f64,
    /// AdamW's second decay.
    pub beta2: f64,
    /// As in [`LrRow::variant`]; empty where the sweep has one.
    pub variant: String,
    /// Rates with their mean loss, rising; those that diverged have none.
    pub rates: Vec<RateLoss>,
    /// The best rate; absent at the grid's edge or where the losses do not curve upwards.
    pub lr: Option<f64>,
    /// Its interval; absent where the noise is not known or does not bound it.
    pub lr_interval: Option<Interval>,
    /// Loss at the best rate.
    pub loss: Option<f64>,
    /// Why there is no best rate.
    pub why_none: Option<String>,
    /// `ln loss = c0 + c1·x + c2·x²`, `x = ln lr`, where there is one.
    pub quadratic: Option<[f64; 3]>,
    /// Smallest and largest rate that the quadratic was fitted to.
    pub fitted_range: Option<[f64; 2]>,
    /// Whether no other beta2 gave a lower loss here.
    pub is_best_beta2: bool,
    /// Standard error of ln lr.
    #[serde(skip)]
    pub(super) se: Option<f64>,
}

/// A rate and its loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RateLoss {
    /// Peak learning rate.
    pub lr: f64,
    /// Geometric mean over seeds, nats per token; absent where all diverged.
    pub loss: Option<f64>,
}

/// `lr* = lr · (N/N₀)^a · (D/D₀)^b · (B/B₀)^g`; exponents that the sweep does not identify are absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LrLaw {
    /// Best rate at `reference`.
    pub lr: f64,
    /// Its interval.
    pub lr_interval: Option<[f64; 2]>,
    /// Geometric means of the optima.
    pub reference: RulePoint,
    /// The exponents a, b and g.
    pub exponents: RuleExponents,
    /// The range of the optima.
    pub range: RuleRange,
    /// Root mean square of ln(optimum / law).
    pub rms_ln_residual: f64,
    /// Optima that it was fitted to.
    pub n_optima: usize,
    /// Mean c2 of the quadratics.
    pub curvature: f64,
    /// Second decay by batch.
    pub beta2: Beta2Rule,
    /// How the intervals were found.
    pub method: String,
}

impl LrOptimum {
    /// Expected `ln(loss / best loss)` of a run here with this rate, by the quadratic.
    pub fn excess(&self, lr: f64) -> Option<f64> {
        Some(self.quadratic?[2] * (lr / self.lr?).ln().powi(2))
    }
}
