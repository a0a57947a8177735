//! Minimum viable investment: the least model, data and compute at which a skill's loss reaches a target with a given
//! probability. Time and money follow from FLOPs at the rates of the machine ([`Rates`]).

use scalelaw_fit::conclusion::RowResidual;
use scalelaw_fit::stats::{LEAST_RESAMPLES, quantile};
use serde::{Deserialize, Serialize};

use super::price::{Price, Rates};
use crate::Surface;

/// The search ends at this factor beyond the largest measured N, and at its square beyond the largest D.
const BEYOND: f64 = 10.0;
/// Sizes at which the least data is searched for.
const N_SIZES: usize = 65;

/// A loss to reach, and how surely.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Loss to reach, nats per token.
    pub loss: f64,
    /// Probability of reaching it, such as 0.9.
    pub probability: f64,
}

/// One way to reach a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Investment {
    /// Parameters.
    pub n: f64,
    /// Training tokens.
    pub d: f64,
    /// Training FLOPs.
    pub flops: f64,
    /// Probability that one run of this size reaches the target.
    pub probability: f64,
    /// Decades of compute beyond the largest run; 0 inside what was measured.
    pub decades_beyond: f64,
    /// Whether N or D lies outside what was measured.
    pub is_beyond_sizes: bool,
    /// Time and money, where the rates are known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub price: Option<Price>,
}

/// The least investments that reach a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Viable {
    /// The target.
    pub target: Target,
    /// Least FLOPs with N and D free.
    pub cheapest: Option<Investment>,
    /// Least FLOPs along the compute-optimal path of the fitted law.
    pub on_path: Option<Investment>,
    /// Least N with no more data than was tried.
    pub least_n: Option<Investment>,
    /// Least D with no larger model than was tried.
    pub least_d: Option<Investment>,
    /// Least data at each size: the line on which the target is just reached.
    pub line: Vec<Investment>,
    /// Probability at the largest measured budget of compute, spent in the best way.
    pub probability_now: f64,
    /// Standard deviation of log loss of a single run, part of every probability.
    pub noise: f64,
    /// Why there is no such investment.
    pub why_none: Option<String>,
}

/// The range of what was measured.
#[derive(Debug, Clone, Copy)]
struct Measured {
    n: [f64; 2],
    d: [f64; 2],
    c: f64,
}

impl Surface<'_> {
    /// Probability that one run of `n` parameters on `d` fresh tokens has a loss of at most `loss`: the share of
    /// the law's resamples that reach it, the noise of a run counted in each.
    ///
    /// None with too few resamples.
    pub fn probability(&self, n: f64, d: f64, loss: f64) -> Option<f64> {
        if self.resamples.len() < LEAST_RESAMPLES || loss.is_nan() || loss <= 0.0 {
            return None;
        }
        let (point, noise) = (self.point(n, d), self.run_noise());
        let shares = self.resamples.iter().map(|params| {
            let gap = loss.ln() - self.law.loss(params, &point).ln();
            if noise > 0.0 { quantile::normal_cdf(gap / noise) } else { f64::from(gap >= 0.0) }
        });
        let share = shares.sum::<f64>() / self.resamples.len() as f64;
        share.is_finite().then_some(share)
    }

    /// The least investments that reach `target`.
    ///
    /// None where the fit has no resamples, no price of tokens, or no rows.
    pub fn viable(&self, target: Target) -> Option<Viable> {
        let measured = self.measured()?;
        let compute = self.compute.as_ref()?;
        self.probability(measured.n[0], measured.d[0], target.loss)?;
        let at = |n: f64, d: f64| {
            let flops = compute.point(n, d).ln_c.exp();
            let outside = |x: f64, range: [f64; 2]| x < range[0] * 0.999 || x > range[1] * 1.001;
            Some(Investment {
                n,
                d,
                flops,
                probability: self.probability(n, d, target.loss)?,
                decades_beyond: (flops / measured.c).log10().max(0.0),
                is_beyond_sizes: outside(n, measured.n) || outside(d, measured.d),
                price: None,
            })
        };
        let least_d_at = |n: f64, highest: f64| -> Option<Investment> {
            let is_enough =
                |d: f64| self.probability(n, d, target.loss).is_some_and(|p| p >= target.probability);
            let d = least(measured.d[0] / BEYOND, highest, is_enough)?;
            at(n, d)
        };
        let line: Vec<Investment> = (0..N_SIZES)
            .map(|idx| {
                let share = idx as f64 / (N_SIZES - 1) as f64;
                (measured.n[0].ln() + share * (BEYOND * measured.n[1] / measured.n[0]).ln()).exp()
            })
            .filter_map(|n| least_d_at(n, measured.d[1] * BEYOND * BEYOND))
            .collect();
        let path = |c: f64| {
            let best = self.best(&self.params, c)?;
            Some((best.n, best.d))
        };
        let is_enough = |c: f64| {
            path(c)
                .and_then(|(n, d)| self.probability(n, d, target.loss))
                .is_some_and(|p| p >= target.probability)
        };
        let highest = measured.c * BEYOND.powi(3);
        let on_path = least(measured.c * 1e-6, highest, is_enough).and_then(path).and_then(|(n, d)| at(n, d));
        let is_n_enough =
            |n: f64| self.probability(n, measured.d[1], target.loss).is_some_and(|p| p >= target.probability);
        let least_n =
            least(measured.n[0], measured.n[1], is_n_enough).and_then(|n| least_d_at(n, measured.d[1]));
        let probability_now = path(measured.c).and_then(|(n, d)| self.probability(n, d, target.loss))?;
        let cheapest = line.iter().min_by(|x, y| x.flops.total_cmp(&y.flops)).cloned();
        let why_none = cheapest.is_none().then(|| {
            format!(
                "no run of up to {BEYOND:.0} times the largest N and {:.0} times the largest D reaches a loss of {} with probability {}",
                BEYOND * BEYOND,
                target.loss,
                target.probability
            )
        });
        Some(Viable {
            target,
            cheapest,
            on_path,
            least_n,
            least_d: least_d_at(measured.n[1], measured.d[1]),
            line,
            probability_now,
            noise: self.run_noise(),
            why_none,
        })
    }

    /// Standard deviation of log loss about the law, for the parameters that were fitted.
    fn run_noise(&self) -> f64 {
        let n = self.fit.residuals.len() as f64;
        let df = (n - self.params.len() as f64).max(1.0);
        self.fit.rms_log_residual * (n.max(1.0) / df).sqrt()
    }

    fn measured(&self) -> Option<Measured> {
        let range = |of: fn(&RowResidual) -> f64| {
            let values = || self.fit.residuals.iter().map(of);
            [values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max)]
        };
        let found = Measured { n: range(|row| row.n), d: range(|row| row.d), c: range(|row| row.c)[1] };
        (found.c > 0.0 && found.n[0] > 0.0 && found.d[0] > 0.0).then_some(found)
    }
}

impl Viable {
    /// The same with the price of every investment beside its FLOPs.
    pub fn priced(self, rates: &Rates) -> Viable {
        let priced = |one: Investment| Investment { price: rates.price(one.n, one.flops), ..one };
        Viable {
            cheapest: self.cheapest.map(priced),
            on_path: self.on_path.map(priced),
            least_n: self.least_n.map(priced),
            least_d: self.least_d.map(priced),
            ..self
        }
    }
}

/// The least x between two ends, by halving of the logarithm, from which on `is_enough`; none where even the
/// highest is not.
fn least(low: f64, high: f64, is_enough: impl Fn(f64) -> bool) -> Option<f64> {
    if !is_enough(high) {
        return None;
    }
    if is_enough(low) {
        return Some(low);
    }
    let (mut low, mut high) = (low.ln(), high.ln());
    while high - low > 1e-6 {
        let middle = 0.5 * (low + high);
        if is_enough(middle.exp()) { high = middle } else { low = middle }
    }
    Some(high.exp())
}

#[cfg(test)]
mod tests {
    use scalelaw_fit::conclusion::Fit;

    use super::*;
    use crate::scaling::testing::fit;

    const PARAMS: [f64; 5] = [482.01, 2085.43, 1.8172, 0.3478, 0.3658];

    /// A law known exactly, with runs of 1 % noise from 1e15 to 1e18 FLOPs.
    fn known(resamples: Vec<Vec<f64>>) -> Fit {
        let row = |n: f64, d: f64| RowResidual {
            name: String::new(),
            n,
            d,
            c: 6.0 * n * d,
            loss: 1.0,
            fitted: 1.0,
            residual: 0.01,
        };
        Fit {
            residuals: vec![row(1e6, 1.0 / 6.0 * 1e9), row(1e9, 1.0 / 6.0 * 1e9), row(1e8, 1e10)],
            rms_log_residual: 0.0,
            ..fit(resamples)
        }
    }

    #[test]
    fn a_law_known_exactly_reaches_its_target_at_the_compute_of_its_frontier() {
        let fit = known(vec![PARAMS.to_vec(); 50]);
        let surface = Surface::new(&fit).unwrap();
        let truth = surface.optimum(1e18, 0.95).unwrap();
        let found = surface.viable(Target { loss: truth.loss.value, probability: 0.9 }).unwrap();
        let on_path = found.on_path.unwrap();
        assert!((on_path.flops / 1e18 - 1.0).abs() < 1e-4, "{on_path:?}");
        assert!((on_path.n / truth.n.value - 1.0).abs() < 1e-4);
        // The sizes of the line are 15 % apart and the loss is flat at its least.
        let cheapest = found.cheapest.unwrap();
        assert!((cheapest.flops / 1e18 - 1.0).abs() < 0.01, "{cheapest:?}");
        assert!(found.line.iter().all(|one| one.flops > 0.9999e18));
        // N with the largest D, and D with the largest N, both in closed form.
        let [a, b, e, alpha, beta] = PARAMS;
        let n = (a / (truth.loss.value - e - b / 1e10_f64.powf(beta))).powf(1.0 / alpha);
        let d = (b / (truth.loss.value - e - a / 1e9_f64.powf(alpha))).powf(1.0 / beta);
        assert!((found.least_n.unwrap().n / n - 1.0).abs() < 1e-4);
        assert!((found.least_d.unwrap().d / d - 1.0).abs() < 1e-4);
    }

    #[test]
    fn noise_of_a_run_and_uncertainty_of_the_law_need_more_compute() {
        let exact = known(vec![PARAMS.to_vec(); 50]);
        let noisy = Fit { rms_log_residual: 0.01, ..known(vec![PARAMS.to_vec(); 50]) };
        let doubtful = known(
            (0..101)
                .map(|i| {
                    let mut params = PARAMS.to_vec();
                    params[2] += 0.001 * f64::from(i - 50);
                    params
                })
                .collect(),
        );
        let target = Target { loss: 3.0, probability: 0.9 };
        let flops = |fit: &Fit| Surface::new(fit).unwrap().viable(target).unwrap().on_path.unwrap();
        let (plain, noise, doubt) = (flops(&exact), flops(&noisy), flops(&doubtful));
        assert!(noise.flops > plain.flops * 1.01 && doubt.flops > plain.flops * 1.01);
        // The law has to lie 1.2816 standard deviations below the target; three rows and five parameters
        // leave one degree of freedom, so the noise counts √3 times.
        let expected = 3.0 * (-1.281_551_6 * 0.01 * 3f64.sqrt()).exp();
        let loss = Surface::new(&noisy).unwrap().loss(noise.n, noise.d).unwrap();
        assert!((loss - expected).abs() < 1e-4, "{loss}, by hand {expected}");
        // Nine in ten of the floors lie below the ninetieth.
        let loss = Surface::new(&doubtful).unwrap().loss(doubt.n, doubt.d).unwrap();
        assert!((3.0 - loss - 0.040).abs() < 2e-3, "{loss}");
    }

    #[test]
    fn a_target_below_the_floor_is_not_reached_and_the_reason_is_given() {
        let fit = known(vec![PARAMS.to_vec(); 50]);
        let found = Surface::new(&fit).unwrap().viable(Target { loss: 1.8, probability: 0.9 }).unwrap();
        assert!(found.cheapest.is_none() && found.on_path.is_none() && found.why_none.is_some());
        assert_eq!(found.probability_now, 0.0);
        let bare = known(Vec::new());
        assert!(Surface::new(&bare).unwrap().viable(Target { loss: 3.0, probability: 0.9 }).is_none());
    }
}
