//! Where to centre the next IsoFLOP budget, from the budgets already trained.

use scalelaw_fit::conclusion::Approach2;
use scalelaw_fit::isoflop::{Draws, approach2};
use scalelaw_schema::LEVEL;
use scalelaw_schema::table::LossTable;

/// Exponent of N* where the budgets so far do not determine one: half of every factor of compute goes to the
/// model (Hoffmann et al. 2022: 0.46 to 0.50 by three approaches).
const DEFAULT_EXPONENT: f64 = 0.5;

/// Exponents outside these come from noise in two or three minima, not from any published law
/// (0.46 of Hoffmann et al. 2022 to 0.73 of Kaplan et al. 2020, with some room).
const EXPONENT_RANGE: [f64; 2] = [0.35, 0.8];

/// Draws of noise by which the minima of the smaller budgets are weighted.
const NOISE_DRAWS: usize = 200;

/// N at the middle of the sizes for a budget of `next_budget` FLOPs, from the runs of the smaller budgets.
///
/// `None` where none of them has a minimum inside its grid: the prior then stays.
pub fn center_of_next_budget(table: &LossTable, next_budget: f64) -> Option<f64> {
    let trained = approach2(table, Draws { n: NOISE_DRAWS, seed: 0, level: LEVEL })?;
    from_minima(&trained, next_budget)
}

/// N at the middle of the sizes for a budget of `next_budget` FLOPs: the minimum of the largest smaller
/// budget that has one inside its grid, carried on by the exponent of the minima.
fn from_minima(trained: &Approach2, next_budget: f64) -> Option<f64> {
    let (budget, n) = trained
        .minima
        .iter()
        .filter(|minimum| minimum.budget < next_budget)
        .filter_map(|minimum| minimum.n.map(|n| (minimum.budget, n)))
        .max_by(|x, y| x.0.total_cmp(&y.0))?;
    let exponent = trained.frontier.as_ref().map_or(DEFAULT_EXPONENT, |frontier| frontier.a);
    let exponent = exponent.clamp(EXPONENT_RANGE[0], EXPONENT_RANGE[1]);
    Some(n * (next_budget / budget).powf(exponent))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use scalelaw_fit::conclusion::{Frontier, IsoFlopMinimum};

    use super::*;

    fn minimum(budget: f64, n: Option<f64>) -> IsoFlopMinimum {
        IsoFlopMinimum {
            budget,
            n_sizes: 5,
            n,
            loss: n.map(|_| 3.0),
            why_none: n.is_none().then(|| "at the edge".to_string()),
            parabola: [0.0; 3],
            n_akima: None,
            n_interval: None,
        }
    }

    fn frontier(a: f64) -> Option<Frontier> {
        Some(Frontier { a, b: 1.0 - a, n_coefficient: 1.0, d_coefficient: 1.0, intervals: BTreeMap::new() })
    }

    #[test]
    fn the_next_centre_follows_the_last_minimum_inside_its_grid() {
        let known = |minima, frontier| from_minima(&Approach2 { minima, frontier }, 1e16);
        let check = |found: Option<f64>, expected: f64| {
            let found = found.expect("a centre");
            assert!((found / expected - 1.0).abs() < 1e-12, "{found}, expected {expected}");
        };
        check(known(vec![minimum(1e14, Some(1e5))], None), 1e6);
        check(
            known(vec![minimum(1e14, Some(1e5)), minimum(1e15, Some(2e5))], frontier(0.6)),
            2e5 * 10f64.powf(0.6),
        );
        check(known(vec![minimum(1e14, Some(1e5)), minimum(1e15, None)], None), 1e6);
        check(known(vec![minimum(1e14, Some(1e5))], frontier(3.0)), 1e5 * 100f64.powf(0.8));
        assert_eq!(known(vec![minimum(1e14, None)], None), None);
        assert_eq!(known(vec![minimum(1e17, Some(1e5))], None), None);
    }
}
