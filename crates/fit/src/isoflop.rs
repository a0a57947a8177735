//! Approach 2: the best size of each budget, by a parabola and by Akima's interpolation, and the power
//! law through the minima (Hoffmann et al. 2022, section 3.2).

use std::collections::BTreeMap;

use scalelaw_schema::table::{LossRow, LossTable};

use crate::akima;
use crate::conclusion::{Approach2, Frontier, IsoFlopMinimum};

/// The minima of every budget, or `None` where the table names no budget.
pub fn approach2(table: &LossTable) -> Option<Approach2> {
    let budgets = by_budget(table);
    if budgets.is_empty() {
        return None;
    }
    let mut minima = Vec::new();
    let mut points = Vec::new();
    for rows in budgets.values() {
        let curve = Curve::of(rows);
        let minimum = curve.minimum(rows[0].budget.unwrap_or(curve.ln_c.exp()));
        if let Some(n) = minimum.n {
            points.push((curve.ln_c, n.ln(), curve.ln_d_at(n.ln())));
        }
        minima.push(minimum);
    }
    minima.sort_by(|x, y| x.budget.total_cmp(&y.budget));
    Some(Approach2 { minima, frontier: power_law(&points) })
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

/// `N* = g·C^a` and `D* = h·C^b` through `(ln C, ln N*, ln D*)`; `None` with fewer than two.
fn power_law(points: &[(f64, f64, f64)]) -> Option<Frontier> {
    if points.len() < 2 {
        return None;
    }
    let ln_c: Vec<f64> = points.iter().map(|p| p.0).collect();
    let (n0, a) = line(&ln_c, &points.iter().map(|p| p.1).collect::<Vec<_>>());
    let (d0, b) = line(&ln_c, &points.iter().map(|p| p.2).collect::<Vec<_>>());
    let frontier =
        Frontier { a, b, n_coefficient: n0.exp(), d_coefficient: d0.exp(), intervals: BTreeMap::new() };
    frontier.is_finite().then_some(frontier)
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
    use super::*;

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
        LossTable {
            source: "test".into(),
            count_rule: "as given".into(),
            loss_name: "loss".into(),
            rows,
            excluded: Vec::new(),
        }
    }

    #[test]
    fn an_exact_parabola_gives_its_minimum_and_exponents() {
        let best = |c: f64| 1.1e6 * (c / 1e15_f64).powf(0.47);
        let found = approach2(&table(best)).unwrap();
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
        let found = approach2(&table(|c| 1e9 * (c / 1e15_f64).powf(0.5))).unwrap();
        assert!(found.minima.iter().all(|minimum| minimum.n.is_none() && minimum.why_none.is_some()));
        assert!(found.frontier.is_none());
    }
}
