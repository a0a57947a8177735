//! Variable projection: the outer parameters on a coarse grid with the coefficients solved inside.

use super::minimise::Problem;
use crate::laws::ScalingLaw;
use crate::objective::Objective;
use crate::row::Rows;
use crate::stats::NormalEquations;
use crate::stats::linalg::{Cholesky, MAX_PARAMS, ZERO};

/// The best grid points with their coefficients: local minima of the grid, best first.
pub(super) fn starts(problem: &Problem, n_starts: usize) -> Vec<Vec<f64>> {
    let Problem { law, rows, .. } = *problem;
    let axes = law.axes();
    let smallest = rows.smallest_loss();
    let sizes: Vec<usize> = axes.iter().map(|axis| axis.grid.len()).collect();
    let n_cells: usize = sizes.iter().product();
    let outer_of = |mut cell: usize| -> Vec<f64> {
        axes.iter()
            .map(|axis| {
                let value = axis.grid[cell % axis.grid.len()];
                cell /= axis.grid.len();
                if axis.in_losses { value * smallest } else { value }
            })
            .collect()
    };
    let squares = Problem::new(law, rows, Objective::LogMse);
    let cells: Vec<Option<(f64, Vec<f64>)>> = (0..n_cells)
        .map(|cell| {
            let outer = outer_of(cell);
            let (residual, coefficients) = coefficients(law, rows, &outer)?;
            let is_linear = law.link(&outer).power == 1.0;
            let theta: Vec<f64> = coefficients.into_iter().chain(outer).collect();
            // Through a power, the weighted squares are only near to those of the logarithm.
            let residual = if is_linear { residual } else { squares.value(&theta) };
            residual.is_finite().then_some((residual, theta))
        })
        .collect();
    let value = |cell: usize| cells[cell].as_ref().map_or(f64::INFINITY, |(value, _)| *value);
    let mut order: Vec<usize> = (0..n_cells).filter(|&cell| cells[cell].is_some()).collect();
    order.sort_by(|&x, &y| value(x).total_cmp(&value(y)));
    // Minima of the grid first, one for each valley; then the next best cells.
    let is_minimum = |cell: usize| {
        let mut stride = 1;
        for &size in &sizes {
            let position = cell / stride % size;
            // A tie goes to the lower cell: where a term is absent its exponent is anything.
            if position > 0 && value(cell - stride) <= value(cell) {
                return false;
            }
            if position + 1 < size && value(cell + stride) < value(cell) {
                return false;
            }
            stride *= size;
        }
        true
    };
    let (mut minima, others): (Vec<usize>, Vec<usize>) =
        order.into_iter().partition(|&cell| is_minimum(cell));
    minima.extend(others);
    minima
        .into_iter()
        .take(n_starts)
        .filter_map(|cell| cells[cell].clone())
        .map(|(_, theta)| lift(law, theta))
        .collect()
}

/// The same with absent terms made small instead: from zero, a coefficient's exponent has no slope.
fn lift(law: &dyn ScalingLaw, mut theta: Vec<f64>) -> Vec<f64> {
    let coefficients = &mut theta[..law.n_linear()];
    let largest = coefficients.iter().copied().fold(0.0, f64::max);
    coefficients.iter_mut().for_each(|c| *c = c.max(0.01 * largest));
    theta
}

/// Non-negative coefficients of least relative squared error at given outer parameters, and that error.
///
/// With `L = floor + s^power`, the rows are `s = Σ c_k φ_k` weighted by `dlnL/ds`.
fn coefficients(law: &dyn ScalingLaw, rows: &Rows, outer: &[f64]) -> Option<(f64, Vec<f64>)> {
    let k = law.n_linear();
    let link = law.link(outer);
    let mut equations = NormalEquations::new(k);
    let mut square = 0.0;
    let mut phi = [0.0; MAX_PARAMS];
    for ((point, ln_loss), weight) in rows.points.iter().zip(&rows.ln_loss).zip(&rows.weights) {
        law.basis(outer, point, &mut phi);
        let loss = ln_loss.exp();
        let reducible = loss - link.floor;
        if reducible.is_nan() || reducible <= 0.0 {
            return None;
        }
        let (target, scale) = if link.power == 1.0 {
            (reducible, 1.0 / loss)
        } else {
            let sum = reducible.powf(1.0 / link.power);
            (sum, link.power * reducible / (sum * loss))
        };
        let weight = weight * scale * scale;
        equations.add(&phi[..k], target, weight);
        square += weight * target * target;
    }
    non_negative(&equations, square, k)
}

/// Least squares with non-negative coefficients by trying every support: at most `2^k − 1`, k ≤ 4.
/// Returns the squared error and the coefficients.
fn non_negative(equations: &NormalEquations, square: f64, k: usize) -> Option<(f64, Vec<f64>)> {
    let mut best: Option<(f64, Vec<f64>)> = None;
    for support in (1..1_usize << k).rev() {
        let members: Vec<usize> = (0..k).filter(|i| support >> i & 1 == 1).collect();
        let p = members.len();
        let mut matrix = ZERO;
        let mut vector = [0.0; MAX_PARAMS];
        for (i, &mi) in members.iter().enumerate() {
            vector[i] = equations.moment[mi];
            for (j, &mj) in members.iter().enumerate() {
                matrix[i][j] = equations.gram[mi.max(mj)][mi.min(mj)];
            }
        }
        let Some(factor) = Cholesky::of(&matrix, p) else { continue };
        let solution = factor.solve(&vector);
        if solution[..p].iter().any(|x| x.is_nan() || *x < 0.0) {
            continue;
        }
        let error = square - (0..p).map(|i| solution[i] * vector[i]).sum::<f64>();
        let mut coefficients = vec![0.0; k];
        for (i, &mi) in members.iter().enumerate() {
            coefficients[mi] = solution[i];
        }
        let is_whole = p == k;
        if best.as_ref().is_none_or(|(least, _)| error < *least) {
            best = Some((error, coefficients));
        }
        // With all coefficients positive the constraint does not bind.
        if is_whole {
            break;
        }
    }
    best
}
