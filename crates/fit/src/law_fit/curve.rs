//! Learning curves: intermediate checkpoints as rows of a fit, where they help, and Approach 1, the envelope of
//! the curves (Hoffmann et al. 2022, section 3.1).

use std::collections::BTreeMap;

use scalelaw_schema::table::{Counting, ExcludedRow, LossRow, LossTable};

use super::identify;
use crate::conclusion::Frontier;
use crate::laws::{self, ScalingLaw};
use crate::objective::Objective;
use crate::row::{Point, Rows};
use crate::search;
use crate::stats::{line, quantile};

/// Rows of one size in one cluster that make a learning curve, in a user's table.
const LEAST_CHECKPOINTS: usize = 10;

/// Share of a run's tokens that is dropped at its start (Choshen et al. 2024, arXiv:2410.11840).
const START: f64 = 0.1;

/// Steps of the envelope along ln C.
const N_STEPS: usize = 200;

/// The rows of each curve in rising order of D, by cluster and size. A table counted by a rule of this program
/// has none: each of its rows is the end of a run, however many branches a trunk has.
fn curves(table: &LossTable) -> Vec<Vec<usize>> {
    if matches!(table.count_rule, Counting::Rule(_)) {
        return Vec::new();
    }
    let mut groups: BTreeMap<(&str, u64), Vec<usize>> = BTreeMap::new();
    for (idx, row) in table.rows.iter().enumerate() {
        if let Some(cluster) = &row.cluster {
            groups.entry((cluster.as_str(), row.n.to_bits())).or_default().push(idx);
        }
    }
    let mut curves: Vec<Vec<usize>> =
        groups.into_values().filter(|rows| rows.len() >= LEAST_CHECKPOINTS).collect();
    for curve in &mut curves {
        curve.sort_by(|&x, &y| table.rows[x].d.total_cmp(&table.rows[y].d));
    }
    curves
}

/// The table with as many checkpoints as help to predict final losses, and a note on what was done.
/// A table without curves is returned as it is.
pub(crate) fn choose_rows(table: LossTable, objective: Objective) -> (LossTable, Option<String>) {
    let curves = curves(&table);
    if curves.len() < 3 {
        return (table, None);
    }
    let mut is_end = vec![true; table.rows.len()];
    let mut is_start = vec![false; table.rows.len()];
    for curve in &curves {
        let Some((&last, before)) = curve.split_last() else { continue };
        for &row in before {
            is_end[row] = false;
            is_start[row] = table.rows[row].d < START * table.rows[last].d;
        }
    }
    let ends: Vec<&LossRow> =
        table.rows.iter().zip(&is_end).filter(|(_, is)| **is).map(|(row, _)| row).collect();
    let late: Vec<&LossRow> =
        table.rows.iter().zip(&is_start).filter(|(_, is)| !**is).map(|(row, _)| row).collect();
    let by_ends = error_of_ends(&ends, &ends, objective);
    let by_all = error_of_ends(&late, &ends, objective);
    let (keep, why, note): (Vec<bool>, &str, String) = match (by_ends, by_all) {
        (Some(by_ends), by_all) if by_all.is_none_or(|by_all| by_ends <= by_all) => {
            let error = by_all.map_or("cannot".into(), |by_all| format!("{:.2} %", 100.0 * by_all));
            (
                is_end,
                "an intermediate checkpoint: final losses alone predict larger runs better",
                format!(
                    "intermediate checkpoints are excluded: in back-tests the final losses alone err by {:.2} %, with checkpoints {error}",
                    100.0 * by_ends
                ),
            )
        }
        (by_ends, _) => {
            let error =
                by_ends.map_or("cannot be fitted".into(), |error| format!("err by {:.2} %", 100.0 * error));
            let by_all =
                by_all.map_or("are all there is".into(), |error| format!("err by {:.2} %", 100.0 * error));
            (
                is_start.iter().map(|is| !is).collect(),
                "the first tenth of a run",
                format!(
                    "intermediate checkpoints are used, except for the first tenth of each run: in back-tests they {by_all}, the final losses alone {error}"
                ),
            )
        }
    };
    let (mut rows, mut excluded) = (Vec::new(), table.excluded.clone());
    for (row, keep) in table.rows.iter().zip(&keep) {
        if *keep {
            rows.push(row.clone());
        } else {
            excluded.push(ExcludedRow { name: row.name.clone(), why: why.into() });
        }
    }
    (LossTable { rows, excluded, ..table }, Some(note))
}

/// Mean absolute error of ln loss of `ends`, each predicted by those of `rows` with less compute; over three
/// origins.
fn error_of_ends(rows: &[&LossRow], ends: &[&LossRow], objective: Objective) -> Option<f64> {
    let law: &dyn ScalingLaw = &laws::Chinchilla;
    let mut c: Vec<f64> = ends.iter().map(|row| row.c).collect();
    c.sort_by(f64::total_cmp);
    let mut errors = Vec::new();
    for share in [0.6, 0.7, 0.8] {
        let cut = quantile::of_sorted(&c, share)?;
        let below: Vec<(Point, f64)> =
            rows.iter().filter(|row| row.c <= cut).map(|row| (Point::of(row), row.loss.ln())).collect();
        let below = Rows::from_points(&below);
        if identify::check(law, &below).is_err() {
            continue;
        }
        let Some(minimum) = search::minimum(law, &below, objective) else { continue };
        let above: Vec<f64> = ends
            .iter()
            .filter(|row| row.c > cut)
            .map(|row| {
                law.log_loss(&minimum.theta, &Point::of(row).relative_to(&below.centre)) - row.loss.ln()
            })
            .map(f64::abs)
            .collect();
        if !above.is_empty() {
            errors.push(above.iter().sum::<f64>() / above.len() as f64);
        }
    }
    (!errors.is_empty()).then(|| errors.iter().sum::<f64>() / errors.len() as f64)
}

/// Approach 1: the size whose curve is lowest at each C, and the power law through those sizes. `None` with
/// fewer than three sizes that have curves, or where the envelope only has the smallest and the largest.
pub(crate) fn envelope(table: &LossTable) -> Option<Frontier> {
    let curves: Vec<Vec<(f64, f64, f64, f64)>> = curves(table)
        .iter()
        .map(|curve| {
            let point = |&idx: &usize| {
                let row = &table.rows[idx];
                (row.c.ln(), row.loss.ln(), row.n.ln(), row.d.ln())
            };
            curve.iter().map(point).collect()
        })
        .collect();
    let sizes: Vec<f64> = curves.iter().map(|curve| curve[0].2).collect();
    let smallest = sizes.iter().copied().fold(f64::INFINITY, f64::min);
    let largest = sizes.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let first = curves.iter().map(|curve| curve[0].0).fold(f64::INFINITY, f64::min);
    let last = curves.iter().map(|curve| curve[curve.len() - 1].0).fold(f64::NEG_INFINITY, f64::max);
    let (mut ln_c, mut ln_n, mut ln_d) = (Vec::new(), Vec::new(), Vec::new());
    for step in 1..N_STEPS {
        let at = first + (last - first) * step as f64 / N_STEPS as f64;
        let lowest =
            curves.iter().filter_map(|curve| interpolate(curve, at)).min_by(|x, y| x.0.total_cmp(&y.0));
        let Some((_, n, d)) = lowest else { continue };
        // Where the smallest or largest size is lowest, a better one may lie outside the sizes.
        if n > smallest + 1e-9 && n < largest - 1e-9 {
            ln_c.push(at);
            ln_n.push(n);
            ln_d.push(d);
        }
    }
    let mut distinct = ln_n.clone();
    distinct.sort_by(f64::total_cmp);
    distinct.dedup_by(|x, y| (*x - *y).abs() < 1e-9);
    if distinct.len() < 2 {
        return None;
    }
    let ((n0, a), (d0, b)) = (line(&ln_c, &ln_n), line(&ln_c, &ln_d));
    let frontier =
        Frontier { a, b, n_coefficient: n0.exp(), d_coefficient: d0.exp(), intervals: BTreeMap::new() };
    frontier.is_finite().then_some(frontier)
}

/// (ln loss, ln N, ln D) of a curve at `ln_c`, where it reaches there.
fn interpolate(curve: &[(f64, f64, f64, f64)], ln_c: f64) -> Option<(f64, f64, f64)> {
    let after = curve.iter().position(|point| point.0 >= ln_c)?;
    let (right, left) = (curve[after], curve[after.checked_sub(1)?]);
    let share = if right.0 > left.0 { (ln_c - left.0) / (right.0 - left.0) } else { 0.0 };
    Some((left.1 + share * (right.1 - left.1), left.2, left.3 + share * (right.3 - left.3)))
}

#[cfg(test)]
mod tests {
    use scalelaw_schema::count::CountRule;

    use super::*;
    use crate::design::parse_law_with_params;
    use crate::testing::{row, table_of};

    /// Nine sizes, each with checkpoints that lie on the law itself.
    fn sweep() -> LossTable {
        let law = parse_law_with_params("chinchilla:E=1.8,A=480,B=800,alpha=0.35,beta=0.35").unwrap();
        let mut rows = Vec::new();
        for size in 0..9 {
            let n = 1e6 * 2f64.powi(size);
            for step in 1..=60 {
                let d = 200.0 * n * f64::from(step) / 60.0;
                let mut row = row(rows.len(), n, d, law.loss(n, d), None);
                row.cluster = Some(format!("run {size}"));
                rows.push(row);
            }
        }
        table_of(rows)
    }

    #[test]
    fn the_branches_of_a_trunk_are_ends_however_many_there_are() {
        let table = LossTable { count_rule: Counting::Rule(CountRule::Exact), ..sweep() };
        let n_rows = table.rows.len();
        let (table, note) = choose_rows(table, Objective::LogHuber(1e-3));
        assert_eq!((table.rows.len(), note), (n_rows, None));
        assert!(envelope(&table).is_none());
    }

    #[test]
    fn the_envelope_finds_the_exponent_of_curves_that_follow_the_law() {
        let frontier = envelope(&sweep()).unwrap();
        // Equal exponents: one half; steps of two in N leave a few hundredths.
        assert!((frontier.a - 0.5).abs() < 0.03 && (frontier.b - 0.5).abs() < 0.03, "{frontier:?}");
    }

    #[test]
    fn the_use_of_checkpoints_is_reported_and_the_start_is_dropped() {
        let (table, note) = choose_rows(sweep(), Objective::LogHuber(1e-3));
        assert!(note.unwrap().contains("checkpoints"));
        assert!(!table.excluded.is_empty() && table.rows.len() + table.excluded.len() == 540);
    }

    #[test]
    fn a_trunk_with_a_few_branches_is_no_curve() {
        let mut table = sweep();
        table.rows.retain(|row| row.d > 150.0 * row.n && row.d < 170.0 * row.n);
        let n_rows = table.rows.len();
        let (table, note) = choose_rows(table, Objective::LogHuber(1e-3));
        assert!(note.is_none() && table.rows.len() == n_rows && envelope(&table).is_none());
    }
}
