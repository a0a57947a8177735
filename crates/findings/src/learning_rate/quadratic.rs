//! The best rate of one size, horizon, batch and beta2: a quadratic in ln lr.

use std::collections::BTreeMap;

use scalelaw_fit::conclusion::Interval;
use scalelaw_fit::stats::{LinearFit, least_squares, quantile};

use super::conclusion::{LrOptimum, LrRow, RateLoss};

/// A rate whose ln loss lies more than this above the best one's is not used for the quadratic: farther away the loss
/// rises more steeply on the side of large rates, and those runs would move the minimum. The neighbours of the best
/// rate stay in any case.
const NEAR_LN_LOSS: f64 = 0.1;

/// Why there is no best rate.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub(super) enum NoOptimum {
    #[error("every run diverged")]
    AllDiverged,
    #[error("the smallest rate, {lr:.2e}, is the best: the minimum lies at the grid's edge")]
    AtSmallest { lr: f64 },
    #[error("the largest rate, {lr:.2e}, is the best: the minimum lies at the grid's edge")]
    AtLargest { lr: f64 },
    #[error("{lr:.2e} is the best rate and {next:.2e} diverged: no run lies between")]
    NextDiverged { lr: f64, next: f64 },
    #[error("fewer than three rates near the best one do not make a quadratic")]
    TooFewRates,
    #[error("the losses do not curve upwards")]
    NotConvex,
    #[error("the quadratic's minimum lies at the grid's edge")]
    AtEdge,
}

/// Noise of ln loss with its degrees of freedom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Noise {
    pub sd: f64,
    pub df: f64,
}

/// The runs that differ in rate and seed alone.
pub(super) struct Group<'a> {
    first: &'a LrRow,
    rates: Vec<RateLoss>,
    pub fit: Result<Quadratic, NoOptimum>,
}

/// `ln loss = b0 + b1·t + b2·t²` with `t = ln lr − centre`.
pub(super) struct Quadratic {
    pub linear: LinearFit,
    centre: f64,
    pub n_rows: usize,
    /// ln of the smallest and largest rate.
    range: [f64; 2],
}

impl<'a> Group<'a> {
    pub fn of(rows: Vec<&'a LrRow>) -> Group<'a> {
        let mut by_rate: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for row in &rows {
            by_rate.entry(row.lr.to_bits()).or_default().extend(row.loss.map(f64::ln));
        }
        let rates: Vec<RateLoss> = by_rate
            .iter()
            .map(|(lr, ln_losses)| {
                let mean = ln_losses.iter().sum::<f64>() / ln_losses.len() as f64;
                RateLoss { lr: f64::from_bits(*lr), loss: (!ln_losses.is_empty()).then(|| mean.exp()) }
            })
            .collect();
        let fit = quadratic(&rates, &rows);
        Group { first: rows[0], rates, fit }
    }

    /// The best rate, with its interval where the noise is known.
    pub fn optimum(&self, noise: Option<Noise>, level: f64) -> LrOptimum {
        let first = self.first;
        let mut optimum = LrOptimum {
            n: first.n,
            d: first.d,
            batch_tokens: first.batch_tokens,
            beta2: first.beta2,
            variant: first.variant.clone(),
            rates: self.rates.clone(),
            lr: None,
            lr_interval: None,
            loss: None,
            why_none: None,
            quadratic: None,
            fitted_range: None,
            is_best_beta2: true,
            se: None,
        };
        let fit = match &self.fit {
            Ok(fit) => fit,
            Err(why) => {
                optimum.why_none = Some(why.to_string());
                return optimum;
            }
        };
        let (b, centre) = (&fit.linear.coefficients, fit.centre);
        optimum.quadratic =
            Some([b[0] - b[1] * centre + b[2] * centre * centre, b[1] - 2.0 * b[2] * centre, b[2]]);
        optimum.fitted_range = Some(fit.range.map(f64::exp));
        match fit.vertex() {
            Err(why) => optimum.why_none = Some(why.to_string()),
            Ok(t) => {
                optimum.lr = Some((centre + t).exp());
                optimum.loss = Some((b[0] + t * (b[1] + t * b[2])).exp());
                if let Some(noise) = noise {
                    optimum.se = Some(noise.sd * fit.slope_variance(t).sqrt() / (2.0 * b[2]));
                    optimum.lr_interval = fit.interval(noise, level);
                }
            }
        }
        optimum
    }
}

/// Through the runs near the best rate, or why there is none.
fn quadratic(rates: &[RateLoss], rows: &[&LrRow]) -> Result<Quadratic, NoOptimum> {
    let known: Vec<(usize, f64)> =
        rates.iter().enumerate().filter_map(|(idx, rate)| Some((idx, rate.loss?))).collect();
    let Some(&(best, best_loss)) = known.iter().min_by(|a, b| a.1.total_cmp(&b.1)) else {
        return Err(NoOptimum::AllDiverged);
    };
    let lr = rates[best].lr;
    if best == 0 {
        return Err(NoOptimum::AtSmallest { lr });
    }
    if best + 1 == rates.len() {
        return Err(NoOptimum::AtLargest { lr });
    }
    if rates[best + 1].loss.is_none() {
        return Err(NoOptimum::NextDiverged { lr, next: rates[best + 1].lr });
    }
    let is_near = |idx: usize| {
        rates[idx].loss.is_some_and(|loss| (loss / best_loss).ln() <= NEAR_LN_LOSS) || idx.abs_diff(best) <= 1
    };
    let (mut first, mut last) = (best, best);
    while first > 0 && is_near(first - 1) {
        first -= 1;
    }
    while last + 1 < rates.len() && is_near(last + 1) {
        last += 1;
    }
    let (low, high) = (rates[first].lr, rates[last].lr);
    let points: Vec<(f64, f64)> = rows
        .iter()
        .filter(|row| (low..=high).contains(&row.lr))
        .filter_map(|row| Some((row.lr.ln(), row.loss?.ln())))
        .collect();
    let centre = points.iter().map(|(x, _)| x).sum::<f64>() / points.len() as f64;
    let table: Vec<_> = points
        .iter()
        .map(|&(x, y)| {
            let t = x - centre;
            (vec![1.0, t, t * t], y, 1.0)
        })
        .collect();
    let linear = least_squares(&table).ok_or(NoOptimum::TooFewRates)?;
    Ok(Quadratic { linear, centre, n_rows: points.len(), range: [low.ln(), high.ln()] })
}

impl Quadratic {
    /// t of the minimum, strictly between the rates.
    fn vertex(&self) -> Result<f64, NoOptimum> {
        let b = &self.linear.coefficients;
        if b[2].is_nan() || b[2] <= 0.0 {
            return Err(NoOptimum::NotConvex);
        }
        let t = -b[1] / (2.0 * b[2]);
        let [low, high] = self.range;
        if t + self.centre <= low || t + self.centre >= high {
            return Err(NoOptimum::AtEdge);
        }
        Ok(t)
    }

    /// Variance of `b1 + 2·b2·t` over that of a row.
    fn slope_variance(&self, t: f64) -> f64 {
        let v = &self.linear.inverse;
        v[1][1] + 4.0 * t * v[1][2] + 4.0 * t * t * v[2][2]
    }

    /// All t at which a slope of zero is not refuted (Fieller 1954): exact where the noise is normal, also where the
    /// curvature is weakly known. `None` where that is no interval.
    fn interval(&self, noise: Noise, level: f64) -> Option<Interval> {
        let (b, v) = (&self.linear.coefficients, &self.linear.inverse);
        let bound = (quantile::student_at(level, noise.df) * noise.sd).powi(2);
        // (b1 + 2·b2·t)² ≤ bound · Var: p·t² + 2·q·t + r ≤ 0.
        let p = 4.0 * (b[2] * b[2] - bound * v[2][2]);
        let q = 2.0 * (b[1] * b[2] - bound * v[1][2]);
        let r = b[1] * b[1] - bound * v[1][1];
        let root = (q * q - p * r).sqrt();
        if p.is_nan() || p <= 0.0 || root.is_nan() {
            return None;
        }
        Some(Interval {
            low: (self.centre + (-q - root) / p).exp(),
            high: (self.centre + (-q + root) / p).exp(),
            level,
            method: format!(
                "Fieller's, noise of {:.2} % in the loss with {} degrees of freedom",
                100.0 * noise.sd,
                noise.df
            ),
            resamples: 0,
        })
    }
}
