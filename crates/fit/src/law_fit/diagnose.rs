//! Diagnostics: leverage and influence of each row, correlations, condition, lack of fit, and in words what
//! would change the conclusion.

use std::collections::BTreeMap;

use scalelaw_schema::table::LossTable;

use super::evidence::Intervals;
use super::profile::Profiler;
use super::seed_noise::SeedNoise;
use crate::conclusion::{Diagnostics, RowInfluence};
use crate::frontier::ComputeModel;
use crate::laws::ScalingLaw;
use crate::objective::Objective;
use crate::row::Rows;
use crate::search::{Minimum, Problem};
use crate::stats::linalg::{self, MAX_PARAMS, Square, ZERO};

/// A finished fit.
pub(crate) struct Subject<'a> {
    pub law: &'a dyn ScalingLaw,
    pub rows: &'a Rows,
    pub table: &'a LossTable,
    pub minimum: &'a Minimum,
    pub objective: Objective,
    pub compute: &'a ComputeModel,
    pub ln_c: f64,
    pub seed_noise: Option<&'a SeedNoise>,
    pub profiler: Option<&'a Profiler<'a>>,
    pub intervals: &'a Intervals,
}

/// Leverage above which the law nearly passes through the row.
const HIGH_LEVERAGE: f64 = 0.8;

/// Correlation beyond which two parameters are one.
const ONE_PARAMETER: f64 = 0.98;

/// Diagnoses the fit.
pub(crate) fn diagnose(subject: &Subject) -> Diagnostics {
    let Subject { law, rows, minimum, .. } = *subject;
    let theta = &minimum.theta;
    let p = theta.len();
    let squares = Problem::new(law, rows, Objective::LogMse);
    let (sum, information) = squares.gauss_newton(theta);
    let inverse = linalg::inverse(&information, p);
    let mut found = Diagnostics {
        compute_k: Some(subject.compute.ln_k.exp()).filter(|k| k.is_finite()),
        compute_kappa: Some(subject.compute.kappa),
        profiles: subject.intervals.profiles.clone(),
        seed_noise: subject.seed_noise.map(|noise| noise.sd),
        condition: condition(&information, p),
        ..Diagnostics::default()
    };
    if let Some(covariance) = subject.profiler.and_then(Profiler::covariance) {
        found.correlations = correlations(law, &covariance);
    }
    found.rows = influences(subject, inverse.as_ref());
    findings(subject, sum, &mut found);
    found
}

/// Condition number of the information matrix scaled to a unit diagonal (Belsley 1991): the square of
/// the ratio of its largest to its smallest singular direction.
fn condition(information: &Square, p: usize) -> Option<f64> {
    let mut scaled = *information;
    for i in 0..p {
        for j in 0..p {
            scaled[i][j] = information[i][j] / (information[i][i] * information[j][j]).sqrt();
        }
    }
    let eigen = linalg::eigenvalues(scaled, p);
    let largest = eigen.iter().copied().fold(0.0, f64::max);
    let smallest = eigen.iter().copied().fold(f64::INFINITY, f64::min);
    let condition = largest / smallest;
    (condition.is_finite() && condition > 0.0).then_some(condition)
}

/// Correlations of the floor with each exponent and among exponents.
fn correlations(law: &dyn ScalingLaw, covariance: &Square) -> BTreeMap<String, f64> {
    let name = |idx: usize| match idx.checked_sub(law.n_linear()) {
        Some(axis) => law.axes()[axis].name,
        None if law.param_names().get(idx) == Some(&"E") => "E",
        None => "",
    };
    let p = law.n_params();
    let mut found = BTreeMap::new();
    for i in 0..p {
        for j in i + 1..p {
            let correlation = covariance[i][j] / (covariance[i][i] * covariance[j][j]).sqrt();
            if !name(i).is_empty() && !name(j).is_empty() && correlation.is_finite() {
                found.insert(format!("{}, {}", name(i), name(j)), correlation);
            }
        }
    }
    found
}

/// Leverage of each row, and the change of the frontier's exponent (else of the first outer parameter)
/// when the fit is repeated without it.
fn influences(subject: &Subject, inverse: Option<&Square>) -> Vec<RowInfluence> {
    let Subject { law, rows, table, minimum, .. } = *subject;
    let p = minimum.theta.len();
    let exponent = |theta: &[f64]| {
        let params = law.params(theta, &rows.centre);
        match law.trade_off(&params).and_then(|law| subject.compute.optimum(&law, subject.ln_c)) {
            Some((a, _)) => Some(a),
            None => theta.get(law.n_linear()).copied(),
        }
        .filter(|x| x.is_finite())
    };
    let whole = exponent(&minimum.theta);
    let problem = Problem::new(law, rows, subject.objective);
    (0..rows.len())
        .map(|row| {
            let (mut grad, mut hess) = ([0.0; MAX_PARAMS], ZERO);
            law.derivatives(&minimum.theta, &rows.points[row], &mut grad, &mut hess);
            let leverage = inverse.map_or(1.0, |inverse| linalg::quadratic_form(inverse, &grad[..p]));
            let mut counts = vec![1; rows.len()];
            counts[row] = 0;
            let without = rows.counted(&counts);
            let refit = problem.on(&without).minimise(&minimum.theta);
            let influence = exponent(&refit.theta).zip(whole).map(|(without, whole)| without - whole);
            let leverage = if leverage.is_finite() { leverage.clamp(0.0, 1.0) } else { 1.0 };
            RowInfluence { name: table.rows[row].name.clone(), leverage, influence }
        })
        .collect()
}

fn findings(subject: &Subject, sum: f64, found: &mut Diagnostics) {
    let mut sentences = Vec::new();
    if let Some(correlation) = found.correlations.get("E, alpha")
        && correlation.abs() > ONE_PARAMETER
    {
        sentences.push(format!(
            "E and alpha are correlated by {correlation:.3}: a larger model, or a wider range of sizes, would separate them"
        ));
    }
    let n_high = found.rows.iter().filter(|row| row.leverage > HIGH_LEVERAGE).count();
    if n_high > 0 {
        let names: Vec<&str> = found
            .rows
            .iter()
            .filter(|row| row.leverage > HIGH_LEVERAGE)
            .take(3)
            .map(|row| row.name.as_str())
            .collect();
        let (runs, verb, them, seed) = match n_high {
            1 => ("run", "has", "it", "another seed"),
            _ => ("runs", "have", "them", "other seeds"),
        };
        let such_as = if n_high > names.len() { "such as " } else { "" };
        sentences.push(format!(
            "{n_high} {runs} {verb} so much leverage (> {HIGH_LEVERAGE}) that the law passes through {them}: {such_as}{}; repeat {them} with {seed}",
            names.join(", ")
        ));
    }
    let interval = subject.intervals.profiles.get("a");
    let most = found
        .rows
        .iter()
        .filter_map(|row| row.influence.map(|change| (row, change)))
        .max_by(|x, y| x.1.abs().total_cmp(&y.1.abs()));
    if let (Some(interval), Some((row, change))) = (interval, most)
        && change.abs() > 0.5 * (interval.high - interval.low)
    {
        sentences.push(format!(
            "without {} the frontier's exponent changes by {change:+.3}, more than half of its interval",
            row.name
        ));
    }
    if let Some((f, critical)) =
        subject.seed_noise.and_then(|noise| noise.lack_of_fit(sum, subject.law.n_params()))
        && f > critical
    {
        sentences.push(format!(
            "the law does not fit: residuals exceed the seed noise (F = {f:.1}, 1 % limit {critical:.1}); try `--law auto`"
        ));
    }
    found.findings = sentences;
}
