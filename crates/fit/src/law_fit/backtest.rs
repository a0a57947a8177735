//! Rolling back-tests: the rows of small compute predict those of larger compute, all inside the rows
//! given. Their errors decide the width of a prediction and which law predicts best.

use super::identify;
use crate::laws::ScalingLaw;
use crate::objective::Objective;
use crate::row::{Point, Rows};
use crate::search::{self, Problem};
use crate::stats::linalg::{self, MAX_PARAMS, Square, ZERO};
use crate::stats::quantile;

/// Shares of the rows, in rising order of compute, from which the rest is predicted.
const ORIGINS: [f64; 6] = [0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/// The share of the rows that is predicted from each origin at most: as far ahead as the usual
/// hold-out of a fifth of the rows.
const AHEAD: f64 = 0.25;

/// One prediction of a row by the rows of less compute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Test {
    /// Which origin.
    pub origin: usize,
    /// Which row.
    pub row: usize,
    /// `ln L − ln L̂`.
    pub error: f64,
    /// Standard deviation of the prediction by the law's own uncertainty and the residuals' noise.
    pub sd: f64,
    /// Decades of compute beyond the largest row of the fit.
    pub decades: f64,
}

/// A law fitted to rows, with the covariance of its theta by their residuals.
pub(crate) struct Fitted<'a> {
    pub law: &'a dyn ScalingLaw,
    pub theta: Vec<f64>,
    centre: Point,
    covariance: Option<Square>,
    /// Standard deviation of the residuals.
    pub noise: f64,
    /// Residual degrees of freedom.
    pub df: f64,
}

impl<'a> Fitted<'a> {
    /// The law at `theta`, which was fitted to `rows`.
    pub fn at(law: &'a dyn ScalingLaw, rows: &Rows, theta: Vec<f64>) -> Self {
        let df = (rows.len() as f64 - theta.len() as f64).max(1.0);
        // Curvature of the squares, not of a robust loss: the latter has few rows in its core.
        let squares = Problem::new(law, rows, Objective::LogMse);
        let (sum, information) = squares.gauss_newton(&theta);
        let noise = (sum / df).sqrt();
        let covariance = linalg::inverse(&information, theta.len());
        Self { law, theta, centre: rows.centre, covariance, noise, df }
    }

    /// ln L̂ and its standard deviation, a run's own noise included; at a point that is not centred.
    pub fn predict(&self, point: &Point) -> Option<(f64, f64)> {
        let point = point.relative_to(&self.centre);
        let (mut grad, mut hess) = ([0.0; MAX_PARAMS], ZERO);
        let ln_loss = self.law.derivatives(&self.theta, &point, &mut grad, &mut hess);
        let p = self.theta.len();
        let spread =
            self.covariance.map_or(0.0, |covariance| linalg::quadratic_form(&covariance, &grad[..p]));
        let sd = self.noise * (1.0 + spread.max(0.0)).sqrt();
        (ln_loss.is_finite() && sd.is_finite()).then_some((ln_loss, sd))
    }
}

/// Every prediction from every origin at which the law can be fitted. Rows of equal C stay together.
pub(crate) fn tests(law: &dyn ScalingLaw, rows: &Rows, objective: Objective) -> Vec<Test> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&x, &y| rows.points[x].ln_c.total_cmp(&rows.points[y].ln_c));
    let ln_c = |place: usize| rows.points[order[place]].ln_c;
    let mut tests = Vec::new();
    let mut last = 0;
    for (origin, share) in ORIGINS.iter().enumerate() {
        let mut n_below = (share * rows.len() as f64).round() as usize;
        // One budget is never cut in two: its rows differ by a rounding of C.
        while n_below > 0 && n_below < rows.len() && ln_c(n_below) - ln_c(n_below - 1) < 0.01 {
            n_below += 1;
        }
        if n_below <= last || n_below >= rows.len() {
            continue;
        }
        last = n_below;
        let below = rows.select(&order[..n_below]);
        if identify::check(law, &below).is_err() {
            continue;
        }
        let Some(minimum) = search::minimum(law, &below, objective) else { continue };
        let fitted = Fitted::at(law, &below, minimum.theta);
        let n_ahead = ((AHEAD * rows.len() as f64).ceil() as usize).max(1);
        for place in n_below..rows.len().min(n_below + n_ahead) {
            let row = order[place];
            if let Some((ln_fitted, sd)) = fitted.predict(&rows.points[row].about(&rows.centre)) {
                let decades = (ln_c(place) - ln_c(n_below - 1)).max(0.0) / std::f64::consts::LN_10;
                tests.push(Test { origin, row, error: rows.ln_loss[row] - ln_fitted, sd, decades });
            }
        }
    }
    tests
}

/// Mean over origins of the mean absolute relative error; `None` without tests.
pub(crate) fn mean_error(tests: &[Test]) -> Option<f64> {
    let mut origins: Vec<usize> = tests.iter().map(|test| test.origin).collect();
    origins.dedup();
    let of = |origin: usize| {
        let errors: Vec<f64> = tests
            .iter()
            .filter(|test| test.origin == origin)
            .map(|test| (1.0 - (-test.error).exp()).abs())
            .collect();
        errors.iter().sum::<f64>() / errors.len().max(1) as f64
    };
    (!origins.is_empty())
        .then(|| origins.iter().map(|&origin| of(origin)).sum::<f64>() / origins.len() as f64)
}

/// How many standard deviations wide a prediction must be at `level`: the quantile of the standardised
/// errors of the back-tests, and never below Student's. `None` where there are too few tests to show
/// the level.
///
/// The errors of one law at one origin share their cause, its form: the origins are the sample, and what
/// is predicted is one more of them. So the quantile is stretched as Student's t stretches a normal's
/// with one degree of freedom for each origin.
pub(crate) fn widening(tests: &[Test], level: f64, df: f64) -> Option<f64> {
    let student = quantile::student_at(level, df);
    let mut sizes: Vec<f64> =
        tests.iter().filter(|test| test.sd > 0.0).map(|test| test.error.abs() / test.sd).collect();
    sizes.retain(|size| size.is_finite());
    // Below this the sample's quantile is its largest value, whatever the level.
    if (sizes.len() as f64) < 1.0 / (1.0 - level) {
        return None;
    }
    sizes.sort_by(f64::total_cmp);
    let n = sizes.len() as f64;
    let share = ((n + 1.0) * level / n).min(1.0);
    let mut origins: Vec<usize> = tests.iter().map(|test| test.origin).collect();
    origins.dedup();
    let stretch = quantile::student_at(level, origins.len() as f64) / quantile::normal(0.5 + 0.5 * level);
    Some((quantile::of_sorted(&sizes, share)? * stretch).max(student))
}
