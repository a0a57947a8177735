//! Weighted least squares with a few columns, by the normal equations.

use super::linalg::{self, Cholesky, MAX_PARAMS, Square, ZERO};

/// `XᵀWX` and `XᵀWy` of rows that are added one by one.
#[derive(Debug, Clone)]
pub struct NormalEquations {
    p: usize,
    /// `XᵀWX`, its lower triangle.
    pub gram: Square,
    /// `XᵀWy`.
    pub moment: [f64; MAX_PARAMS],
}

impl NormalEquations {
    /// Without rows; `p` columns, at most [`MAX_PARAMS`].
    pub fn new(p: usize) -> Self {
        Self { p, gram: ZERO, moment: [0.0; MAX_PARAMS] }
    }

    /// Adds a row of `p` columns.
    pub fn add(&mut self, x: &[f64], y: f64, weight: f64) {
        linalg::add_outer(&mut self.gram, x, weight);
        for (moment, x) in self.moment.iter_mut().zip(x) {
            *moment += weight * x * y;
        }
    }

    /// The coefficients, of which the first `p` are used; `None` where the columns do not determine them.
    pub fn solve(&self) -> Option<[f64; MAX_PARAMS]> {
        Some(Cholesky::of(&self.gram, self.p)?.solve(&self.moment))
    }
}

/// A linear fit.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearFit {
    /// A coefficient for each column.
    pub coefficients: Vec<f64>,
    /// `(XᵀWX)⁻¹`: times the variance of a row of weight 1 it is the coefficients' covariance.
    pub inverse: Square,
    /// `Σ w·(y − ŷ)²`.
    pub squares: f64,
}

/// Minimises `Σ w·(y − x·b)²` over the rows `(x, y, w)`; `None` where the columns do not determine b, or where there
/// are more than [`MAX_PARAMS`].
pub fn least_squares(rows: &[(Vec<f64>, f64, f64)]) -> Option<LinearFit> {
    let p = rows.first()?.0.len();
    if p == 0 || p > MAX_PARAMS || rows.len() < p {
        return None;
    }
    let mut equations = NormalEquations::new(p);
    for (x, y, weight) in rows {
        equations.add(x, *y, *weight);
    }
    let factor = Cholesky::of(&equations.gram, p)?;
    let coefficients = factor.solve(&equations.moment)[..p].to_vec();
    let squares = rows
        .iter()
        .map(|(x, y, weight)| {
            let fitted: f64 = x.iter().zip(&coefficients).map(|(x, b)| x * b).sum();
            weight * (y - fitted).powi(2)
        })
        .sum();
    Some(LinearFit { coefficients, inverse: factor.inverse(), squares })
}

/// Weighted means of x and y, and the sums of squares and products about them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Centred {
    /// `Σ w·x / Σ w`.
    pub mean_x: f64,
    /// `Σ w·y / Σ w`.
    pub mean_y: f64,
    /// `Σ w·(x − x̄)²`.
    pub sxx: f64,
    /// `Σ w·(x − x̄)(y − ȳ)`.
    pub sxy: f64,
}

impl Centred {
    /// All rows weigh alike.
    pub fn of(x: &[f64], y: &[f64]) -> Self {
        Self::weighted(x, y, &vec![1.0; x.len()])
    }

    /// Row by row, a weight each.
    pub fn weighted(x: &[f64], y: &[f64], weights: &[f64]) -> Self {
        let sum = if weights.is_empty() { 1.0 } else { weights.iter().sum() };
        let mean = |values: &[f64]| values.iter().zip(weights).map(|(v, w)| v * w).sum::<f64>() / sum;
        let (mean_x, mean_y) = (mean(x), mean(y));
        let sxx = x.iter().zip(weights).map(|(x, w)| w * (x - mean_x) * (x - mean_x)).sum();
        let sxy = x.iter().zip(y).zip(weights).map(|((x, y), w)| w * (x - mean_x) * (y - mean_y)).sum();
        Self { mean_x, mean_y, sxx, sxy }
    }

    /// Slope of y in x by least squares; `None` where `sxx` is not above `least`: x does not vary.
    pub fn slope(&self, least: f64) -> Option<f64> {
        (self.sxx > least).then(|| self.sxy / self.sxx)
    }

    /// Intercept and slope of the line of rows that weigh one each; slope 0 where x does not vary.
    pub fn line(&self) -> (f64, f64) {
        self.line_from(LEAST_SXX)
    }

    fn line_from(&self, least: f64) -> (f64, f64) {
        let slope = self.slope(least).unwrap_or(0.0);
        (self.mean_y - slope * self.mean_x, slope)
    }
}

/// Spread of x below which a line has no slope.
const LEAST_SXX: f64 = 1e-12;

/// Intercept and slope by least squares; slope 0 where x does not vary.
pub fn line(x: &[f64], y: &[f64]) -> (f64, f64) {
    Centred::of(x, y).line()
}

/// The same with a weight for each row.
pub fn weighted_line(x: &[f64], y: &[f64], weights: &[f64]) -> (f64, f64) {
    Centred::weighted(x, y, weights).line_from(LEAST_SXX * weights.iter().sum::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_and_its_covariance_are_those_of_the_textbook() {
        // x = 0, 1, 2, 3 with y = 1 + 2x and residuals +1, −1, −1, +1: the line stays, Σr² = 4.
        let rows: Vec<_> =
            [2.0, 2.0, 4.0, 8.0].iter().enumerate().map(|(x, &y)| (vec![1.0, x as f64], y, 1.0)).collect();
        let fit = least_squares(&rows).unwrap();
        assert!((fit.coefficients[0] - 1.0).abs() < 1e-12 && (fit.coefficients[1] - 2.0).abs() < 1e-12);
        // Var(slope) = σ²/Σ(x − x̄)² = 1/5; Var(intercept) = 1/4 + 1.5²/5.
        assert!((fit.inverse[1][1] - 0.2).abs() < 1e-12 && (fit.inverse[0][0] - 0.7).abs() < 1e-12);
        assert!((fit.squares - 4.0).abs() < 1e-12);
        // A row of weight 0 is no row.
        let mut with_outlier = rows;
        with_outlier.push((vec![1.0, 9.0], 1e9, 0.0));
        assert!((least_squares(&with_outlier).unwrap().coefficients[1] - 2.0).abs() < 1e-12);
    }

    #[test]
    fn a_line_is_that_of_the_columns_one_and_x() {
        let (x, y, weights) = ([0.0, 1.0, 2.0, 3.0], [2.0, 2.0, 4.0, 8.0], [1.0, 2.0, 3.0, 4.0]);
        let rows: Vec<_> = (0..4).map(|i| (vec![1.0, x[i]], y[i], weights[i])).collect();
        let expected = least_squares(&rows).unwrap().coefficients;
        let found = weighted_line(&x, &y, &weights);
        assert!((found.0 - expected[0]).abs() < 1e-12 && (found.1 - expected[1]).abs() < 1e-12, "{found:?}");
        let (intercept, slope) = line(&x, &y);
        assert!((intercept - 1.0).abs() < 1e-12 && (slope - 2.0).abs() < 1e-12, "{intercept} {slope}");
        assert_eq!(line(&[5.0, 5.0], &[1.0, 3.0]), (2.0, 0.0));
    }

    #[test]
    fn columns_that_determine_nothing_are_refused() {
        assert_eq!(least_squares(&[]), None);
        assert_eq!(least_squares(&[(vec![1.0, 2.0], 1.0, 1.0)]), None);
        let same: Vec<_> = (0..4).map(|y| (vec![1.0, 1.0], f64::from(y), 1.0)).collect();
        assert_eq!(least_squares(&same), None);
    }
}
