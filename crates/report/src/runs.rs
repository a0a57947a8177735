//! All runs of a report in one list: planned, finished, diverged, failed, or rows of a user's own table,
//! joined by their ids. A run's place in the list ties its marks in all charts together.

use std::collections::BTreeMap;

use scalelaw_schema::plan::PlannedRun;
use scalelaw_schema::record::Outcome;
use scalelaw_schema::table::{LossRow, ResultRow};

use crate::draw::chart::{Mark, Series, Shape, Swatch};
use crate::draw::color::Color;
use crate::input::ReportInput;
use crate::text;

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It has a result.
    Finished,
    /// Its loss diverged.
    Diverged {
        /// The step at which it ended.
        step: u64,
    },
    /// It was stopped early: another run was far ahead of it.
    Stopped {
        /// The step at which it ended.
        step: u64,
        /// Its loss, and that of the run it was compared with.
        why: String,
    },
    /// It has no result, and this is known of why.
    Failed {
        /// The reason.
        why: String,
    },
    /// Planned, and nothing is known of it yet.
    Waiting,
}

/// One run with everything that is known of it.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    /// Name to show: the folder's, or the row's in a table.
    pub name: String,
    /// Id, or the row's name.
    pub id: String,
    /// How it ended.
    pub status: Status,
    /// Why it is not in the fit, where it is not.
    pub excluded: Option<String>,
    /// Parameters under the table's rule.
    pub n: f64,
    /// Training tokens.
    pub d: f64,
    /// Training FLOPs under the table's rule.
    pub c: f64,
    /// IsoFLOP budget.
    pub budget: Option<f64>,
    /// Held-out loss, nats per token.
    pub loss: Option<f64>,
    /// What the chosen law says.
    pub fitted: Option<f64>,
    /// `ln(loss / fitted)`.
    pub residual: Option<f64>,
    /// Peak learning rate.
    pub lr: Option<f64>,
    /// Seed.
    pub seed: Option<u64>,
    /// As planned.
    pub planned: Option<&'a PlannedRun>,
    /// As it ended.
    pub row: Option<&'a ResultRow>,
}

impl Run<'_> {
    /// All that is known, one `name: value` per line after the run's name: the text that the pointer shows.
    pub fn title(&self) -> String {
        let mut lines = vec![
            self.name.clone(),
            format!("N: {} parameters", text::si(self.n)),
            format!("D: {} tokens", text::si(self.d)),
            format!("C: {} FLOPs", text::flops(self.c)),
        ];
        match (&self.status, self.loss) {
            (Status::Diverged { step }, _) => lines.push(format!("diverged: at step {step}")),
            (Status::Stopped { step, .. }, _) => lines.push(format!("stopped early: at step {step}")),
            (_, Some(loss)) => lines.push(format!("loss: {} nats/token", text::loss(loss))),
            (_, None) => {}
        }
        if let (Some(fitted), Some(residual)) = (self.fitted, self.residual) {
            lines.push(format!("fitted: {} nats/token", text::loss(fitted)));
            lines.push(format!("residual: {}", text::residual(residual)));
        }
        if let Some(lr) = self.lr {
            lines.push(format!("lr: {}", text::significant(lr, 3)));
        }
        if let Some(seed) = self.seed {
            lines.push(format!("seed: {seed}"));
        }
        if let Some(why) = &self.excluded {
            lines.push(format!("not in the fit: {why}"));
        }
        lines.join("\n")
    }

    /// Place with a measured loss that a fit may use.
    pub fn fitted_point(&self) -> Option<f64> {
        self.loss.filter(|_| self.excluded.is_none() && self.status == Status::Finished)
    }
}

/// Joins plan, results, table and residuals. In the plan's order, then what is in no plan.
pub fn join<'a>(input: &ReportInput<'a>) -> Vec<Run<'a>> {
    let mut runs: Vec<Run<'a>> = Vec::new();
    let mut place: BTreeMap<String, usize> = BTreeMap::new();
    for planned in input.plan.iter().flat_map(|plan| &plan.runs) {
        place.insert(planned.run.id.to_string(), runs.len());
        runs.push(from_plan(planned));
    }
    for row in input.rows {
        match place.get(row.run_id.as_str()) {
            Some(idx) => add_row(&mut runs[*idx], row),
            None => {
                place.insert(row.run_id.to_string(), runs.len());
                runs.push(from_row(row));
            }
        }
    }
    for row in &input.table.rows {
        match place.get(&row.name) {
            Some(idx) => add_loss(&mut runs[*idx], row),
            None => {
                place.insert(row.name.clone(), runs.len());
                runs.push(from_loss(row));
            }
        }
    }
    for problem in input.problems.iter().chain(&input.table.excluded).chain(input.excluded_by_fit()) {
        let found =
            place.get(&problem.name).copied().or_else(|| runs.iter().position(|r| r.name == problem.name));
        let Some(run) = found.map(|idx| &mut runs[idx]) else { continue };
        if run.status == Status::Waiting {
            run.status = Status::Failed { why: problem.why.clone() };
        }
        run.excluded.get_or_insert_with(|| problem.why.clone());
    }
    for residual in input.fit().iter().flat_map(|fit| &fit.residuals) {
        if let Some(idx) = place.get(&residual.name) {
            runs[*idx].fitted = Some(residual.fitted).filter(|x| x.is_finite());
            runs[*idx].residual = Some(residual.residual).filter(|x| x.is_finite());
        }
    }
    runs
}

/// Budgets of `runs`, rising.
pub fn budgets(runs: &[Run]) -> Vec<f64> {
    let mut budgets: Vec<f64> = runs.iter().filter_map(|run| run.budget).collect();
    budgets.sort_by(f64::total_cmp);
    budgets.dedup_by(|a, b| is_near(*a, *b));
    budgets
}

/// Colour and form of the budget at `idx` of `n`.
pub fn budget_sign(idx: usize, n: usize) -> (Color, Shape) {
    (Color::Budget(Color::step(idx, n)), Shape::of(idx))
}

/// The runs that `at` gives a place, as one series per budget; as a single one where there are no budgets
/// or more than a legend could hold.
pub fn series_by_budget(runs: &[Run], at: impl Fn(&Run) -> Option<[f64; 2]>) -> Vec<Series> {
    const MOST: usize = 9;
    let budgets = budgets(runs);
    // The last group is of the runs without a budget.
    let mut groups: Vec<Vec<Mark>> = vec![Vec::new(); budgets.len() + 1];
    for (idx, run) in runs.iter().enumerate() {
        let Some(at) = at(run) else { continue };
        let place = run.budget.and_then(|budget| budgets.iter().position(|b| is_near(*b, budget)));
        let (color, shape) = place.map_or((Color::Budget(Color::step(0, 1)), Shape::Circle), |place| {
            budget_sign(place, budgets.len())
        });
        groups[place.unwrap_or(budgets.len())].push(Mark::Point {
            at,
            shape,
            color,
            run: Some(idx),
            title: run.title(),
        });
    }
    let sign = |idx: usize| {
        let (color, shape) = budget_sign(idx, budgets.len());
        Swatch::Point(color, shape)
    };
    if budgets.is_empty() || budgets.len() > MOST {
        let marks = groups.into_iter().flatten().collect();
        return vec![Series::named("Runs", sign(0), marks)];
    }
    groups
        .into_iter()
        .enumerate()
        .filter(|(_, marks)| !marks.is_empty())
        .map(|(idx, marks)| match budgets.get(idx) {
            Some(budget) => Series::named(format!("{} FLOPs", text::flops(*budget)), sign(idx), marks),
            None => {
                Series::named("Runs without a budget", Swatch::Point(Color::Budget(3), Shape::Circle), marks)
            }
        })
        .collect()
}

/// Whether two budgets are the same number, rounding aside.
pub fn is_near(a: f64, b: f64) -> bool {
    (a / b - 1.0).abs() < 1e-6
}

fn from_plan(planned: &PlannedRun) -> Run<'_> {
    Run {
        name: planned.run.folder_name(),
        id: planned.run.id.to_string(),
        status: Status::Waiting,
        excluded: None,
        n: planned.n,
        d: planned.d,
        c: planned.c,
        budget: planned.run.cell.budget_flops,
        loss: None,
        fitted: None,
        residual: None,
        lr: Some(planned.run.train.recipe.lr_peak),
        seed: Some(planned.run.train.seed),
        planned: Some(planned),
        row: None,
    }
}

fn from_row(row: &ResultRow) -> Run<'_> {
    let mut run = Run {
        name: row.folder.clone(),
        id: row.run_id.to_string(),
        status: Status::Finished,
        excluded: None,
        n: row.params.total() as f64,
        d: row.tokens as f64,
        c: row.flops_path.total(),
        budget: row.budget_flops,
        loss: None,
        fitted: None,
        residual: None,
        lr: Some(row.lr),
        seed: Some(row.seed),
        planned: None,
        row: None,
    };
    add_row(&mut run, row);
    run
}

fn add_row<'a>(run: &mut Run<'a>, row: &'a ResultRow) {
    run.row = Some(row);
    run.loss = row.loss.filter(|loss| loss.is_finite());
    match &row.outcome {
        Outcome::Finished => run.status = Status::Finished,
        Outcome::Diverged { step } => {
            run.status = Status::Diverged { step: *step };
            run.excluded = Some(format!("diverged at step {step}"));
        }
        Outcome::Stopped { step, why } => {
            run.status = Status::Stopped { step: *step, why: why.clone() };
            run.excluded = Some(format!("stopped early at step {step}"));
        }
    }
}

fn from_loss(row: &LossRow) -> Run<'_> {
    Run {
        name: row.name.clone(),
        id: row.name.clone(),
        status: Status::Finished,
        excluded: None,
        n: row.n,
        d: row.d,
        c: row.c,
        budget: row.budget,
        loss: Some(row.loss),
        fitted: None,
        residual: None,
        lr: None,
        seed: row.seed,
        planned: None,
        row: None,
    }
}

/// The table's counts win: they are what was fitted.
fn add_loss(run: &mut Run, row: &LossRow) {
    (run.n, run.d, run.c) = (row.n, row.d, row.c);
    run.loss = Some(row.loss);
    run.budget = row.budget.or(run.budget);
    run.status = Status::Finished;
}
