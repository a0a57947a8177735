//! The power of a planned grid for a skill: the interval of its residual and the label to expect.

use rayon::prelude::*;
use scalelaw_schema::table::LossTable;
use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::fitted_text::FittedText;
use super::noise::SharedNoise;
use super::pair::Pair;
use super::simulate::draw_losses;
use super::spec::{SkillSpec, check, refuse};
use scalelaw_fit::FitError;
use scalelaw_fit::KnownLaw;
use scalelaw_fit::Point;
use scalelaw_fit::conclusion::Interval;
use scalelaw_fit::stats::quantile;

/// A skill and an aggregate whose laws are assumed.
#[derive(Clone)]
pub struct AssumedSkill {
    /// The skill.
    pub skill: KnownLaw,
    /// The aggregate.
    pub aggregate: KnownLaw,
    /// Correlation of the errors of one run in both; 0 is the cautious choice.
    pub correlation: f64,
    /// Skills that will be labelled together.
    pub n_skills: usize,
}

/// The residual to expect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelPower {
    /// Runs in the grid.
    pub runs: usize,
    /// Draws of the sweep.
    pub draws: usize,
    /// Residual under the assumed laws: the mean over the budgets of ln N*(skill) − ln N*(aggregate).
    pub truth: f64,
    /// Median width of its interval at the level of the spec.
    pub width: f64,
    /// Width that nine draws in ten do not exceed.
    pub width90: f64,
    /// Share of the intervals that held the truth.
    pub coverage: f64,
    /// Level of the intervals.
    pub level: f64,
    /// Share of all draws labelled, held against Holm's strictest level for that many skills.
    pub labelled: f64,
    /// Share of all draws labelled on the wrong side, or at all where the truth is a tie.
    pub wrong: f64,
    /// Residual that would be labelled four times in five, in ln N; its exponential is a ratio of sizes.
    pub detectable: f64,
    /// Share of all draws without an interval.
    pub missing: f64,
}

/// The labels to expect of a whole sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepLabels {
    /// Skills that will be labelled together.
    pub n_skills: usize,
    /// Of a skill whose law is the aggregate's: a tie.
    pub tie: LabelPower,
    /// Of a skill whose law is assumed, where one is.
    pub skill: Option<LabelPower>,
}

/// The power of `runs` for `n_skills` skills: for one that is a tie, and for one with the law `skill`.
///
/// The errors of a run in skill and aggregate are drawn independently. That is conservative: noise that both share
/// cancels in the residual.
///
/// # Errors
/// Those of [`label_power`].
pub fn sweep_labels(
    runs: &LossTable,
    aggregate: &KnownLaw,
    skill: Option<&KnownLaw>,
    n_skills: usize,
    draws: usize,
    spec: &SkillSpec,
) -> Result<SweepLabels, FitError> {
    let of = |skill: &KnownLaw| {
        let assumed =
            AssumedSkill { skill: skill.clone(), aggregate: aggregate.clone(), correlation: 0.0, n_skills };
        label_power(runs, &assumed, draws, spec)
    };
    Ok(SweepLabels { n_skills, tie: of(aggregate)?, skill: skill.map(of).transpose()? })
}

/// Draws the losses of `runs` (their own losses are not read) by the assumed laws and evaluates each draw as the
/// real one will be.
///
/// # Errors
/// What is wrong with `spec`; [`FitError::Refused`] where the runs name no budget or no draw has an interval.
pub fn label_power(
    runs: &LossTable,
    assumed: &AssumedSkill,
    draws: usize,
    spec: &SkillSpec,
) -> Result<LabelPower, FitError> {
    let law = check(spec)?;
    let budgets = Budget::all(runs);
    if budgets.is_empty() {
        return refuse("no run names a budget", "plan a grid of kind `isoflop`");
    }
    let strictest = 1.0 - (1.0 - spec.level) / assumed.n_skills.max(1) as f64;
    let found: Vec<Option<(Interval, Interval)>> = (0..draws)
        .into_par_iter()
        .map(|draw| {
            let truths = [("aggregate", assumed.aggregate.clone()), ("skill", assumed.skill.clone())];
            let seed = spec.seed.wrapping_add(draw as u64);
            let tables = draw_losses(runs, &truths, assumed.correlation, seed);
            let noise = SharedNoise::of(&[&tables[0], &tables[1]], spec.draws, seed);
            let fitted = |table| FittedText::of(table, law, &budgets, &noise, spec.level);
            let pair = Pair::of(&fitted(&tables[1]), &fitted(&tables[0]), &budgets);
            let (pooled, ..) = pair.surface.pooled.as_ref().or(pair.minima.pooled.as_ref())?;
            Some((pooled.interval(spec.level)?, pooled.interval(strictest)?))
        })
        .collect();
    let kept: Vec<&(Interval, Interval)> = found.iter().flatten().collect();
    let mut widths: Vec<f64> = kept.iter().map(|(plain, _)| plain.high - plain.low).collect();
    widths.sort_by(f64::total_cmp);
    let (Some(width), Some(width90)) = (quantile::of_sorted(&widths, 0.5), quantile::of_sorted(&widths, 0.9))
    else {
        return refuse("no draw of this grid has an interval", "add seeds or sizes");
    };
    let truth = truth(&budgets, runs, assumed);
    let share =
        |is: &dyn Fn(&(Interval, Interval)) -> bool| kept.iter().filter(|pair| is(pair)).count() as f64;
    let (n_draws, n_kept) = (draws.max(1) as f64, kept.len() as f64);
    // A tie of laws is one to rounding.
    let is_tie = truth.abs() < 1e-9;
    let mut strict: Vec<f64> = kept.iter().map(|(_, strict)| strict.high - strict.low).collect();
    strict.sort_by(f64::total_cmp);
    let half = 0.5 * quantile::of_sorted(&strict, 0.5).unwrap_or(width);
    // A half-width is z standard errors; four draws in five lie above the truth less 0.84 of them.
    let z = quantile::normal(0.5 + 0.5 * strictest);
    Ok(LabelPower {
        runs: runs.rows.len(),
        draws,
        truth,
        width,
        width90,
        coverage: share(&|(plain, _)| plain.low <= truth && truth <= plain.high) / n_kept,
        level: spec.level,
        labelled: share(&|(_, strict)| strict.low > 0.0 || strict.high < 0.0) / n_draws,
        wrong: share(&|(_, strict)| {
            (strict.low > 0.0 && (is_tie || truth < 0.0)) || (strict.high < 0.0 && (is_tie || truth > 0.0))
        }) / n_draws,
        detectable: half * (1.0 + quantile::normal(0.8) / z),
        missing: 1.0 - n_kept / n_draws,
    })
}

/// Mean over the budgets of the difference of optima, held inside the sizes as the fit does.
fn truth(budgets: &[Budget], runs: &LossTable, assumed: &AssumedSkill) -> f64 {
    let rows = scalelaw_fit::isoflop::by_budget(runs);
    let best = |law: &KnownLaw, budget: &Budget| {
        // On a grid fine enough that its step is no part of any interval.
        let (low, high) = budget.ln_n;
        let loss = |ln_n: f64| {
            let point = Point::new(ln_n.exp(), budget.ln_d(ln_n).exp(), budget.flops);
            law.law.loss(&law.params, &point)
        };
        let at = |i: i32| low + (high - low) * f64::from(i) / 20_000.0;
        (0..=20_000).map(at).min_by(|x, y| loss(*x).total_cmp(&loss(*y))).unwrap_or(low)
    };
    let differences: Vec<f64> = budgets
        .iter()
        .filter(|budget| rows.contains_key(&budget.flops.to_bits()))
        .map(|budget| best(&assumed.skill, budget) - best(&assumed.aggregate, budget))
        .collect();
    differences.iter().sum::<f64>() / differences.len().max(1) as f64
}
