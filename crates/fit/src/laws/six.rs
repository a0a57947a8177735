//! The six-parameter law, Chinchilla's with a power around the sum.

use super::jet::{Jet, Scalar};
use super::law::{Axis, Link, ScalingLaw, TradeOff, Variable, derivatives_by_jets, floor};
use crate::row::Point;
use crate::stats::linalg::Square;

/// `L = E + (A/N^alpha + B/D^beta)^gamma`.
pub struct Six;

// gamma multiplies the exponents: inside it they are tried up to larger values than elsewhere.
const INNER: &[f64] = &[0.1, 0.25, 0.5, 0.9, 1.6];

const fn inner(name: &'static str) -> Axis {
    Axis { name, low: 0.005, high: 8.0, grid: INNER, in_losses: false }
}

const AXES: [Axis; 4] = [
    inner("alpha"),
    inner("beta"),
    Axis { name: "gamma", low: 0.05, high: 10.0, grid: &[0.25, 0.5, 1.0, 2.0], in_losses: false },
    floor("E"),
];

impl Six {
    fn form<T: Scalar>(&self, theta: &[T], point: &Point) -> T {
        let [a, b, alpha, beta, gamma, e] = [theta[0], theta[1], theta[2], theta[3], theta[4], theta[5]];
        let sum = a * alpha.scale(-point.ln_n).exp() + b * beta.scale(-point.ln_d).exp();
        (e + (gamma * sum.ln()).exp()).ln()
    }
}

impl ScalingLaw for Six {
    fn name(&self) -> &'static str {
        "six"
    }
    fn equation(&self) -> &'static str {
        "L = E + (A/N^alpha + B/D^beta)^gamma"
    }
    fn source(&self) -> &'static str {
        "the common generalisation of Hoffmann et al. 2022 (gamma = 1) and Kaplan et al. 2020 (E = 0, beta = 1); \
         Videau et al. 2026 fit it with gamma of 0.31 to 0.45"
    }
    fn param_names(&self) -> &'static [&'static str] {
        &["E", "A", "B", "alpha", "beta", "gamma"]
    }
    fn variables(&self) -> &'static [Variable] {
        &[Variable::N, Variable::D]
    }
    fn loss(&self, params: &[f64], point: &Point) -> f64 {
        let [e, a, b, alpha, beta, gamma] = std::array::from_fn(|idx| params[idx]);
        let sum = (a.ln() - alpha * point.ln_n).exp() + (b.ln() - beta * point.ln_d).exp();
        e + sum.powf(gamma)
    }
    fn n_linear(&self) -> usize {
        2
    }
    fn axes(&self) -> &'static [Axis] {
        &AXES
    }
    fn basis(&self, outer: &[f64], point: &Point, out: &mut [f64]) {
        out[0] = (-outer[0] * point.ln_n).exp();
        out[1] = (-outer[1] * point.ln_d).exp();
    }
    fn link(&self, outer: &[f64]) -> Link {
        Link { floor: outer[3], power: outer[2] }
    }
    derivatives_by_jets!(6);
    fn params(&self, theta: &[f64], centre: &Point) -> Vec<f64> {
        let a = theta[0] * (theta[2] * centre.ln_n).exp();
        let b = theta[1] * (theta[3] * centre.ln_d).exp();
        vec![theta[5], a, b, theta[2], theta[3], theta[4]]
    }
    fn theta(&self, params: &[f64], centre: &Point) -> Vec<f64> {
        let a = params[1] * (-params[3] * centre.ln_n).exp();
        let b = params[2] * (-params[4] * centre.ln_d).exp();
        vec![a, b, params[3], params[4], params[5], params[0]]
    }
    fn trade_off(&self, params: &[f64]) -> Option<TradeOff> {
        Some(TradeOff { ln_a: params[1].ln(), alpha: params[3], ln_b: params[2].ln(), beta: params[4] })
    }
}
