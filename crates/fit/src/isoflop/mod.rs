//! Approach 2: the best size of each budget, by a parabola and by Akima's interpolation, and the power
//! law through the minima (Hoffmann et al. 2022, section 3.2).

mod akima;
mod curve;
mod parabola;

pub use curve::{By, Curve, by_budget, size_means};
pub use parabola::{NoMinimum, parabola, parabola_at};

use rayon::prelude::*;
use scalelaw_schema::table::LossTable;

use crate::conclusion::{Approach2, Frontier, LOG10_N};
use crate::stats::{Interval, percentiles, quantile, stream, tail_of, weighted_line};

/// How the noise of minima is found: draws of the losses' noise, each followed to its own minima.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Draws {
    /// How many; 0 for none.
    pub n: usize,
    /// Of the random numbers.
    pub seed: u64,
    /// Level of the intervals.
    pub level: f64,
}

/// The minima of every budget and the power law through those of the parabolas, or `None` where the table
/// names no budget. Noise is that of the parabolas' residuals, pooled over budgets.
pub fn approach2(table: &LossTable, draws: Draws) -> Option<Approach2> {
    let sd = residual_noise(table);
    approach2_by(table, By::Parabola, &|_| sd, draws)
}

/// The same by a named kind of minimum, with `noise(ln loss)` the standard deviation of ln loss.
///
/// Each budget weighs in the power law by 1/variance of its minimum over the draws, as in Porian et al.
/// 2024 (arXiv:2406.19146); one whose minimum lies at an edge in half of the draws is dropped.
pub fn approach2_by(
    table: &LossTable,
    by: By,
    noise: &(dyn Fn(f64) -> f64 + Sync),
    draws: Draws,
) -> Option<Approach2> {
    let budgets = by_budget(table);
    if budgets.is_empty() {
        return None;
    }
    let curves: Vec<(f64, Curve)> =
        budgets.values().map(|rows| (rows[0].budget.unwrap_or_default(), Curve::of(rows))).collect();
    let drawn: Vec<Vec<Option<f64>>> = (0..draws.n)
        .into_par_iter()
        .map(|draw| {
            let mut rng = stream(draws.seed, draw as u64);
            curves.iter().map(|(_, curve)| curve.with_noise(noise, &mut rng).best(by)).collect()
        })
        .collect();
    let mut minima = Vec::new();
    let mut points = Vec::new();
    for (idx, (budget, curve)) in curves.iter().enumerate() {
        let mut minimum = curve.minimum(*budget);
        let mut found: Vec<f64> = drawn.iter().filter_map(|draw| draw[idx]).collect();
        let is_lost = draws.n > 0 && 2 * found.len() < draws.n;
        if let Some(ln_n) = curve.best(by)
            && !is_lost
        {
            points.push(BudgetMinimum { budget: idx, ln_c: curve.ln_c, ln_n, weight: weight(&found) });
        }
        found.sort_by(f64::total_cmp);
        if let Some((low, high)) = quantile::between_tails(&found, tail_of(draws.level))
            && minimum.n.is_some()
            && !is_lost
        {
            minimum.n_interval = Some(interval(low.exp(), high.exp(), found.len(), draws.level));
        }
        minima.push(minimum);
    }
    Some(Approach2 { minima, frontier: power_law(&curves, &points, &drawn, draws.level) })
}

fn interval(low: f64, high: f64, resamples: usize, level: f64) -> Interval {
    let method = "draws of the losses' noise, percentiles".to_owned();
    Interval { low, high, level, method, resamples }
}

/// A minimum that the power law goes through.
struct BudgetMinimum {
    budget: usize,
    ln_c: f64,
    ln_n: f64,
    weight: f64,
}

/// 1/variance of a minimum over draws; 1 without draws.
fn weight(found: &[f64]) -> f64 {
    if found.len() < 2 {
        return 1.0;
    }
    let n = found.len() as f64;
    let mean = found.iter().sum::<f64>() / n;
    let variance = found.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0);
    // Sizes are not known better than to a tenth of a per cent.
    1.0 / variance.max(1e-6)
}

/// Standard deviation of ln loss about the budgets' parabolas.
fn residual_noise(table: &LossTable) -> f64 {
    let (mut sum, mut df) = (0.0, 0.0);
    for rows in by_budget(table).values() {
        let curve = Curve::of(rows);
        if let Ok(c) = parabola(&curve.rows, curve.ln_n.len()) {
            // In this order of operations, so that the sums keep their last bits.
            sum += curve.rows.iter().map(|(x, y)| (y - c[0] - x * (c[1] + x * c[2])).powi(2)).sum::<f64>();
            df += curve.rows.len() as f64 - 3.0;
        }
    }
    if df > 0.0 { (sum / df).sqrt() } else { 0.0 }
}

/// `N* = g·C^a` and `D* = h·C^b` through the minima; `None` with fewer than two.
fn power_law(
    curves: &[(f64, Curve)],
    points: &[BudgetMinimum],
    drawn: &[Vec<Option<f64>>],
    level: f64,
) -> Option<Frontier> {
    if points.len() < 2 {
        return None;
    }
    let ln_c: Vec<f64> = points.iter().map(|p| p.ln_c).collect();
    let weights: Vec<f64> = points.iter().map(|p| p.weight).collect();
    let ln_n: Vec<f64> = points.iter().map(|p| p.ln_n).collect();
    let ln_d: Vec<f64> = points.iter().map(|p| curves[p.budget].1.ln_d_at(p.ln_n)).collect();
    let (n0, a) = weighted_line(&ln_c, &ln_n, &weights);
    let (d0, b) = weighted_line(&ln_c, &ln_d, &weights);
    let largest = ln_c.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut columns: [(&str, Vec<f64>); 3] = [("a", Vec::new()), ("b", Vec::new()), (LOG10_N, Vec::new())];
    for draw in drawn {
        let kept: Vec<(&BudgetMinimum, f64)> =
            points.iter().filter_map(|p| Some((p, draw[p.budget]?))).collect();
        if kept.len() < 2 {
            continue;
        }
        let of = |y: &dyn Fn(&(&BudgetMinimum, f64)) -> f64| {
            let x: Vec<f64> = kept.iter().map(|(p, _)| p.ln_c).collect();
            let weights: Vec<f64> = kept.iter().map(|(p, _)| p.weight).collect();
            weighted_line(&x, &kept.iter().map(y).collect::<Vec<_>>(), &weights)
        };
        let (n0, a) = of(&|(_, ln_n)| *ln_n);
        columns[0].1.push(a);
        columns[1].1.push(of(&|(p, ln_n)| curves[p.budget].1.ln_d_at(*ln_n)).1);
        columns[2].1.push((n0 + a * largest) / std::f64::consts::LN_10);
    }
    let intervals = columns
        .into_iter()
        .filter_map(|(name, values)| {
            let found = percentiles(values, tail_of(level))?;
            Some((name.to_owned(), interval(found.low, found.high, found.n, level)))
        })
        .collect();
    let frontier = Frontier { a, b, n_coefficient: n0.exp(), d_coefficient: d0.exp(), intervals };
    frontier.is_finite().then_some(frontier)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{row, table_of};

    const DRAWS: Draws = Draws { n: 100, seed: 0, level: 0.95 };

    fn table(best: impl Fn(f64) -> f64) -> LossTable {
        let mut rows = Vec::new();
        for c in [1e15, 1e16, 1e17] {
            for k in -3..=3 {
                let n = 1e6 * (c / 1e15_f64).powf(0.5) * 1.5_f64.powi(k);
                let x = (n / best(c)).ln();
                rows.push(row(rows.len(), n, c / (6.0 * n), (1.0 + 0.02 * x * x).exp(), Some(c)));
            }
        }
        table_of(rows)
    }

    #[test]
    fn an_exact_parabola_gives_its_minimum_and_exponents() {
        let best = |c: f64| 1.1e6 * (c / 1e15_f64).powf(0.47);
        let found = approach2(&table(best), DRAWS).unwrap();
        for minimum in &found.minima {
            let n = minimum.n.unwrap();
            assert!((n / best(minimum.budget) - 1.0).abs() < 1e-6, "{minimum:?}");
            assert!((minimum.loss.unwrap() - 1.0_f64.exp()).abs() < 1e-9);
            assert!((minimum.n_akima.unwrap() / n - 1.0).abs() < 1e-3);
        }
        let frontier = found.frontier.unwrap();
        assert!((frontier.a - 0.47).abs() < 1e-6 && (frontier.b - 0.53).abs() < 1e-6, "{frontier:?}");
    }

    #[test]
    fn a_minimum_beyond_the_grid_is_none() {
        let found = approach2(&table(|c| 1e9 * (c / 1e15_f64).powf(0.5)), DRAWS).unwrap();
        assert!(found.minima.iter().all(|minimum| minimum.n.is_none() && minimum.why_none.is_some()));
        assert!(found.frontier.is_none());
    }
}
