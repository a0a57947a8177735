//! Makes the report of a sweep: one self-contained HTML page, Markdown, CSV and SVG, all as strings.
//! Knows no files, no clock and no network.
//!
//! Reading order: numbers as text ([`format`]), charts ([`scale`], [`color`], [`chart`], [`svg`]), the
//! runs joined from all sources ([`runs`]), the parts of the page in its order, the page itself, and what the
//! command line prints ([`terminal`]).

pub mod format;
mod html;

pub mod chart;
pub mod color;
mod glyph;
pub mod scale;
pub mod svg;

pub mod runs;

mod agreement;
mod equation;
mod summary;

mod plan_table;

mod curves;
mod isoflop;
mod learning_rate;
mod loss;

mod frontier;
mod residuals;

pub mod skills;

mod provenance;
mod reading;
mod runs_table;

mod markdown;
mod page;

pub mod terminal;

#[cfg(test)]
#[path = "../examples/preview/simulated.rs"]
mod simulated;
// The preview's skills name this crate as everyone outside does.
#[cfg(test)]
extern crate self as scalelaw_report;
#[cfg(test)]
#[path = "../examples/preview/simulated_skills.rs"]
mod simulated_skills;
#[cfg(test)]
mod tests;

use scalelaw_findings::Surface;
use scalelaw_findings::learning_rate::LrConclusion;
use scalelaw_fit::conclusion::{Conclusion, Fit, IsoFlopMinimum};
use scalelaw_schema::LEVEL;
use scalelaw_schema::plan::Plan;
use scalelaw_schema::table::{ExcludedRow, LossTable, MetricPoint, ResultRow};

use crate::chart::Chart;
use crate::runs::Run;
use crate::skills::SkillReport;

/// Everything that a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct ReportInput<'a> {
    /// The plan; absent where a person's own table was fitted.
    pub plan: Option<&'a Plan>,
    /// Completed runs.
    pub rows: &'a [ResultRow],
    /// Points of learning curves, any number per run.
    pub curves: &'a [MetricPoint],
    /// Runs without a result, each with its reason, by id or folder.
    pub problems: &'a [ExcludedRow],
    /// What was fitted.
    pub table: &'a LossTable,
    /// Best learning rates, of an `lr` sweep.
    pub learning_rate: Option<&'a LrConclusion>,
    /// What the fit concluded, or the reason why it refused and what would settle it.
    pub conclusion: Result<&'a Conclusion, &'a str>,
    /// What is known of skills; absent where none were judged.
    pub skills: Option<&'a SkillReport<'a>>,
    /// When the report was made, for a person.
    pub generated: &'a str,
    /// Program with version and commit.
    pub program: &'a str,
}

/// The page.
pub fn html(input: &ReportInput) -> String {
    page::page(input)
}

/// The same as text, without charts.
pub fn markdown(input: &ReportInput) -> String {
    markdown::markdown(input)
}

/// Each chart as `(name, picture)`: the name has no suffix, the picture is on light paper with its legend.
pub fn svgs(input: &ReportInput) -> Vec<(String, String)> {
    let runs = runs::join(input);
    charts(input, &runs).iter().map(|chart| (chart.name.to_string(), svg::alone(chart))).collect()
}

/// All charts in the page's order.
fn charts(input: &ReportInput, runs: &[Run]) -> Vec<Chart> {
    let mut charts = curves::charts(runs, input.curves);
    charts.extend(learning_rate::chart(input, runs));
    charts.extend(isoflop::chart(input, runs));
    charts.extend(loss::charts(input, runs));
    charts.extend(residuals::charts(input, runs));
    charts.extend(frontier::charts(input, runs));
    charts.extend(input.skills.iter().flat_map(|report| skills::charts(report)));
    charts
}

impl<'a> ReportInput<'a> {
    /// Name of the sweep, or of the table.
    fn name(&self) -> &'a str {
        self.plan.map_or(self.table.source.as_str(), |plan| plan.sweep.as_str())
    }

    /// The chosen law.
    fn fit(&self) -> Option<&'a Fit> {
        self.conclusion.ok().and_then(|conclusion| conclusion.fits.first())
    }

    /// The chosen law, to be evaluated anywhere.
    fn surface(&self) -> Option<Surface<'a>> {
        self.fit().and_then(Surface::new)
    }

    /// Minima of the IsoFLOP parabolas.
    fn minima(&self) -> &'a [IsoFlopMinimum] {
        let approach2 = self.conclusion.ok().and_then(|conclusion| conclusion.approach2.as_ref());
        approach2.map_or(&[], |approach| &approach.minima)
    }

    /// Rows that the fit left out.
    fn excluded_by_fit(&self) -> &'a [ExcludedRow] {
        self.conclusion.map_or(&[], |conclusion| &conclusion.excluded)
    }

    /// Level of the fit's intervals, which is also that of the bands.
    fn level(&self) -> f64 {
        self.fit().and_then(|fit| fit.intervals.values().next()).map_or(LEVEL, |interval| interval.level)
    }

    /// Name of a band in a legend.
    fn band_label(&self) -> String {
        let resamples = self.fit().map_or(0, |fit| fit.resamples.len());
        format!(
            "{} % band of the law, {}",
            format::percent_level(self.level()),
            format::counted(resamples, "resample")
        )
    }

    /// The largest budget, or the largest compute of any fitted row.
    fn largest_compute(&self) -> Option<f64> {
        let budget = self.table.rows.iter().filter_map(|row| row.budget).fold(0.0, f64::max);
        let largest =
            if budget > 0.0 { budget } else { self.table.rows.iter().map(|row| row.c).fold(0.0, f64::max) };
        (largest > 0.0).then_some(largest)
    }
}
