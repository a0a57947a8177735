//! The losses of one budget over its sizes.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use scalelaw_schema::table::{LossRow, LossTable};

use super::akima;
use super::parabola::{parabola, parabola_at, vertex};
use crate::conclusion::IsoFlopMinimum;
use crate::row::SAME_POINT;
use crate::stats::{line, standard_normal};

/// How a budget's best size is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The vertex of the least-squares parabola in ln N (Hoffmann et al. 2022).
    Parabola,
    /// The least point of Akima's interpolation (Porian et al. 2024).
    Akima,
}

/// Rows of each budget, in rising order of it.
pub fn by_budget(table: &LossTable) -> BTreeMap<u64, Vec<&LossRow>> {
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
pub struct Curve {
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
    pub(super) rows: Vec<(f64, f64)>,
}

impl Curve {
    /// Of the rows of one budget.
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

    /// ln D along the budget.
    pub fn ln_d_at(&self, ln_n: f64) -> f64 {
        self.d0 + self.d1 * ln_n
    }

    /// ln N of the minimum, strictly inside the sizes.
    pub(super) fn best(&self, by: By) -> Option<f64> {
        match by {
            By::Akima => akima::minimum(&self.ln_n, &self.ln_loss),
            By::Parabola => {
                let c = parabola(&self.rows, self.ln_n.len()).ok()?;
                vertex(&c, &self.ln_n).ok()
            }
        }
    }

    /// The same curve with noise added to each of its rows.
    pub(super) fn with_noise(&self, noise: &dyn Fn(f64) -> f64, rng: &mut ChaCha8Rng) -> Self {
        let rows: Vec<(f64, f64)> = self
            .rows
            .iter()
            .map(|&(ln_n, ln_loss)| (ln_n, ln_loss + noise(ln_loss) * standard_normal(rng)))
            .collect();
        let (ln_n, ln_loss) = size_means(&rows);
        Self { ln_n, ln_loss, rows, ..*self }
    }

    pub(super) fn minimum(&self, budget: f64) -> IsoFlopMinimum {
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
            Err(why) => found.why_none = Some(why.to_string()),
            Ok(c) => {
                found.parabola = c;
                match vertex(&c, &self.ln_n) {
                    Err(why) => found.why_none = Some(why.to_string()),
                    Ok(x) => {
                        found.n = Some(x.exp());
                        found.loss = Some(parabola_at(&c, x).exp());
                    }
                }
            }
        }
        found
    }
}

/// Sizes, rising, with the mean of ln loss at each.
pub fn size_means(pairs: &[(f64, f64)]) -> (Vec<f64>, Vec<f64>) {
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|x, y| x.0.total_cmp(&y.0));
    let (mut x, mut y, mut count): (Vec<f64>, Vec<f64>, f64) = (Vec::new(), Vec::new(), 0.0);
    for (ln_n, ln_loss) in sorted {
        match (x.last(), y.last_mut()) {
            (Some(last), Some(mean)) if ln_n - last < SAME_POINT => {
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
