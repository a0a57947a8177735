//! Approach 2: the best size of each budget, by a parabola and by Akima's interpolation, and the power
//! law through the minima (Hoffmann et al. 2022, section 3.2).

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use scalelaw_schema::table::{LossRow, LossTable};

use crate::akima;
use crate::bootstrap::stream;
use crate::conclusion::{Approach2, Frontier, Interval, IsoFlopMinimum};
use crate::quantile;
use crate::simulate::standard_normal;

/// How a budget's best size is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The vertex of the least-squares parabola in ln N (Hoffmann et al. 2022).
    Parabola,
    /// The least point of Akima's interpolation (Porian et al. 2024).
    Akima,
}

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
/// 2024 (arXiv:2406.19146); one whose minimum lies at an edge in half of the draws is left out.
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
            curves.iter().map(|(_, curve)| curve.shaken(noise, &mut rng).best(by)).collect()
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
            points.push(Through { budget: idx, ln_c: curve.ln_c, ln_n, weight: weight(&found) });
        }
        found.sort_by(f64::total_cmp);
        let tail = 0.5 * (1.0 - draws.level);
        if let (Some(low), Some(high)) =
            (quantile::of_sorted(&found, tail), quantile::of_sorted(&found, 1.0 - tail))
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
struct Through {
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
            sum += curve.rows.iter().map(|(x, y)| (y - c[0] - x * (c[1] + x * c[2])).powi(2)).sum::<f64>();
            df += curve.rows.len() as f64 - 3.0;
        }
    }
    if df > 0.0 { (sum / df).sqrt() } else { 0.0 }
}

/// Rows of each budget, in rising order of it.
pub(crate) fn by_budget(table: &LossTable) -> BTreeMap<u64, Vec<&LossRow>> {
    let mut budgets: BTreeMap<u64, Vec<&LossRow>> = BTreeMap::new();
    for row in &table.rows {
        if let Some(budget) = row.budget {
            // Positive floats are ordered as their bits are.
            budgets.entry(budget.to_bits()).or_default().push(row);
        }
    }
    budgets
}

/// Mean log loss of each size at one budget.
pub(crate) struct Curve {
    /// ln N, rising.
    pub ln_n: Vec<f64>,
    /// Mean ln loss at each.
    pub ln_loss: Vec<f64>,
    /// Mean ln C of the rows.
    pub ln_c: f64,
    /// `ln D = d0 + d1·ln N` by least squares.
    d0: f64,
    d1: f64,
    /// ln N and ln loss of every row.
    rows: Vec<(f64, f64)>,
}

impl Curve {
    pub fn of(rows: &[&LossRow]) -> Self {
        let pairs: Vec<(f64, f64)> = rows.iter().map(|row| (row.n.ln(), row.loss.ln())).collect();
        let (ln_n, ln_loss) = size_means(&pairs);
        let n_rows = rows.len().max(1) as f64;
        let ln_c = rows.iter().map(|row| row.c.ln()).sum::<f64>() / n_rows;
        let x: Vec<f64> = pairs.iter().map(|pair| pair.0).collect();
        let y: Vec<f64> = rows.iter().map(|row| row.d.ln()).collect();
        let (d0, d1) = line(&x, &y);
        Self { ln_n, ln_loss, ln_c, d0, d1, rows: pairs }
    }

    pub fn ln_d_at(&self, ln_n: f64) -> f64 {
        self.d0 + self.d1 * ln_n
    }

    /// ln N of the minimum, strictly inside of the sizes.
    fn best(&self, by: By) -> Option<f64> {
        match by {
            By::Akima => akima::minimum(&self.ln_n, &self.ln_loss),
            By::Parabola => {
                parabola(&self.rows, self.ln_n.len()).ok().and_then(|c| vertex(&c, &self.ln_n).ok())
            }
        }
    }

    /// The same curve with noise added to each of its rows.
    fn shaken(&self, noise: &dyn Fn(f64) -> f64, rng: &mut ChaCha8Rng) -> Self {
        let rows: Vec<(f64, f64)> = self
            .rows
            .iter()
            .map(|&(ln_n, ln_loss)| (ln_n, ln_loss + noise(ln_loss) * standard_normal(rng)))
            .collect();
        let (ln_n, ln_loss) = size_means(&rows);
        Self { ln_n, ln_loss, rows, ..*self }
    }

    fn minimum(&self, budget: f64) -> IsoFlopMinimum {
        let n_sizes = self.ln_n.len();
        let mut found = IsoFlopMinimum {
            budget,
            n_sizes,
            n: None,
            loss: None,
            why_none: None,
            parabola: [0.0; 3],
            n_akima: akima::minimum(&self.ln_n, &self.ln_loss).map(f64::exp),
            n_interval: None,
        };
        match parabola(&self.rows, n_sizes) {
            Err(why) => found.why_none = Some(why),
            Ok(c) => {
                found.parabola = c;
                match vertex(&c, &self.ln_n) {
                    Err(why) => found.why_none = Some(why),
                    Ok(x) => {
                        found.n = Some(x.exp());
                        found.loss = Some((c[0] + x * (c[1] + x * c[2])).exp());
                    }
                }
            }
        }
        found
    }
}

/// Sizes, rising, with the mean of ln loss at each.
pub(crate) fn size_means(pairs: &[(f64, f64)]) -> (Vec<f64>, Vec<f64>) {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (mut x, mut y, mut count): (Vec<f64>, Vec<f64>, f64) = (Vec::new(), Vec::new(), 0.0);
    for (ln_n, ln_loss) in sorted {
        match (x.last(), y.last_mut()) {
            // Seeds of one size have the same N; a digitised figure has it to four digits.
            (Some(last), Some(mean)) if ln_n - last < 1e-3 => {
                count += 1.0;
                *mean += (ln_loss - *mean) / count;
            }
            _ => {
                x.push(ln_n);
                y.push(ln_loss);
                count = 1.0;
            }
        }
    }
    (x, y)
}

/// Least-squares parabola `c0 + c1·x + c2·x²`.
pub(crate) fn parabola(pairs: &[(f64, f64)], n_sizes: usize) -> Result<[f64; 3], String> {
    if n_sizes < 3 {
        return Err(format!("{n_sizes} sizes do not determine a parabola"));
    }
    let n = pairs.len() as f64;
    let mean = pairs.iter().map(|pair| pair.0).sum::<f64>() / n;
    let mut gram = [[0.0; crate::laws::MAX_PARAMS]; crate::laws::MAX_PARAMS];
    let mut moment = [0.0; crate::laws::MAX_PARAMS];
    for (x, y) in pairs {
        let t = x - mean;
        let powers = [1.0, t, t * t];
        for i in 0..3 {
            for j in 0..3 {
                gram[i][j] += powers[i] * powers[j];
            }
            moment[i] += powers[i] * y;
        }
    }
    let lower = crate::minimise::cholesky(&gram, 3).ok_or("the sizes are too near to each other")?;
    let c = crate::minimise::cholesky_solve(&lower, 3, &moment);
    Ok([c[0] - c[1] * mean + c[2] * mean * mean, c[1] - 2.0 * c[2] * mean, c[2]])
}

/// Where the parabola is least, strictly inside of the sizes.
pub(crate) fn vertex(c: &[f64; 3], ln_n: &[f64]) -> Result<f64, String> {
    if c[2].is_nan() || c[2] <= 0.0 {
        return Err("the losses do not curve upwards".into());
    }
    let x = -c[1] / (2.0 * c[2]);
    match (ln_n.first(), ln_n.last()) {
        (Some(&first), _) if x <= first => Err("the minimum lies at or below the smallest size".into()),
        (_, Some(&last)) if x >= last => Err("the minimum lies at or above the largest size".into()),
        _ => Ok(x),
    }
}

/// `N* = g·C^a` and `D* = h·C^b` through the minima; `None` with fewer than two.
fn power_law(
    curves: &[(f64, Curve)],
    points: &[Through],
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
    let mut columns: [(&str, Vec<f64>); 3] =
        [("a", Vec::new()), ("b", Vec::new()), (crate::interval::LOG10_N, Vec::new())];
    for draw in drawn {
        let kept: Vec<(&Through, f64)> = points.iter().filter_map(|p| Some((p, draw[p.budget]?))).collect();
        if kept.len() < 2 {
            continue;
        }
        let of = |y: &dyn Fn(&(&Through, f64)) -> f64| {
            let x: Vec<f64> = kept.iter().map(|(p, _)| p.ln_c).collect();
            let weights: Vec<f64> = kept.iter().map(|(p, _)| p.weight).collect();
            weighted_line(&x, &kept.iter().map(y).collect::<Vec<_>>(), &weights)
        };
        let (n0, a) = of(&|(_, ln_n)| *ln_n);
        columns[0].1.push(a);
        columns[1].1.push(of(&|(p, ln_n)| curves[p.budget].1.ln_d_at(*ln_n)).1);
        columns[2].1.push((n0 + a * largest) / std::f64::consts::LN_10);
    }
    let tail = 0.5 * (1.0 - level);
    let intervals = columns
        .into_iter()
        .filter(|(_, values)| values.len() >= 40)
        .filter_map(|(name, mut values)| {
            values.sort_by(f64::total_cmp);
            let (low, high) =
                (quantile::of_sorted(&values, tail)?, quantile::of_sorted(&values, 1.0 - tail)?);
            Some((name.to_owned(), interval(low, high, values.len(), level)))
        })
        .collect();
    let frontier = Frontier { a, b, n_coefficient: n0.exp(), d_coefficient: d0.exp(), intervals };
    frontier.is_finite().then_some(frontier)
}

/// Intercept and slope by weighted least squares; slope 0 where x does not vary.
fn weighted_line(x: &[f64], y: &[f64], weights: &[f64]) -> (f64, f64) {
    let sum: f64 = weights.iter().sum();
    let mean = |values: &[f64]| values.iter().zip(weights).map(|(v, w)| v * w).sum::<f64>() / sum;
    let (mean_x, mean_y) = (mean(x), mean(y));
    let sxx: f64 = x.iter().zip(weights).map(|(x, w)| w * (x - mean_x) * (x - mean_x)).sum();
    let sxy: f64 = x.iter().zip(y).zip(weights).map(|((x, y), w)| w * (x - mean_x) * (y - mean_y)).sum();
    let slope = if sxx > 1e-12 * sum { sxy / sxx } else { 0.0 };
    (mean_y - slope * mean_x, slope)
}

/// Intercept and slope by least squares; slope 0 where x does not vary.
pub(crate) fn line(x: &[f64], y: &[f64]) -> (f64, f64) {
    let n = x.len().max(1) as f64;
    let (mean_x, mean_y) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let sxx: f64 = x.iter().map(|x| (x - mean_x) * (x - mean_x)).sum();
    let sxy: f64 = x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let slope = if sxx > 1e-12 { sxy / sxx } else { 0.0 };
    (mean_y - slope * mean_x, slope)
}

#[cfg(test)]
mod tests {
    use scalelaw_schema::measure::Measure;
    use scalelaw_schema::table::Counting;

    use super::*;

    const DRAWS: Draws = Draws { n: 100, seed: 0, level: 0.95 };

    fn table(best: impl Fn(f64) -> f64) -> LossTable {
        let mut rows = Vec::new();
        for c in [1e15, 1e16, 1e17] {
            for k in -3..=3 {
                let n = 1e6 * (c / 1e15_f64).powf(0.5) * 1.5_f64.powi(k);
                let x = (n / best(c)).ln();
                rows.push(LossRow {
                    name: String::new(),
                    n,
                    d: c / (6.0 * n),
                    c,
                    loss: (1.0 + 0.02 * x * x).exp(),
                    budget: Some(c),
                    cluster: None,
                    seed: None,
                    unique_tokens: None,
                });
            }
        }
        LossTable { rows, ..LossTable::new("test", Counting::AsGiven, Measure::of_user("loss")) }
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
