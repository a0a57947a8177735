//! One model's loss along its own training, f(C) = a(C + d)^−b + c.

use super::jet::{Jet, Scalar};
use super::law::{Axis, ScalingLaw, Variable, derivatives_by_jets, exponent};
use crate::row::Point;
use crate::stats::linalg::Square;

/// `L = a·(C + d)^−b + c`: an error that falls from a finite start.
pub struct LearningCurve;

const AXES: [Axis; 2] = [
    exponent("b"),
    // In units of the curve's middle (the geometric mean of its C).
    Axis { name: "d", low: 0.0, high: 1e3, grid: &[0.0, 1e-3, 0.03, 0.3, 3.0], in_losses: false },
];

impl LearningCurve {
    fn form<T: Scalar>(&self, theta: &[T], point: &Point) -> T {
        let ln_x = (theta[3] + T::constant(point.ln_c.exp())).ln();
        (theta[0] + theta[1] * (-(theta[2] * ln_x)).exp()).ln()
    }
}

impl ScalingLaw for LearningCurve {
    fn name(&self) -> &'static str {
        "learning-curve"
    }
    fn equation(&self) -> &'static str {
        "L = a (C + d)^-b + c"
    }
    fn source(&self) -> &'static str {
        "Anagnostidis et al. 2024 (arXiv:2311.03233), section 3"
    }
    fn param_names(&self) -> &'static [&'static str] {
        &["c", "a", "b", "d"]
    }
    fn variables(&self) -> &'static [Variable] {
        &[Variable::C]
    }
    fn loss(&self, params: &[f64], point: &Point) -> f64 {
        params[0] + (params[1].ln() - params[2] * (point.ln_c.exp() + params[3]).ln()).exp()
    }
    fn n_linear(&self) -> usize {
        2
    }
    fn axes(&self) -> &'static [Axis] {
        &AXES
    }
    fn basis(&self, outer: &[f64], point: &Point, out: &mut [f64]) {
        out[0] = 1.0;
        out[1] = (point.ln_c.exp() + outer[1]).powf(-outer[0]);
    }
    derivatives_by_jets!(4);
    fn params(&self, theta: &[f64], centre: &Point) -> Vec<f64> {
        let a = theta[1] * (theta[2] * centre.ln_c).exp();
        vec![theta[0], a, theta[2], theta[3] * centre.ln_c.exp()]
    }
    fn theta(&self, params: &[f64], centre: &Point) -> Vec<f64> {
        let a = params[1] * (-params[2] * centre.ln_c).exp();
        vec![params[0], a, params[2], params[3] * (-centre.ln_c).exp()]
    }
}
