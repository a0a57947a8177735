//! Over-training: the loss in compute at a chosen number of tokens per parameter.

use super::jet::{Jet, Scalar};
use super::law::{Axis, ScalingLaw, Variable, derivatives_by_jets, exponent};
use crate::row::Point;
use crate::stats::linalg::Square;

/// `L = E + (a·M^eta + b/M^eta)·C^−eta`, `M = D/N`.
pub struct OverTraining;

fn exponents(point: &Point) -> (f64, f64) {
    let ln_m = point.ln_d - point.ln_n;
    (ln_m - point.ln_c, -ln_m - point.ln_c)
}

impl OverTraining {
    fn form<T: Scalar>(&self, theta: &[T], point: &Point) -> T {
        let (up, down) = exponents(point);
        (theta[0] + theta[1] * theta[3].scale(up).exp() + theta[2] * theta[3].scale(down).exp()).ln()
    }
}

impl ScalingLaw for OverTraining {
    fn name(&self) -> &'static str {
        "over-training"
    }
    fn equation(&self) -> &'static str {
        "L = E + (a M^eta + b M^-eta) C^-eta, M = D/N"
    }
    fn source(&self) -> &'static str {
        "Gadre et al. 2024 (arXiv:2403.08540), equation 4"
    }
    fn param_names(&self) -> &'static [&'static str] {
        &["E", "a", "b", "eta"]
    }
    fn variables(&self) -> &'static [Variable] {
        &[Variable::N, Variable::D]
    }
    fn loss(&self, params: &[f64], point: &Point) -> f64 {
        let (up, down) = exponents(point);
        params[0] + (params[1].ln() + params[3] * up).exp() + (params[2].ln() + params[3] * down).exp()
    }
    fn n_linear(&self) -> usize {
        3
    }
    fn axes(&self) -> &'static [Axis] {
        const AXES: [Axis; 1] = [exponent("eta")];
        &AXES
    }
    fn basis(&self, outer: &[f64], point: &Point, out: &mut [f64]) {
        let (up, down) = exponents(point);
        out[0] = 1.0;
        out[1] = (outer[0] * up).exp();
        out[2] = (outer[0] * down).exp();
    }
    derivatives_by_jets!(4);
    fn params(&self, theta: &[f64], centre: &Point) -> Vec<f64> {
        let (up, down) = exponents(centre);
        vec![theta[0], theta[1] * (-theta[3] * up).exp(), theta[2] * (-theta[3] * down).exp(), theta[3]]
    }
    fn theta(&self, params: &[f64], centre: &Point) -> Vec<f64> {
        let (up, down) = exponents(centre);
        vec![params[0], params[1] * (params[3] * up).exp(), params[2] * (params[3] * down).exp(), params[3]]
    }
}
