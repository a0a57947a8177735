//! One cell of a grid: a shape and a number of steps, or the reason why it cannot be trained.

use scalelaw_schema::axis::Axis;
use scalelaw_schema::count::CountRule;
use scalelaw_schema::model::{EXACT_MAX, ModelSpec};
use scalelaw_schema::plan::DroppedCell;
use scalelaw_schema::run_id::si;
use scalelaw_schema::sweep::Horizon;

use crate::error::PlanError;
use crate::resolve::Setting;
use crate::shapes::Family;
use crate::values::{counts, numbers};

/// Farthest that a shape made by rule may lie from the size asked for, in ln N: as far as the family goes to avoid a
/// model of one block.
const N_ERROR_MAX: f64 = 0.3;

/// A cell that can be trained, as far as shape and steps go.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    pub model: ModelSpec,
    pub steps: u64,
    /// The steps that the rate and the warm-up are chosen for: the cell's own, or those of the shortest horizon of its
    /// trunk, along which both must be the same.
    pub recipe_steps: u64,
    pub budget_flops: Option<f64>,
    /// In words, for a later reason to drop it.
    pub label: String,
}

/// A cell, or why it cannot be.
pub(crate) type MaybeCell = Result<Cell, DroppedCell>;

/// Drops the cell that `label` describes.
pub(crate) fn dropped(label: impl Into<String>, why: impl Into<String>) -> DroppedCell {
    DroppedCell { cell: label.into(), why: why.into() }
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
            HorizonValue::Steps(steps) => format!("{steps} steps"),
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

/// The cell of `model` trained for `length`, or why its numbers cannot be held.
pub(crate) fn cell(
    rule: CountRule,
    model: &ModelSpec,
    setting: &Setting,
    length: HorizonValue,
    label: String,
) -> MaybeCell {
    if let Err(error) = model.check() {
        return Err(dropped(label, error.to_string()));
    }
    if !model.is_countable(setting.context_len) {
        return Err(dropped(label, "one sequence takes more FLOPs than can be counted exactly (2^53)"));
    }
    let steps = length.steps(rule, model, setting);
    if steps * setting.batch_tokens() > EXACT_MAX {
        return Err(dropped(label, "it takes more tokens than can be counted exactly (2^53)"));
    }
    let steps = steps as u64;
    Ok(Cell { model: model.clone(), steps, recipe_steps: steps, budget_flops: None, label })
}

/// The model of the family nearest to `n`, or why there is none.
pub(crate) fn model_of_size(family: &Family, n: f64, label: &str) -> Result<ModelSpec, DroppedCell> {
    let (Some(model), Some([smallest, largest])) = (family.nearest(n), family.range()) else {
        return Err(dropped(label, "no width satisfies `width-range` and `d-head`"));
    };
    let found = family.rule().n(model);
    if (found / n).ln().abs() > N_ERROR_MAX {
        let why = if n < smallest {
            format!("no model is that small: the smallest has N {}", si(smallest))
        } else if n > largest {
            format!("no model is that large: the largest has N {}", si(largest))
        } else {
            format!("no model is near: the nearest has N {}", si(found))
        };
        return Err(dropped(label, why));
    }
    Ok(model.clone())
}
