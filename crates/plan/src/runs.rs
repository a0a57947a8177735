//! From a cell to its runs: every mixture, every value of the recipe, and the cost of each.

use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::eval::{EvalRequest, EvalSpec};
use scalelaw_schema::plan::{DroppedCell, PlannedRun};
use scalelaw_schema::recipe::{InitRule, Optimizer, Recipe, Schedule};
use scalelaw_schema::run::{Cadence, Cell as PlacedCell, RunSpec};
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::sweep::{Length, ScheduleChoice};
use scalelaw_schema::text::counted;
use scalelaw_schema::train_spec::{Phase, Start, TrainSpec};

use crate::cost::estimate::estimate;
use crate::cost::memory::{largest_binding_bytes, micro_batch};
use crate::facts::PlanFacts;
use crate::grid::cell::{Cell, DropReason};
use crate::learning_rate::{lr_by_rule, rule_point};
use crate::resolve::Choices;
use crate::resolve::mixtures::MixtureChoice;
use crate::resolve::recipes::{BETA2, LrChoice, RecipeChoice, WARMUP_FRACTION, WARMUP_STEPS_MAX};
use crate::resolve::settings::Setting;

/// Added to the root of AdamW's second moment.
const ADAM_EPS: f64 = 1e-8;

/// Standard deviation of the initial weights (GPT-2).
const INIT_STD: f64 = 0.02;

/// Rows of `metrics.jsonl` per run: enough to draw a curve.
const LOG_ROWS: u64 = 100;

/// Every run of a cell, or why it is dropped.
pub(crate) fn runs(
    cell: &Cell,
    setting: &Setting,
    choices: &Choices,
    facts: &PlanFacts,
) -> Result<Vec<PlannedRun>, DropReason> {
    let mixtures = choices.mixtures.get(&setting.tokenizer).map_or(&[][..], Vec::as_slice);
    let slots = facts.slots.max(1);
    let bytes_per_slot = facts.memory_bytes.map(|bytes| bytes as f64 / slots as f64);
    let (_, memory_bytes) =
        micro_batch(&cell.model, setting.context_len, setting.batch_sequences, bytes_per_slot);
    if let Some(per_slot) = bytes_per_slot
        && memory_bytes > per_slot
    {
        return Err(DropReason::Memory { needed: memory_bytes, per_slot });
    }
    let binding_bytes = largest_binding_bytes(&cell.model, setting.context_len);
    if let Some(allowed) = facts.max_binding_bytes.map(|bytes| bytes as f64)
        && binding_bytes > allowed
    {
        return Err(DropReason::Binding { needed: binding_bytes, allowed });
    }

    let mut runs = Vec::new();
    for mixture in mixtures {
        for recipe in &choices.recipes {
            let run = run(cell, setting, choices, mixture, recipe);
            run.train.check()?;
            let d = run.train.tokens() as f64;
            runs.push(PlannedRun {
                n: choices.rule.n(&cell.model),
                d,
                c: choices.rule.c(&cell.model, setting.context_len, d),
                estimate: estimate(&run, memory_bytes, facts, choices.cost.as_ref()),
                run,
            });
        }
    }
    Ok(runs)
}

/// A dropped cell, labelled with what is swept beside its grid and how many runs it would have had.
pub(crate) fn dropped(
    mut cell: String,
    why: &DropReason,
    setting: &Setting,
    choices: &Choices,
) -> DroppedCell {
    if !setting.label.is_empty() {
        cell += &format!(", {}", setting.label);
    }
    let n_mixtures = choices.mixtures.get(&setting.tokenizer).map_or(0, Vec::len);
    match n_mixtures * choices.recipes.len() {
        1 => {}
        n_runs => cell += &format!(" ({})", counted(n_runs, "run")),
    }
    DroppedCell { cell, why: why.to_string() }
}

fn run(
    cell: &Cell,
    setting: &Setting,
    choices: &Choices,
    mixture: &MixtureChoice,
    recipe: &RecipeChoice,
) -> RunSpec {
    let at = rule_point(cell, setting);
    let lr_by_rule = || match &choices.lr_rule {
        Some(rule) => rule.lr(at),
        None => lr_by_rule(choices.parametrisation.base_model(&cell.model).params().total() as f64),
    };
    let train = TrainSpec {
        model: cell.model.clone(),
        phases: vec![Phase {
            context_len: setting.context_len,
            batch_sequences: setting.batch_sequences,
            steps: cell.steps,
        }],
        recipe: Recipe {
            optimizer: Optimizer::AdamW {
                beta1: recipe.beta1,
                beta2: recipe.beta2.unwrap_or_else(|| {
                    choices.lr_rule.as_ref().map_or(BETA2, |rule| rule.beta2(at.batch_tokens))
                }),
                eps: ADAM_EPS,
                weight_decay: recipe.weight_decay,
            },
            lr_peak: match recipe.lr {
                LrChoice::Fixed(lr) => lr,
                LrChoice::ByRule(factor) => factor * lr_by_rule(),
            },
            warmup_steps: match choices.warmup {
                Some(length) => steps_of(length, cell.recipe_steps),
                None => steps_of(Length::Fraction(WARMUP_FRACTION), cell.recipe_steps).min(WARMUP_STEPS_MAX),
            },
            schedule: match choices.schedule {
                ScheduleChoice::Constant => Schedule::Constant,
                ScheduleChoice::Cosine { final_fraction } => Schedule::Cosine { final_fraction },
                ScheduleChoice::Wsd { cooldown } => {
                    Schedule::Wsd { cooldown_steps: steps_of(cooldown, cell.steps) }
                }
            },
            grad_clip_norm: choices.grad_clip_norm,
            init: InitRule::ScaledNormal { std: INIT_STD },
            precision: choices.precision,
            parametrisation: choices.parametrisation,
        },
        mixture: mixture.mixture.clone(),
        seed: recipe.seed,
        start: Start::Init,
    };
    let id = RunId::of(&train);
    let evals = mixture.corpora.iter().map(|corpus| EvalRequest {
        name: corpus.name.clone(),
        spec: EvalSpec::HeldOut {
            tokens: corpus.tokens.clone(),
            n_tokens: choices.eval_tokens.next_multiple_of(setting.context_len as u64),
            context_len: setting.context_len,
        },
    });
    let skill_evals = choices.skill_evals.get(&setting.tokenizer).into_iter().flatten().cloned();
    // `n` parts of the run, the last of which may be shorter.
    let every = |n: u64| cell.steps.div_ceil(n.clamp(1, cell.steps));
    RunSpec {
        schema_version: SCHEMA_VERSION,
        cell: PlacedCell { budget_flops: cell.budget_flops, cluster: Some(id.clone()) },
        id,
        corpora: mixture.corpora.clone(),
        evals: evals.chain(skill_evals).collect(),
        cadence: Cadence {
            log_steps: every(LOG_ROWS),
            checkpoint_steps: every(choices.checkpoints),
            eval_steps: every(choices.eval_during.saturating_add(1)),
            eval_items: choices.items_during,
        },
        keep: choices.keep,
        keep_steps: Vec::new(),
        early_stop: choices.early_stop,
        train,
    }
}

/// Whole steps of a length in a run of `steps` steps.
fn steps_of(length: Length, steps: u64) -> u64 {
    match length {
        Length::Steps(steps) => steps,
        Length::Fraction(fraction) => (fraction * steps as f64).round() as u64,
    }
}
