//! The search for the least value of an objective: a grid with the coefficients solved inside, the best few points
//! polished by Newton steps on the true objective. There is nothing to start from, so nothing depends on it.

mod grid;
mod minimise;

pub(crate) use minimise::{Derivatives, Pull};
pub use minimise::{Minimum, Problem};

use crate::laws::ScalingLaw;
use crate::objective::Objective;
use crate::row::Rows;
use crate::stats;

/// Grid points that are polished, for a law with two exponents or fewer, and with more.
const N_POLISHED: [usize; 2] = [4, 8];

/// The least value of the objective that the search finds; `None` where there is none.
pub fn minimum(law: &dyn ScalingLaw, rows: &Rows, objective: Objective) -> Option<Minimum> {
    let problem = Problem::new(law, rows, objective);
    let n_polished = N_POLISHED[usize::from(law.axes().len() > 2)];
    best_of(&problem, &grid::starts(&problem, n_polished))
}

/// Polishes each start and takes the best.
pub fn best_of(problem: &Problem, starts: &[Vec<f64>]) -> Option<Minimum> {
    starts
        .iter()
        .map(|start| problem.minimise(start))
        .filter(|minimum| minimum.value.is_finite())
        .min_by(|x, y| x.value.total_cmp(&y.value))
}

/// Huber's loss at 2.5 spreads of the residuals of a least-squares fit: least squares on all but outliers. `None`
/// without rows.
pub fn robust_objective(law: &dyn ScalingLaw, rows: &Rows, squares: &[f64]) -> Option<Objective> {
    let sizes = residuals(law, rows, squares)
        .zip(&rows.weights)
        .map(|(residual, weight)| residual.abs() * weight.sqrt())
        .collect();
    Some(Objective::LogHuber(stats::huber_delta(sizes, law.n_params())?))
}

/// `ln L̂ − ln L` of each row.
pub(crate) fn residuals<'b>(
    law: &'b dyn ScalingLaw,
    rows: &'b Rows,
    theta: &'b [f64],
) -> impl Iterator<Item = f64> + 'b {
    rows.points.iter().zip(&rows.ln_loss).map(move |(point, ln_loss)| law.log_loss(theta, point) - ln_loss)
}
