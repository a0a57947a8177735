//! One budget of compute: its sizes, and the best of them by the parabola in every draw of the noise.

use scalelaw_schema::table::{LossRow, LossTable};

use super::conclusion::{BudgetSizes, Edge};
use super::draws::Draws;
use super::noise::{self, SharedNoise};
use scalelaw_fit::isoflop::{self, NoMinimum, parabola_at};

const METHOD: &str = "wild bootstrap of the parabola, runs drawn jointly for all texts";

/// One budget: its compute and sizes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub flops: f64,
    /// Mean of the runs' ln C.
    pub ln_c: f64,
    /// ln of the smallest and of the largest size.
    pub ln_n: (f64, f64),
    /// `ln D = d0 + d1·ln N` along the budget.
    d: (f64, f64),
}

impl Budget {
    /// The budgets of a table, rising.
    pub fn all(table: &LossTable) -> Vec<Self> {
        isoflop::by_budget(table)
            .values()
            .filter_map(|rows| {
                let curve = isoflop::Curve::of(rows);
                let (first, last) = (*curve.ln_n.first()?, *curve.ln_n.last()?);
                let d0 = curve.ln_d_at(0.0);
                let d = (d0, curve.ln_d_at(1.0) - d0);
                Some(Self { flops: rows[0].budget?, ln_c: curve.ln_c, ln_n: (first, last), d })
            })
            .collect()
    }

    pub fn ln_d(&self, ln_n: f64) -> f64 {
        self.d.0 + self.d.1 * ln_n
    }

    /// The edge of the sizes at or beyond which ln N lies, if it does.
    pub fn edge(&self, ln_n: f64) -> Option<Edge> {
        if ln_n <= self.ln_n.0 {
            Some(Edge::Smallest)
        } else {
            (ln_n >= self.ln_n.1).then_some(Edge::Largest)
        }
    }

    /// The sizes that were trained.
    pub fn sizes(&self) -> BudgetSizes {
        let (low, high) = self.ln_n;
        BudgetSizes { budget: self.flops, smallest: low.exp(), largest: high.exp() }
    }
}

/// The parabola of one text at one budget.
pub(crate) struct Curve {
    /// Of ln loss in ln N.
    pub parabola: [f64; 3],
    /// ln N of its least value between the smallest and the largest size, ends included, with the draws.
    pub best: Draws,
}

impl Curve {
    /// # Errors
    /// Why there is no parabola.
    pub fn of(rows: &[&LossRow], budget: &Budget, noise: &SharedNoise) -> Result<Self, NoMinimum> {
        let pairs: Vec<(f64, f64)> = rows.iter().map(|row| (row.n.ln(), row.loss.ln())).collect();
        let n_sizes = isoflop::size_means(&pairs).0.len();
        let parabola = isoflop::parabola(&pairs, n_sizes)?;
        let places = noise.places(rows.iter().copied());
        let fitted: Vec<f64> = pairs.iter().map(|pair| parabola_at(&parabola, pair.0)).collect();
        let leverages = leverages(&pairs, n_sizes);
        let errors: Vec<f64> =
            (0..pairs.len()).map(|i| noise::restored(pairs[i].1 - fitted[i], leverages[i])).collect();
        let df = noise::n_units(&places) as f64 - 3.0;
        // Without residuals nothing is drawn: a parabola through three runs knows no noise.
        let n_draws = if df < 1.0 { 0 } else { noise.draws().len() };
        let drawn = noise.draws()[..n_draws].iter().map(|draw| {
            let with_noise: Vec<(f64, f64)> =
                (0..pairs.len()).map(|i| (pairs[i].0, fitted[i] + draw[places[i]] * errors[i])).collect();
            isoflop::parabola(&with_noise, n_sizes).map_or(f64::NAN, |parabola| least(&parabola, budget.ln_n))
        });
        let best = Draws::new(least(&parabola, budget.ln_n), drawn, df, noise.draws(), METHOD);
        Ok(Self { parabola, best: best.within(budget.ln_n.0, budget.ln_n.1) })
    }
}

/// Where a parabola is least between two ends, ends included.
fn least(c: &[f64; 3], (low, high): (f64, f64)) -> f64 {
    if c[2] > 0.0 {
        (-c[1] / (2.0 * c[2])).clamp(low, high)
    } else if parabola_at(c, low) <= parabola_at(c, high) {
        low
    } else {
        high
    }
}

/// Leverage of each row: the parabola is linear, so this is the value at the row of the parabola through a one at
/// the row and zeros elsewhere.
fn leverages(pairs: &[(f64, f64)], n_sizes: usize) -> Vec<f64> {
    (0..pairs.len())
        .map(|row| {
            let unit: Vec<(f64, f64)> =
                pairs.iter().enumerate().map(|(i, pair)| (pair.0, f64::from(i == row))).collect();
            isoflop::parabola(&unit, n_sizes).map_or(1.0, |c| parabola_at(&c, pairs[row].0))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parabola_is_least_at_its_vertex_or_at_the_end_next_to_it() {
        for (c, expected) in [
            ([0.0, -2.0, 1.0], 1.0),
            ([0.0, -10.0, 1.0], 3.0),
            ([0.0, 2.0, 1.0], 0.0),
            ([0.0, 1.0, -1.0], 3.0),
            ([0.0, 9.0, -1.0], 0.0),
        ] {
            assert_eq!(least(&c, (0.0, 3.0)), expected, "{c:?}");
        }
    }

    #[test]
    fn leverages_sum_to_the_number_of_coefficients() {
        let pairs: Vec<(f64, f64)> = (0..10).map(|i| (f64::from(i / 2), f64::from(i))).collect();
        assert!((leverages(&pairs, 5).iter().sum::<f64>() - 3.0).abs() < 1e-9);
    }
}
