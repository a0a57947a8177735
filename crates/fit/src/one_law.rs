//! One law fitted to one table: search, resamples, intervals, frontier, hold-out, predictions.

use std::collections::BTreeMap;

use scalelaw_schema::table::LossTable;

use crate::bootstrap::{self, Units};
use crate::conclusion::{Fit, FitStatus, Frontier, Prediction, RowResidual};
use crate::diagnose;
use crate::frontier::ComputeModel;
use crate::identify;
use crate::interval::{self, Evidence, Intervals};
use crate::laws::{self, ScalingLaw};
use crate::minimise::{Minimum, Problem};
use crate::noise::SeedNoise;
use crate::predict::{self, Predictor};
use crate::profile::Profiler;
use crate::quantile;
use crate::row::{Point, Rows};
use crate::search;
use crate::spec::{FitError, FitSpec, PredictAt};

/// Fits `law`, or says why not.
pub fn fit(law: &'static dyn ScalingLaw, table: &LossTable, spec: &FitSpec) -> Result<Fit, FitError> {
    let rows = Rows::of(table);
    identify::check(law, &rows)?;
    let Some(minimum) = search::search(law, &rows, spec.objective) else {
        return identify::refuse(
            format!("no parameters of `{}` come near the losses", law.name()),
            vec!["check the columns of N, D, C and loss".into()],
        );
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
    let quantities = interval::quantities(law, &rows.centre, &compute, ln_c, smallest_loss);
    let evidence = Evidence {
        level: spec.level,
        n_units: units.len(),
        n_params: law.n_params(),
        what: units.what,
        theta: &minimum.theta,
        resamples: &thetas,
        profiler: profiler.as_ref(),
    };
    let mut intervals = evidence.intervals(&quantities);
    if let Some(why) = nothing_known(law, &intervals) {
        return identify::refuse(
            why,
            vec![
                "add budgets: a wider range of compute says most about exponents".into(),
                "add seeds: less noise says the rest".into(),
            ],
        );
    }
    if !intervals.torn.is_empty() {
        notes.push(format!(
            "the least-squares fit puts {} outside of the robust fit's value by more than noise: outliers, or another form",
            intervals.torn.join(", ")
        ));
    }
    for name in &intervals.unbounded {
        notes.push(format!("{name} is not bounded by the rows: weakly identified"));
    }
    let optimum = frontier(&optimum_at, &compute, ln_c, &mut intervals);

    let (params_out, dropped): (Vec<_>, Vec<_>) = law
        .param_names()
        .iter()
        .map(|name| (*name).to_owned())
        .zip(params.iter().copied())
        .partition(|(_, value)| value.is_finite());
    if !dropped.is_empty() {
        return identify::refuse(
            format!("{} of `{}` leaves the range of numbers", dropped[0].0, law.name()),
            vec!["check the units of N, D and C".into(), "take a law with fewer parameters".into()],
        );
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

/// What `predictor` says of each run asked for; a budget is spent on the frontier of `fit`.
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

/// Why nothing follows from the fit: the frontier's exponent, or without a frontier every exponent, may be
/// anything.
fn nothing_known(law: &dyn ScalingLaw, intervals: &Intervals) -> Option<String> {
    let name = law.name();
    if intervals.unknown.contains(&"a") && law.variables().len() > 1 {
        return Some(format!("the losses allow any exponent of the frontier (`{name}`)"));
    }
    let exponents: Vec<&str> =
        law.axes().iter().filter(|axis| !axis.in_losses).map(|axis| axis.name).collect();
    let all = !exponents.is_empty() && exponents.iter().all(|exponent| intervals.unknown.contains(exponent));
    all.then(|| format!("the losses allow any {} at all (`{name}`)", exponents.join(", ")))
}

/// The largest budget that the table names, else its largest C.
pub fn largest_budget(table: &LossTable) -> f64 {
    let budget = table.rows.iter().filter_map(|row| row.budget).fold(0.0, f64::max);
    if budget > 0.0 { budget } else { table.rows.iter().map(|row| row.c).fold(0.0, f64::max) }
}

pub fn point_of(
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
    let names = ["a", "b", interval::LOG10_N];
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

impl Fit {
    /// Interval of the law itself at (N, D), from the resamples and without the noise of a run: for
    /// bands in plots. `None` without resamples.
    pub fn band(&self, n: f64, d: f64, level: f64) -> Option<(f64, f64)> {
        let law = laws::law(&self.law)?;
        let diagnostics = self.diagnostics.as_ref();
        let k = diagnostics.and_then(|found| found.compute_k).unwrap_or(6.0);
        let kappa = diagnostics.and_then(|found| found.compute_kappa).unwrap_or(1.0);
        let point = ComputeModel { ln_k: k.ln(), kappa }.point(n, d);
        let place = |name: &&str| self.params.keys().position(|key| key == *name);
        let order: Vec<usize> = law.param_names().iter().filter_map(place).collect();
        let mut losses: Vec<f64> = self
            .resamples
            .iter()
            .map(|params| order.iter().map(|&idx| params[idx]).collect::<Vec<f64>>())
            .map(|params| law.loss(&params, &point))
            .collect();
        losses.retain(|loss| loss.is_finite());
        losses.sort_by(f64::total_cmp);
        let tail = 0.5 * (1.0 - level);
        Some((quantile::of_sorted(&losses, tail)?, quantile::of_sorted(&losses, 1.0 - tail)?))
    }
}
