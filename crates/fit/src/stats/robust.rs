//! How wide a robust loss must be to act like least squares on all but outliers.

use super::quantile;

/// Huber's delta in units of the residuals' spread: 99 % of normal residuals lie inside.
const CLIP: f64 = 2.5;

/// The median absolute residual of normal noise, times this, is its standard deviation.
const NORMAL_MAD: f64 = 1.4826;

/// Huber's delta for residuals of these absolute sizes after `n_params` parameters were fitted; `None` without any.
pub fn huber_delta(mut sizes: Vec<f64>, n_params: usize) -> Option<f64> {
    let n = sizes.len() as f64;
    let df = (n - n_params as f64).max(1.0);
    sizes.sort_by(f64::total_cmp);
    let spread = NORMAL_MAD * quantile::of_sorted(&sizes, 0.5)? * (n / df).sqrt();
    // Exact data leave no spread: any delta is then least squares.
    Some((CLIP * spread).max(1e-9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delta_is_two_and_a_half_standard_deviations_of_normal_residuals() {
        // Quantiles of a normal of standard deviation 2: their median size is 0.6745 of it.
        let sizes: Vec<f64> =
            (0..1001).map(|i| 2.0 * quantile::normal((f64::from(i) + 0.5) / 1001.0).abs()).collect();
        let delta = huber_delta(sizes, 0).unwrap();
        assert!((delta - 5.0).abs() < 0.01, "{delta}");
        assert_eq!(huber_delta(vec![0.0; 5], 2), Some(1e-9));
        assert_eq!(huber_delta(Vec::new(), 2), None);
    }
}
