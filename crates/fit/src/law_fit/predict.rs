//! Predictions of future runs, and of rows held out by compute.

use scalelaw_schema::table::LossTable;

use super::backtest::{self, Fitted, Test};
use super::choose::{self, Ranking};
use super::identify;
use crate::conclusion::{Holdout, Prediction, PredictionKind};
use crate::laws::ScalingLaw;
use crate::objective::Objective;
use crate::row::{Point, Rows};
use crate::search;
use crate::stats::{Interval, quantile};

/// Level of the intervals of held-out rows: `coverage90` and `interval_score90` are named by it.
const HOLDOUT_LEVEL: f64 = 0.9;

/// Fitted laws, averaged in the logarithm, with the errors of their back-tests.
pub(crate) struct Predictor<'a> {
    fitted: Vec<(Fitted<'a>, f64)>,
    level: f64,
    /// Standard deviations to either side.
    width: f64,
    method: String,
    n_tests: usize,
    largest_ln_c: f64,
}

impl<'a> Predictor<'a> {
    /// One law, fitted to `rows` at `theta`.
    pub fn new(
        law: &'a dyn ScalingLaw,
        rows: &Rows,
        theta: &[f64],
        objective: Objective,
        level: f64,
    ) -> Self {
        let tests = backtest::tests(law, rows, objective);
        Self::of(vec![(Fitted::at(law, rows, theta.to_vec()), 1.0)], rows, &tests, level)
    }

    /// The average that a ranking of `rows` chose; `None` where it holds no law.
    pub fn average(ranking: &Ranking, rows: &Rows, objective: Objective, level: f64) -> Option<Self> {
        let fitted: Vec<(Fitted, f64)> = ranking
            .average
            .iter()
            .filter_map(|(law, weight)| {
                let minimum = search::minimum(*law, rows, objective)?;
                Some((Fitted::at(*law, rows, minimum.theta), *weight))
            })
            .collect();
        let sum: f64 = fitted.iter().map(|(_, weight)| weight).sum();
        if fitted.is_empty() || sum <= 0.0 {
            return None;
        }
        let fitted = fitted.into_iter().map(|(fitted, weight)| (fitted, weight / sum)).collect();
        Some(Self::of(fitted, rows, &ranking.average_tests, level))
    }

    fn of(fitted: Vec<(Fitted<'a>, f64)>, rows: &Rows, tests: &[Test], level: f64) -> Self {
        let df = fitted.iter().map(|(fitted, weight)| fitted.df * weight).sum::<f64>().max(1.0);
        let (width, method) = match backtest::widening(tests, level, df) {
            Some(width) => (width, "the law's and a run's spread, widened by rolling back-tests"),
            None => (
                quantile::student_at(level, df),
                "the law's and a run's spread by Student's t; too few rows for back-tests",
            ),
        };
        let largest_ln_c =
            rows.points.iter().map(|point| point.ln_c).fold(f64::NEG_INFINITY, f64::max) + rows.centre.ln_c;
        Self { fitted, level, width, method: method.into(), n_tests: tests.len(), largest_ln_c }
    }

    /// The loss of one future run at `point`; `None` where a number would be none.
    pub fn at(&self, point: &Point) -> Option<Prediction> {
        let (mut ln_loss, mut sd) = (0.0, 0.0);
        for (fitted, weight) in &self.fitted {
            let (law_ln_loss, law_sd) = fitted.predict(point)?;
            ln_loss += weight * law_ln_loss;
            sd += weight * law_sd;
        }
        let loss = ln_loss.exp();
        let (n, d, c) = (point.ln_n.exp(), point.ln_d.exp(), point.ln_c.exp());
        if ![loss, n, d, c].iter().all(|x| x.is_finite()) {
            return None;
        }
        let interval = Interval {
            low: (ln_loss - self.width * sd).exp(),
            high: (ln_loss + self.width * sd).exp(),
            level: self.level,
            method: self.method.clone(),
            resamples: self.n_tests,
        };
        let decades_beyond = ((point.ln_c - self.largest_ln_c) / std::f64::consts::LN_10).max(0.0);
        // A rounding of C is no distance.
        let kind =
            if decades_beyond > 1e-3 { PredictionKind::Extrapolation } else { PredictionKind::Interpolation };
        let interval = (interval.low.is_finite() && interval.high.is_finite()).then_some(interval);
        Some(Prediction { n, d, c, loss, interval, kind, decades_beyond })
    }
}

/// The rows at or below the quantile `share` of C, and those above.
pub(crate) fn split(table: &LossTable, share: f64) -> Option<(LossTable, LossTable)> {
    let mut c: Vec<f64> = table.rows.iter().map(|row| row.c).collect();
    c.sort_by(f64::total_cmp);
    let cut = quantile::of_sorted(&c, share)?;
    let (below, above): (Vec<_>, Vec<_>) = table.rows.iter().cloned().partition(|row| row.c <= cut);
    (!above.is_empty() && !below.is_empty())
        .then(|| (LossTable { rows: below, ..table.clone() }, LossTable { rows: above, ..table.clone() }))
}

/// How well `law`, fitted to `below`, predicts the rows of `above`. `None` where it cannot be fitted.
pub(crate) fn hold_out(
    law: &dyn ScalingLaw,
    below: &LossTable,
    above: &LossTable,
    objective: Objective,
) -> Option<Holdout> {
    let rows = Rows::of(below);
    identify::check(law, &rows).ok()?;
    let minimum = search::minimum(law, &rows, objective)?;
    evaluate(&Predictor::new(law, &rows, &minimum.theta, objective, HOLDOUT_LEVEL), above)
}

/// The same for the average that the rows below choose themselves.
pub(crate) fn hold_out_average(
    below: &LossTable,
    above: &LossTable,
    objective: Objective,
) -> Option<Holdout> {
    let ranking = choose::rank(below, objective);
    evaluate(&Predictor::average(&ranking, &Rows::of(below), objective, HOLDOUT_LEVEL)?, above)
}

fn evaluate(predictor: &Predictor, above: &LossTable) -> Option<Holdout> {
    let (mut errors, mut covered, mut n_with_interval, mut score) = (Vec::new(), 0, 0, 0.0);
    for row in &above.rows {
        let Some(found) = predictor.at(&Point::of(row)) else { continue };
        errors.push((found.loss / row.loss - 1.0).abs());
        if let Some(interval) = &found.interval {
            n_with_interval += 1;
            let (low, high, ln_loss) = (interval.low.ln(), interval.high.ln(), row.loss.ln());
            score += high - low + 20.0 * ((low - ln_loss).max(0.0) + (ln_loss - high).max(0.0));
            covered += usize::from(interval.low <= row.loss && row.loss <= interval.high);
        }
    }
    errors.retain(|error| error.is_finite());
    if errors.is_empty() {
        return None;
    }
    Some(Holdout {
        rows: errors.len(),
        are: errors.iter().sum::<f64>() / errors.len() as f64,
        max: errors.iter().copied().fold(0.0, f64::max),
        coverage90: (n_with_interval > 0).then(|| covered as f64 / n_with_interval as f64),
        interval_score90: (n_with_interval > 0)
            .then(|| score / n_with_interval as f64)
            .filter(|score| score.is_finite()),
    })
}
