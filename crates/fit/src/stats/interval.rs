//! An interval with its method and level, and the percentiles that most of them are.

use serde::{Deserialize, Serialize};

use super::quantile;

/// Fewer resamples cannot show the ends of a 95 % interval: they would be single resamples.
pub const LEAST_RESAMPLES: usize = 40;

/// Draws of the runs' noise where nobody asks for another number, and the most that a fit's IsoFLOP minima take.
pub const NOISE_DRAWS: usize = 2000;

/// An interval with all that is needed to interpret it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Level, such as 0.95.
    pub level: f64,
    /// Method in words: what was resampled and how the ends were taken.
    pub method: String,
    /// Resamples used.
    pub resamples: usize,
}

/// Ends of the middle of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentiles {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Finite values in the sample.
    pub n: usize,
}

/// Share of a sample below the interval of its middle `level`.
pub fn tail_of(level: f64) -> f64 {
    0.5 * (1.0 - level)
}

/// The quantiles at `tail` and `1 − tail` of the finite ones among `values`; `None` where those are fewer than
/// [`LEAST_RESAMPLES`].
pub fn percentiles(mut values: Vec<f64>, tail: f64) -> Option<Percentiles> {
    values.retain(|x| x.is_finite());
    if values.len() < LEAST_RESAMPLES {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let (low, high) = quantile::between_tails(&values, tail)?;
    Some(Percentiles { low, high, n: values.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_a_sample_leaves_a_tail_on_each_side() {
        let mut values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        values.push(f64::NAN);
        let found = percentiles(values.clone(), tail_of(0.9)).unwrap();
        assert!((found.low - 5.0).abs() < 1e-9 && (found.high - 95.0).abs() < 1e-9, "{found:?}");
        assert_eq!(found.n, 101);
        values.truncate(LEAST_RESAMPLES - 1);
        assert_eq!(percentiles(values, tail_of(0.9)), None);
    }
}
