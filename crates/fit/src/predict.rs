//! Predictions of future runs, and of rows held out by compute.

use scalelaw_schema::table::LossTable;

use crate::backtest::{self, Fitted};
use crate::conclusion::{Holdout, Interval, Prediction, PredictionKind};
use crate::laws::ScalingLaw;
use crate::objective::Objective;
use crate::quantile;
use crate::row::{Point, Rows};
use crate::search;

/// A fitted law with what its back-tests say of its errors.
pub(crate) struct Predictor<'a> {
    fitted: Fitted<'a>,
    level: f64,
    /// Standard deviations to either side.
    width: f64,
    method: String,
    n_tests: usize,
    largest_ln_c: f64,
}

impl<'a> Predictor<'a> {
    pub fn new(
        law: &'a dyn ScalingLaw,
        rows: &Rows,
        theta: &[f64],
        objective: Objective,
        level: f64,
    ) -> Self {
        let fitted = Fitted::at(law, rows, theta.to_vec());
        let tests = backtest::tests(law, rows, objective);
        let widening = backtest::widening(&tests, level, fitted.df);
        let (width, method) = match widening {
            Some(width) => (width, "the law's and a run's spread, widened by rolling back-tests"),
            None => (
                quantile::student(0.5 + 0.5 * level, fitted.df),
                "the law's and a run's spread by Student's t; too few rows for back-tests",
            ),
        };
        let largest_ln_c =
            rows.points.iter().map(|point| point.ln_c).fold(f64::NEG_INFINITY, f64::max) + rows.centre.ln_c;
        Self { fitted, level, width, method: method.into(), n_tests: tests.len(), largest_ln_c }
    }

    /// The loss of one future run at `point`; `None` where a number would be none.
    pub fn at(&self, point: &Point) -> Option<Prediction> {
        let (ln_loss, sd) = self.fitted.predict(point)?;
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
    crate::identify::check(law, &rows).ok()?;
    let minimum = search::search(law, &rows, objective)?;
    let predictor = Predictor::new(law, &rows, &minimum.theta, objective, 0.9);
    let (mut errors, mut covered, mut n_judged) = (Vec::new(), 0, 0);
    for row in &above.rows {
        let Some(found) = predictor.at(&Point::of(row)) else { continue };
        errors.push((found.loss / row.loss - 1.0).abs());
        if let Some(interval) = &found.interval {
            n_judged += 1;
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
        coverage90: (n_judged > 0).then(|| covered as f64 / n_judged as f64),
    })
}
