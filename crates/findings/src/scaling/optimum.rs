//! The best model at a budget: N*, D*, the loss to expect and tokens per parameter, with intervals.

use scalelaw_fit::conclusion::Interval;
use serde::{Deserialize, Serialize};

use super::surface::Surface;

/// A value with its interval, where the fit was resampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// From the fitted parameters.
    pub value: f64,
    /// From the fit's resamples.
    pub interval: Option<Interval>,
}

/// What is best at one budget of compute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Optimum {
    /// The budget, FLOPs.
    pub c: f64,
    /// Parameters.
    pub n: Estimate,
    /// Training tokens.
    pub d: Estimate,
    /// Loss there, nats per token; the interval is of the law, without the noise of a single run.
    pub loss: Estimate,
    /// `d / n`.
    pub tokens_per_param: Estimate,
}

impl Surface<'_> {
    /// The least loss along a budget of `c` FLOPs, with N and D that spend it.
    ///
    /// The cost of a token follows the rows of the table (`C = k·N^kappa·D`), so it obeys the rule by
    /// which they were counted, and N* is in closed form (Hoffmann et al. 2022, equation 4). Each resample
    /// has its own optimum; the interval at `level` spans the middle of them.
    ///
    /// None where the law does not trade N against D.
    pub fn optimum(&self, c: f64, level: f64) -> Option<Optimum> {
        if !(c > 0.0 && c.is_finite()) {
            return None;
        }
        let value = self.best(&self.params, c)?;
        let resampled: Vec<Point> = self.resamples.iter().filter_map(|params| self.best(params, c)).collect();
        let estimate = |of: fn(&Point) -> f64| Estimate {
            value: of(&value),
            interval: self.interval(resampled.iter().map(of).collect(), level),
        };
        Some(Optimum {
            c,
            n: estimate(|point| point.n),
            d: estimate(|point| point.d),
            loss: estimate(|point| point.loss),
            tokens_per_param: estimate(|point| point.d / point.n),
        })
    }

    /// The optimum with its intervals of N, D and D/N replaced by those that follow from the fit's own
    /// interval of `log10 N*` at the same budget: D falls as N rises along a budget.
    pub fn with_log10_n(&self, optimum: Optimum, log10_n: &Interval) -> Optimum {
        let Some(compute) = &self.compute else { return optimum };
        let n = [10f64.powf(log10_n.low), 10f64.powf(log10_n.high)];
        let d = n.map(|n| compute.ln_d(n.ln(), optimum.c.ln()).exp());
        let between = |low: f64, high: f64| {
            let is_usable = low.is_finite() && high.is_finite();
            is_usable.then(|| Interval { low, high, ..log10_n.clone() })
        };
        Optimum {
            n: Estimate { interval: between(n[0], n[1]), ..optimum.n },
            d: Estimate { interval: between(d[1], d[0]), ..optimum.d },
            tokens_per_param: Estimate {
                interval: between(d[1] / n[1], d[0] / n[0]),
                ..optimum.tokens_per_param
            },
            ..optimum
        }
    }

    /// The least loss along a budget of `c` FLOPs by the law with these parameters.
    pub(crate) fn best(&self, params: &[f64], c: f64) -> Option<Point> {
        let compute = self.compute.as_ref()?;
        let (_, ln_n) = compute.optimum(&self.law.trade_off(params)?, c.ln())?;
        let (n, d) = (ln_n.exp(), compute.ln_d(ln_n, c.ln()).exp());
        let loss = self.law.loss(params, &compute.point(n, d));
        (n > 0.0 && d > 0.0 && [n, d, loss].iter().all(|x| x.is_finite())).then_some(Point { n, d, loss })
    }

    /// With what the fit says of its resampling.
    fn interval(&self, values: Vec<f64>, level: f64) -> Option<Interval> {
        let resamples = values.len();
        let (low, high) = self.middle(values, level)?;
        let of_resamples = self.fit.intervals.values().find(|interval| interval.resamples > 0);
        let method = of_resamples.map_or("percentiles of the bootstrap", |interval| &interval.method);
        Some(Interval { low, high, level, method: method.to_string(), resamples })
    }
}

/// A run with its loss.
pub(crate) struct Point {
    pub n: f64,
    pub d: f64,
    loss: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::testing::fit;

    #[test]
    fn the_optimum_is_that_of_the_closed_form_and_spends_the_budget() {
        let fit = fit(Vec::new());
        let frontier = fit.optimum.clone().unwrap();
        for c in [1e15, 5.76e23] {
            let optimum = Surface::new(&fit).unwrap().optimum(c, 0.95).unwrap();
            for (found, truth) in [(optimum.n.value, frontier.n(c)), (optimum.d.value, frontier.d(c))] {
                assert!((found / truth - 1.0).abs() < 1e-9, "{c}: {found}, closed form {truth}");
            }
            assert!((6.0 * optimum.n.value * optimum.d.value / c - 1.0).abs() < 1e-9);
            assert_eq!(optimum.n.interval, None);
        }
    }

    #[test]
    fn the_interval_spans_the_middle_of_the_resampled_optima() {
        // In the order of the sorted names A, B, E, alpha, beta. N* grows as A^(1/(alpha+beta)), so A
        // from 0.5 to 1.5 of its value moves N* in a known way.
        let resamples = (0..=100)
            .map(|i| vec![482.01 * (0.5 + i as f64 / 100.0), 2085.43, 1.8172, 0.3478, 0.3658])
            .collect();
        let fit = fit(resamples);
        let optimum = Surface::new(&fit).unwrap().optimum(1e18, 0.9).unwrap();
        let interval = optimum.n.interval.unwrap();
        for (found, share) in [(interval.low, 0.55_f64), (interval.high, 1.45)] {
            let expected = optimum.n.value * share.powf(1.0 / (0.3478 + 0.3658));
            assert!((found / expected - 1.0).abs() < 1e-6, "{found}, by hand {expected}");
        }
        assert_eq!(interval.resamples, 101);
    }

    #[test]
    fn an_interval_of_n_decides_those_of_d_and_their_ratio() {
        let fit = fit(Vec::new());
        let surface = Surface::new(&fit).unwrap();
        let interval =
            Interval { low: 6.0, high: 7.0, level: 0.95, method: "by hand".to_string(), resamples: 0 };
        let optimum = surface.with_log10_n(surface.optimum(6e18, 0.95).unwrap(), &interval);
        // With C = 6·N·D a budget of 6e18 buys 1e18 tokens times parameters.
        for (found, low, high) in [
            (optimum.n.interval, 1e6, 1e7),
            (optimum.d.interval, 1e11, 1e12),
            (optimum.tokens_per_param.interval, 1e4, 1e6),
        ] {
            let found = found.unwrap();
            assert!(
                (found.low / low - 1.0).abs() < 1e-6 && (found.high / high - 1.0).abs() < 1e-6,
                "{found:?}"
            );
        }
    }

    #[test]
    fn without_a_budget_or_a_price_of_tokens_there_is_no_optimum() {
        let mut fit = fit(Vec::new());
        assert_eq!(Surface::new(&fit).unwrap().optimum(0.0, 0.95), None);
        fit.optimum = None;
        assert_eq!(Surface::new(&fit).unwrap().optimum(1e18, 0.95), None);
    }
}
