//! From a sweep to a plan: the grid, steps from budgets, shapes from sizes, rates from sizes, and the cost of it
//! all. Reads no file, no clock and no device: what it must know comes in as [`facts::PlanFacts`].
//!
//! Reading order: what is known ([`facts`]), what was chosen (`resolve`), which cells there are (`grid`, `shapes`),
//! their runs (`runs`, [`learning_rate`], `grid::trunk`), and what these cost ([`cost`], `warnings`).

#![warn(missing_docs)]

use std::collections::BTreeSet;

use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::plan::{DroppedCell, Plan, PlannedRun};
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::sweep::{Grid, SweepSpec};
use scalelaw_schema::text::counted;

pub mod cost;
mod error;
pub mod facts;
mod grid;
pub mod learning_rate;
mod resolve;
mod runs;
mod shapes;
mod warnings;

pub use error::PlanError;
pub use warnings::tokens_needed;

use cost::{estimate, limits, total};
use facts::PlanFacts;
use grid::{Cells, mix, trunk};
use resolve::{Choices, skills};

/// Reasons that an error about an empty grid lists.
const REASONS_SHOWN: usize = 5;

/// Resolves `sweep`: its runs in the order in which they are started, their cost, and the cells that cannot be trained.
///
/// The same sweep and facts give the same plan. A budget whose runs have started keeps the centre that the plan
/// on the disk gave it, so what is finished stays on the grid; everything else follows the file.
///
/// # Errors
/// `Sweep`, with the dotted path of the invalid value; an empty grid lists why its cells were dropped.
pub fn expand(sweep: &SweepSpec, facts: &PlanFacts) -> Result<Plan, PlanError> {
    limits::check_numbers(sweep)?;
    skills::check(sweep)?;
    let mut choices = Choices::of(sweep, facts)?;
    if let Grid::Mix(grid) = &sweep.grid {
        mix::sweep_shares(sweep, grid, &mut choices)?;
    }
    let mut warnings = Vec::new();
    let Cells { budgets, mut cells } = grid::cells(sweep, &choices, facts, &mut warnings)?;
    if choices.trunk {
        trunk::share_recipe(&mut cells);
    }
    let mut runs = Vec::new();
    let mut dropped = Vec::new();
    for (setting, cell) in cells {
        match cell.cell.and_then(|cell| runs::runs(&cell, setting, &choices, facts)) {
            Ok(of_cell) => runs.extend(of_cell),
            Err(why) => dropped.push(runs::dropped(cell.label, &why, setting, &choices)),
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
            run.estimate =
                estimate::estimate(&run.run, run.estimate.memory_bytes, facts, choices.cost.as_ref());
        }
    }

    let total = total::totals(&runs, facts.slots, choices.cost.as_ref());
    let mut plan = Plan {
        schema_version: SCHEMA_VERSION,
        sweep: choices.name,
        question: sweep.question.clone(),
        kind: sweep.grid.kind().to_string(),
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

fn empty_grid(dropped: &[DroppedCell]) -> PlanError {
    let mut message = match dropped.len() {
        1 => "the grid is empty: its only cell is dropped".to_string(),
        n => format!("the grid is empty: all {n} cells are dropped"),
    };
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
/// that others branch from is shorter than these, so it comes before them.
fn sort_by_cost(runs: &mut [PlannedRun]) {
    runs.sort_by_cached_key(|run| {
        // Non-negative floats are ordered as their bits are.
        let flops = run.run.cell.budget_flops.unwrap_or_else(|| run.run.train.flops().total());
        (flops.to_bits(), run.n.to_bits())
    });
}

/// Keeps the first of runs with the same id.
fn merge_equal(runs: &mut Vec<PlannedRun>) -> Option<String> {
    let mut ids = BTreeSet::new();
    let n_before = runs.len();
    runs.retain(|run| ids.insert(run.run.id.clone()));
    match n_before - runs.len() {
        0 => None,
        n => Some(format!("{} left out: two swept values mean the same", counted(n, "duplicate run"))),
    }
}
