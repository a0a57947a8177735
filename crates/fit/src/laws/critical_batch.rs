//! The critical batch size, from the steps that each batch size needs to one loss.

use super::jet::{Jet, Scalar};
use super::law::{Axis, ScalingLaw, Variable, derivatives_by_jets};
use crate::row::Point;
use crate::stats::linalg::Square;

/// `S = S_min·(1 + B_crit/B)`: with `E = B·S` tokens this is `(S/S_min − 1)(E/E_min − 1) = 1`,
/// `E_min = B_crit·S_min`. The batch size B takes the place of D, the steps S that of the loss.
pub struct CriticalBatch;

impl CriticalBatch {
    fn form<T: Scalar>(&self, theta: &[T], point: &Point) -> T {
        (theta[0] + theta[1].scale((-point.ln_d).exp())).ln()
    }
}

impl ScalingLaw for CriticalBatch {
    fn name(&self) -> &'static str {
        "critical-batch"
    }
    fn equation(&self) -> &'static str {
        "S = S_min (1 + B_crit/B), B in place of D and steps S in place of the loss"
    }
    fn source(&self) -> &'static str {
        "McCandlish et al. 2018 (arXiv:1812.06162), equation 2.11; Kaplan et al. 2020, section 5.1"
    }
    fn param_names(&self) -> &'static [&'static str] {
        &["S_min", "B_crit"]
    }
    fn variables(&self) -> &'static [Variable] {
        &[Variable::D]
    }
    fn loss(&self, params: &[f64], point: &Point) -> f64 {
        params[0] * (1.0 + (params[1].ln() - point.ln_d).exp())
    }
    fn n_linear(&self) -> usize {
        2
    }
    fn axes(&self) -> &'static [Axis] {
        &[]
    }
    fn basis(&self, _outer: &[f64], point: &Point, out: &mut [f64]) {
        out[0] = 1.0;
        out[1] = (-point.ln_d).exp();
    }
    derivatives_by_jets!(2);
    fn params(&self, theta: &[f64], centre: &Point) -> Vec<f64> {
        vec![theta[0], theta[1] / theta[0] * centre.ln_d.exp()]
    }
    fn theta(&self, params: &[f64], centre: &Point) -> Vec<f64> {
        vec![params[0], params[0] * params[1] * (-centre.ln_d).exp()]
    }
}
