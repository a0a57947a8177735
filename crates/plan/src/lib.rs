//! From a sweep to a plan: the grid, steps from budgets, shapes from sizes, rates from sizes, and the cost of it
//! all. Reads no file, no clock and no device: what it must know comes in as [`facts::PlanFacts`].
//!
//! Reading order: what is known ([`facts`]), what was chosen ([`resolve`], `blends`, `mix`, `measure`, `values`),
//! which cells there are ([`shapes`], `cell`, `isoflop`, `ladder`, `product`), their runs (`runs`, [`learning_rate`],
//! `trunk`), their cost ([`estimate`], [`limits`], [`packing`], `warnings`), and the plan as text ([`table`]).

use std::collections::BTreeSet;

use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::plan::{DroppedCell, Plan, PlannedBudget, PlannedRun};
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::sweep::{Grid, IsoflopGrid, SweepSpec};

pub mod facts;

mod blends;
mod mix;

mod measure;
pub mod resolve;
mod values;

pub mod shapes;

mod cell;
mod isoflop;
mod ladder;
mod product;

pub mod learning_rate;
mod runs;
mod trunk;

pub mod estimate;
pub mod limits;
pub mod packing;
mod warnings;

pub mod table;

mod error;

pub use error::PlanError;
pub use warnings::tokens_needed;

use cell::MaybeCell;
use facts::PlanFacts;
use resolve::{Choices, Setting};

/// Reasons that an error about an empty grid lists.
const REASONS_SHOWN: usize = 5;

/// Makes all choices of `sweep`: its runs in the order in which they are started, their cost, and the cells that
/// cannot be.
///
/// The same sweep and facts give the same plan. A budget whose runs have started keeps the centre that the plan
/// on the disk gave it, so what is finished stays on the grid; everything else follows the file.
///
/// # Errors
/// `Sweep`, with the dotted path of the value that cannot be; an empty grid lists why its cells were dropped.
pub fn expand(sweep: &SweepSpec, facts: &PlanFacts) -> Result<Plan, PlanError> {
    limits::check_numbers(sweep)?;
    measure::check(sweep)?;
    let choices = Choices::of(sweep, facts)?;
    let mut warnings = Vec::new();
    let (kind, budgets, mut cells) = cells(sweep, &choices, facts, &mut warnings)?;
    if choices.trunk {
        trunk::share_recipe(&mut cells);
    }
    let mut runs = Vec::new();
    let mut dropped = Vec::new();
    for (setting, cell) in cells {
        match cell.and_then(|cell| runs::runs(&cell, setting, &choices, facts, sweep.cost.as_ref())) {
            Ok(of_cell) => runs.extend(of_cell),
            Err(cell) => dropped.push(runs::in_full(cell, setting, &choices)),
        }
    }
    if runs.is_empty() {
        return Err(empty_grid(&dropped));
    }
    sort_by_cost(&mut runs);
    warnings.extend(merge_equal(&mut runs));
    if choices.trunk {
        warnings.extend(trunk::graft(&mut runs, facts));
        for run in &mut runs {
            let memory_bytes = run.estimate.memory_bytes;
            run.estimate = estimate::estimate(
                &run.run,
                memory_bytes,
                facts.speed.as_ref(),
                facts.slots.max(1),
                sweep.cost.as_ref(),
            );
        }
    }

    let total = estimate::totals(&runs, facts.slots, sweep.cost.as_ref());
    let mut plan = Plan {
        schema_version: SCHEMA_VERSION,
        sweep: choices.name,
        question: sweep.question.clone(),
        kind: kind.to_string(),
        count_rule: choices.rule,
        runs,
        dropped,
        budgets,
        warnings,
        lr_rule: choices.lr_rule,
        uses: sweep.measure.iter().flat_map(|measure| measure.uses.clone()).collect(),
        targets: sweep.measure.iter().flat_map(|measure| measure.targets.clone()).collect(),
        total,
        packing: facts.packing.clone(),
    };
    plan.warnings.extend(facts.notes.iter().cloned());
    plan.warnings.extend(warnings::beyond_rule(&plan));
    plan.warnings.extend(warnings::repeats(&plan, facts));
    plan.warnings.extend(warnings::resources(&plan, sweep, facts));
    plan.warnings.extend(warnings::left_behind(&plan, facts));
    Ok(plan)
}

/// The runs that are not among `done`, in the plan's order.
pub fn outstanding<'a>(plan: &'a Plan, done: &BTreeSet<RunId>) -> Vec<&'a PlannedRun> {
    plan.runs.iter().filter(|run| !done.contains(&run.run.id)).collect()
}

/// Kind of the grid, its budgets, and every cell with the setting that it belongs to.
type Cells<'a> = (&'static str, Vec<PlannedBudget>, Vec<(&'a Setting, MaybeCell)>);

fn cells<'a>(
    sweep: &SweepSpec,
    choices: &'a Choices,
    facts: &PlanFacts,
    warnings: &mut Vec<String>,
) -> Result<Cells<'a>, PlanError> {
    let mut budgets = Vec::new();
    let mut cells = Vec::new();
    let kind = match &sweep.grid {
        Grid::Isoflop(grid) => {
            (budgets, cells) = isoflop_cells(sweep, grid, "isoflop", choices, facts, warnings)?;
            "isoflop"
        }
        Grid::Validation(grid) => {
            measure::check_texts(sweep)?;
            (budgets, cells) = isoflop_cells(sweep, grid, "validation", choices, facts, warnings)?;
            "validation"
        }
        Grid::Mix(grid) => {
            (budgets, cells) = isoflop_cells(sweep, &grid.isoflop(), "mix", choices, facts, warnings)?;
            "mix"
        }
        Grid::Ladder { sizes, tokens_per_param } => {
            product::check_model_has_no_sizes(&sweep.model, "ladder")?;
            for setting in &choices.settings {
                let of_setting = ladder::cells(sizes, tokens_per_param, setting)?;
                cells.extend(of_setting.into_iter().map(|cell| (setting, cell)));
                choices.check_n_runs(cells.len())?;
            }
            "ladder"
        }
        Grid::Product { horizon } | Grid::Lr { horizon } => {
            for setting in &choices.settings {
                let of_setting = product::cells(&sweep.model, horizon, setting)?;
                cells.extend(of_setting.into_iter().map(|cell| (setting, cell)));
                choices.check_n_runs(cells.len())?;
            }
            if matches!(sweep.grid, Grid::Lr { .. }) {
                learning_rate::check_rates(sweep)?;
                "lr"
            } else {
                "product"
            }
        }
    };
    Ok((kind, budgets, cells))
}

type BudgetCells<'a> = (Vec<PlannedBudget>, Vec<(&'a Setting, MaybeCell)>);

/// Budgets and cells of a grid of this kind.
fn isoflop_cells<'a>(
    sweep: &SweepSpec,
    grid: &IsoflopGrid,
    kind: &str,
    choices: &'a Choices,
    facts: &PlanFacts,
    warnings: &mut Vec<String>,
) -> Result<BudgetCells<'a>, PlanError> {
    product::check_model_has_no_sizes(&sweep.model, kind)?;
    let grid = isoflop::Isoflop::of(grid);
    isoflop::check_trunk(choices.trunk, grid.shared_sizes)?;
    let budgets = isoflop::budgets(&grid, choices, facts, warnings)?;
    let mut cells = Vec::new();
    for budget in &budgets {
        for setting in &choices.settings {
            let of_budget = isoflop::cells(&grid, budget, setting);
            cells.extend(of_budget.into_iter().map(|cell| (setting, cell)));
        }
    }
    Ok((budgets, cells))
}

fn empty_grid(dropped: &[DroppedCell]) -> PlanError {
    let mut message = format!("the grid is empty: each of its {} cells is dropped", dropped.len());
    for cell in dropped.iter().take(REASONS_SHOWN) {
        message += &format!("\n  {}: {}", cell.cell, cell.why);
    }
    if dropped.len() > REASONS_SHOWN {
        message += &format!("\n  and {} more", dropped.len() - REASONS_SHOWN);
    }
    PlanError::at("grid", message)
}

/// Cheapest first: a broken recipe shows itself in minutes, and the fit can start early. The runs of a budget cost
/// the same, so they go by size, and the budgets stay in their order: each may be centred on those before it. A run
/// that others branch from is shorter than these, so it stands before them.
fn sort_by_cost(runs: &mut [PlannedRun]) {
    runs.sort_by_cached_key(|run| {
        // Non-negative floats are ordered as their bits are.
        let flops = run.run.cell.budget_flops.unwrap_or_else(|| run.run.train.flops().total());
        (flops.to_bits(), run.n.to_bits())
    });
}

/// Leaves the first of runs with the same id.
fn merge_equal(runs: &mut Vec<PlannedRun>) -> Option<String> {
    let mut ids = BTreeSet::new();
    let n_before = runs.len();
    runs.retain(|run| ids.insert(run.run.id.clone()));
    match n_before - runs.len() {
        0 => None,
        n => Some(format!(
            "{n} runs came out equal to others and are left out (two swept values mean the same)"
        )),
    }
}
