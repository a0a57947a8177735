//! The data-constrained law: repeated tokens are worth less, and so are parameters beyond what the distinct tokens
//! can use.

use super::jet::{Jet, Scalar};
use super::law::{Axis, ScalingLaw, Variable, derivatives_by_jets, exponent};
use crate::row::Point;
use crate::stats::linalg::Square;

/// `L = E + A/N'^alpha + B/D'^alpha` with
/// `D' = U·(1 + r_d·(1 − exp(−(D/U − 1)/r_d)))`, U being the distinct tokens, and
/// `N' = U_N·(1 + r_n·(1 − exp(−(N/U_N − 1)/r_n)))`, `U_N = min(N, (A/B)^(1/alpha)·U)`: the size for which
/// U tokens are compute-optimal.
pub struct Repeats;

const AXES: [Axis; 3] = [
    exponent("alpha"),
    // From no value of a second epoch to full value of a thousand.
    Axis { name: "r_d", low: 0.05, high: 1000.0, grid: &[1.0, 5.0, 25.0], in_losses: false },
    Axis { name: "r_n", low: 0.05, high: 1000.0, grid: &[5.0], in_losses: false },
];

/// `1 + r·(1 − exp(−x/r))`, in the logarithm.
fn ln_worth<T: Scalar>(r: T, x: T) -> T {
    let one = T::constant(1.0);
    (one + r * (one - (-(x / r)).exp())).ln()
}

impl Repeats {
    fn form<T: Scalar>(&self, theta: &[T], point: &Point) -> T {
        let [e, a, b, alpha, r_d, r_n] = [theta[0], theta[1], theta[2], theta[3], theta[4], theta[5]];
        let repeats = T::constant((point.ln_d - point.ln_u).exp() - 1.0);
        let ln_d = T::constant(point.ln_u) + ln_worth(r_d, repeats);
        // Both sides of the minimum agree in value and slope at it.
        let ln_useful = (a.ln() - b.ln()) / alpha + T::constant(point.ln_u);
        let ln_n = if ln_useful.value() < point.ln_n {
            let excess = (T::constant(point.ln_n) - ln_useful).exp() - T::constant(1.0);
            ln_useful + ln_worth(r_n, excess)
        } else {
            T::constant(point.ln_n)
        };
        (e + a * (-(alpha * ln_n)).exp() + b * (-(alpha * ln_d)).exp()).ln()
    }
}

impl ScalingLaw for Repeats {
    fn name(&self) -> &'static str {
        "repeats"
    }
    fn equation(&self) -> &'static str {
        "L = E + A/N'^alpha + B/D'^alpha, N' and D' what N and D are worth on U distinct tokens"
    }
    fn source(&self) -> &'static str {
        "Muennighoff et al. 2023 (arXiv:2305.16264), section 3 and appendix A"
    }
    fn param_names(&self) -> &'static [&'static str] {
        &["E", "A", "B", "alpha", "r_d", "r_n"]
    }
    fn variables(&self) -> &'static [Variable] {
        &[Variable::N, Variable::D, Variable::U]
    }
    fn loss(&self, params: &[f64], point: &Point) -> f64 {
        self.form(params, point).exp()
    }
    fn n_linear(&self) -> usize {
        3
    }
    fn axes(&self) -> &'static [Axis] {
        &AXES
    }
    // The search begins with N' = N; the polish has the whole law.
    fn basis(&self, outer: &[f64], point: &Point, out: &mut [f64]) {
        let ln_d = point.ln_u + ln_worth(outer[1], (point.ln_d - point.ln_u).exp() - 1.0);
        out[0] = 1.0;
        out[1] = (-outer[0] * point.ln_n).exp();
        out[2] = (-outer[0] * ln_d).exp();
    }
    derivatives_by_jets!(6);
    fn params(&self, theta: &[f64], centre: &Point) -> Vec<f64> {
        let a = theta[1] * (theta[3] * centre.ln_n).exp();
        let b = theta[2] * (theta[3] * centre.ln_d).exp();
        vec![theta[0], a, b, theta[3], theta[4], theta[5]]
    }
    fn theta(&self, params: &[f64], centre: &Point) -> Vec<f64> {
        let a = params[1] * (-params[3] * centre.ln_n).exp();
        let b = params[2] * (-params[3] * centre.ln_d).exp();
        vec![params[0], a, b, params[3], params[4], params[5]]
    }
}
