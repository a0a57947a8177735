//! What a report is made of, and the few things that several parts ask of it.

use scalelaw_findings::learning_rate::LrConclusion;
use scalelaw_findings::{CurveHealth, Surface, Verdict};
use scalelaw_fit::conclusion::{Conclusion, Fit, IsoFlopMinimum};
use scalelaw_schema::LEVEL;
use scalelaw_schema::plan::Plan;
use scalelaw_schema::table::{ExcludedRow, LossTable, MetricPoint, ResultRow};

use crate::skill_report::SkillReport;
use crate::text;

/// Everything that a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct ReportInput<'a> {
    /// The plan; absent where a user's own table was fitted.
    pub plan: Option<&'a Plan>,
    /// Runs that ended.
    pub rows: &'a [ResultRow],
    /// Points of learning curves, any number per run.
    pub curves: &'a [MetricPoint],
    /// Runs without a result, each with its reason, by id or folder.
    pub problems: &'a [ExcludedRow],
    /// What was fitted.
    pub table: &'a LossTable,
    /// Best learning rates, of an `lr` sweep.
    pub learning_rate: Option<&'a LrConclusion>,
    /// What the fit concluded, or why it refused.
    pub scaling: Scaling<'a>,
    /// Whether learning curves of equal runs agree.
    pub curve_health: Option<&'a CurveHealth>,
    /// What is known of skills; absent where none were evaluated.
    pub skills: Option<&'a SkillReport<'a>>,
    /// When the report was made, for a reader.
    pub generated: &'a str,
    /// Program with version and commit.
    pub program: &'a str,
}

/// What a fit says of scaling: a law, or a refusal.
pub type Scaling<'a> = Result<&'a Conclusion, Refusal<'a>>;

/// Why there is no law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// The reason.
    pub why: &'a str,
    /// Runs that would settle it, each a sentence.
    pub settle: &'a [String],
}

/// What a report reads of a verdict.
pub fn scaling(verdict: &Verdict) -> Scaling<'_> {
    match verdict {
        Verdict::Fitted(conclusion) => Ok(conclusion),
        Verdict::Refused { why, settle } => Err(Refusal { why, settle }),
    }
}

impl<'a> ReportInput<'a> {
    /// Name of the sweep, or of the table.
    pub(crate) fn name(&self) -> &'a str {
        self.plan.map_or(self.table.source.as_str(), |plan| plan.sweep.as_str())
    }

    /// The chosen law.
    pub(crate) fn fit(&self) -> Option<&'a Fit> {
        self.scaling.ok().and_then(|conclusion| conclusion.fits.first())
    }

    /// The chosen law, to be evaluated anywhere.
    pub(crate) fn surface(&self) -> Option<Surface<'a>> {
        self.fit().and_then(Surface::new)
    }

    /// Minima of the IsoFLOP parabolas.
    pub(crate) fn minima(&self) -> &'a [IsoFlopMinimum] {
        let approach2 = self.scaling.ok().and_then(|conclusion| conclusion.approach2.as_ref());
        approach2.map_or(&[], |approach| &approach.minima)
    }

    /// Rows that the fit excluded.
    pub(crate) fn excluded_by_fit(&self) -> &'a [ExcludedRow] {
        self.scaling.map_or(&[], |conclusion| &conclusion.excluded)
    }

    /// Level of the fit's intervals, which is also that of the bands.
    pub(crate) fn level(&self) -> f64 {
        self.fit().and_then(|fit| fit.intervals.values().next()).map_or(LEVEL, |interval| interval.level)
    }

    /// Name of a band in a legend.
    pub(crate) fn band_label(&self) -> String {
        let resamples = self.fit().map_or(0, |fit| fit.resamples.len());
        format!("{} % band of the law, {}", text::level(self.level()), text::counted(resamples, "resample"))
    }

    /// The largest budget, or the largest compute of any fitted row.
    pub(crate) fn largest_compute(&self) -> Option<f64> {
        let budget = self.table.rows.iter().filter_map(|row| row.budget).fold(0.0, f64::max);
        let largest =
            if budget > 0.0 { budget } else { self.table.rows.iter().map(|row| row.c).fold(0.0, f64::max) };
        (largest > 0.0).then_some(largest)
    }
}
