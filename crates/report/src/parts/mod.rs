//! The parts of a report, one file per question: what each has to show as charts, tables and sentences. How these are
//! written is for `page` and `terminal`.

pub mod figure;
pub mod part;

pub mod comparison;
pub mod effort;
pub mod scaling;

pub mod plan;

pub mod curve_health;
pub mod curves;
pub mod frontier;
pub mod isoflop;
pub mod learning_rate;
pub mod loss;
pub mod residuals;

pub mod capacity;
pub mod mixture;
pub mod skills;
pub mod targets;
pub mod validation;

pub mod provenance;
pub mod reading;
pub mod runs_table;

use part::Part;

use crate::draw::chart::Chart;
use crate::input::ReportInput;
use crate::runs::Run;
use crate::skill_report::SkillReport;

/// The parts that tables and sentences answer, in the report's order.
pub fn of(input: &ReportInput) -> Vec<Part> {
    let curve_health = input.curve_health.map(curve_health::part);
    curve_health.into_iter().chain(input.skills.iter().flat_map(|report| of_skills(report))).collect()
}

/// The parts about skills that have something to show, in the report's order.
pub fn of_skills(report: &SkillReport) -> Vec<Part> {
    let mut parts = Vec::new();
    parts.extend(report.conclusion.map(|found| skills::part(report.tables, found)));
    parts.extend(mixture::part(report.fractions, report.mixing, &report.best));
    parts.extend(report.validation.map(validation::part));
    parts.extend(capacity::part(&report.capacity));
    parts.extend(targets::part(&report.targets));
    if !report.absent.is_empty() {
        parts.push(Part {
            id: "skills-absent",
            link: "Unanswered",
            title: "Questions about skills that these runs cannot answer",
            lead: String::new(),
            charts: Vec::new(),
            tables: Vec::new(),
            notes: report.absent.iter().map(|(part, why)| format!("{part}: {why}")).collect(),
        });
    }
    parts
}

/// All charts in the report's order.
pub fn charts(input: &ReportInput, runs: &[Run]) -> Vec<Chart> {
    let mut charts = curves::charts(runs, input.curves);
    charts.extend(learning_rate::chart(input, runs));
    charts.extend(isoflop::chart(input, runs));
    charts.extend(loss::charts(input, runs));
    charts.extend(residuals::charts(input, runs));
    charts.extend(frontier::charts(input, runs));
    charts.extend(input.skills.iter().flat_map(|report| of_skills(report)).flat_map(|part| part.charts));
    charts
}
