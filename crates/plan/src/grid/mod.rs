//! Which cells there are: one module per kind of grid.

use scalelaw_schema::plan::PlannedBudget;
use scalelaw_schema::sweep::{Grid, IsoflopGrid, SweepSpec};

use crate::error::PlanError;
use crate::facts::PlanFacts;
use crate::resolve::Choices;
use crate::resolve::settings::Setting;
use cell::GridCell;

pub(crate) mod cell;
mod isoflop;
mod ladder;
mod lr;
pub(crate) mod mix;
mod product;
pub(crate) mod trunk;
mod validation;

/// Every cell of a sweep.
pub(crate) struct Cells<'a> {
    /// Those of an IsoFLOP grid, in ascending order.
    pub budgets: Vec<PlannedBudget>,
    /// Each with the setting that it belongs to.
    pub cells: Vec<(&'a Setting, GridCell)>,
}

/// The cells of the sweep's grid under each setting.
pub(crate) fn cells<'a>(
    sweep: &SweepSpec,
    choices: &'a Choices,
    facts: &PlanFacts,
    warnings: &mut Vec<String>,
) -> Result<Cells<'a>, PlanError> {
    match &sweep.grid {
        Grid::Isoflop(grid) => isoflop_cells(sweep, grid, choices, facts, warnings),
        Grid::Validation(grid) => {
            validation::check_texts(sweep)?;
            isoflop_cells(sweep, grid, choices, facts, warnings)
        }
        Grid::Mix(grid) => isoflop_cells(sweep, &grid.isoflop(), choices, facts, warnings),
        Grid::Ladder { sizes, tokens_per_param } => {
            product::check_model_has_no_sizes(sweep)?;
            of_each_setting(choices, |setting| ladder::cells(sizes, tokens_per_param, setting))
        }
        Grid::Product { horizon } => {
            of_each_setting(choices, |setting| product::cells(&sweep.model, horizon, setting))
        }
        Grid::Lr { horizon } => {
            lr::check_rates(sweep)?;
            of_each_setting(choices, |setting| product::cells(&sweep.model, horizon, setting))
        }
    }
}

fn isoflop_cells<'a>(
    sweep: &SweepSpec,
    grid: &IsoflopGrid,
    choices: &'a Choices,
    facts: &PlanFacts,
    warnings: &mut Vec<String>,
) -> Result<Cells<'a>, PlanError> {
    product::check_model_has_no_sizes(sweep)?;
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
    Ok(Cells { budgets, cells })
}

/// The cells that `cells` makes of each setting.
fn of_each_setting(
    choices: &Choices,
    cells: impl Fn(&Setting) -> Result<Vec<GridCell>, PlanError>,
) -> Result<Cells<'_>, PlanError> {
    let mut all = Vec::new();
    for setting in &choices.settings {
        all.extend(cells(setting)?.into_iter().map(|cell| (setting, cell)));
        choices.check_n_runs(all.len())?;
    }
    Ok(Cells { budgets: Vec::new(), cells: all })
}
