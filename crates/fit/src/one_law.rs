//! One law fitted to one table: search, resamples, intervals, frontier, hold-out, predictions.

use std::collections::BTreeMap;

use scalelaw_schema::table::LossTable;

use crate::bootstrap::{self, Units};
use crate::conclusion::{
    Diagnostics, Fit, FitStatus, Frontier, Holdout, Interval, Prediction, PredictionKind, RowResidual,
};
use crate::frontier::ComputeModel;
use crate::identify;
use crate::laws::{self, ScalingLaw};
use crate::minimise::{Minimum, Problem};
use crate::quantile;
use crate::row::{Point, Rows};
use crate::search;
use crate::spec::{FitError, FitSpec, PredictAt};

/// Fits `law`, or says why not.
pub(crate) fn fit(law: &'static dyn ScalingLaw, table: &LossTable, spec: &FitSpec) -> Result<Fit, FitError> {
    let mut fit = fit_rows(law, table, spec)?;
    if let Some(share) = spec.holdout_compute {
        fit.holdout = hold_out(law, table, spec, share)?;
    }
    Ok(fit)
}

fn fit_rows(law: &'static dyn ScalingLaw, table: &LossTable, spec: &FitSpec) -> Result<Fit, FitError> {
    let rows = Rows::of(table);
    identify::check(law, &rows)?;
    let minimum = search::search(law, &rows, spec.objective);
    let Some(minimum) = minimum else {
        return identify::refuse(
            format!("no parameters of `{}` come near the losses", law.name()),
            vec!["check the columns of N, D, C and loss".into()],
        );
    };
    let params = law.params(&minimum.theta, &rows.centre);
    if !params.iter().all(|x| x.is_finite()) {
        return identify::refuse(
            format!("the parameters of `{}` leave the range of numbers: N, D or C are extreme", law.name()),
            vec!["check the units of N, D and C".into()],
        );
    }
    let problem = Problem::new(law, &rows, spec.objective);
    let compute = ComputeModel::of(&rows);
    let ln_c = largest_budget(table).ln();
    let trade_off = law.trade_off(&params);
    let optimum_at = |ln_c: f64| trade_off.and_then(|law| compute.optimum(&law, ln_c));
    identify::check_edges(table, |ln_c| optimum_at(ln_c).map(|(_, ln_n)| ln_n))?;

    let units = Units::of(table);
    let resamples: Vec<Vec<f64>> =
        bootstrap::refits(&problem, &minimum.theta, &units, spec.bootstrap, spec.seed)
            .into_iter()
            .map(|theta| law.params(&theta, &rows.centre))
            .filter(|params| params.iter().all(|x| x.is_finite()))
            .collect();
    let taker =
        Percentile { level: spec.level, n_units: units.len(), n_params: law.n_params(), what: units.what };
    let mut intervals = BTreeMap::new();
    for (idx, name) in law.param_names().iter().enumerate() {
        let values = resamples.iter().map(|params| params[idx]).collect();
        if let Some(interval) = taker.interval(values) {
            intervals.insert((*name).to_owned(), interval);
        }
    }
    let optimum = frontier(law, &params, &resamples, &compute, ln_c, &taker);

    let fitted = |point: &Point| law.loss(&params, point);
    let residuals: Vec<RowResidual> = table
        .rows
        .iter()
        .map(|row| {
            let fitted = fitted(&Point::of(row));
            RowResidual {
                name: row.name.clone(),
                n: row.n,
                d: row.d,
                c: row.c,
                loss: row.loss,
                fitted,
                residual: row.loss.ln() - fitted.ln(),
            }
        })
        .collect();
    let square: f64 = residuals.iter().map(|row| row.residual * row.residual).sum();
    let rms_log_residual = (square / residuals.len() as f64).sqrt();
    let (status, notes) = status(&problem, &minimum);
    // The order of a BTreeMap's keys, which is what `resamples` promises.
    let mut order: Vec<usize> = (0..params.len()).collect();
    order.sort_by_key(|&idx| law.param_names()[idx]);
    let mut fit = Fit {
        law: law.name().into(),
        equation: law.equation().into(),
        status,
        notes,
        params: law.param_names().iter().map(|name| (*name).to_owned()).zip(params.iter().copied()).collect(),
        objective: minimum.value,
        objective_name: spec.objective.name(),
        rms_log_residual,
        intervals,
        optimum,
        residuals,
        holdout: None,
        predictions: Vec::new(),
        diagnostics: Some(Diagnostics {
            compute_k: Some(compute.ln_k.exp()).filter(|k| k.is_finite()),
            compute_kappa: Some(compute.kappa),
            ..Diagnostics::default()
        }),
        resamples: resamples.iter().map(|params| order.iter().map(|&idx| params[idx]).collect()).collect(),
    };
    let largest_c = table.rows.iter().map(|row| row.c).fold(0.0, f64::max);
    fit.predictions = spec
        .predict
        .iter()
        .filter_map(|at| {
            let point = match *at {
                PredictAt::ND(n, d) => compute.point(n, d),
                PredictAt::C(c) => match optimum_at(c.ln()) {
                    Some((_, ln_n)) => {
                        let ln_d = compute.ln_d(ln_n, c.ln());
                        Point { ln_n, ln_d, ln_c: c.ln(), ln_u: ln_d }
                    }
                    None => Point { ln_c: c.ln(), ..Point::default() },
                },
            };
            predict(law, &params, &resamples, &point, rms_log_residual, &taker, largest_c)
        })
        .collect();
    Ok(fit)
}

/// The largest budget that the table names, else its largest C.
pub(crate) fn largest_budget(table: &LossTable) -> f64 {
    let budget = table.rows.iter().filter_map(|row| row.budget).fold(0.0, f64::max);
    if budget > 0.0 { budget } else { table.rows.iter().map(|row| row.c).fold(0.0, f64::max) }
}

fn status(problem: &Problem, minimum: &Minimum) -> (FitStatus, Vec<String>) {
    let law = problem.law;
    let mut notes = Vec::new();
    for (idx, &value) in minimum.theta.iter().enumerate() {
        let name = match idx.checked_sub(law.n_linear()) {
            Some(axis) => law.axes()[axis].name,
            None => law.param_names()[idx],
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

/// Takes the ends of an interval from resamples.
///
/// The tails are moved outwards for the number of units: a bootstrap's spread is too small by
/// `√((n − p)/n)` and has normal tails where Student's are due (Hesterberg 2015, arXiv:1411.5279,
/// section 4.4.3). At 240 rows this is 1 % of the width.
pub(crate) struct Percentile {
    pub level: f64,
    pub n_units: usize,
    pub n_params: usize,
    pub what: &'static str,
}

impl Percentile {
    fn tail(&self) -> f64 {
        let (n, p) = (self.n_units as f64, self.n_params as f64);
        let df = (n - p).max(1.0);
        let t = quantile::student(0.5 * (1.0 - self.level), df);
        quantile::normal_cdf(t * (n / df).sqrt())
    }

    pub fn interval(&self, mut values: Vec<f64>) -> Option<Interval> {
        values.retain(|x| x.is_finite());
        // Fewer cannot show a 95 % interval's ends.
        if values.len() < 40 {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let tail = self.tail();
        Some(Interval {
            low: quantile::of_sorted(&values, tail)?,
            high: quantile::of_sorted(&values, 1.0 - tail)?,
            level: self.level,
            method: format!("bootstrap over {}, expanded percentiles", self.what),
            resamples: values.len(),
        })
    }
}

fn frontier(
    law: &dyn ScalingLaw,
    params: &[f64],
    resamples: &[Vec<f64>],
    compute: &ComputeModel,
    ln_c: f64,
    taker: &Percentile,
) -> Option<Frontier> {
    let of = |params: &[f64]| law.trade_off(params).and_then(|law| compute.optimum(&law, ln_c));
    let (a, ln_n) = of(params)?;
    let b = 1.0 - compute.kappa * a;
    let ln_d = compute.ln_d(ln_n, ln_c);
    let frontier = Frontier {
        a,
        b,
        n_coefficient: (ln_n - a * ln_c).exp(),
        d_coefficient: (ln_d - b * ln_c).exp(),
        intervals: BTreeMap::new(),
    };
    if !frontier.is_finite() {
        return None;
    }
    let draws: Vec<(f64, f64)> = resamples.iter().filter_map(|params| of(params)).collect();
    let columns: [(&str, Vec<f64>); 3] = [
        ("a", draws.iter().map(|draw| draw.0).collect()),
        ("b", draws.iter().map(|draw| 1.0 - compute.kappa * draw.0).collect()),
        ("log10_n_at_largest_budget", draws.iter().map(|draw| draw.1 / std::f64::consts::LN_10).collect()),
    ];
    let intervals = columns
        .into_iter()
        .filter_map(|(name, values)| Some((name.to_owned(), taker.interval(values)?)))
        .collect();
    Some(Frontier { intervals, ..frontier })
}

fn predict(
    law: &dyn ScalingLaw,
    params: &[f64],
    resamples: &[Vec<f64>],
    point: &Point,
    noise: f64,
    taker: &Percentile,
    largest_c: f64,
) -> Option<Prediction> {
    let loss = law.loss(params, point);
    let (n, d, c) = (point.ln_n.exp(), point.ln_d.exp(), point.ln_c.exp());
    if ![loss, n, d, c].iter().all(|x| x.is_finite()) {
        return None;
    }
    let mut ln_losses: Vec<f64> = resamples.iter().map(|params| law.loss(params, point).ln()).collect();
    ln_losses.retain(|x| x.is_finite());
    let interval = (ln_losses.len() >= 40).then(|| {
        let mean = ln_losses.iter().sum::<f64>() / ln_losses.len() as f64;
        let var = ln_losses.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / ln_losses.len() as f64;
        let df = taker.n_units.saturating_sub(taker.n_params).max(1) as f64;
        let t = quantile::student(0.5 + 0.5 * taker.level, df);
        let spread = t * ((var + noise * noise) * taker.n_units as f64 / df).sqrt();
        Interval {
            low: loss * (-spread).exp(),
            high: loss * spread.exp(),
            level: taker.level,
            method: format!("bootstrap over {} and the residuals' spread, Student", taker.what),
            resamples: ln_losses.len(),
        }
    });
    let interval = interval.filter(|found| found.low.is_finite() && found.high.is_finite());
    let decades_beyond = (c / largest_c).log10().max(0.0);
    let kind =
        if decades_beyond > 0.0 { PredictionKind::Extrapolation } else { PredictionKind::Interpolation };
    Some(Prediction { n, d, c, loss, interval, kind, decades_beyond })
}

/// Fits the rows below the quantile `share` of C and predicts the others.
fn hold_out(
    law: &'static dyn ScalingLaw,
    table: &LossTable,
    spec: &FitSpec,
    share: f64,
) -> Result<Option<Holdout>, FitError> {
    let mut c: Vec<f64> = table.rows.iter().map(|row| row.c).collect();
    c.sort_by(f64::total_cmp);
    let Some(cut) = quantile::of_sorted(&c, share) else { return Ok(None) };
    let (below, above): (Vec<_>, Vec<_>) = table.rows.iter().cloned().partition(|row| row.c <= cut);
    if above.is_empty() {
        return Ok(None);
    }
    let below = LossTable { rows: below, ..table.clone() };
    let spec = FitSpec { predict: Vec::new(), level: 0.9, holdout_compute: None, ..spec.clone() };
    let fit = fit_rows(law, &below, &spec)?;
    let compute_rows = Rows::of(&below);
    let params: Vec<f64> =
        law.param_names().iter().filter_map(|name| fit.params.get(*name).copied()).collect();
    let resamples = fit.resamples_in_order(law);
    let taker = Percentile {
        level: 0.9,
        n_units: Units::of(&below).len(),
        n_params: law.n_params(),
        what: Units::of(&below).what,
    };
    let mut errors = Vec::new();
    let mut covered = Vec::new();
    for row in &above {
        let Some(found) = predict(
            law,
            &params,
            &resamples,
            &Point::of(row),
            fit.rms_log_residual,
            &taker,
            compute_rows.centre.ln_c.exp(),
        ) else {
            continue;
        };
        errors.push((found.loss / row.loss - 1.0).abs());
        if let Some(interval) = &found.interval {
            covered.push(f64::from(interval.low <= row.loss && row.loss <= interval.high));
        }
    }
    if errors.is_empty() {
        return Ok(None);
    }
    Ok(Some(Holdout {
        rows: errors.len(),
        are: errors.iter().sum::<f64>() / errors.len() as f64,
        max: errors.iter().copied().fold(0.0, f64::max),
        coverage90: (!covered.is_empty()).then(|| covered.iter().sum::<f64>() / covered.len() as f64),
    }))
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
        let mut losses: Vec<f64> =
            self.resamples_in_order(law).iter().map(|params| law.loss(params, &point)).collect();
        losses.retain(|loss| loss.is_finite());
        losses.sort_by(f64::total_cmp);
        let tail = 0.5 * (1.0 - level);
        Some((quantile::of_sorted(&losses, tail)?, quantile::of_sorted(&losses, 1.0 - tail)?))
    }

    /// The resamples with parameters in the law's own order.
    fn resamples_in_order(&self, law: &dyn ScalingLaw) -> Vec<Vec<f64>> {
        let place = |name: &&str| self.params.keys().position(|key| key == *name);
        let order: Vec<usize> = law.param_names().iter().filter_map(place).collect();
        self.resamples.iter().map(|params| order.iter().map(|&idx| params[idx]).collect()).collect()
    }
}
