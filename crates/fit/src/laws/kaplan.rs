//! Kaplan's L(N, D), with and without a floor, and L(N, S_min).

use super::jet::{Jet, Scalar};
use super::law::{Axis, Link, ScalingLaw, TradeOff, Variable, derivatives_by_jets, exponent, floor};
use crate::row::Point;
use crate::stats::linalg::Square;

/// `L = ((Nc/N)^(alpha_n/alpha_d) + Dc/D)^alpha_d`. Inside: `L = (A/N^p + B/D)^q`.
pub struct Kaplan;

/// The same plus a floor.
pub struct KaplanFloor;

/// `L = (Nc/N)^alpha_n + (Sc/S)^alpha_s`, with steps S (at the critical batch's limit, S_min) in place of D.
pub struct KaplanSteps;

const RATIO: Axis = Axis {
    name: "alpha_n/alpha_d",
    low: 0.02,
    high: 20.0,
    grid: &[0.15, 0.3, 0.5, 0.7, 0.9, 1.2, 1.7, 2.5],
    in_losses: false,
};
const SOURCE: &str = "Kaplan et al. 2020 (arXiv:2001.08361), equation 1.5";

/// From (A, B, p, q) about a centre to (alpha_n, alpha_d, Nc, Dc).
fn to_paper(a: f64, b: f64, p: f64, q: f64, centre: &Point) -> [f64; 4] {
    [p * q, q, (a.ln() / p + centre.ln_n).exp(), b * centre.ln_d.exp()]
}

fn from_paper(paper: &[f64], centre: &Point) -> [f64; 4] {
    let (p, q) = (paper[0] / paper[1], paper[1]);
    [(p * (paper[2].ln() - centre.ln_n)).exp(), paper[3] * (-centre.ln_d).exp(), p, q]
}

fn reducible(paper: &[f64], point: &Point) -> f64 {
    let [a, b, p, q] = from_paper(paper, &Point::default());
    (a * (-p * point.ln_n).exp() + b * (-point.ln_d).exp()).powf(q)
}

fn trade_off(paper: &[f64]) -> TradeOff {
    let alpha = paper[0] / paper[1];
    TradeOff { ln_a: alpha * paper[2].ln(), alpha, ln_b: paper[3].ln(), beta: 1.0 }
}

fn basis(p: f64, point: &Point, out: &mut [f64]) {
    out[0] = (-p * point.ln_n).exp();
    out[1] = (-point.ln_d).exp();
}

fn ln_sum<T: Scalar>(a: T, b: T, p: T, point: &Point) -> T {
    (a * p.scale(-point.ln_n).exp() + b.scale((-point.ln_d).exp())).ln()
}

impl Kaplan {
    fn form<T: Scalar>(&self, theta: &[T], point: &Point) -> T {
        theta[3] * ln_sum(theta[0], theta[1], theta[2], point)
    }
}

impl ScalingLaw for Kaplan {
    fn name(&self) -> &'static str {
        "kaplan"
    }
    fn equation(&self) -> &'static str {
        "L = ((Nc/N)^(alpha_n/alpha_d) + Dc/D)^alpha_d"
    }
    fn source(&self) -> &'static str {
        SOURCE
    }
    fn param_names(&self) -> &'static [&'static str] {
        &["alpha_n", "alpha_d", "Nc", "Dc"]
    }
    fn variables(&self) -> &'static [Variable] {
        &[Variable::N, Variable::D]
    }
    fn loss(&self, params: &[f64], point: &Point) -> f64 {
        reducible(params, point)
    }
    fn n_linear(&self) -> usize {
        2
    }
    fn axes(&self) -> &'static [Axis] {
        const AXES: [Axis; 2] = [RATIO, exponent("alpha_d")];
        &AXES
    }
    fn basis(&self, outer: &[f64], point: &Point, out: &mut [f64]) {
        basis(outer[0], point, out);
    }
    fn link(&self, outer: &[f64]) -> Link {
        Link { floor: 0.0, power: outer[1] }
    }
    derivatives_by_jets!(4);
    fn params(&self, theta: &[f64], centre: &Point) -> Vec<f64> {
        to_paper(theta[0], theta[1], theta[2], theta[3], centre).to_vec()
    }
    fn theta(&self, params: &[f64], centre: &Point) -> Vec<f64> {
        from_paper(params, centre).to_vec()
    }
    fn trade_off(&self, params: &[f64]) -> Option<TradeOff> {
        Some(trade_off(params))
    }
}

impl KaplanFloor {
    fn form<T: Scalar>(&self, theta: &[T], point: &Point) -> T {
        let reducible = (theta[3] * ln_sum(theta[0], theta[1], theta[2], point)).exp();
        (theta[4] + reducible).ln()
    }
}

impl ScalingLaw for KaplanFloor {
    fn name(&self) -> &'static str {
        "kaplan-floor"
    }
    fn equation(&self) -> &'static str {
        "L = E + ((Nc/N)^(alpha_n/alpha_d) + Dc/D)^alpha_d"
    }
    fn source(&self) -> &'static str {
        "Kaplan et al. 2020 (arXiv:2001.08361), equation 1.5, plus a floor"
    }
    fn param_names(&self) -> &'static [&'static str] {
        &["alpha_n", "alpha_d", "Nc", "Dc", "E"]
    }
    fn variables(&self) -> &'static [Variable] {
        &[Variable::N, Variable::D]
    }
    fn loss(&self, params: &[f64], point: &Point) -> f64 {
        params[4] + reducible(params, point)
    }
    fn n_linear(&self) -> usize {
        2
    }
    fn axes(&self) -> &'static [Axis] {
        const AXES: [Axis; 3] = [RATIO, exponent("alpha_d"), floor("E")];
        &AXES
    }
    fn basis(&self, outer: &[f64], point: &Point, out: &mut [f64]) {
        basis(outer[0], point, out);
    }
    fn link(&self, outer: &[f64]) -> Link {
        Link { floor: outer[2], power: outer[1] }
    }
    derivatives_by_jets!(5);
    fn params(&self, theta: &[f64], centre: &Point) -> Vec<f64> {
        let mut params = to_paper(theta[0], theta[1], theta[2], theta[3], centre).to_vec();
        params.push(theta[4]);
        params
    }
    fn theta(&self, params: &[f64], centre: &Point) -> Vec<f64> {
        let mut theta = from_paper(params, centre).to_vec();
        theta.push(params[4]);
        theta
    }
    fn trade_off(&self, params: &[f64]) -> Option<TradeOff> {
        Some(trade_off(params))
    }
}

impl KaplanSteps {
    fn form<T: Scalar>(&self, theta: &[T], point: &Point) -> T {
        let [a, b, alpha, beta] = [theta[0], theta[1], theta[2], theta[3]];
        (a * alpha.scale(-point.ln_n).exp() + b * beta.scale(-point.ln_d).exp()).ln()
    }
}

impl ScalingLaw for KaplanSteps {
    fn name(&self) -> &'static str {
        "kaplan-steps"
    }
    fn equation(&self) -> &'static str {
        "L = (Nc/N)^alpha_n + (Sc/S)^alpha_s, S in place of D"
    }
    fn source(&self) -> &'static str {
        "Kaplan et al. 2020 (arXiv:2001.08361), equation 1.6"
    }
    fn param_names(&self) -> &'static [&'static str] {
        &["alpha_n", "alpha_s", "Nc", "Sc"]
    }
    fn variables(&self) -> &'static [Variable] {
        &[Variable::N, Variable::D]
    }
    fn loss(&self, params: &[f64], point: &Point) -> f64 {
        (params[0] * (params[2].ln() - point.ln_n)).exp() + (params[1] * (params[3].ln() - point.ln_d)).exp()
    }
    fn n_linear(&self) -> usize {
        2
    }
    fn axes(&self) -> &'static [Axis] {
        const AXES: [Axis; 2] = [exponent("alpha_n"), exponent("alpha_s")];
        &AXES
    }
    fn basis(&self, outer: &[f64], point: &Point, out: &mut [f64]) {
        out[0] = (-outer[0] * point.ln_n).exp();
        out[1] = (-outer[1] * point.ln_d).exp();
    }
    derivatives_by_jets!(4);
    fn params(&self, theta: &[f64], centre: &Point) -> Vec<f64> {
        let scale = |coefficient: f64, exponent: f64, ln_0: f64| (coefficient.ln() / exponent + ln_0).exp();
        vec![
            theta[2],
            theta[3],
            scale(theta[0], theta[2], centre.ln_n),
            scale(theta[1], theta[3], centre.ln_d),
        ]
    }
    fn theta(&self, params: &[f64], centre: &Point) -> Vec<f64> {
        let coefficient = |scale: f64, exponent: f64, ln_0: f64| (exponent * (scale.ln() - ln_0)).exp();
        vec![
            coefficient(params[2], params[0], centre.ln_n),
            coefficient(params[3], params[1], centre.ln_d),
            params[0],
            params[1],
        ]
    }
    // Steps are no tokens until a batch is given: there is no frontier in N and D.
}
