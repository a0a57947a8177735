//! What a fit concludes: values with their status and intervals. These types are the JSON of `scalelaw fit`.

use std::collections::BTreeMap;

use scalelaw_schema::measure::Measure;
use scalelaw_schema::table::{Counting, ExcludedRow};
use serde::{Deserialize, Serialize};

pub use crate::stats::Interval;

/// Everything concluded from one loss table. `fits[0]` is the chosen law.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conclusion {
    /// Version of this format.
    pub schema_version: u32,
    /// Where the rows came from.
    pub source: String,
    /// How N and C were counted.
    pub count_rule: Counting,
    /// What the loss is.
    pub loss_name: String,
    /// Column and unit of the loss; absent in files of earlier versions.
    #[serde(default)]
    pub measure: Option<Measure>,
    /// Rows used.
    pub n_rows: usize,
    /// The laws fitted, the chosen one first.
    pub fits: Vec<Fit>,
    /// Envelope of learning curves, where the table has curves.
    pub approach1: Option<Frontier>,
    /// IsoFLOP minima, where the table has budgets.
    pub approach2: Option<Approach2>,
    /// The approaches side by side; empty where there is only one.
    pub disagreement: Vec<Disagreement>,
    /// Caveats: what to know before using the numbers.
    pub warnings: Vec<String>,
    /// Excluded rows.
    pub excluded: Vec<ExcludedRow>,
    /// How the first law was chosen, with `--law auto` or `all`.
    #[serde(default)]
    pub choice: Option<Choice>,
    /// Time it took; filled in by the caller, who has a clock.
    pub seconds: Option<f64>,
}

/// One law fitted to the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Name of the law, such as `chinchilla`.
    pub law: String,
    /// Its equation, for a person.
    pub equation: String,
    /// How the search ended.
    pub status: FitStatus,
    /// What the status means here: which parameter is at which bound, which are not identified.
    pub notes: Vec<String>,
    /// Fitted values by name.
    pub params: BTreeMap<String, f64>,
    /// Sum over the rows of the objective.
    pub objective: f64,
    /// Name of the objective, such as `log-huber:1e-3`.
    pub objective_name: String,
    /// Root mean square of the residuals of log loss.
    pub rms_log_residual: f64,
    /// Intervals by parameter name.
    pub intervals: BTreeMap<String, Interval>,
    /// Compute-optimal frontier of this law, where it has one.
    pub optimum: Option<Frontier>,
    /// `ln(loss) − ln(law)` of each row, in the table's order.
    pub residuals: Vec<RowResidual>,
    /// Held-out rows, where some were held out.
    pub holdout: Option<Holdout>,
    /// The predictions of `FitSpec::predict`.
    pub predictions: Vec<Prediction>,
    /// Leverage, correlations, lack of fit.
    #[serde(default)]
    pub diagnostics: Option<Diagnostics>,
    /// Parameters of each bootstrap resample, in the order of `params`' keys; for bands. Not printed.
    #[serde(skip)]
    pub resamples: Vec<Vec<f64>>,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FitStatus {
    /// At a minimum inside the bounds.
    Converged,
    /// At a minimum with a parameter at its bound: `notes` says which.
    AtBound,
    /// The search ended without a minimum.
    Stopped,
}

/// Name of the interval of log10 N* at the largest budget, among those of a [`Frontier`].
pub const LOG10_N: &str = "log10_n_at_largest_budget";

/// `N*(C) = n_coefficient · C^a`, `D*(C) = d_coefficient · C^b`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Frontier {
    /// Exponent of N*.
    pub a: f64,
    /// Exponent of D*.
    pub b: f64,
    /// N* at C = 1.
    pub n_coefficient: f64,
    /// D* at C = 1.
    pub d_coefficient: f64,
    /// Intervals of `a`, `b` and [`LOG10_N`], by name.
    pub intervals: BTreeMap<String, Interval>,
}

impl Conclusion {
    /// Unit of every loss of it, such as `nats per token`; none where the table does not say.
    pub fn unit(&self) -> Option<&'static str> {
        self.measure.as_ref()?.unit.text()
    }
}

impl Frontier {
    /// Whether all numbers are finite, so that N* and D* can be computed.
    pub fn is_finite(&self) -> bool {
        self.a.is_finite()
            && self.b.is_finite()
            && [self.n_coefficient, self.d_coefficient].iter().all(|x| x.is_normal())
    }

    /// N* at `c` FLOPs.
    pub fn n(&self, c: f64) -> f64 {
        self.n_coefficient * c.powf(self.a)
    }

    /// D* at `c` FLOPs.
    pub fn d(&self, c: f64) -> f64 {
        self.d_coefficient * c.powf(self.b)
    }
}

/// Approach 2: a minimum per budget and a power law through them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approach2 {
    /// One per budget, in rising order of compute.
    pub minima: Vec<IsoFlopMinimum>,
    /// Through the minima of the parabolas; absent where there are fewer than two.
    pub frontier: Option<Frontier>,
}

/// The best size at one budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IsoFlopMinimum {
    /// Compute of the budget, FLOPs.
    pub budget: f64,
    /// Sizes in it.
    pub n_sizes: usize,
    /// N at the parabola's minimum in log N; absent where it lies at or beyond the grid's edge.
    pub n: Option<f64>,
    /// Loss at the minimum.
    pub loss: Option<f64>,
    /// Why it is absent.
    pub why_none: Option<String>,
    /// The parabola `c0 + c1·x + c2·x²` of log loss in `x = ln N`.
    pub parabola: [f64; 3],
    /// N at the minimum of the Akima interpolation, where it lies inside.
    pub n_akima: Option<f64>,
    /// Interval of `n` under the losses' noise.
    #[serde(default)]
    pub n_interval: Option<Interval>,
}

/// Two approaches on one quantity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Disagreement {
    /// The quantity, such as `a` or `N* at 2.7e12 FLOPs`.
    pub quantity: String,
    /// Approach to value.
    pub values: BTreeMap<String, f64>,
}

/// A row's residual.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowResidual {
    /// The row's name in the table.
    pub name: String,
    /// N, D, C of the row.
    pub n: f64,
    /// See `n`.
    pub d: f64,
    /// See `n`.
    pub c: f64,
    /// Measured loss.
    pub loss: f64,
    /// Fitted loss.
    pub fitted: f64,
    /// `ln(loss) − ln(fitted)`.
    pub residual: f64,
}

/// How well held-out rows were predicted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Holdout {
    /// Rows held out.
    pub rows: usize,
    /// Mean absolute relative error, as a fraction.
    pub are: f64,
    /// Largest absolute relative error.
    pub max: f64,
    /// Share of the rows inside their 90 % prediction interval.
    pub coverage90: Option<f64>,
    /// Mean score of the 90 % intervals in ln loss, lower is better: width, plus 20 times the distance by
    /// which a row lies outside (Gneiting and Raftery 2007, equation 43).
    #[serde(default)]
    pub interval_score90: Option<f64>,
}

/// A predicted loss of a future run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Parameters.
    pub n: f64,
    /// Tokens.
    pub d: f64,
    /// FLOPs.
    pub c: f64,
    /// Predicted loss.
    pub loss: f64,
    /// For one future run, noise included; absent where it cannot be had.
    pub interval: Option<Interval>,
    /// Whether the point lies inside the rows' range of compute.
    pub kind: PredictionKind,
    /// Decades of compute beyond the largest row; 0 inside.
    pub decades_beyond: f64,
}

/// Inside or outside the measured range of compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PredictionKind {
    /// Inside.
    Interpolation,
    /// Beyond the largest row.
    Extrapolation,
}

/// How a law was chosen among several: by predicting larger compute from smaller, inside the rows given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// How, in words.
    pub method: String,
    /// Mean absolute relative error of each law's back-tests, best first.
    pub backtests: Vec<LawBacktest>,
    /// Weights of the laws in the average that `predictions` and `holdout` are of.
    #[serde(default)]
    pub weights: BTreeMap<String, f64>,
}

/// One law's rolling back-tests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LawBacktest {
    /// Name of the law.
    pub law: String,
    /// Predictions made.
    pub predictions: usize,
    /// Mean absolute relative error, as a fraction.
    pub are: f64,
}

/// Diagnostics of a fit.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Diagnostics {
    /// Profile-likelihood intervals by parameter, beside the ones reported, as a check.
    pub profiles: BTreeMap<String, Interval>,
    /// Correlation of parameter estimates, such as `E, alpha`; near ±1 they cannot be separated.
    pub correlations: BTreeMap<String, f64>,
    /// Condition number of the scaled information matrix; absent where it is singular.
    pub condition: Option<f64>,
    /// Standard deviation of log loss over repeated seeds, where there are any.
    pub seed_noise: Option<f64>,
    /// Leverage and influence of each row, in the order of `residuals`.
    pub rows: Vec<RowInfluence>,
    /// C as the frontier counts it: `C = k · N^kappa · D`, from the rows.
    pub compute_k: Option<f64>,
    /// See `compute_k`.
    pub compute_kappa: Option<f64>,
    /// Sentences: what would change the conclusion.
    pub findings: Vec<String>,
}

/// Leverage and influence of one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RowInfluence {
    /// The row's name in the table.
    pub name: String,
    /// Leverage: the weight of the row's own loss in its fitted value, 0 to 1.
    pub leverage: f64,
    /// Change of the frontier's exponent (of the first exponent, for a law without frontier) when the
    /// row is left out.
    pub influence: Option<f64>,
}
