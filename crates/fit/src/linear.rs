//! Weighted least squares with a few columns. Knows nothing of laws.

use crate::laws::MAX_PARAMS;
use crate::minimise::{cholesky, cholesky_solve};

/// A linear fit.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearFit {
    /// A coefficient for each column.
    pub coefficients: Vec<f64>,
    /// `(XᵀWX)⁻¹`: times the variance of a row of weight 1 it is the coefficients' covariance.
    pub inverse: Vec<Vec<f64>>,
    /// `Σ w·(y − ŷ)²`.
    pub squares: f64,
}

/// Minimises `Σ w·(y − x·b)²` over the rows `(x, y, w)`; `None` where the columns do not determine b, or where there
/// are more than this crate's matrices hold.
pub fn least_squares(rows: &[(Vec<f64>, f64, f64)]) -> Option<LinearFit> {
    let p = rows.first()?.0.len();
    if p == 0 || p > MAX_PARAMS || rows.len() < p {
        return None;
    }
    let mut gram = [[0.0; MAX_PARAMS]; MAX_PARAMS];
    let mut moment = [0.0; MAX_PARAMS];
    for (x, y, weight) in rows {
        for i in 0..p {
            moment[i] += weight * x[i] * y;
            for j in 0..p {
                gram[i][j] += weight * x[i] * x[j];
            }
        }
    }
    let lower = cholesky(&gram, p)?;
    let coefficients = cholesky_solve(&lower, p, &moment)[..p].to_vec();
    let mut inverse = vec![vec![0.0; p]; p];
    for j in 0..p {
        let mut unit = [0.0; MAX_PARAMS];
        unit[j] = 1.0;
        let column = cholesky_solve(&lower, p, &unit);
        for i in 0..p {
            inverse[i][j] = column[i];
        }
    }
    let squares = rows
        .iter()
        .map(|(x, y, weight)| {
            let fitted: f64 = x.iter().zip(&coefficients).map(|(x, b)| x * b).sum();
            weight * (y - fitted).powi(2)
        })
        .sum();
    Some(LinearFit { coefficients, inverse, squares })
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
    fn columns_that_determine_nothing_are_refused() {
        assert_eq!(least_squares(&[]), None);
        assert_eq!(least_squares(&[(vec![1.0, 2.0], 1.0, 1.0)]), None);
        let same: Vec<_> = (0..4).map(|y| (vec![1.0, 1.0], f64::from(y), 1.0)).collect();
        assert_eq!(least_squares(&same), None);
    }
}
