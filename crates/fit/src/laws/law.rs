//! The trait that a fit sees, and what laws are described by.
//!
//! Every law has the form `L = floor + (Σ c_k φ_k(x; outer))^power`: the coefficients `c_k ≥ 0` are
//! linear given the outer parameters, which is what the search uses. Inside a fit, x is centred
//! (`N/N0`, `D/D0`, ...), so `theta` = (c, outer) is well conditioned; `params` are those of the paper.

use crate::row::Point;
use crate::stats::linalg::Square;

/// A family L(x; theta).
pub trait ScalingLaw: Sync {
    /// Name, as given to `--law`.
    fn name(&self) -> &'static str;
    /// Its equation, for a person.
    fn equation(&self) -> &'static str;
    /// Where it is from.
    fn source(&self) -> &'static str;
    /// Names of the parameters, in the order of `params`.
    fn param_names(&self) -> &'static [&'static str];
    /// What it is a function of.
    fn variables(&self) -> &'static [Variable];
    /// Loss at a point, nats per token.
    fn loss(&self, params: &[f64], point: &Point) -> f64;

    /// Number of coefficients c.
    fn n_linear(&self) -> usize;
    /// The other parameters of theta, in order.
    fn axes(&self) -> &'static [Axis];
    /// `φ_k` at a centred point.
    fn basis(&self, outer: &[f64], point: &Point, out: &mut [f64]);
    /// The floor and the power outside the sum.
    fn link(&self, _outer: &[f64]) -> Link {
        Link { floor: 0.0, power: 1.0 }
    }
    /// ln L at a centred point.
    fn log_loss(&self, theta: &[f64], point: &Point) -> f64;
    /// ln L with its gradient and Hessian (row-major, [`MAX_PARAMS`] wide) in theta.
    fn derivatives(&self, theta: &[f64], point: &Point, grad: &mut [f64], hess: &mut Square) -> f64;
    /// From theta about a centre to the paper's parameters.
    fn params(&self, theta: &[f64], centre: &Point) -> Vec<f64>;
    /// The inverse of `params`.
    fn theta(&self, params: &[f64], centre: &Point) -> Vec<f64>;
    /// The reducible loss as `A/N^alpha + B/D^beta`, up to a rising function; where it has that form.
    fn trade_off(&self, _params: &[f64]) -> Option<TradeOff> {
        None
    }
    /// Parameters in theta.
    fn n_params(&self) -> usize {
        self.n_linear() + self.axes().len()
    }
    /// Lower and upper bounds of theta.
    fn bounds(&self, smallest_loss: f64) -> (Vec<f64>, Vec<f64>) {
        let unit = |axis: &Axis| if axis.in_losses { smallest_loss } else { 1.0 };
        let mut low = vec![0.0; self.n_linear()];
        let mut high = vec![f64::INFINITY; self.n_linear()];
        low.extend(self.axes().iter().map(|axis| axis.low * unit(axis)));
        high.extend(self.axes().iter().map(|axis| axis.high * unit(axis)));
        (low, high)
    }
}

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable {
    /// Parameters.
    N,
    /// Training tokens.
    D,
    /// Training FLOPs.
    C,
    /// Distinct training tokens.
    U,
}

/// An outer parameter: its bounds and the values that the coarse search tries.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    /// Its name.
    pub name: &'static str,
    /// Lower bound.
    pub low: f64,
    /// Upper bound.
    pub high: f64,
    /// Values of the coarse search.
    pub grid: &'static [f64],
    /// Whether all of these are in units of the smallest loss.
    pub in_losses: bool,
}

/// `L = floor + sum^power`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// Loss at infinite N and D where it is not among the coefficients.
    pub floor: f64,
    /// Exponent of the sum.
    pub power: f64,
}

/// `A/N^alpha + B/D^beta`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TradeOff {
    /// ln A.
    pub ln_a: f64,
    /// Exponent of N.
    pub alpha: f64,
    /// ln B.
    pub ln_b: f64,
    /// Exponent of D.
    pub beta: f64,
}

/// Exponents below this cannot be distinguished from a logarithm over any measured range; above
/// [`STEEPEST`] a term is gone after the smallest value.
pub(crate) const FLATTEST: f64 = 0.005;
/// See [`FLATTEST`].
pub(crate) const STEEPEST: f64 = 3.0;
/// Exponents that the coarse search tries: even steps in the logarithm, 1.5-fold.
pub(crate) const EXPONENTS: &[f64] = &[0.03, 0.06, 0.12, 0.2, 0.3, 0.42, 0.58, 0.8, 1.1, 1.6];

pub(crate) const fn exponent(name: &'static str) -> Axis {
    Axis { name, low: FLATTEST, high: STEEPEST, grid: EXPONENTS, in_losses: false }
}

pub(crate) const fn floor(name: &'static str) -> Axis {
    Axis { name, low: 0.0, high: 0.9999, grid: &[0.0, 0.4, 0.7, 0.9], in_losses: true }
}

/// Implements `log_loss` and `derivatives` by the law's own generic `form(&self, theta, point)`.
macro_rules! derivatives_by_jets {
    ($p:literal) => {
        fn log_loss(&self, theta: &[f64], point: &Point) -> f64 {
            self.form(theta, point)
        }

        fn derivatives(&self, theta: &[f64], point: &Point, grad: &mut [f64], hess: &mut Square) -> f64 {
            let jets: [Jet<$p>; $p] = std::array::from_fn(|idx| Jet::variable(theta[idx], idx));
            let jet = self.form(&jets, point);
            grad[..$p].copy_from_slice(&jet.grad);
            for (row, values) in hess.iter_mut().zip(&jet.hess) {
                row[..$p].copy_from_slice(values);
            }
            jet.value
        }
    };
}
pub(crate) use derivatives_by_jets;
