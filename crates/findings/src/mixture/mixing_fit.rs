//! The search of a mixing law: over c, with the rest solved inside.

use scalelaw_fit::Objective;
use scalelaw_fit::stats::linalg::{self, ZERO};
use scalelaw_fit::stats::{NormalEquations, huber_delta};

/// Parameters of a mixing law.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MixingParams {
    /// Loss that no mixture lowers, nats per token.
    pub c: f64,
    /// Loss above `c` at the mean mixture.
    pub k: f64,
    /// Slope of each source.
    pub t: Vec<f64>,
}

/// A one for ln k, then all shares but the last relative to their means.
pub(crate) fn row(shares: &[f64], mean: &[f64]) -> Vec<f64> {
    let others = shares.iter().zip(mean).take(mean.len() - 1).map(|(share, mean)| share - mean);
    std::iter::once(1.0).chain(others).collect()
}

/// Rows of a mixing law.
pub(crate) struct Design {
    /// As [`row`] makes them.
    pub x: Vec<Vec<f64>>,
    /// Sources but one.
    pub n_slopes: usize,
}

/// Parameters: c, and (ln k, slopes relative to the last source).
#[derive(Debug, Clone)]
pub(crate) struct Theta {
    c: f64,
    b: Vec<f64>,
}

impl Theta {
    fn reducible(&self, x: &[f64]) -> f64 {
        self.b.iter().zip(x).map(|(b, x)| b * x).sum::<f64>().exp()
    }

    pub fn ln_loss(&self, x: &[f64]) -> f64 {
        (self.c + self.reducible(x)).ln()
    }

    pub fn params(&self) -> MixingParams {
        let n_sources = self.b.len() as f64;
        let mean = self.b[1..].iter().sum::<f64>() / n_sources;
        // The last source has slope zero, until all are shifted to sum to zero.
        let t = self.b[1..].iter().copied().chain([0.0]).map(|t| t - mean).collect();
        MixingParams { c: self.c, k: self.b[0].exp(), t }
    }
}

impl Design {
    fn n_inner(&self) -> usize {
        self.n_slopes + 1
    }

    /// By least squares, then by Huber's loss at 2.5 of the residuals' spreads.
    pub fn fit(&self, ln_loss: &[f64]) -> Option<(Objective, Theta)> {
        let squares = self.fit_by(ln_loss, Objective::LogMse)?;
        let sizes = self.x.iter().zip(ln_loss).map(|(x, y)| (squares.ln_loss(x) - y).abs()).collect();
        let objective = Objective::LogHuber(huber_delta(sizes, self.n_inner() + 1)?);
        Some((objective, self.fit_by(ln_loss, objective)?))
    }

    /// Over the share of the smallest loss that is above c: coarsely, then by golden section.
    pub fn fit_by(&self, ln_loss: &[f64], objective: Objective) -> Option<Theta> {
        let smallest = ln_loss.iter().copied().fold(f64::INFINITY, f64::min).exp();
        // From all of the smallest loss (c = 0) to a hundredth of it.
        let lowest = 0.01_f64.ln();
        let at = |ln_share: f64| {
            let c = smallest * (1.0 - ln_share.min(0.0).exp()).max(0.0);
            let theta = self.inner(c, ln_loss, objective)?;
            let value = self.value(&theta, ln_loss, objective);
            value.is_finite().then_some((value, theta))
        };
        let n_steps = 14;
        let grid: Vec<(f64, f64)> = (0..=n_steps)
            .map(|i| lowest * f64::from(i) / f64::from(n_steps))
            .map(|x| (x, at(x).map_or(f64::INFINITY, |found| found.0)))
            .collect();
        let best = (0..grid.len()).min_by(|&i, &j| grid[i].1.total_cmp(&grid[j].1))?;
        let (mut high, mut low) = (grid[best.saturating_sub(1)].0, grid[(best + 1).min(grid.len() - 1)].0);
        let golden = 0.5 * (5f64.sqrt() - 1.0);
        let value = |x: f64| at(x).map_or(f64::INFINITY, |found| found.0);
        let (mut x1, mut x2) = (high - golden * (high - low), low + golden * (high - low));
        let (mut f1, mut f2) = (value(x1), value(x2));
        for _ in 0..22 {
            if f1 <= f2 {
                (high, x2, f2) = (x2, x1, f1);
                x1 = high - golden * (high - low);
                f1 = value(x1);
            } else {
                (low, x1, f1) = (x1, x2, f2);
                x2 = low + golden * (high - low);
                f2 = value(x2);
            }
        }
        let refined = [0.5 * (low + high), grid[best].0].into_iter().filter_map(at);
        refined.min_by(|x, y| x.0.total_cmp(&y.0)).map(|found| found.1)
    }

    fn value(&self, theta: &Theta, ln_loss: &[f64], objective: Objective) -> f64 {
        self.x.iter().zip(ln_loss).map(|(x, y)| objective.at(theta.ln_loss(x) - y).value).sum()
    }

    /// The rest at a given c: reweighted Gauss-Newton steps, halved where they do not help.
    fn inner(&self, c: f64, ln_loss: &[f64], objective: Objective) -> Option<Theta> {
        let p = self.n_inner();
        // From the logarithm of the reducible part, weighted as log loss sees it.
        let reducible: Vec<f64> = ln_loss.iter().map(|y| (y.exp() - c).max(1e-3 * y.exp())).collect();
        let rows = self.x.iter().zip(reducible.iter().zip(ln_loss)).map(|(x, (reducible, y))| {
            let weight = (reducible / y.exp()).powi(2);
            (x.as_slice(), reducible.ln(), weight)
        });
        let mut theta = Theta { c, b: solve(rows, p)? };
        let mut value = self.value(&theta, ln_loss, objective);
        for _ in 0..40 {
            let rows = self.x.iter().zip(ln_loss).map(|(x, y)| {
                let reducible = theta.reducible(x);
                let slope = reducible / (c + reducible);
                let residual = theta.ln_loss(x) - y;
                // One step of `slope · x·step = −residual`, weighed by Huber.
                (x.as_slice(), -residual / slope, slope * slope * objective.at(residual).weight)
            });
            let step = solve(rows, p)?;
            let mut share = 1.0;
            let moved = loop {
                let b = theta.b.iter().zip(&step).map(|(b, step)| b + share * step).collect();
                let trial = Theta { c, b };
                let found = self.value(&trial, ln_loss, objective);
                if found < value {
                    break Some((found, trial));
                }
                share *= 0.5;
                if share < 1e-3 {
                    break None;
                }
            };
            let Some((found, trial)) = moved else { break };
            let is_done = value - found <= 1e-10 * value;
            (value, theta) = (found, trial);
            if is_done {
                break;
            }
        }
        Some(theta)
    }

    /// Leverage of each row.
    pub fn leverages(&self, theta: &Theta) -> Option<Vec<f64>> {
        let p = self.n_inner() + 1;
        let slopes: Vec<Vec<f64>> = self
            .x
            .iter()
            .map(|x| {
                let reducible = theta.reducible(x);
                let loss = theta.c + reducible;
                std::iter::once(1.0 / loss).chain(x.iter().map(|x| x * reducible / loss)).collect()
            })
            .collect();
        let mut gram = ZERO;
        for slope in &slopes {
            linalg::add_outer(&mut gram, slope, 1.0);
        }
        // Where c cannot be separated from k, the rest is still known.
        let (inverse, first) = match linalg::inverse(&gram, p) {
            Some(whole) => (whole, 0),
            None => {
                let mut rest = ZERO;
                for slope in &slopes {
                    linalg::add_outer(&mut rest, &slope[1..], 1.0);
                }
                (linalg::inverse(&rest, p - 1)?, 1)
            }
        };
        let leverage = |slope: &Vec<f64>| {
            let slope = &slope[first..];
            let row = |i: usize| (0..slope.len()).map(|j| inverse[i][j] * slope[j]).sum::<f64>();
            (0..slope.len()).map(|i| slope[i] * row(i)).sum::<f64>()
        };
        Some(slopes.iter().map(leverage).collect())
    }
}

/// Weighted least squares over `(x, y, weight)`; `None` where x does not vary in all directions.
fn solve<'r>(rows: impl Iterator<Item = (&'r [f64], f64, f64)>, p: usize) -> Option<Vec<f64>> {
    let mut equations = NormalEquations::new(p);
    for (x, y, weight) in rows {
        equations.add(x, y, weight);
    }
    let solution = equations.solve()?;
    solution[..p].iter().all(|x| x.is_finite()).then(|| solution[..p].to_vec())
}
