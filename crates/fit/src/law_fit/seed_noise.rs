//! The noise of a run, from repeated seeds: its size, whether it changes with the loss, and whether a law's residuals
//! exceed it.

use std::collections::BTreeMap;

use crate::row::{Point, Rows};
use crate::stats::{Centred, quantile};

/// Degrees of freedom below which repeats do not estimate the noise.
const LEAST_DF: usize = 6;

/// Degrees of freedom below which a change of noise with the loss is not looked for.
const LEAST_DF_SLOPE: usize = 20;

/// Noise of log loss among runs that differ by the seed alone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SeedNoise {
    /// Pooled standard deviation.
    pub sd: f64,
    /// Sum of squares about the means of the cells.
    sum: f64,
    /// Degrees of freedom of it.
    pub df: usize,
    /// Distinct cells of the table.
    n_cells: usize,
    /// `ln variance = at_zero + slope · ln loss`; slope 0 where no change is shown.
    pub at_zero: f64,
    /// See `at_zero`.
    pub slope: f64,
}

impl SeedNoise {
    /// `None` where the table has too few repeats.
    pub fn of(rows: &Rows) -> Option<Self> {
        let mut cells: BTreeMap<[i64; 4], Vec<f64>> = BTreeMap::new();
        for (point, ln_loss) in rows.points.iter().zip(&rows.ln_loss) {
            // C follows from the rest; where it was measured, seeds may differ in it.
            let key = Point { ln_c: 0.0, ..*point }.cell();
            cells.entry(key).or_default().push(*ln_loss);
        }
        let spreads: Vec<(f64, f64, usize)> = cells
            .values()
            .filter(|losses| losses.len() > 1)
            .map(|losses| {
                let mean = losses.iter().sum::<f64>() / losses.len() as f64;
                let sum: f64 = losses.iter().map(|loss| (loss - mean) * (loss - mean)).sum();
                (mean, sum, losses.len() - 1)
            })
            .collect();
        let df: usize = spreads.iter().map(|cell| cell.2).sum();
        let sum: f64 = spreads.iter().map(|cell| cell.1).sum();
        if df < LEAST_DF || sum <= 0.0 {
            return None;
        }
        let variance = sum / df as f64;
        let (mut at_zero, mut slope) = (variance.ln(), 0.0);
        if df >= LEAST_DF_SLOPE
            && let Some(found) = rising(&spreads)
        {
            (at_zero, slope) = found;
        }
        Some(Self { sd: variance.sqrt(), sum, df, n_cells: cells.len(), at_zero, slope })
    }

    /// Variance of log loss at a loss.
    pub fn variance(&self, ln_loss: f64) -> f64 {
        (self.at_zero + self.slope * ln_loss).exp()
    }

    /// Weights of rows, 1 on average over the variances: `1/variance`.
    pub fn weights(&self, rows: &Rows) -> Vec<f64> {
        let raw: Vec<f64> = rows.ln_loss.iter().map(|ln_loss| 1.0 / self.variance(*ln_loss)).collect();
        let mean = raw.iter().sum::<f64>() / raw.len().max(1) as f64;
        raw.iter().map(|weight| weight / mean).collect()
    }

    /// F of the misfit against the noise and the value that chance exceeds once in a hundred tables;
    /// `residuals` is the fit's sum of squares.
    pub fn lack_of_fit(&self, residuals: f64, n_params: usize) -> Option<(f64, f64)> {
        let df = self.n_cells.checked_sub(n_params).filter(|df| *df > 0)? as f64;
        let misfit = (residuals - self.sum).max(0.0) / df;
        let f = misfit / (self.sum / self.df as f64);
        Some((f, quantile::fisher(0.99, df, self.df as f64)))
    }
}

/// ln variance against ln loss by weighted least squares, where the slope is beyond 2.5 standard errors.
fn rising(spreads: &[(f64, f64, usize)]) -> Option<(f64, f64)> {
    // Each cell's variance counts as often as it has degrees of freedom; the mean of ln s² is below
    // ln σ² by about 1/df + 1/(3 df²) (the digamma function), the variance of ln s² about 2/df + 2/df².
    let (mut x, mut y, mut noise) = (Vec::new(), Vec::new(), 0.0);
    for &(mean, sum, df) in spreads {
        if sum <= 0.0 {
            continue;
        }
        let k = df as f64;
        for _ in 0..df {
            x.push(mean);
            y.push((sum / k).ln() + 1.0 / k + 1.0 / (3.0 * k * k));
            noise += k * (2.0 / k + 2.0 / (k * k)) / k;
        }
    }
    let centred = Centred::of(&x, &y);
    let (at_zero, slope) = centred.line();
    let error = (noise / x.len() as f64 * 2.0 / centred.sxx).sqrt();
    (slope.abs() > 2.5 * error).then_some((at_zero, slope))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{standard_normal, stream};

    fn rows(sd: impl Fn(f64) -> f64) -> Rows {
        let mut rng = stream(3, 0);
        let mut rows = Vec::new();
        for cell in 0..60 {
            let ln_loss = 0.5 + f64::from(cell) / 60.0;
            for _ in 0..4 {
                let point = Point::new(1e6 * 1.2f64.powi(cell), 1e9, 6e15);
                rows.push((point, ln_loss + sd(ln_loss) * standard_normal(&mut rng)));
            }
        }
        Rows::from_points(&rows)
    }

    #[test]
    fn the_noise_of_repeats_is_found() {
        let found = SeedNoise::of(&rows(|_| 0.01)).unwrap();
        // 180 degrees of freedom: a standard error of 5 %.
        assert!((found.sd / 0.01 - 1.0).abs() < 0.15 && found.slope == 0.0 && found.df == 180, "{found:?}");
    }

    #[test]
    fn noise_that_rises_with_the_loss_is_found() {
        // Variance as the sixth power of the loss.
        let found = SeedNoise::of(&rows(|ln_loss| 0.002 * (3.0 * ln_loss).exp())).unwrap();
        assert!((found.slope - 6.0).abs() < 2.0, "{found:?}");
    }
}
