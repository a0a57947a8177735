//! Simulated data for the preview and for tests: a sweep of a known law, skills, learning rates.

pub mod learning_rate;
pub mod skills;
pub mod sweep;

use scalelaw_report::{Refusal, ReportInput, Scaling};
use sweep::Simulated;

/// A report of `sweep` that says `scaling`.
pub fn input<'a>(sweep: &'a Simulated, scaling: Scaling<'a>) -> ReportInput<'a> {
    ReportInput {
        plan: Some(&sweep.plan),
        rows: &sweep.rows,
        curves: &sweep.curves,
        problems: &sweep.problems,
        table: &sweep.table,
        learning_rate: None,
        scaling,
        curve_health: None,
        skills: None,
        generated: "2026-11-22 14:05 UTC",
        program: "scalelaw 0.1.0 (6b60c00)",
    }
}

/// What `fit` says of too few runs: one budget with two sizes.
pub fn refusal() -> (String, Vec<String>) {
    match sweep::sweep(1, 2).conclusion {
        Err(scalelaw_fit::FitError::Refused { why, settle }) => (why, settle),
        other => panic!("two runs cannot tell a law: {other:?}"),
    }
}

/// A refusal as the report takes it.
pub fn refused((why, settle): &(String, Vec<String>)) -> Scaling<'_> {
    Err(Refusal { why, settle })
}
