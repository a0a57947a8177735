//! One law fitted to one table: search, resamples, intervals, frontier, hold-out, predictions.

use std::collections::BTreeMap;

use scalelaw_schema::table::LossTable;

use super::bootstrap;
use super::diagnose;
use super::evidence::{self, Evidence, Intervals};
use super::identify;
use super::predict::{self, Predictor};
use super::profile::Profiler;
use super::seed_noise::SeedNoise;
use crate::conclusion::{Fit, FitStatus, Frontier, LOG10_N, Prediction, RowResidual};
use crate::error::FitError;
use crate::frontier::ComputeModel;
use crate::laws::ScalingLaw;
use crate::row::{Point, Rows};
use crate::search::{self, Minimum, Problem};
use crate::spec::{FitSpec, PredictAt};
use crate::stats::Units;

/// Fits `law`.
pub(super) fn fit(law: &'static dyn ScalingLaw, table: &LossTable, spec: &FitSpec) -> Result<Fit, FitError> {
    let rows = Rows::of(table);
    identify::check(law, &rows)?;
    let Some(minimum) = search::minimum(law, &rows, spec.objective) else {
        return Err(FitError::no_minimum(law.name()));
    };
    let params = law.params(&minimum.theta, &rows.centre);
    let problem = Problem::new(law, &rows, spec.objective);
    let (status, mut notes) = status(&problem, &minimum);
    let compute = ComputeModel::of(&rows);
    let ln_c = largest_budget(table).ln();
    let trade_off = law.trade_off(&params);
    let optimum_at = |ln_c: f64| trade_off.and_then(|law| compute.optimum(&law, ln_c));
    identify::check_edges(table, |ln_c| optimum_at(ln_c).map(|(_, ln_n)| ln_n))?;

    let units = Units::of(table);
    let thetas = bootstrap::refits(&problem, &minimum.theta, &units, spec.bootstrap, spec.seed);
    let seed_noise = SeedNoise::of(&rows);
    let weighted = Rows {
        weights: seed_noise.as_ref().map_or_else(|| rows.weights.clone(), |noise| noise.weights(&rows)),
        ..rows.clone()
    };
    let profiler = Profiler::new(law, &weighted, &minimum.theta, &units.of_rows());
    let smallest_loss = table.rows.iter().map(|row| row.loss).fold(f64::INFINITY, f64::min);
    let quantities = evidence::quantities(law, &rows.centre, &compute, ln_c, smallest_loss);
    let evidence = Evidence {
        level: spec.level,
        n_units: units.count(),
        n_params: law.n_params(),
        what: units.what,
        theta: &minimum.theta,
        resamples: &thetas,
        profiler: profiler.as_ref(),
    };
    let mut intervals = evidence.intervals(&quantities);
    if let Some(why) = unconstrained(law, &intervals) {
        let settle = [
            "add budgets: a wider range of compute narrows the exponents most",
            "add seeds: they average out noise",
        ];
        return Err(FitError::refused(why, &settle));
    }
    let has_frontier = trade_off.is_some();
    if !intervals.disagrees_with_robust_fit.is_empty() {
        notes.push(format!(
            "the robust fit and the least-squares fit of {} differ by more than noise: outliers, or another form",
            in_words(&intervals.disagrees_with_robust_fit, has_frontier)
        ));
    }
    if !intervals.unbounded.is_empty() {
        notes.push(format!("these runs do not determine {}", in_words(&intervals.unbounded, has_frontier)));
    }
    let optimum = frontier(&optimum_at, &compute, ln_c, &mut intervals);

    let (params_out, dropped): (Vec<_>, Vec<_>) = law
        .param_names()
        .iter()
        .map(|name| (*name).to_owned())
        .zip(params.iter().copied())
        .partition(|(_, value)| value.is_finite());
    if !dropped.is_empty() {
        return Err(FitError::refused(
            format!("{} of `{}` overflows", dropped[0].0, law.name()),
            &["check the units of N, D and C", "take a law with fewer parameters"],
        ));
    }
    let residuals = residuals(law, &params, table);
    let square: f64 = residuals.iter().map(|row| row.residual * row.residual).sum();
    // The order of a BTreeMap's keys, which is what `Fit::resamples` promises.
    let mut order: Vec<usize> = (0..params.len()).collect();
    order.sort_by_key(|&idx| law.param_names()[idx]);
    let resamples = thetas
        .iter()
        .map(|theta| law.params(theta, &rows.centre))
        .filter(|params| params.iter().all(|x| x.is_finite()))
        .map(|params| order.iter().map(|&idx| params[idx]).collect())
        .collect();
    let diagnostics = diagnose::diagnose(&diagnose::Subject {
        law,
        rows: &rows,
        table,
        minimum: &minimum,
        objective: spec.objective,
        compute: &compute,
        ln_c,
        seed_noise: seed_noise.as_ref(),
        profiler: profiler.as_ref(),
        intervals: &intervals,
    });
    let holdout = spec
        .holdout_compute
        .and_then(|share| predict::split(table, share))
        .and_then(|(below, above)| predict::hold_out(law, &below, &above, spec.objective));
    let mut fit = Fit {
        law: law.name().into(),
        equation: law.equation().into(),
        status,
        notes,
        params: params_out.into_iter().collect(),
        objective: minimum.value,
        objective_name: spec.objective.name(),
        rms_log_residual: (square / residuals.len() as f64).sqrt(),
        intervals: intervals.reported,
        optimum,
        residuals,
        holdout,
        predictions: Vec::new(),
        diagnostics: Some(diagnostics),
        resamples,
    };
    if !spec.predict.is_empty() {
        let predictor = Predictor::new(law, &rows, &minimum.theta, spec.objective, spec.level);
        fit.predictions = predictions(&predictor, law, &fit, &rows, &spec.predict);
    }
    Ok(fit)
}

/// The prediction of each run in `asked`; a budget is spent on the frontier of `fit`.
pub(crate) fn predictions(
    predictor: &Predictor,
    law: &dyn ScalingLaw,
    fit: &Fit,
    rows: &Rows,
    asked: &[PredictAt],
) -> Vec<Prediction> {
    let compute = ComputeModel::of(rows);
    let params: Vec<f64> =
        law.param_names().iter().filter_map(|name| fit.params.get(*name).copied()).collect();
    let trade_off = law.trade_off(&params);
    let optimum_at = |ln_c: f64| trade_off.and_then(|law| compute.optimum(&law, ln_c));
    asked.iter().filter_map(|at| predictor.at(&point_of(*at, &compute, &optimum_at))).collect()
}

/// Why the fit is useless: the rows do not constrain the frontier's exponent or, without a frontier, any exponent.
fn unconstrained(law: &dyn ScalingLaw, intervals: &Intervals) -> Option<String> {
    let name = law.name();
    if intervals.unknown.contains(&"a") && law.variables().len() > 1 {
        return Some(format!("the losses are compatible with any exponent of the frontier (`{name}`)"));
    }
    let exponents: Vec<&str> =
        law.axes().iter().filter(|axis| !axis.in_losses).map(|axis| axis.name).collect();
    let all = !exponents.is_empty() && exponents.iter().all(|exponent| intervals.unknown.contains(exponent));
    all.then(|| format!("the losses are compatible with any {} (`{name}`)", exponents.join(", ")))
}

/// Names of quantities as a person reads them; those of the frontier are letters that a law may use itself.
fn in_words(names: &[&'static str], has_frontier: bool) -> String {
    let word = |name: &'static str| match name {
        "a" if has_frontier => "the exponent of N*",
        "b" if has_frontier => "the exponent of D*",
        LOG10_N => "N* at the largest budget",
        name => name,
    };
    let words: Vec<&str> = names.iter().map(|name| word(name)).collect();
    match words.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        _ => words.concat(),
    }
}

/// The largest budget that the table names, else its largest C.
pub fn largest_budget(table: &LossTable) -> f64 {
    let budget = table.rows.iter().filter_map(|row| row.budget).fold(0.0, f64::max);
    if budget > 0.0 { budget } else { table.rows.iter().map(|row| row.c).fold(0.0, f64::max) }
}

/// Where to predict: the run that was asked for, or the best one that a budget buys.
pub(crate) fn point_of(
    at: PredictAt,
    compute: &ComputeModel,
    optimum_at: &dyn Fn(f64) -> Option<(f64, f64)>,
) -> Point {
    match at {
        PredictAt::ND(n, d) => compute.point(n, d),
        PredictAt::C(c) => {
            let ln_c = c.ln();
            // A law of C alone has no frontier: C is all that it takes, and half of it is as good a split
            // of C as any.
            let ln_n =
                optimum_at(ln_c).map_or((ln_c - compute.ln_k) / (1.0 + compute.kappa), |found| found.1);
            let ln_d = compute.ln_d(ln_n, ln_c);
            Point { ln_n, ln_d, ln_c, ln_u: ln_d }
        }
    }
}

/// `ln(loss) − ln(law)` of each row, in the table's order.
pub fn residuals(law: &dyn ScalingLaw, params: &[f64], table: &LossTable) -> Vec<RowResidual> {
    table
        .rows
        .iter()
        .map(|row| {
            let fitted = law.loss(params, &Point::of(row));
            let residual = row.loss.ln() - fitted.ln();
            RowResidual {
                name: row.name.clone(),
                n: row.n,
                d: row.d,
                c: row.c,
                loss: row.loss,
                fitted,
                residual,
            }
        })
        .collect()
}

/// How a search ended, and which parameters are at a bound.
pub fn status(problem: &Problem, minimum: &Minimum) -> (FitStatus, Vec<String>) {
    let law = problem.law;
    let mut notes = Vec::new();
    for (idx, &value) in minimum.theta.iter().enumerate() {
        let name = match idx.checked_sub(law.n_linear()) {
            Some(axis) => law.axes()[axis].name,
            None => law.param_names().get(idx).copied().unwrap_or("a coefficient"),
        };
        // Steps are cut at the bound, so a parameter at it is exactly there.
        if value <= problem.low[idx] {
            notes.push(format!("{name} is at its lower bound, {}", problem.low[idx]));
        } else if value >= problem.high[idx] {
            notes.push(format!("{name} is at its upper bound, {}", problem.high[idx]));
        }
    }
    let status = match (minimum.converged, notes.is_empty()) {
        (false, _) => FitStatus::Stopped,
        (true, true) => FitStatus::Converged,
        (true, false) => FitStatus::AtBound,
    };
    (status, notes)
}

/// The frontier, with its intervals taken out of `intervals`.
fn frontier(
    optimum_at: &dyn Fn(f64) -> Option<(f64, f64)>,
    compute: &ComputeModel,
    ln_c: f64,
    intervals: &mut Intervals,
) -> Option<Frontier> {
    let names = ["a", "b", LOG10_N];
    // `b` is also a parameter of a law without frontier.
    let (a, ln_n) = optimum_at(ln_c)?;
    let taken: BTreeMap<_, _> =
        names.iter().filter_map(|name| intervals.reported.remove_entry(*name)).collect();
    let b = 1.0 - compute.kappa * a;
    let ln_d = compute.ln_d(ln_n, ln_c);
    let frontier = Frontier {
        a,
        b,
        n_coefficient: (ln_n - a * ln_c).exp(),
        d_coefficient: (ln_d - b * ln_c).exp(),
        intervals: taken,
    };
    frontier.is_finite().then_some(frontier)
}
