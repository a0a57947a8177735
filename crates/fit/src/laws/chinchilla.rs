//! Chinchilla's law, L = E + A/N^alpha + B/D^beta, also with one exponent and without its floor.

use super::jet::{Jet, Scalar};
use super::law::{Axis, ScalingLaw, TradeOff, Variable, derivatives_by_jets, exponent};
use crate::row::Point;
use crate::stats::linalg::Square;

/// Hoffmann et al. 2022, approach 3.
pub struct Chinchilla;

/// The same with `beta = alpha`.
pub struct ChinchillaTied;

/// The same with `E = 0`.
pub struct ChinchillaNoFloor;

const SOURCE: &str = "Hoffmann et al. 2022 (arXiv:2203.15556), equation 2";

fn loss(e: f64, a: f64, b: f64, alpha: f64, beta: f64, point: &Point) -> f64 {
    e + (a.ln() - alpha * point.ln_n).exp() + (b.ln() - beta * point.ln_d).exp()
}

impl ScalingLaw for Chinchilla {
    fn name(&self) -> &'static str {
        "chinchilla"
    }
    fn equation(&self) -> &'static str {
        "L = E + A/N^alpha + B/D^beta"
    }
    fn source(&self) -> &'static str {
        SOURCE
    }
    fn param_names(&self) -> &'static [&'static str] {
        &["E", "A", "B", "alpha", "beta"]
    }
    fn variables(&self) -> &'static [Variable] {
        &[Variable::N, Variable::D]
    }
    fn loss(&self, params: &[f64], point: &Point) -> f64 {
        loss(params[0], params[1], params[2], params[3], params[4], point)
    }
    fn n_linear(&self) -> usize {
        3
    }
    fn axes(&self) -> &'static [Axis] {
        const AXES: [Axis; 2] = [exponent("alpha"), exponent("beta")];
        &AXES
    }
    fn basis(&self, outer: &[f64], point: &Point, out: &mut [f64]) {
        out[0] = 1.0;
        out[1] = (-outer[0] * point.ln_n).exp();
        out[2] = (-outer[1] * point.ln_d).exp();
    }
    fn log_loss(&self, theta: &[f64], point: &Point) -> f64 {
        let sum =
            theta[0] + theta[1] * (-theta[3] * point.ln_n).exp() + theta[2] * (-theta[4] * point.ln_d).exp();
        sum.ln()
    }
    // By hand, not by jets: a bootstrap spends all its time here.
    fn derivatives(&self, theta: &[f64], point: &Point, grad: &mut [f64], hess: &mut Square) -> f64 {
        let (x, y) = (point.ln_n, point.ln_d);
        let phi = (-theta[3] * x).exp();
        let psi = (-theta[4] * y).exp();
        let (u, v) = (theta[1] * phi, theta[2] * psi);
        let sum = theta[0] + u + v;
        let inv = 1.0 / sum;
        let g = [inv, phi * inv, psi * inv, -x * u * inv, -y * v * inv];
        grad[..5].copy_from_slice(&g);
        for i in 0..5 {
            for j in 0..=i {
                hess[i][j] = -g[i] * g[j];
            }
        }
        hess[3][1] -= x * g[1];
        hess[3][3] -= x * g[3];
        hess[4][2] -= y * g[2];
        hess[4][4] -= y * g[4];
        for i in 0..5 {
            for j in 0..i {
                hess[j][i] = hess[i][j];
            }
        }
        sum.ln()
    }
    fn params(&self, theta: &[f64], centre: &Point) -> Vec<f64> {
        let a = theta[1] * (theta[3] * centre.ln_n).exp();
        let b = theta[2] * (theta[4] * centre.ln_d).exp();
        vec![theta[0], a, b, theta[3], theta[4]]
    }
    fn theta(&self, params: &[f64], centre: &Point) -> Vec<f64> {
        let a = params[1] * (-params[3] * centre.ln_n).exp();
        let b = params[2] * (-params[4] * centre.ln_d).exp();
        vec![params[0], a, b, params[3], params[4]]
    }
    fn trade_off(&self, params: &[f64]) -> Option<TradeOff> {
        Some(TradeOff { ln_a: params[1].ln(), alpha: params[3], ln_b: params[2].ln(), beta: params[4] })
    }
}

impl ChinchillaTied {
    fn form<T: Scalar>(&self, theta: &[T], point: &Point) -> T {
        let [e, a, b, alpha] = [theta[0], theta[1], theta[2], theta[3]];
        (e + a * alpha.scale(-point.ln_n).exp() + b * alpha.scale(-point.ln_d).exp()).ln()
    }
}

impl ScalingLaw for ChinchillaTied {
    fn name(&self) -> &'static str {
        "chinchilla-tied"
    }
    fn equation(&self) -> &'static str {
        "L = E + A/N^alpha + B/D^alpha"
    }
    fn source(&self) -> &'static str {
        "Muennighoff et al. 2023 (arXiv:2305.16264), which ties the exponents of Hoffmann et al. 2022"
    }
    fn param_names(&self) -> &'static [&'static str] {
        &["E", "A", "B", "alpha"]
    }
    fn variables(&self) -> &'static [Variable] {
        &[Variable::N, Variable::D]
    }
    fn loss(&self, params: &[f64], point: &Point) -> f64 {
        loss(params[0], params[1], params[2], params[3], params[3], point)
    }
    fn n_linear(&self) -> usize {
        3
    }
    fn axes(&self) -> &'static [Axis] {
        const AXES: [Axis; 1] = [exponent("alpha")];
        &AXES
    }
    fn basis(&self, outer: &[f64], point: &Point, out: &mut [f64]) {
        Chinchilla.basis(&[outer[0], outer[0]], point, out);
    }
    derivatives_by_jets!(4);
    fn params(&self, theta: &[f64], centre: &Point) -> Vec<f64> {
        let a = theta[1] * (theta[3] * centre.ln_n).exp();
        let b = theta[2] * (theta[3] * centre.ln_d).exp();
        vec![theta[0], a, b, theta[3]]
    }
    fn theta(&self, params: &[f64], centre: &Point) -> Vec<f64> {
        let a = params[1] * (-params[3] * centre.ln_n).exp();
        let b = params[2] * (-params[3] * centre.ln_d).exp();
        vec![params[0], a, b, params[3]]
    }
    fn trade_off(&self, params: &[f64]) -> Option<TradeOff> {
        Some(TradeOff { ln_a: params[1].ln(), alpha: params[3], ln_b: params[2].ln(), beta: params[3] })
    }
}

impl ChinchillaNoFloor {
    fn form<T: Scalar>(&self, theta: &[T], point: &Point) -> T {
        let [a, b, alpha, beta] = [theta[0], theta[1], theta[2], theta[3]];
        (a * alpha.scale(-point.ln_n).exp() + b * beta.scale(-point.ln_d).exp()).ln()
    }
}

impl ScalingLaw for ChinchillaNoFloor {
    fn name(&self) -> &'static str {
        "chinchilla-no-floor"
    }
    fn equation(&self) -> &'static str {
        "L = A/N^alpha + B/D^beta"
    }
    fn source(&self) -> &'static str {
        "Hoffmann et al. 2022 with E = 0; with steps in place of D, Kaplan et al. 2020 (arXiv:2001.08361), eq. 1.6"
    }
    fn param_names(&self) -> &'static [&'static str] {
        &["A", "B", "alpha", "beta"]
    }
    fn variables(&self) -> &'static [Variable] {
        &[Variable::N, Variable::D]
    }
    fn loss(&self, params: &[f64], point: &Point) -> f64 {
        loss(0.0, params[0], params[1], params[2], params[3], point)
    }
    fn n_linear(&self) -> usize {
        2
    }
    fn axes(&self) -> &'static [Axis] {
        const AXES: [Axis; 2] = [exponent("alpha"), exponent("beta")];
        &AXES
    }
    fn basis(&self, outer: &[f64], point: &Point, out: &mut [f64]) {
        out[0] = (-outer[0] * point.ln_n).exp();
        out[1] = (-outer[1] * point.ln_d).exp();
    }
    derivatives_by_jets!(4);
    fn params(&self, theta: &[f64], centre: &Point) -> Vec<f64> {
        let a = theta[0] * (theta[2] * centre.ln_n).exp();
        let b = theta[1] * (theta[3] * centre.ln_d).exp();
        vec![a, b, theta[2], theta[3]]
    }
    fn theta(&self, params: &[f64], centre: &Point) -> Vec<f64> {
        let a = params[0] * (-params[2] * centre.ln_n).exp();
        let b = params[1] * (-params[3] * centre.ln_d).exp();
        vec![a, b, params[2], params[3]]
    }
    fn trade_off(&self, params: &[f64]) -> Option<TradeOff> {
        Some(TradeOff { ln_a: params[0].ln(), alpha: params[2], ln_b: params[1].ln(), beta: params[3] })
    }
}
