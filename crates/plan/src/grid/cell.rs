//! One cell of a grid: a shape and a number of steps, or the reason why it cannot be trained.

use scalelaw_schema::EXACT_MAX;
use scalelaw_schema::SchemaError;
use scalelaw_schema::axis::Axis;
use scalelaw_schema::count::CountRule;
use scalelaw_schema::model::ModelSpec;
use scalelaw_schema::sweep::Horizon;
use scalelaw_schema::text::{bytes, counted, si};
use thiserror::Error;

use crate::error::PlanError;
use crate::resolve::settings::Setting;
use crate::resolve::values::{counts, numbers};
use crate::shapes::Family;

/// Farthest that a shape made by rule may lie from the size asked for, in ln N: as far as the family goes to avoid a
/// model of one block.
const N_ERROR_MAX: f64 = 0.3;

/// A cell as the grid asks for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GridCell {
    /// Where it stands in the grid, in words.
    pub label: String,
    /// What to train, or why it is dropped.
    pub cell: Result<Cell, DropReason>,
}

/// A cell that can be trained, as far as shape and steps go.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    pub model: ModelSpec,
    pub steps: u64,
    /// The steps that the rate and the warm-up are chosen for: the cell's own, or those of the shortest horizon of its
    /// trunk, along which both must be the same.
    pub recipe_steps: u64,
    pub budget_flops: Option<f64>,
}

/// Why a cell is dropped.
#[derive(Debug, Clone, PartialEq, Error)]
pub(crate) enum DropReason {
    /// The shape or the run violates a rule of its own.
    #[error(transparent)]
    Invalid(#[from] SchemaError),
    #[error("one sequence takes more FLOPs than can be counted exactly (2^53)")]
    TooManyFlops,
    #[error("it takes more tokens than can be counted exactly (2^53)")]
    TooManyTokens,
    #[error("no width satisfies `width-range` and `d-head`")]
    NoWidth,
    #[error("no model is that small: the smallest has N {}", si(*smallest))]
    TooSmall { smallest: f64 },
    #[error("no model is that large: the largest has N {}", si(*largest))]
    TooLarge { largest: f64 },
    #[error("no model is near: the nearest has N {}", si(*nearest))]
    NoneNear { nearest: f64 },
    #[error("it has the same shape as N {} (hint: fewer sizes, or a wider span)", si(*other))]
    SameShape { other: f64 },
    #[error("{}, fewer than `min-steps` = {min_steps}", counted(*steps as usize, "step"))]
    TooFewSteps { steps: u64, min_steps: u64 },
    #[error("d_model {d_model} is not divisible into heads of {d_head}")]
    HeadWidth { d_model: usize, d_head: usize },
    #[error("d_model {d_model} is not divisible into heads of even width")]
    NoEvenHead { d_model: usize },
    #[error(
        "one sequence needs {} of memory but each slot has {} (hint: fewer `--slots`)",
        bytes(*needed), bytes(*per_slot)
    )]
    Memory { needed: f64, per_slot: f64 },
    #[error("its largest buffer takes {} but the device binds at most {}", bytes(*needed), bytes(*allowed))]
    Binding { needed: f64, allowed: f64 },
}

/// One length of training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum HorizonValue {
    Steps(u64),
    Tokens(f64),
    Flops(f64),
    TokensPerParam(f64),
}

impl HorizonValue {
    /// Every value of a horizon.
    pub fn of_horizon(horizon: &Horizon, path: &str) -> Result<Vec<HorizonValue>, PlanError> {
        let values = |axis: &Axis, key: &str| {
            numbers(Some(axis), 0.0, &format!("{path}.{key}"), "positive", |x| x > 0.0)
        };
        Ok(match horizon {
            Horizon::Steps(axis) => counts(Some(axis), 0.0, &format!("{path}.steps"), 1)?
                .into_iter()
                .map(HorizonValue::Steps)
                .collect(),
            Horizon::Tokens(axis) => values(axis, "tokens")?.into_iter().map(HorizonValue::Tokens).collect(),
            Horizon::Flops(axis) => values(axis, "flops")?.into_iter().map(HorizonValue::Flops).collect(),
            Horizon::TokensPerParam(axis) => {
                values(axis, "tokens-per-param")?.into_iter().map(HorizonValue::TokensPerParam).collect()
            }
        })
    }

    /// In words.
    pub fn label(&self) -> String {
        match self {
            HorizonValue::Steps(steps) => counted(*steps as usize, "step"),
            HorizonValue::Tokens(tokens) => format!("D {}", si(*tokens)),
            HorizonValue::Flops(flops) => format!("C {flops:.2e}"),
            HorizonValue::TokensPerParam(ratio) => format!("D/N {ratio}"),
        }
    }

    /// Whole steps, at least one, that come nearest to this length: D and C of a run are then the exact ones
    /// of its steps.
    pub fn steps(&self, rule: CountRule, model: &ModelSpec, setting: &Setting) -> f64 {
        let batch_tokens = setting.batch_tokens();
        let steps = match self {
            HorizonValue::Steps(steps) => *steps as f64,
            HorizonValue::Tokens(tokens) => tokens / batch_tokens,
            HorizonValue::Flops(flops) => flops / rule.c(model, setting.context_len, batch_tokens),
            HorizonValue::TokensPerParam(ratio) => ratio * rule.n(model) / batch_tokens,
        };
        steps.round().max(1.0)
    }
}

/// The cell of `model` trained for `length`, or why it cannot be trained or counted.
pub(crate) fn cell(
    rule: CountRule,
    model: ModelSpec,
    setting: &Setting,
    length: HorizonValue,
) -> Result<Cell, DropReason> {
    model.check()?;
    if !model.is_countable(setting.context_len) {
        return Err(DropReason::TooManyFlops);
    }
    let steps = length.steps(rule, &model, setting);
    if steps * setting.batch_tokens() > EXACT_MAX {
        return Err(DropReason::TooManyTokens);
    }
    let steps = steps as u64;
    Ok(Cell { model, steps, recipe_steps: steps, budget_flops: None })
}

/// The model of the family nearest to `n`, or why there is none.
pub(crate) fn model_of_size(family: &Family, n: f64) -> Result<ModelSpec, DropReason> {
    let (Some(model), Some([smallest, largest])) = (family.nearest(n), family.range()) else {
        return Err(DropReason::NoWidth);
    };
    let nearest = family.rule().n(model);
    if (nearest / n).ln().abs() > N_ERROR_MAX {
        return Err(if n < smallest {
            DropReason::TooSmall { smallest }
        } else if n > largest {
            DropReason::TooLarge { largest }
        } else {
            DropReason::NoneNear { nearest }
        });
    }
    Ok(model.clone())
}
