//! A power law in one variable, with and without a floor.

use super::jet::{Jet, Scalar};
use super::law::{Axis, ScalingLaw, Variable, derivatives_by_jets, exponent};
use crate::row::Point;
use crate::stats::linalg::Square;

/// `L = A/x^alpha`.
pub struct Power {
    variable: Variable,
    name: &'static str,
    equation: &'static str,
}

/// `L = E + A/x^alpha`.
pub struct PowerFloor {
    variable: Variable,
    name: &'static str,
    equation: &'static str,
}

/// In parameters.
pub static POWER_N: Power = Power { variable: Variable::N, name: "power-n", equation: "L = A/N^alpha" };
/// In tokens.
pub static POWER_D: Power = Power { variable: Variable::D, name: "power-d", equation: "L = A/D^alpha" };
/// In compute.
pub static POWER_C: Power = Power { variable: Variable::C, name: "power-c", equation: "L = A/C^alpha" };
/// In a position or a time, given in place of D.
pub static POWER_T: Power =
    Power { variable: Variable::D, name: "power-t", equation: "L = A/T^alpha, T in place of D" };
/// In parameters, with a floor.
pub static POWER_N_FLOOR: PowerFloor =
    PowerFloor { variable: Variable::N, name: "power-n-floor", equation: "L = E + A/N^alpha" };
/// In tokens, with a floor.
pub static POWER_D_FLOOR: PowerFloor =
    PowerFloor { variable: Variable::D, name: "power-d-floor", equation: "L = E + A/D^alpha" };
/// In compute, with a floor.
pub static POWER_C_FLOOR: PowerFloor =
    PowerFloor { variable: Variable::C, name: "power-c-floor", equation: "L = E + A/C^alpha" };
/// In a position or a time, given in place of D, with a floor.
pub static POWER_T_FLOOR: PowerFloor = PowerFloor {
    variable: Variable::D,
    name: "power-t-floor",
    equation: "L = E + A/T^alpha, T in place of D",
};

const AXES: [Axis; 1] = [exponent("alpha")];

fn at(variable: Variable, point: &Point) -> f64 {
    match variable {
        Variable::N => point.ln_n,
        Variable::D => point.ln_d,
        Variable::C => point.ln_c,
        Variable::U => point.ln_u,
    }
}

fn only(variable: Variable) -> &'static [Variable] {
    match variable {
        Variable::N => &[Variable::N],
        Variable::D => &[Variable::D],
        Variable::C => &[Variable::C],
        Variable::U => &[Variable::U],
    }
}

impl Power {
    fn form<T: Scalar>(&self, theta: &[T], point: &Point) -> T {
        theta[0].ln() - theta[1].scale(at(self.variable, point))
    }
}

impl ScalingLaw for Power {
    fn name(&self) -> &'static str {
        self.name
    }
    fn equation(&self) -> &'static str {
        self.equation
    }
    fn source(&self) -> &'static str {
        "Kaplan et al. 2020 (arXiv:2001.08361), equations 1.1 to 1.3"
    }
    fn param_names(&self) -> &'static [&'static str] {
        &["A", "alpha"]
    }
    fn variables(&self) -> &'static [Variable] {
        only(self.variable)
    }
    fn loss(&self, params: &[f64], point: &Point) -> f64 {
        (params[0].ln() - params[1] * at(self.variable, point)).exp()
    }
    fn n_linear(&self) -> usize {
        1
    }
    fn axes(&self) -> &'static [Axis] {
        &AXES
    }
    fn basis(&self, outer: &[f64], point: &Point, out: &mut [f64]) {
        out[0] = (-outer[0] * at(self.variable, point)).exp();
    }
    derivatives_by_jets!(2);
    fn params(&self, theta: &[f64], centre: &Point) -> Vec<f64> {
        vec![theta[0] * (theta[1] * at(self.variable, centre)).exp(), theta[1]]
    }
    fn theta(&self, params: &[f64], centre: &Point) -> Vec<f64> {
        vec![params[0] * (-params[1] * at(self.variable, centre)).exp(), params[1]]
    }
}

impl PowerFloor {
    fn form<T: Scalar>(&self, theta: &[T], point: &Point) -> T {
        (theta[0] + theta[1] * theta[2].scale(-at(self.variable, point)).exp()).ln()
    }
}

impl ScalingLaw for PowerFloor {
    fn name(&self) -> &'static str {
        self.name
    }
    fn equation(&self) -> &'static str {
        self.equation
    }
    fn source(&self) -> &'static str {
        "Henighan et al. 2020 (arXiv:2010.14701), equation 1.1"
    }
    fn param_names(&self) -> &'static [&'static str] {
        &["E", "A", "alpha"]
    }
    fn variables(&self) -> &'static [Variable] {
        only(self.variable)
    }
    fn loss(&self, params: &[f64], point: &Point) -> f64 {
        params[0] + (params[1].ln() - params[2] * at(self.variable, point)).exp()
    }
    fn n_linear(&self) -> usize {
        2
    }
    fn axes(&self) -> &'static [Axis] {
        &AXES
    }
    fn basis(&self, outer: &[f64], point: &Point, out: &mut [f64]) {
        out[0] = 1.0;
        out[1] = (-outer[0] * at(self.variable, point)).exp();
    }
    derivatives_by_jets!(3);
    fn params(&self, theta: &[f64], centre: &Point) -> Vec<f64> {
        vec![theta[0], theta[1] * (theta[2] * at(self.variable, centre)).exp(), theta[2]]
    }
    fn theta(&self, params: &[f64], centre: &Point) -> Vec<f64> {
        vec![params[0], params[1] * (-params[2] * at(self.variable, centre)).exp(), params[2]]
    }
}
