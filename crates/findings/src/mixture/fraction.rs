//! N* of a skill against the fraction of its data in the training mixture, at fixed compute.
//!
//! If only the skill's own tokens teach it, its loss is `E + A/N^alpha + B/(f·D)^beta` and `N* ∝ f^s` with
//! `s = beta/(alpha + kappa·beta)`, kappa = 1 where C = 6ND (from Hoffmann et al. 2022, equation 4, with f·D
//! for D). Roberts et al. 2025 (arXiv:2503.10061) find N* to rise with f. The slope is measured by the parabolas'
//! minima, without that assumption, and beside it by that law fitted to the same runs.

use scalelaw_schema::table::LossTable;
use serde::{Deserialize, Serialize};

use crate::skills::budget::{Budget, Curve};
use crate::skills::conclusion::SkillOptimum;
use crate::skills::draws::Draws;
use crate::skills::fitted_text::optimum_of;
use crate::skills::noise::SharedNoise;
use crate::skills::text_law::TextLaw;
use crate::skills::{self, SkillSpec};
use scalelaw_fit::ComputeModel;
use scalelaw_fit::FitError;
use scalelaw_fit::Rows;
use scalelaw_fit::conclusion::{Frontier, Interval};

/// N* of one skill against its fraction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FractionCurve {
    /// The skill.
    pub skill: String,
    /// The optimum at each fraction and budget, fractions rising.
    pub points: Vec<FractionPoint>,
    /// `d ln N* / d ln f` through the minima; absent with fewer than two fractions inside their sizes.
    pub slope: Option<f64>,
    /// Its interval.
    pub slope_interval: Option<Interval>,
    /// The same by `E + A/N^alpha + B/(f·D)^beta` fitted to these runs.
    pub slope_by_law: Option<f64>,
    /// Its interval.
    pub slope_by_law_interval: Option<Interval>,
    /// Why it is absent.
    pub why_no_law: Option<String>,
    /// `beta/(alpha + kappa·beta)` of the skill's surface in an IsoFLOP sweep, where one was given.
    pub theory: Option<f64>,
    /// Its interval.
    pub theory_interval: Option<Interval>,
    /// Level of the intervals.
    pub level: f64,
    /// Caveats: what to know before using the numbers.
    pub warnings: Vec<String>,
}

/// The optimum at one fraction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FractionPoint {
    /// Share of the skill's data in the mixture.
    pub fraction: f64,
    /// The best size by the parabola of that fraction's runs.
    pub optimum: SkillOptimum,
}

/// Runs trained with one fraction, evaluated on the skill.
#[derive(Debug, Clone, Copy)]
pub struct AtFraction<'a> {
    /// Share of the skill's data, above 0 and at most 1.
    pub fraction: f64,
    /// Losses of the skill; names of runs are distinct.
    pub table: &'a LossTable,
}

/// N* of a skill against its fraction, and the slope in logarithms.
///
/// Minima at the edge of their sizes take no part in the slope. `surface` is the skill's frontier from an
/// IsoFLOP sweep: its exponent `a` is the theory's slope.
///
/// # Errors
/// [`FitError::Refused`] without a fraction, without budgets, or for a fraction out of its range.
pub fn against_fraction(
    skill: &str,
    runs: &[AtFraction],
    surface: Option<&Frontier>,
    spec: &SkillSpec,
) -> Result<FractionCurve, FitError> {
    let law = skills::check(spec)?;
    if let Some(bad) = runs.iter().find(|runs| !(runs.fraction > 0.0 && runs.fraction <= 1.0)) {
        return skills::refuse(
            &format!("the fraction {} of `{skill}` is not above 0 and at most 1", bad.fraction),
            "give shares of the training mixture",
        );
    }
    let mut tables: Vec<(f64, LossTable)> =
        runs.iter().map(|runs| (runs.fraction, scalelaw_fit::finite_rows(runs.table))).collect();
    tables.sort_by(|x, y| x.0.total_cmp(&y.0));
    let all: Vec<&LossTable> = tables.iter().map(|(_, table)| table).collect();
    let noise = SharedNoise::of(&all, spec.draws, spec.seed);
    let mut points = Vec::new();
    let mut inside: Vec<Point> = Vec::new();
    for (fraction, table) in &tables {
        let rows = scalelaw_fit::isoflop::by_budget(table);
        for budget in Budget::all(table) {
            let rows = rows.get(&budget.flops.to_bits()).map_or(&[][..], Vec::as_slice);
            let curve = Curve::of(rows, &budget, &noise);
            let optimum = optimum_of(&budget, &curve, spec.level);
            if let Ok(curve) = curve
                && optimum.n.is_some()
            {
                inside.push(Point { ln_f: fraction.ln(), budget: budget.flops, best: curve.best });
            }
            points.push(FractionPoint { fraction: *fraction, optimum });
        }
    }
    if points.is_empty() {
        return skills::refuse("no run names a budget", "train a grid of kind `mix` or `isoflop`");
    }
    let slope = slope(&inside);
    let by_law = by_law(&tables, law, &noise, spec.level);
    let n_lost = points.iter().filter(|point| point.optimum.n.is_none()).count();
    let warnings = (n_lost > 0)
        .then(|| {
            format!(
                "{n_lost} of {} minima lie at the edge of their sizes and take no part in the slope (hint: sizes further out)",
                points.len()
            )
        })
        .into_iter()
        .collect();
    Ok(FractionCurve {
        skill: skill.to_owned(),
        points,
        slope: slope.as_ref().map(|draws| draws.estimate),
        slope_interval: slope.and_then(|draws| draws.interval(spec.level)),
        slope_by_law: by_law.as_ref().ok().map(|draws| draws.estimate),
        slope_by_law_interval: by_law.as_ref().ok().and_then(|draws| draws.interval(spec.level)),
        why_no_law: by_law.err().map(|why| why.to_string()),
        theory: surface.map(|frontier| frontier.a),
        theory_interval: surface.and_then(|frontier| frontier.intervals.get("a").cloned()),
        level: spec.level,
        warnings,
    })
}

/// A minimum inside its sizes.
struct Point {
    ln_f: f64,
    budget: f64,
    best: Draws,
}

/// Slope of ln N* in ln f by least squares, one intercept for each budget.
///
/// All points have the same weight. Weighted by the variance of their own draws, those with small residuals by chance would
/// count most: 95 % intervals then held the truth in 82 % of simulated sweeps of 5 fractions by 7 runs.
fn slope(points: &[Point]) -> Option<Draws> {
    let centred: Vec<f64> = points
        .iter()
        .map(|point| {
            let of_budget: Vec<f64> =
                points.iter().filter(|other| other.budget == point.budget).map(|other| other.ln_f).collect();
            point.ln_f - of_budget.iter().sum::<f64>() / of_budget.len() as f64
        })
        .collect();
    let square: f64 = centred.iter().map(|x| x * x).sum();
    // Fractions a per cent apart are one fraction.
    if points.len() < 2 || square < 1e-4 * points.len() as f64 {
        return None;
    }
    let factors: Vec<f64> = centred.iter().map(|x| x / square).collect();
    let draws: Vec<&Draws> = points.iter().map(|point| &point.best).collect();
    Draws::weighted(&draws, &factors, draws.iter().map(|draws| draws.df().max(0.0)).sum())
}

/// Why the law of `f·D` has no slope.
#[derive(Debug, thiserror::Error)]
enum NoSlope {
    #[error("there are no runs")]
    NoRuns,
    #[error(transparent)]
    Refused(#[from] FitError),
    #[error("the fitted law does not trade N against D")]
    NoTradeOff,
}

/// The slope by the law of `f·D`.
fn by_law(
    tables: &[(f64, LossTable)],
    law: &'static dyn scalelaw_fit::laws::ScalingLaw,
    noise: &SharedNoise,
    level: f64,
) -> Result<Draws, NoSlope> {
    let Some((_, first)) = tables.first() else { return Err(NoSlope::NoRuns) };
    let rows = |share: &dyn Fn(f64) -> f64| {
        let rows = tables.iter().flat_map(|(fraction, table)| {
            let share = share(*fraction);
            table.rows.iter().map(move |row| scalelaw_schema::table::LossRow {
                d: share * row.d,
                unique_tokens: None,
                ..row.clone()
            })
        });
        LossTable { rows: rows.collect(), ..first.clone() }
    };
    let kappa = ComputeModel::of(&Rows::of(&rows(&|_| 1.0))).kappa;
    let text_law = TextLaw::of(&rows(&|fraction| fraction), law, noise, level)?;
    let slope = |params: &[f64]| {
        let trade_off = law.trade_off(params)?;
        let slope = trade_off.beta / (trade_off.alpha + kappa * trade_off.beta);
        slope.is_finite().then_some(slope)
    };
    let draws = text_law.of_params(slope).ok_or(NoSlope::NoTradeOff)?;
    Ok(draws.within(0.0, 1.0 / kappa))
}
