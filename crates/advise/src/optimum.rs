//! The best model at a budget: N*, D*, the loss to expect and tokens per parameter, with intervals.

use scalelaw_fit::conclusion::{Fit, Interval};
use serde::{Deserialize, Serialize};

use crate::surface;

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

/// Minimises `fit`'s loss over N at compute `c`, where D follows from `c = k·N·D`.
///
/// The cost `k` of a token and a parameter is that of the fit's own frontier at `c`, so it obeys the
/// rule by which the table was counted. Each resample is minimised in the same way; the interval at
/// `level` spans the middle of the resampled optima (percentile bootstrap). The search is by golden
/// section over ln N, three decades to both sides of the frontier.
///
/// None where the fit has no frontier or its law is not known here.
pub fn compute_optimal(fit: &Fit, c: f64, level: f64) -> Option<Optimum> {
    let frontier = fit.optimum.as_ref()?;
    let (center, product) = (frontier.n(c), frontier.n(c) * frontier.d(c));
    if !(c > 0.0 && center.is_finite() && center > 0.0 && product.is_finite() && product > 0.0) {
        return None;
    }
    let at = |theta: &[f64]| best(fit, theta, center, product);
    let theta: Vec<f64> = fit.params.values().copied().collect();
    let value = at(&theta)?;
    let resampled: Vec<Point> = fit.resamples.iter().filter_map(|theta| at(theta)).collect();
    let estimate = |of: fn(&Point) -> f64| Estimate {
        value: of(&value),
        interval: percentile_interval(fit, resampled.iter().map(of).collect(), level),
    };
    Some(Optimum {
        c,
        n: estimate(|point| point.n),
        d: estimate(|point| point.d),
        loss: estimate(|point| point.loss),
        tokens_per_param: estimate(|point| point.d / point.n),
    })
}

struct Point {
    n: f64,
    d: f64,
    loss: f64,
}

fn best(fit: &Fit, theta: &[f64], center: f64, product: f64) -> Option<Point> {
    const HALF_WIDTH: f64 = 3.0 * std::f64::consts::LN_10;
    let loss = |ln_n: f64| surface::loss(fit, theta, ln_n.exp(), product / ln_n.exp());
    let (low, high) = (center.ln() - HALF_WIDTH, center.ln() + HALF_WIDTH);
    let ln_n = golden_section(|x| loss(x).unwrap_or(f64::INFINITY), low, high);
    // A resample whose optimum lies at the end of the search has none that could be named.
    let is_inside = ln_n - low > 1e-6 && high - ln_n > 1e-6;
    let loss = loss(ln_n).filter(|loss| loss.is_finite() && is_inside)?;
    Some(Point { n: ln_n.exp(), d: product / ln_n.exp(), loss })
}

/// The middle `level` of `values`, with what the fit says of its resampling.
fn percentile_interval(fit: &Fit, values: Vec<f64>, level: f64) -> Option<Interval> {
    let resamples = values.len();
    let (low, high) = surface::middle(values, level)?;
    let method = fit.intervals.values().next().map(|interval| interval.method.clone());
    Some(Interval {
        low,
        high,
        level,
        method: method.unwrap_or_else(|| "percentile bootstrap".to_string()),
        resamples,
    })
}

/// Place of the smallest value of a function with one minimum between `low` and `high`.
fn golden_section(f: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    const RATIO: f64 = 0.618_033_988_749_894_9;
    let (mut left, mut right) = (high - RATIO * (high - low), low + RATIO * (high - low));
    let (mut f_left, mut f_right) = (f(left), f(right));
    while high - low > 1e-9 {
        if f_left < f_right {
            (high, right, f_right) = (right, left, f_left);
            left = high - RATIO * (high - low);
            f_left = f(left);
        } else {
            (low, left, f_left) = (left, right, f_right);
            right = low + RATIO * (high - low);
            f_right = f(right);
        }
    }
    (low + high) / 2.0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use scalelaw_fit::conclusion::{FitStatus, Frontier};

    use super::*;

    /// Hoffmann et al. 2022 as refitted by Besiroglu et al. 2024, with `C = 6·N·D`.
    fn fit(resamples: Vec<Vec<f64>>) -> Fit {
        let params: BTreeMap<String, f64> =
            [("E", 1.8172), ("A", 482.01), ("B", 2085.43), ("alpha", 0.3478), ("beta", 0.3658)]
                .map(|(name, value)| (name.to_string(), value))
                .into();
        let (alpha, beta) = (0.3478, 0.3658);
        let g = (alpha * 482.01_f64 / (beta * 2085.43)).powf(1.0 / (alpha + beta));
        let (a, b) = (beta / (alpha + beta), alpha / (alpha + beta));
        Fit {
            law: "chinchilla".to_string(),
            equation: String::new(),
            status: FitStatus::Converged,
            notes: Vec::new(),
            params,
            objective: 0.0,
            objective_name: String::new(),
            rms_log_residual: 0.0,
            intervals: BTreeMap::new(),
            optimum: Some(Frontier {
                a,
                b,
                n_coefficient: g * 6f64.powf(-a),
                d_coefficient: 6f64.powf(-b) / g,
                intervals: BTreeMap::new(),
            }),
            residuals: Vec::new(),
            holdout: None,
            predictions: Vec::new(),
            resamples,
        }
    }

    #[test]
    fn the_optimum_is_that_of_the_closed_form_and_spends_the_budget() {
        let fit = fit(Vec::new());
        let frontier = fit.optimum.clone().unwrap();
        for c in [1e15, 5.76e23] {
            let optimum = compute_optimal(&fit, c, 0.95).unwrap();
            for (found, truth) in [(optimum.n.value, frontier.n(c)), (optimum.d.value, frontier.d(c))] {
                // Near a minimum a golden section is good to the root of the machine's precision.
                assert!((found / truth - 1.0).abs() < 1e-6, "{c}: {found}, closed form {truth}");
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
        let optimum = compute_optimal(&fit(resamples), 1e18, 0.9).unwrap();
        let interval = optimum.n.interval.unwrap();
        for (found, share) in [(interval.low, 0.55_f64), (interval.high, 1.45)] {
            let expected = optimum.n.value * share.powf(1.0 / (0.3478 + 0.3658));
            assert!((found / expected - 1.0).abs() < 1e-6, "{found}, by hand {expected}");
        }
        assert_eq!(interval.resamples, 101);
    }

    #[test]
    fn without_a_frontier_or_a_known_law_there_is_no_optimum() {
        let mut none = fit(Vec::new());
        none.optimum = None;
        assert_eq!(compute_optimal(&none, 1e18, 0.95), None);
        let mut unknown = fit(Vec::new());
        unknown.law = "mystery".to_string();
        assert_eq!(compute_optimal(&unknown, 1e18, 0.95), None);
        assert_eq!(compute_optimal(&fit(Vec::new()), 0.0, 0.95), None);
    }
}
