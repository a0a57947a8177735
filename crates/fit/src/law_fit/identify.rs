//! Whether the rows identify a law's parameters; if not, why, and which runs would settle it.

use scalelaw_schema::table::LossTable;

use crate::error::FitError;
use crate::isoflop;
use crate::laws::{ScalingLaw, Variable};
use crate::row::{Point, Rows};

/// Values nearer than this in the logarithm are one size, or one number of tokens.
const SAME: f64 = 0.05;

/// Least spread (standard deviation in natural logarithms) of N across D and of D across N. A digitised
/// or rounded table wobbles by a few per cent; a design has at least a factor of two.
const COLLINEAR: f64 = 0.15;

/// Refuses, before any search, a law that these rows cannot identify.
///
/// # Errors
/// [`FitError::Refused`].
pub fn check(law: &dyn ScalingLaw, rows: &Rows) -> Result<(), FitError> {
    let name = law.name();
    let p = law.n_params();
    let n_points = distinct_points(rows);
    if n_points < p + 2 {
        let settle = format!("add runs at {} or more other sizes or token counts", p + 2 - n_points);
        return Err(FitError::refused(
            format!("{n_points} distinct runs cannot identify the {p} parameters of `{name}`"),
            &[&settle],
        ));
    }
    for &variable in law.variables() {
        let (label, values) = values(variable, rows);
        let has_floor = law.param_names().contains(&"E");
        let least = if has_floor { 4 } else { 3 };
        let n_distinct = distinct(values);
        if n_distinct < least {
            let settle = format!(
                "add runs at {} or more other values of {label}, a factor of 2 or more apart",
                least - n_distinct
            );
            return Err(FitError::refused(
                format!(
                    "{n_distinct} distinct values of {label} do not determine how the loss falls with it (`{name}` needs {least})"
                ),
                &[&settle],
            ));
        }
    }
    let uses = |variable| law.variables().contains(&variable);
    // ln 1.5: a second epoch on half of the tokens.
    let n_repeated = rows.points.iter().filter(|p| p.ln_d - p.ln_u > 0.4).count();
    if uses(Variable::U) && n_repeated < 3 {
        return Err(FitError::refused(
            format!("{n_repeated} runs repeat tokens: `{name}` models the value of repeated tokens"),
            &["add runs of 2 to 64 epochs on a part of the data, and name their unique tokens"],
        ));
    }
    if uses(Variable::N) && uses(Variable::D) {
        let (minor, slope) = minor_spread(rows);
        if minor < COLLINEAR {
            let (why, settle) = if slope < 0.0 {
                (
                    "all runs lie on one budget: N and D rise and fall against each other",
                    "add the same sizes at a budget 3 to 10 times larger or smaller",
                )
            } else {
                (
                    "N and D are collinear: every run has nearly the same tokens per parameter at its size",
                    "add runs with 4 times more and 4 times fewer tokens at two or more sizes",
                )
            };
            return Err(FitError::refused(format!("{why}, so their effects cannot be separated"), &[settle]));
        }
    }
    Ok(())
}

/// Refuses a frontier when every budget's best size lies beyond its grid, by the losses and by the law.
pub(crate) fn check_edges(table: &LossTable, ln_n_star: impl Fn(f64) -> Option<f64>) -> Result<(), FitError> {
    let mut n_curves = 0;
    let (mut n_below, mut n_above) = (0, 0);
    for rows in isoflop::by_budget(table).values() {
        let curve = isoflop::Curve::of(rows);
        if curve.ln_n.len() < 3 {
            continue;
        }
        n_curves += 1;
        let (first, last) = (curve.ln_n[0], curve.ln_n[curve.ln_n.len() - 1]);
        let Some(star) = ln_n_star(curve.ln_c) else { continue };
        let least = (0..curve.ln_n.len()).min_by(|&x, &y| curve.ln_loss[x].total_cmp(&curve.ln_loss[y]));
        if star <= first && least == Some(0) {
            n_below += 1;
        }
        if star >= last && least == Some(curve.ln_n.len() - 1) {
            n_above += 1;
        }
    }
    if n_curves == 0 || n_below + n_above < n_curves {
        return Ok(());
    }
    let settle = match (n_below, n_above) {
        (_, 0) => "add sizes 2 to 4 times smaller at every budget",
        (0, _) => "add sizes 2 to 4 times larger at every budget",
        _ => "add smaller and larger sizes at every budget",
    };
    Err(FitError::refused(
        format!("the best size of each of the {n_curves} budgets lies at or beyond the edge of its sizes"),
        &[settle],
    ))
}

fn values(variable: Variable, rows: &Rows) -> (&'static str, Vec<f64>) {
    let of = |get: fn(&Point) -> f64| rows.points.iter().map(get).collect();
    match variable {
        Variable::N => ("N", of(|p| p.ln_n)),
        Variable::D => ("D", of(|p| p.ln_d)),
        Variable::C => ("C", of(|p| p.ln_c)),
        Variable::U => ("unique tokens", of(|p| p.ln_u)),
    }
}

fn distinct(mut values: Vec<f64>) -> usize {
    values.sort_by(f64::total_cmp);
    let mut n = 0;
    let mut last = f64::NEG_INFINITY;
    for value in values {
        if value - last > SAME {
            n += 1;
            last = value;
        }
    }
    n
}

fn distinct_points(rows: &Rows) -> usize {
    let mut cells: Vec<[i64; 4]> = rows.points.iter().map(Point::cell).collect();
    cells.sort_unstable();
    cells.dedup();
    cells.len()
}

/// Standard deviation along the shorter axis of the cloud of (ln N, ln D), and the sign of its tilt.
fn minor_spread(rows: &Rows) -> (f64, f64) {
    let n = rows.len().max(1) as f64;
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    // Centred already, unless these rows are part of a table.
    let mean_n = rows.points.iter().map(|p| p.ln_n).sum::<f64>() / n;
    let mean_d = rows.points.iter().map(|p| p.ln_d).sum::<f64>() / n;
    for point in &rows.points {
        let (x, y) = (point.ln_n - mean_n, point.ln_d - mean_d);
        xx += x * x / n;
        xy += x * y / n;
        yy += y * y / n;
    }
    let half = 0.5 * (xx + yy);
    let minor = half - (half * half - (xx * yy - xy * xy)).max(0.0).sqrt();
    (minor.max(0.0).sqrt(), xy)
}

#[cfg(test)]
mod tests {
    use scalelaw_schema::table::LossTable;

    use crate::error::FitError;
    use crate::spec::FitSpec;
    use crate::testing::{isoflop_sweep, row, table_of};

    const LAW: &str = "chinchilla:E=1.8,A=480,B=800,alpha=0.35,beta=0.35,noise=0.005";

    fn loss(n: f64, d: f64) -> f64 {
        crate::parse_law_with_params(LAW).unwrap().loss(n, d)
    }

    fn grid(cells: &[(f64, f64)]) -> LossTable {
        table_of(cells.iter().enumerate().map(|(idx, &(n, d))| row(idx, n, d, loss(n, d), None)).collect())
    }

    #[test]
    fn tables_that_do_not_identify_the_law_are_refused_with_the_reason_and_a_hint() {
        let sizes = |n: i32| (0..n).map(|i| 1e6 * 2f64.powi(i));
        let few_sizes: Vec<(f64, f64)> =
            sizes(2).flat_map(|n| (0..8).map(move |j| (n, 1e8 * 2f64.powi(j)))).collect();
        let one_ratio: Vec<(f64, f64)> = sizes(10).map(|n| (n, 20.0 * n)).collect();
        let mut edge = isoflop_sweep(LAW, &[1e16, 1e17, 1e18], 5, 1, 0);
        for row in &mut edge.rows {
            // Every size thirty times too small for its budget.
            row.n /= 30.0;
            row.d *= 30.0;
            row.loss = loss(row.n, row.d);
        }
        for (table, why, settle) in [
            (grid(&few_sizes), "2 distinct values of N", "2 or more other values of N"),
            (grid(&one_ratio), "collinear", "4 times fewer tokens"),
            (isoflop_sweep(LAW, &[1e17], 9, 1, 0), "one budget", "larger or smaller"),
            (grid(&few_sizes[..5]), "5 distinct runs", "2 or more other sizes"),
            (edge, "edge of its sizes", "2 to 4 times larger"),
            (grid(&[]), "0 distinct runs", "add runs"),
        ] {
            match crate::fit(&table, &FitSpec { bootstrap: 0, ..FitSpec::new() }) {
                Err(FitError::Refused { why: said, settle: hints }) => {
                    assert!(said.contains(why), "{said}");
                    assert!(hints.join("; ").contains(settle), "{hints:?}");
                }
                other => panic!("{why}: {other:?}"),
            }
        }
    }
}
