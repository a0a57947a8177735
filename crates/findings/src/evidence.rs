//! What a sweep's answers rest on: its plan, its completed runs, and the tables made of them.

use scalelaw_schema::count::CountRule;
use scalelaw_schema::measure::LossColumn;
use scalelaw_schema::plan::Plan;
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::table::{ExcludedRow, LossTable, MetricPoint, ResultRow};

/// A sweep as it was read from its folders. The tables are made by whoever reads the rows, under `count_rule`.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// What was planned.
    pub plan: Plan,
    /// How N and C of the tables are counted.
    pub count_rule: CountRule,
    /// Completed runs.
    pub rows: Vec<ResultRow>,
    /// Points of their learning curves, any number per run.
    pub curves: Vec<MetricPoint>,
    /// Runs without a result, each with its reason, by id or folder.
    pub problems: Vec<ExcludedRow>,
    /// What the law is fitted to, and what plays the aggregate beside skills.
    pub table: LossTable,
    /// The measurement in `table`.
    pub column: LossColumn,
    /// A table for each skill and each held-out corpus that any run was evaluated on.
    pub texts: Vec<(LossColumn, LossTable)>,
}

impl Evidence {
    /// Runs that took all their steps.
    pub fn finished(&self) -> impl Iterator<Item = &ResultRow> {
        self.rows.iter().filter(|row| row.outcome == Outcome::Finished)
    }

    /// The row of a run.
    pub fn row(&self, run: &RunId) -> Option<&ResultRow> {
        self.rows.iter().find(|row| row.run_id == *run)
    }

    /// The table of a text; `None` where no run was evaluated on it.
    pub fn text(&self, column: &LossColumn) -> Option<&LossTable> {
        self.texts.iter().find(|(known, _)| known == column).map(|(_, table)| table)
    }
}
