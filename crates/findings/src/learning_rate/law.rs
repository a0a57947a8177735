//! The power law of the best rate through the optima, with the second decay beside it.

use scalelaw_fit::stats::{LinearFit, least_squares, quantile};
use scalelaw_schema::lr_rule::{Beta2Rule, RuleExponent, RuleExponents, RulePoint, RuleRange};

use super::conclusion::{LrLaw, LrOptimum};
use super::quadratic::Noise;

/// Columns of the power law whose variation beside the others is less than this (root mean square of ln) are not used.
const LEAST_SPREAD: f64 = 0.1;

/// Where several beta2 were compared, only the best one's optimum enters the law.
pub(super) fn mark_best_beta2(optima: &mut [LrOptimum]) {
    let least = |optimum: &LrOptimum| {
        let measured = optimum.rates.iter().filter_map(|rate| rate.loss).fold(f64::INFINITY, f64::min);
        optimum.loss.unwrap_or(measured)
    };
    let best: Vec<bool> = optima
        .iter()
        .map(|optimum| {
            optima
                .iter()
                .filter(|other| is_same_but_beta2(optimum, other))
                .all(|other| least(optimum) <= least(other))
        })
        .collect();
    for (optimum, is_best) in optima.iter_mut().zip(best) {
        optimum.is_best_beta2 = is_best;
    }
}

fn is_same_but_beta2(a: &LrOptimum, b: &LrOptimum) -> bool {
    (a.n, a.d, a.batch_tokens, &a.variant) == (b.n, b.d, b.batch_tokens, &b.variant)
}

/// The power law through the optima; `None` without one.
pub(super) fn law(
    optima: &[LrOptimum],
    noise: Option<Noise>,
    level: f64,
    warnings: &mut Vec<String>,
) -> Option<LrLaw> {
    let points: Vec<(&LrOptimum, f64)> = optima
        .iter()
        .filter(|optimum| optimum.is_best_beta2)
        .filter_map(|optimum| Some((optimum, optimum.lr?.ln())))
        .collect();
    if points.is_empty() {
        warnings.push(
            "no best rate lies inside the rates compared, so there is no rule (hint: rates around those that were best)"
                .to_string(),
        );
        return None;
    }
    let count = points.len() as f64;
    let of = [|o: &LrOptimum| o.n, |o: &LrOptimum| o.d, |o: &LrOptimum| o.batch_tokens];
    let columns = of.map(|of| points.iter().map(|(optimum, _)| of(optimum).ln()).collect::<Vec<f64>>());
    let means = columns.each_ref().map(|column| column.iter().sum::<f64>() / count);
    let centred: Vec<Vec<f64>> =
        columns.iter().zip(means).map(|(column, mean)| column.iter().map(|x| x - mean).collect()).collect();
    let chosen = independent(&centred);
    for (idx, name) in ["N", "D", "the batch"].into_iter().enumerate() {
        if !chosen.contains(&idx) && rms(&centred[idx]) > LEAST_SPREAD {
            warnings.push(format!(
                "{name} varies together with those before it in the order N, D, batch: its exponent is part of theirs, and the rule holds along that path (hint: several horizons at one size)"
            ));
        }
    }

    let is_weighted = points.iter().all(|(optimum, _)| optimum.se.is_some());
    let rows: Vec<(Vec<f64>, f64, f64)> = points
        .iter()
        .enumerate()
        .map(|(at, (optimum, ln_lr))| {
            let mut x = vec![1.0];
            x.extend(chosen.iter().map(|&idx| centred[idx][at]));
            // No optimum is known better than to one per cent.
            let se = optimum.se.filter(|_| is_weighted).map_or(1.0, |se| se.max(0.01));
            (x, *ln_lr, 1.0 / (se * se))
        })
        .collect();
    let fit = least_squares(&rows)?;
    let spread = Spread::of(&fit, rows.len(), noise.filter(|_| is_weighted), level);
    let bounds = |idx: usize| -> Option<[f64; 2]> {
        let half = spread.as_ref()?.half(fit.inverse[idx][idx]);
        Some([fit.coefficients[idx] - half, fit.coefficients[idx] + half])
    };
    let exponent = |column: usize| {
        let at = 1 + chosen.iter().position(|&idx| idx == column)?;
        Some(RuleExponent { value: fit.coefficients[at], interval: bounds(at) })
    };
    let residuals = rows.iter().map(|(x, y, _)| {
        let fitted: f64 = x.iter().zip(&fit.coefficients).map(|(x, b)| x * b).sum();
        (y - fitted).powi(2)
    });
    let rms_ln_residual = (residuals.sum::<f64>() / count).sqrt();
    let range = |idx: usize| {
        let column = &columns[idx];
        let fold = |of: fn(f64, f64) -> f64, start: f64| of_ln(column.iter().copied().fold(start, of));
        [fold(f64::min, f64::INFINITY), fold(f64::max, f64::NEG_INFINITY)]
    };
    let [n, d, batch_tokens] = means.map(of_ln);
    Some(LrLaw {
        lr: fit.coefficients[0].exp(),
        lr_interval: bounds(0).map(|ends| ends.map(f64::exp)),
        reference: RulePoint { n, d, batch_tokens },
        exponents: RuleExponents { n: exponent(0), d: exponent(1), batch: exponent(2) },
        range: RuleRange { n: range(0), d: range(1), batch_tokens: range(2) },
        rms_ln_residual,
        n_optima: points.len(),
        curvature: points.iter().filter_map(|(o, _)| Some(o.quadratic?[2])).sum::<f64>() / count,
        beta2: beta2_rule(optima, batch_tokens, warnings),
        method: spread
            .map_or_else(|| "no interval: no residual degree of freedom".to_string(), |spread| spread.method),
    })
}

/// Positions of the columns that vary beside those before them.
fn independent(columns: &[Vec<f64>]) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    for (idx, column) in columns.iter().enumerate() {
        let n_rows = column.len();
        if chosen.len() + 2 > n_rows {
            break;
        }
        let left = if chosen.is_empty() {
            rms(column)
        } else {
            let rows: Vec<_> = (0..n_rows)
                .map(|at| (chosen.iter().map(|&other| columns[other][at]).collect(), column[at], 1.0))
                .collect();
            least_squares(&rows).map_or(0.0, |fit| (fit.squares / n_rows as f64).sqrt())
        };
        if left > LEAST_SPREAD {
            chosen.push(idx);
        }
    }
    chosen
}

/// e^x to 12 digits, so that what was 1024 is 1024 again.
fn of_ln(x: f64) -> f64 {
    scalelaw_schema::canonical::rounded(x.exp(), 12)
}

fn rms(values: &[f64]) -> f64 {
    (values.iter().map(|x| x * x).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

/// Half widths of intervals from the inverse of the law's information.
struct Spread {
    variance: f64,
    t: f64,
    method: String,
}

impl Spread {
    /// By the optima's own errors where they are known, widened where the optima scatter more than those say;
    /// otherwise by their scatter about the law.
    fn of(fit: &LinearFit, n_rows: usize, noise: Option<Noise>, level: f64) -> Option<Spread> {
        let df = (n_rows - fit.coefficients.len()) as f64;
        let scatter = (df > 0.0).then(|| fit.squares / df);
        let t = |df: f64| quantile::student_at(level, df);
        match (noise, scatter) {
            (Some(noise), None) => Some(Spread {
                variance: 1.0,
                t: t(noise.df),
                method: format!("errors of the optima, Student's t with {} degrees of freedom", noise.df),
            }),
            (Some(noise), Some(scatter)) if scatter <= 1.0 => Some(Spread {
                variance: 1.0,
                t: t(noise.df),
                method: format!("errors of the optima, Student's t with {} degrees of freedom", noise.df),
            }),
            (_, Some(scatter)) => Some(Spread {
                variance: scatter,
                t: t(df),
                method: format!(
                    "scatter of the optima about the law, Student's t with {df} degrees of freedom"
                ),
            }),
            (None, None) => None,
        }
    }

    fn half(&self, inverse: f64) -> f64 {
        self.t * (self.variance * inverse).sqrt()
    }
}

/// The half-life of the second moment in tokens, as a beta2 at `batch_tokens`.
fn beta2_rule(optima: &[LrOptimum], batch_tokens: f64, warnings: &mut Vec<String>) -> Beta2Rule {
    let best: Vec<&LrOptimum> = optima.iter().filter(|optimum| optimum.is_best_beta2).collect();
    let compared = |optimum: &LrOptimum| -> Vec<f64> {
        optima.iter().filter(|other| is_same_but_beta2(optimum, other)).map(|other| other.beta2).collect()
    };
    let measured: Vec<&&LrOptimum> = best.iter().filter(|optimum| compared(optimum).len() > 1).collect();
    if measured.is_empty() {
        // Not compared: what was given holds at the batch of the law's middle.
        let beta2 = best.iter().map(|optimum| optimum.beta2).sum::<f64>() / best.len().max(1) as f64;
        return Beta2Rule { beta2, batch_tokens, measured: false };
    }
    let at_edge = measured.iter().filter(|optimum| {
        let all = compared(optimum);
        all.iter().all(|other| *other <= optimum.beta2) || all.iter().all(|other| *other >= optimum.beta2)
    });
    match at_edge.count() {
        0 => {}
        n => warnings.push(format!(
            "the best beta2 is the smallest or largest compared in {n} of {} cases: a bound, not an optimum",
            measured.len()
        )),
    }
    // ln beta2 per token, its logarithm averaged: a geometric mean of half-lives.
    let ln_rate =
        measured.iter().map(|optimum| (-optimum.beta2.ln() / optimum.batch_tokens).ln()).sum::<f64>()
            / measured.len() as f64;
    Beta2Rule { beta2: (-ln_rate.exp() * batch_tokens).exp(), batch_tokens, measured: true }
}
