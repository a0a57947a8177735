//! Damped Newton steps in a box, on the true objective with exact second derivatives.

use crate::laws::ScalingLaw;
use crate::objective::Objective;
use crate::row::Rows;
use crate::stats::linalg::{self, Cholesky, MAX_PARAMS, Square, ZERO};

/// What is minimised: `Σ w_i ρ(r_i(theta))`, and a penalty that pulls one quantity to a value.
pub struct Problem<'a> {
    /// The law.
    pub law: &'a dyn ScalingLaw,
    /// The rows, with their weights w.
    pub rows: &'a Rows,
    /// The loss ρ of a residual r.
    pub objective: Objective,
    /// Lower bounds of theta.
    pub low: Vec<f64>,
    /// Upper bounds of theta.
    pub high: Vec<f64>,
    pull: Option<Pull<'a>>,
}

/// A quantity of theta with its gradient and Hessian.
pub(crate) type Quantity<'a> = &'a (dyn Fn(&[f64]) -> Derivatives + Sync);

/// Value, gradient and Hessian in theta.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Derivatives {
    pub value: f64,
    pub grad: [f64; MAX_PARAMS],
    pub hess: Square,
}

/// Adds `stiffness/2 · (quantity − target)²`.
///
/// The minimum of the sum is also the minimum of the objective among all theta with the quantity that
/// it has: it lies on the profile, whatever the stiffness.
#[derive(Clone, Copy)]
pub(crate) struct Pull<'a> {
    pub quantity: Quantity<'a>,
    pub target: f64,
    pub stiffness: f64,
}

/// Where a search ended.
#[derive(Debug, Clone)]
pub struct Minimum {
    /// The law's parameters about the rows' centre.
    pub theta: Vec<f64>,
    /// The objective with the pull.
    pub value: f64,
    /// Whether no step of the box can lower it noticeably.
    pub converged: bool,
}

struct Local {
    value: f64,
    grad: [f64; MAX_PARAMS],
    /// Newton's matrix.
    hess: Square,
    /// The matrix of iteratively reweighted least squares: positive, and it bounds the objective.
    irls: Square,
}

impl<'a> Problem<'a> {
    /// Within the law's own bounds.
    pub fn new(law: &'a dyn ScalingLaw, rows: &'a Rows, objective: Objective) -> Self {
        let (low, high) = law.bounds(rows.smallest_loss());
        Self { law, rows, objective, low, high, pull: None }
    }

    /// The same law, objective and bounds on other rows about the same centre.
    pub fn on<'b>(&self, rows: &'b Rows) -> Problem<'b>
    where
        'a: 'b,
    {
        Problem { rows, low: self.low.clone(), high: self.high.clone(), pull: None, ..*self }
    }

    /// The same with a pull.
    pub(crate) fn pulled<'b>(&self, pull: Pull<'b>) -> Problem<'b>
    where
        'a: 'b,
    {
        Problem { low: self.low.clone(), high: self.high.clone(), pull: Some(pull), ..*self }
    }

    /// The objective without the pull; infinite where the law is not a number.
    pub fn value(&self, theta: &[f64]) -> f64 {
        let mut sum = 0.0;
        for ((point, ln_loss), weight) in
            self.rows.points.iter().zip(&self.rows.ln_loss).zip(&self.rows.weights)
        {
            let ln_fitted = self.law.log_loss(theta, point);
            let residual = if self.objective.is_logarithmic() {
                ln_fitted - ln_loss
            } else {
                ln_fitted.exp() - ln_loss.exp()
            };
            sum += weight * self.objective.at(residual).value;
        }
        if sum.is_finite() { sum } else { f64::INFINITY }
    }

    fn total(&self, theta: &[f64]) -> f64 {
        let pulled = self.pull.map_or(0.0, |pull| {
            let off = (pull.quantity)(theta).value - pull.target;
            0.5 * pull.stiffness * off * off
        });
        let total = self.value(theta) + pulled;
        if total.is_finite() { total } else { f64::INFINITY }
    }

    fn local(&self, theta: &[f64]) -> Local {
        let p = theta.len();
        let mut local = Local { value: 0.0, grad: [0.0; MAX_PARAMS], hess: ZERO, irls: ZERO };
        let mut grad = [0.0; MAX_PARAMS];
        let mut hess = ZERO;
        for ((point, ln_loss), weight) in
            self.rows.points.iter().zip(&self.rows.ln_loss).zip(&self.rows.weights)
        {
            let ln_fitted = self.law.derivatives(theta, point, &mut grad, &mut hess);
            let mut residual = ln_fitted - ln_loss;
            if !self.objective.is_logarithmic() {
                // From ln L̂ to L̂.
                let fitted = ln_fitted.exp();
                residual = fitted - ln_loss.exp();
                for i in 0..p {
                    for j in 0..p {
                        hess[i][j] = fitted * (hess[i][j] + grad[i] * grad[j]);
                    }
                }
                grad.iter_mut().for_each(|g| *g *= fitted);
            }
            let rho = self.objective.at(residual);
            local.value += weight * rho.value;
            let (slope, curvature, irls) = (weight * rho.slope, weight * rho.curvature, weight * rho.weight);
            for i in 0..p {
                local.grad[i] += slope * grad[i];
                for j in 0..=i {
                    let outer = grad[i] * grad[j];
                    local.hess[i][j] += curvature * outer + slope * hess[i][j];
                    local.irls[i][j] += irls * outer;
                }
            }
        }
        if let Some(pull) = self.pull {
            let quantity = (pull.quantity)(theta);
            let off = quantity.value - pull.target;
            local.value += 0.5 * pull.stiffness * off * off;
            for i in 0..p {
                local.grad[i] += pull.stiffness * off * quantity.grad[i];
                for j in 0..=i {
                    let outer = pull.stiffness * quantity.grad[i] * quantity.grad[j];
                    local.hess[i][j] += outer + pull.stiffness * off * quantity.hess[i][j];
                    local.irls[i][j] += outer;
                }
            }
        }
        for i in 0..p {
            for j in 0..i {
                local.hess[j][i] = local.hess[i][j];
                local.irls[j][i] = local.irls[i][j];
            }
        }
        local
    }

    /// Twice the objective, and the information matrix `JᵀWJ`: for squares, the residual sum and the
    /// inverse of the covariance over its noise.
    pub fn gauss_newton(&self, theta: &[f64]) -> (f64, Square) {
        let local = self.local(theta);
        (2.0 * local.value, local.irls)
    }

    /// Inverse of the objective's Hessian over the parameters inside their bounds; zero elsewhere.
    pub fn inverse_hessian(&self, theta: &[f64]) -> Option<Square> {
        let local = self.local(theta);
        let inside: Vec<usize> =
            (0..theta.len()).filter(|&i| theta[i] > self.low[i] && theta[i] < self.high[i]).collect();
        let mut matrix = ZERO;
        for (i, &fi) in inside.iter().enumerate() {
            for (j, &fj) in inside.iter().enumerate() {
                matrix[i][j] = local.hess[fi][fj];
            }
        }
        let small = linalg::inverse(&matrix, inside.len())?;
        let mut inverse = ZERO;
        for (i, &fi) in inside.iter().enumerate() {
            for (j, &fj) in inside.iter().enumerate() {
                inverse[fi][fj] = small[i][j];
            }
        }
        Some(inverse)
    }

    /// The minimum that is reached from `start`.
    ///
    /// Each step solves `(H + damping·W) s = −g`, H being Newton's matrix and W that of iteratively
    /// reweighted least squares, over the parameters that are not held at a bound. Much damping gives
    /// short steps of reweighted least squares, none gives Newton's.
    pub fn minimise(&self, start: &[f64]) -> Minimum {
        const MAX_STEPS: usize = 300;
        let p = start.len();
        let mut theta: Vec<f64> =
            start.iter().enumerate().map(|(i, x)| x.clamp(self.low[i], self.high[i])).collect();
        let mut damping = 1.0_f64;
        let mut local = self.local(&theta);
        let mut converged = false;
        let mut n_steps = 0;
        while n_steps < MAX_STEPS && local.value.is_finite() {
            n_steps += 1;
            let free: Vec<usize> = (0..p)
                .filter(|&i| {
                    let held_low = theta[i] <= self.low[i] && local.grad[i] >= 0.0;
                    let held_high = theta[i] >= self.high[i] && local.grad[i] <= 0.0;
                    !(held_low || held_high)
                })
                .collect();
            if free.iter().all(|&i| local.grad[i] == 0.0) {
                converged = true;
                break;
            }
            let Some((step, gain)) = newton_step(&local, &free, damping) else {
                damping = (damping * 8.0).max(1e-6);
                if damping > 1e18 {
                    break;
                }
                continue;
            };
            let trial: Vec<f64> =
                (0..p).map(|i| (theta[i] + step[i]).clamp(self.low[i], self.high[i])).collect();
            let value = self.total(&trial);
            // Below this the objective's own rounding decides.
            let negligible = gain <= 1e-13 * local.value && damping <= 1e3;
            if value < local.value {
                theta = trial;
                let lowered = local.value - value;
                local = self.local(&theta);
                damping = if lowered > 0.5 * gain { damping * 0.1 } else { damping * 0.7 };
                if damping < 1e-8 {
                    damping = 0.0;
                }
                if negligible {
                    converged = true;
                    break;
                }
            } else if negligible || damping > 1e12 {
                converged = negligible || gain <= 1e-9 * local.value;
                break;
            } else {
                damping = (damping * 6.0).max(1e-4);
            }
        }
        Minimum { value: local.value, theta, converged }
    }
}

/// The damped step over the free parameters and the decrease that the quadratic model promises.
/// `None` where the matrix is not positive.
fn newton_step(local: &Local, free: &[usize], damping: f64) -> Option<([f64; MAX_PARAMS], f64)> {
    let p = free.len();
    let mut matrix = ZERO;
    for (i, &fi) in free.iter().enumerate() {
        for (j, &fj) in free.iter().enumerate() {
            matrix[i][j] = local.hess[fi][fj] + damping * local.irls[fi][fj];
        }
        // A trace of the diagonal keeps a column that no row informs from ending the search.
        matrix[i][i] += 1e-13 * local.irls[fi][fi] * damping;
    }
    let factor = Cholesky::of(&matrix, p)?;
    let mut grad = [0.0; MAX_PARAMS];
    for (i, &fi) in free.iter().enumerate() {
        grad[i] = local.grad[fi];
    }
    let solution = factor.solve(&grad);
    let mut step = [0.0; MAX_PARAMS];
    let mut slope = 0.0;
    for (i, &fi) in free.iter().enumerate() {
        step[fi] = -solution[i];
        slope += grad[i] * solution[i];
    }
    slope.is_finite().then_some((step, 0.5 * slope))
}
