//! Second-order forward differentiation, so that a law is one equation and its derivatives are exact.
//! Knows nothing of laws.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// What an equation needs of a number: `f64`, or a [`Jet`] that carries derivatives along.
pub trait Scalar:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// A number without derivatives.
    fn constant(value: f64) -> Self;
    /// The value alone.
    fn value(self) -> f64;
    /// `e^x`.
    fn exp(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// `x·k`.
    fn scale(self, k: f64) -> Self;
}

impl Scalar for f64 {
    fn constant(value: f64) -> Self {
        value
    }
    fn value(self) -> f64 {
        self
    }
    fn exp(self) -> Self {
        f64::exp(self)
    }
    fn ln(self) -> Self {
        f64::ln(self)
    }
    fn scale(self, k: f64) -> Self {
        self * k
    }
}

/// A value with its gradient and Hessian in `P` variables.
#[derive(Debug, Clone, Copy)]
pub struct Jet<const P: usize> {
    /// The value.
    pub value: f64,
    /// First derivatives.
    pub grad: [f64; P],
    /// Second derivatives, symmetric.
    pub hess: [[f64; P]; P],
}

impl<const P: usize> Jet<P> {
    /// The variable with index `idx`.
    pub fn variable(value: f64, idx: usize) -> Self {
        let mut grad = [0.0; P];
        grad[idx] = 1.0;
        Self { value, grad, hess: [[0.0; P]; P] }
    }

    /// `f(x)` where `f` has the value `f0`, slope `f1` and curvature `f2` at `x`.
    fn chain(self, f0: f64, f1: f64, f2: f64) -> Self {
        let mut out = Self { value: f0, grad: [0.0; P], hess: [[0.0; P]; P] };
        for i in 0..P {
            out.grad[i] = f1 * self.grad[i];
            for j in 0..P {
                out.hess[i][j] = f1 * self.hess[i][j] + f2 * self.grad[i] * self.grad[j];
            }
        }
        out
    }
}

impl<const P: usize> Add for Jet<P> {
    type Output = Self;
    fn add(mut self, other: Self) -> Self {
        self.value += other.value;
        for i in 0..P {
            self.grad[i] += other.grad[i];
            for j in 0..P {
                self.hess[i][j] += other.hess[i][j];
            }
        }
        self
    }
}

impl<const P: usize> Neg for Jet<P> {
    type Output = Self;
    fn neg(self) -> Self {
        self.scale(-1.0)
    }
}

impl<const P: usize> Sub for Jet<P> {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + (-other)
    }
}

impl<const P: usize> Mul for Jet<P> {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let mut out = Self { value: self.value * other.value, grad: [0.0; P], hess: [[0.0; P]; P] };
        for i in 0..P {
            out.grad[i] = self.grad[i] * other.value + self.value * other.grad[i];
            for j in 0..P {
                out.hess[i][j] = self.hess[i][j] * other.value
                    + self.value * other.hess[i][j]
                    + self.grad[i] * other.grad[j]
                    + self.grad[j] * other.grad[i];
            }
        }
        out
    }
}

impl<const P: usize> Div for Jet<P> {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let inv = 1.0 / other.value;
        self * other.chain(inv, -inv * inv, 2.0 * inv * inv * inv)
    }
}

impl<const P: usize> Scalar for Jet<P> {
    fn constant(value: f64) -> Self {
        Self { value, grad: [0.0; P], hess: [[0.0; P]; P] }
    }
    fn value(self) -> f64 {
        self.value
    }
    fn exp(self) -> Self {
        let e = self.value.exp();
        self.chain(e, e, e)
    }
    fn ln(self) -> Self {
        let inv = 1.0 / self.value;
        self.chain(self.value.ln(), inv, -inv * inv)
    }
    fn scale(mut self, k: f64) -> Self {
        self.value *= k;
        for i in 0..P {
            self.grad[i] *= k;
            for j in 0..P {
                self.hess[i][j] *= k;
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form<T: Scalar>(x: T, y: T) -> T {
        (x * y + (x / y).exp()).ln() - y.scale(3.0)
    }

    #[test]
    fn derivatives_agree_with_finite_differences() {
        let (x, y, h) = (0.7, 1.9, 1e-4);
        let jet = form(Jet::<2>::variable(x, 0), Jet::<2>::variable(y, 1));
        let at = |i: f64, j: f64| form(x + i * h, y + j * h);
        // Central differences have an error of the order of h², 1e-8 here.
        let gradient = [(at(1., 0.) - at(-1., 0.)) / (2. * h), (at(0., 1.) - at(0., -1.)) / (2. * h)];
        let xx = (at(1., 0.) - 2. * at(0., 0.) + at(-1., 0.)) / (h * h);
        let yy = (at(0., 1.) - 2. * at(0., 0.) + at(0., -1.)) / (h * h);
        let xy = (at(1., 1.) - at(1., -1.) - at(-1., 1.) + at(-1., -1.)) / (4. * h * h);
        for i in 0..2 {
            assert!((jet.grad[i] - gradient[i]).abs() < 1e-7, "{:?} {gradient:?}", jet.grad);
        }
        for (found, expected) in [(jet.hess[0][0], xx), (jet.hess[1][1], yy), (jet.hess[0][1], xy)] {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }
}
