//! From a sweep as written to choices: every default is applied here, and every value is checked, once.

use std::collections::BTreeMap;

use scalelaw_schema::count::CountRule;
use scalelaw_schema::eval::EvalRequest;
use scalelaw_schema::lr_rule::LrRule;
use scalelaw_schema::recipe::{Parametrisation, Precision};
use scalelaw_schema::run::{EarlyStop, Keep};
use scalelaw_schema::sweep::{CostChoice, EvalChoice, Length, ScheduleChoice, SweepSpec, TokenizerChoice};

pub(crate) mod mixtures;
pub(crate) mod recipes;
pub(crate) mod settings;
pub(crate) mod skills;
pub(crate) mod values;

use crate::error::PlanError;
use crate::facts::PlanFacts;
use mixtures::MixtureChoice;
use recipes::RecipeChoice;
use settings::Setting;
use values::{check_product, positive};

/// Largest global norm of the gradient.
const GRAD_CLIP_NORM: f64 = 1.0;
/// Checkpoints of a run.
const CHECKPOINTS: u64 = 10;
/// Held-out tokens per corpus, also the fewest allowed: with fewer, the noise of the evaluation shows
/// in the fit.
const EVAL_TOKENS: u64 = 65536;
/// Items per skill of an evaluation during a run.
const ITEMS_DURING: u64 = 128;

/// A sweep with its defaults applied.
#[derive(Debug, Clone)]
pub(crate) struct Choices {
    pub name: String,
    pub rule: CountRule,
    pub keep: Keep,
    /// Tokenizer, context and batch: what decides whether a cell can be trained.
    pub settings: Vec<Setting>,
    /// Mixtures under each tokenizer.
    pub mixtures: BTreeMap<TokenizerChoice, Vec<MixtureChoice>>,
    /// What else is swept; no cell can fail for it.
    pub recipes: Vec<RecipeChoice>,
    pub lr_rule: Option<LrRule>,
    pub parametrisation: Parametrisation,
    pub warmup: Option<Length>,
    pub schedule: ScheduleChoice,
    pub grad_clip_norm: f64,
    /// dtype of weight matmuls.
    pub precision: Precision,
    pub checkpoints: u64,
    pub eval_tokens: u64,
    pub eval_during: u64,
    /// Evaluations on skills under each tokenizer.
    pub skill_evals: BTreeMap<TokenizerChoice, Vec<EvalRequest>>,
    /// Items per skill of the evaluations during a run, if skills are measured.
    pub items_during: Option<u64>,
    /// Prices, for the estimates.
    pub cost: Option<CostChoice>,
    pub trunk: bool,
    pub early_stop: Option<EarlyStop>,
}

impl Choices {
    /// Applies the defaults and checks every value.
    pub fn of(sweep: &SweepSpec, facts: &PlanFacts) -> Result<Choices, PlanError> {
        let train = sweep.train.clone().unwrap_or_default();
        let eval = sweep.eval.clone().unwrap_or_default();
        let rule = sweep.count_rule.unwrap_or(CountRule::Exact);
        settings::check_tokenizers(&sweep.data.tokenizer.0)?;
        let mixtures = mixtures::mixtures(sweep, facts)?;
        let settings = settings::settings(sweep, facts, rule)?;
        let choices = Choices {
            skill_evals: skills::skill_evals(sweep, facts, &settings)?,
            items_during: sweep.measure.as_ref().map(|measure| measure.items_during.unwrap_or(ITEMS_DURING)),
            name: name(sweep)?,
            rule,
            keep: sweep.keep.unwrap_or(Keep::Weights),
            settings,
            recipes: recipes::recipes(&train)?,
            mixtures,
            lr_rule: recipes::lr_rule(&train, facts)?,
            parametrisation: recipes::parametrisation(&train)?,
            warmup: train.warmup.map(|warmup| recipes::length(warmup, "train.warmup")).transpose()?,
            schedule: recipes::schedule(&train)?,
            grad_clip_norm: positive(train.grad_clip_norm, GRAD_CLIP_NORM, "train.grad-clip-norm")?,
            precision: train.precision.unwrap_or_default(),
            checkpoints: train.checkpoints.unwrap_or(CHECKPOINTS),
            eval_tokens: eval_tokens(&eval)?,
            eval_during: eval.during.unwrap_or(0),
            cost: sweep.cost.clone(),
            trunk: recipes::trunk(&train)?,
            early_stop: recipes::early_stop(&train)?,
        };
        choices.check_n_runs(choices.settings.len())?;
        Ok(choices)
    }

    /// Refuses a grid of this many cells if it has more than the most runs of a sweep.
    pub fn check_n_runs(&self, n_cells: usize) -> Result<(), PlanError> {
        let n_mixtures = self.mixtures.values().map(Vec::len).max().unwrap_or(0);
        check_product("grid", &[n_cells, n_mixtures, self.recipes.len()])
    }
}

/// The name of the sweep is that of its folder.
fn name(sweep: &SweepSpec) -> Result<String, PlanError> {
    let name = sweep.name.clone().unwrap_or_else(|| "sweep".to_string());
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(is_plain) {
        return Err(PlanError::at(
            "name",
            format!("`{name}` is not a valid folder name (hint: letters, digits, `-`, `_` and `.`)"),
        ));
    }
    Ok(name)
}

fn eval_tokens(eval: &EvalChoice) -> Result<u64, PlanError> {
    let tokens = eval.tokens.unwrap_or(EVAL_TOKENS);
    if tokens < EVAL_TOKENS {
        return Err(PlanError::at(
            "eval.tokens",
            format!(
                "`{tokens}` must be at least {EVAL_TOKENS}: with fewer held-out tokens the loss is too noisy"
            ),
        ));
    }
    Ok(tokens)
}
