//! What the same runs, evaluated skill by skill, conclude. These types are the JSON of `scalelaw fit --skill`.

use scalelaw_schema::table::{Counting, ExcludedRow};
use serde::{Deserialize, Serialize};

use scalelaw_fit::conclusion::{Fit, Interval};

/// Optima of every skill and of the aggregate, what each skill wants more of, and by which rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkillConclusion {
    /// Version of this format.
    pub schema_version: u32,
    /// Where the rows came from.
    pub source: String,
    /// How N and C were counted.
    pub count_rule: Counting,
    /// The budgets, rising.
    pub budgets: Vec<BudgetSizes>,
    /// The text that every skill is compared with.
    pub aggregate: TextFit,
    /// The skills, in the order given.
    pub skills: Vec<TextFit>,
    /// One for each skill, in the same order.
    pub residuals: Vec<SkillResidual>,
    /// The rule of the labels, in words.
    pub rule: String,
    /// Level of the intervals, and of the family of labels.
    pub level: f64,
    /// Draws of the noise.
    pub draws: usize,
    /// Caveats: what to know before using the numbers.
    pub warnings: Vec<String>,
}

/// The sizes that were trained at one budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BudgetSizes {
    /// FLOPs.
    pub budget: f64,
    /// Smallest N.
    pub smallest: f64,
    /// Largest N.
    pub largest: f64,
}

/// One text that the runs are evaluated on, a skill's or the aggregate, with its optima.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextFit {
    /// Its name.
    pub name: String,
    /// Runs used.
    pub n_rows: usize,
    /// Optimum of each budget by its parabola, in the order of the budgets.
    pub by_minima: Vec<SkillOptimum>,
    /// Optimum of each budget by the fitted law; empty where there is none.
    pub by_surface: Vec<SkillOptimum>,
    /// The fitted law.
    pub fit: Option<Fit>,
    /// Why it is absent.
    pub why_no_fit: Option<String>,
    /// Excluded runs.
    pub excluded: Vec<ExcludedRow>,
}

/// The best size of one text at one budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkillOptimum {
    /// FLOPs.
    pub budget: f64,
    /// N*; absent at the edge of the sizes.
    pub n: Option<f64>,
    /// Its interval. An end that equals the smallest or largest size is open: the sizes do not show it.
    pub n_interval: Option<Interval>,
    /// Tokens that spend the budget at N*.
    pub d: Option<f64>,
    /// Interval of `d`.
    pub d_interval: Option<Interval>,
    /// Loss there.
    pub loss: Option<f64>,
    /// The edge at or beyond which N* lies.
    pub edge: Option<Edge>,
    /// Why N* is absent.
    pub why_none: Option<String>,
    /// By a parabola: of ln loss in ln N, `c0 + c1·x + c2·x²`.
    pub parabola: Option<[f64; 3]>,
}

/// An end of the sizes of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edge {
    /// N* is at most the smallest size.
    Smallest,
    /// N* is at least the largest size.
    Largest,
}

/// How far a skill's optimum lies from the aggregate's, and what follows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkillResidual {
    /// The skill.
    pub skill: String,
    /// By the fitted laws.
    pub by_surface: ResidualBy,
    /// By the parabolas.
    pub by_minima: ResidualBy,
    /// What the skill wants more of.
    pub label: Label,
    /// Approach that the label follows; absent where neither has a residual.
    pub label_by: Option<Approach>,
    /// The interval that decided the label, at the level that Holm's procedure gives this skill.
    pub label_interval: Option<Interval>,
    /// p-value of a residual of zero, adjusted by Holm's procedure for the number of skills.
    pub p_holm: Option<f64>,
    /// Why this label, in words.
    pub why: String,
}

/// Residuals by one approach.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ResidualBy {
    /// One for each budget; absent where the aggregate or the skill says nothing there.
    pub budgets: Vec<Option<Residual>>,
    /// Mean over the budgets that have one.
    pub pooled: Option<Residual>,
}

/// `ln N*` of a skill less `ln N*` of the aggregate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Residual {
    /// Natural logarithm of the ratio; above zero the skill wants the larger model.
    pub log_ratio: f64,
    /// Its interval, the runs' noise drawn jointly for both.
    pub interval: Option<Interval>,
    /// Whether an optimum at the edge of the sizes makes it a bound.
    pub bound: Option<Bound>,
    /// Budgets that it is the mean of.
    pub n_budgets: usize,
}

/// What an optimum at the edge of the sizes says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// The residual is at least this.
    AtLeast,
    /// The residual is at most this.
    AtMost,
    /// At some budgets one, at some the other.
    Mixed,
}

/// How an optimum was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approach {
    /// The fitted law.
    Surface,
    /// The parabola of each budget.
    Minima,
}

/// What a skill wants more of, at the same compute, than the aggregate does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Label {
    /// Parameters: its interval lies above zero.
    CapacityHungry,
    /// Data: its interval lies below zero.
    DataHungry,
    /// Its interval holds zero, or there is none.
    Undecided,
}

impl Label {
    /// As written in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::CapacityHungry => "capacity-hungry",
            Self::DataHungry => "data-hungry",
            Self::Undecided => "undecided",
        }
    }
}

impl Residual {
    /// How many times the aggregate's N* the skill's is.
    pub fn ratio(&self) -> f64 {
        self.log_ratio.exp()
    }
}

impl SkillResidual {
    /// The pooled residual of the approach that the label follows.
    pub fn pooled(&self) -> Option<&Residual> {
        match self.label_by? {
            Approach::Surface => self.by_surface.pooled.as_ref(),
            Approach::Minima => self.by_minima.pooled.as_ref(),
        }
    }
}
