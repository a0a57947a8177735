//! The IsoFLOP grid: budgets of compute, and around the predicted optimum of each some sizes (Hoffmann et al.
//! 2022, arXiv:2203.15556, approach 2).

use std::collections::BTreeMap;

use scalelaw_schema::axis::Axis;
use scalelaw_schema::count::CountRule;
use scalelaw_schema::plan::{CenterSource, PlannedBudget};
use scalelaw_schema::sweep::{CenterChoice, IsoflopGrid};
use scalelaw_schema::text::si;

use crate::error::PlanError;
use crate::facts::PlanFacts;
use crate::grid::cell::{Cell, DropReason, GridCell, HorizonValue, cell, model_of_size};
use crate::resolve::Choices;
use crate::resolve::settings::Setting;
use crate::resolve::values::numbers;
use crate::shapes::Family;

/// Default fewest steps of a cell: with fewer, the schedule is mostly warm-up and rounding.
const MIN_STEPS: u64 = 100;

/// Widest span, decades on each side: beyond it, a parabola in log N means nothing.
const SPAN_MAX: f64 = 3.0;

/// Most sizes per budget.
const SIZES_MAX: usize = 1000;

/// An [`IsoflopGrid`] with its defaults applied.
pub(crate) struct Isoflop<'a> {
    pub budgets: &'a Axis,
    pub sizes: usize,
    pub span_decades: f64,
    pub tokens_per_param: f64,
    pub center: CenterChoice,
    pub min_steps: u64,
    pub shared_sizes: bool,
}

impl Isoflop<'_> {
    pub fn of(grid: &IsoflopGrid) -> Isoflop<'_> {
        Isoflop {
            budgets: &grid.budgets,
            sizes: grid.sizes,
            span_decades: grid.span_decades,
            tokens_per_param: grid.tokens_per_param,
            center: grid.center.unwrap_or(CenterChoice::Prior),
            min_steps: grid.min_steps.unwrap_or(MIN_STEPS),
            shared_sizes: grid.shared_sizes.unwrap_or(false),
        }
    }

    /// The sizes asked for around `center_n`, evenly spaced in log N. Shared ones are the nearest `sizes` rungs of a
    /// ladder that does not depend on the budgets, so that a budget added later shares its sizes as well.
    fn targets(&self, center_n: f64) -> Vec<f64> {
        if self.sizes == 1 {
            return vec![center_n];
        }
        let step = 2.0 * self.span_decades / (self.sizes - 1) as f64;
        let half = 0.5 * (self.sizes - 1) as f64;
        let at = |size_idx: usize| {
            if self.shared_sizes {
                let first = (center_n.log10() / step - half).round();
                10f64.powf((first + size_idx as f64) * step)
            } else {
                let position = 2.0 * size_idx as f64 / (self.sizes - 1) as f64 - 1.0;
                center_n * 10f64.powf(position * self.span_decades)
            }
        };
        (0..self.sizes).map(at).collect()
    }
}

/// Refuses trunks where budgets share no sizes.
pub(crate) fn check_trunk(trunk: bool, shared_sizes: bool) -> Result<(), PlanError> {
    if trunk && !shared_sizes {
        return Err(PlanError::at(
            "train.trunk",
            "no two runs can share a trunk, because each budget has its own sizes (hint: `shared-sizes = true` in `[grid]`)",
        ));
    }
    Ok(())
}

/// Budgets in ascending order, each with its centre.
pub(crate) fn budgets(
    grid: &Isoflop,
    choices: &Choices,
    facts: &PlanFacts,
    warnings: &mut Vec<String>,
) -> Result<Vec<PlannedBudget>, PlanError> {
    if grid.sizes == 0 || grid.sizes > SIZES_MAX {
        return Err(PlanError::at(
            "grid.sizes",
            format!("`{}` must be between 1 and {SIZES_MAX}", grid.sizes),
        ));
    }
    let span = grid.span_decades;
    if !(span > 0.0 && span <= SPAN_MAX) {
        return Err(PlanError::at(
            "grid.span-decades",
            format!("`{span}` must be positive and at most {SPAN_MAX}"),
        ));
    }
    if !(grid.tokens_per_param.is_finite() && grid.tokens_per_param > 0.0) {
        let message = format!("`{}` must be positive", grid.tokens_per_param);
        return Err(PlanError::at("grid.tokens-per-param", message));
    }
    let mut flops = numbers(Some(grid.budgets), 0.0, "grid.budgets", "positive", |x| x > 0.0)?;
    flops.sort_by(f64::total_cmp);
    if let Some(pair) = flops.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(PlanError::at("grid.budgets", format!("`{:e}` is listed twice", pair[0])));
    }
    choices.check_n_runs(flops.len().saturating_mul(grid.sizes).saturating_mul(choices.settings.len()))?;

    let mut budgets = Vec::new();
    for (budget_idx, &flops) in flops.iter().enumerate() {
        // One centre for all settings, so that their curves cover the same sizes and can be compared.
        let mut sum_ln = 0.0;
        for setting in &choices.settings {
            let family = &setting.family;
            let n = center_by_prior(family, setting.context_len, flops, grid.tokens_per_param).ok_or_else(|| {
                let [smallest, largest] = family.range().map_or([0.0, 0.0], |range| range);
                PlanError::at(
                    "grid.budgets",
                    format!(
                        "budget {flops:.2e} has no optimum at {} tokens per parameter among models of N {} to {} (hint: `width-range`, `tokens-per-param`)",
                        grid.tokens_per_param,
                        si(smallest),
                        si(largest)
                    ),
                )
            })?;
            sum_ln += n.ln();
        }
        let prior = (sum_ln / choices.settings.len() as f64).exp();
        let mut budget = PlannedBudget { flops, center_n: prior, center: CenterSource::Prior };
        if grid.center == CenterChoice::Fit
            && budget_idx > 0
            && let Some(&n) = facts.centers.get(&budget_idx).filter(|n| n.is_finite() && **n > 0.0)
        {
            budget = PlannedBudget { flops, center_n: n, center: CenterSource::Fit };
        }
        if let Some(frozen) = frozen(flops, facts) {
            if frozen.center == CenterSource::Prior && (frozen.center_n / prior).ln().abs() > 0.01 {
                warnings.push(format!(
                    "budget {flops:.2e} has started and stays centred on N {}, although the file now gives {} (hint: use another `name` to start afresh)",
                    si(frozen.center_n),
                    si(prior)
                ));
            }
            budget = frozen;
        }
        budgets.push(budget);
    }
    Ok(budgets)
}

/// The budget as in the plan on the disk, if one of its runs has started.
fn frozen(flops: f64, facts: &PlanFacts) -> Option<PlannedBudget> {
    let plan = facts.frozen.as_ref()?;
    let has_started = plan
        .runs
        .iter()
        .any(|run| run.run.cell.budget_flops == Some(flops) && facts.started.contains(&run.run.id));
    plan.budgets.iter().find(|budget| has_started && budget.flops == flops).cloned()
}

/// N at which `C(N, tokens_per_param · N)` equals the budget, C counted under the family's rule.
///
/// Under `exact` C depends on the shape, so k(N) = C / (N·D) is taken from the family's shape of that size, and
/// N² · tokens_per_param · k(N) = C solved by bisection in ln N. `None` if the solution lies outside the family.
fn center_by_prior(family: &Family, context_len: usize, budget: f64, tokens_per_param: f64) -> Option<f64> {
    let rule: CountRule = family.rule();
    let flops_at = |ln_n: f64| {
        let n = ln_n.exp();
        let model = family.nearest(n)?;
        let flops_per_param_token = rule.c(model, context_len, 1.0) / rule.n(model);
        Some(n * n * tokens_per_param * flops_per_param_token)
    };
    let [mut low, mut high] = family.range()?.map(f64::ln);
    if !(flops_at(low)?..=flops_at(high)?).contains(&budget) {
        return None;
    }
    // 60 halvings of ln 1e11 leave less than the rounding of a float.
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if flops_at(middle)? < budget {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some((0.5 * (low + high)).exp())
}

/// The cells of one budget under one setting: sizes evenly spaced in log N around the centre, each trained for
/// the whole steps whose C comes nearest to the budget.
pub(crate) fn cells(grid: &Isoflop, budget: &PlannedBudget, setting: &Setting) -> Vec<GridCell> {
    // N of each shape so far, to the size that it was made for.
    let mut taken: BTreeMap<u64, f64> = BTreeMap::new();
    grid.targets(budget.center_n)
        .into_iter()
        .map(|target| GridCell {
            label: format!("budget {:.2e}, N {}", budget.flops, si(target)),
            cell: cell_of_size(grid, budget.flops, setting, target, &mut taken),
        })
        .collect()
}

fn cell_of_size(
    grid: &Isoflop,
    budget_flops: f64,
    setting: &Setting,
    target: f64,
    taken: &mut BTreeMap<u64, f64>,
) -> Result<Cell, DropReason> {
    let family = &setting.family;
    let model = model_of_size(family, target)?;
    let n = family.rule().n(&model).to_bits();
    let cell = cell(family.rule(), model, setting, HorizonValue::Flops(budget_flops))?;
    if let Some(&other) = taken.get(&n) {
        return Err(DropReason::SameShape { other });
    }
    taken.insert(n, target);
    if cell.steps < grid.min_steps {
        return Err(DropReason::TooFewSteps { steps: cell.steps, min_steps: grid.min_steps });
    }
    Ok(Cell { budget_flops: Some(budget_flops), ..cell })
}
