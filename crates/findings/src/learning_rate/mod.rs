//! The best learning rate: per size (and horizon, batch and beta2) by a quadratic in ln lr, and over sizes by a power
//! law through those optima. What comes out is the rule of later sweeps.

use std::collections::BTreeMap;

use scalelaw_schema::lr_rule::{Beta2Rule, RuleExponent, RuleExponents, RulePoint, RuleRange};
use serde::{Deserialize, Serialize};

use crate::critical_batch::CriticalBatches;
use scalelaw_fit::conclusion::Interval;
use scalelaw_fit::stats::quantile;
use scalelaw_fit::stats::{LinearFit, least_squares};

/// A rate whose ln loss lies more than this above the best one's is left out of the quadratic: farther away the loss
/// rises more steeply on the side of large rates, and those runs would move the minimum. The neighbours of the best
/// rate stay in any case.
const NEAR_LN_LOSS: f64 = 0.1;

/// Columns of the power law that vary by less than this (root mean square of ln) beside the others tell nothing.
const LEAST_SPREAD: f64 = 0.1;

/// One run of an `lr` sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct LrRow {
    /// Id of the run.
    pub name: String,
    /// Every parameter.
    pub n: f64,
    /// Training tokens.
    pub d: f64,
    /// Tokens of one step.
    pub batch_tokens: f64,
    /// AdamW's second decay.
    pub beta2: f64,
    /// What else sets runs apart (text, tokenizer, context, weight decay): only runs that share it are compared.
    pub variant: String,
    /// Peak learning rate.
    pub lr: f64,
    /// Held-out loss, nats per token; absent where the run diverged.
    pub loss: Option<f64>,
}

/// What an `lr` sweep shows. The JSON of `scalelaw fit` for such a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LrConclusion {
    /// Version of this format.
    pub schema_version: u32,
    /// Name of the sweep.
    pub source: String,
    /// Level of all intervals.
    pub level: f64,
    /// One for each size, horizon, batch and beta2.
    pub optima: Vec<LrOptimum>,
    /// Standard deviation of ln loss about the quadratics, pooled; absent where no quadratic has a run to spare.
    pub noise: Option<f64>,
    /// Through the optima.
    pub law: Option<LrLaw>,
    /// Critical batch sizes, where the sweep varies the batch.
    pub critical_batches: Option<CriticalBatches>,
    /// Things a person must know before using the numbers.
    pub warnings: Vec<String>,
}

/// The best rate of one size, horizon, batch and beta2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LrOptimum {
    /// Every parameter.
    pub n: f64,
    /// Training tokens.
    pub d: f64,
    /// Tokens of one step.
    pub batch_tokens: f64,
    /// AdamW's second decay.
    pub beta2: f64,
    /// As in [`LrRow::variant`]; empty where the sweep has one.
    pub variant: String,
    /// Rates with their mean loss, rising; those that diverged have none.
    pub rates: Vec<RateLoss>,
    /// The best rate; absent at the grid's edge or where the losses do not curve upwards.
    pub lr: Option<f64>,
    /// Its interval; absent where the noise is not known or does not bound it.
    pub lr_interval: Option<Interval>,
    /// Loss at the best rate.
    pub loss: Option<f64>,
    /// Why there is no best rate.
    pub why_none: Option<String>,
    /// `ln loss = c0 + c1·x + c2·x²`, `x = ln lr`, where there is one.
    pub quadratic: Option<[f64; 3]>,
    /// Smallest and largest rate that the quadratic rests on.
    pub fitted_range: Option<[f64; 2]>,
    /// Whether no other beta2 gave a lower loss here.
    pub is_best_beta2: bool,
    /// Standard error of ln lr.
    #[serde(skip)]
    se: Option<f64>,
}

/// A rate and what it led to.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RateLoss {
    /// Peak learning rate.
    pub lr: f64,
    /// Geometric mean over seeds, nats per token; absent where all diverged.
    pub loss: Option<f64>,
}

/// `lr* = lr · (N/N₀)^a · (D/D₀)^b · (B/B₀)^g`; exponents that the sweep cannot tell are absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LrLaw {
    /// Best rate at `reference`.
    pub lr: f64,
    /// Its interval.
    pub lr_interval: Option<[f64; 2]>,
    /// Geometric means of the optima.
    pub reference: RulePoint,
    /// See the equation.
    pub exponents: RuleExponents,
    /// What the optima span.
    pub range: RuleRange,
    /// Root mean square of ln(optimum / law).
    pub rms_ln_residual: f64,
    /// Optima that it goes through.
    pub n_optima: usize,
    /// Mean c2 of the quadratics.
    pub curvature: f64,
    /// Second decay by batch.
    pub beta2: Beta2Rule,
    /// How the intervals were found.
    pub method: String,
}

impl LrOptimum {
    /// Expected `ln(loss / best loss)` of a run here with this rate, by the quadratic.
    pub fn excess(&self, lr: f64) -> Option<f64> {
        Some(self.quadratic?[2] * (lr / self.lr?).ln().powi(2))
    }
}

/// Optima and the law through them. `critical_batches` is left to the caller, who has the curves.
pub fn best_learning_rates(source: &str, rows: &[LrRow], level: f64) -> LrConclusion {
    let mut groups: BTreeMap<(String, [u64; 4]), Vec<&LrRow>> = BTreeMap::new();
    for row in rows {
        // Positive floats are ordered as their bits are.
        let key = [row.n, row.d, row.batch_tokens, row.beta2].map(f64::to_bits);
        groups.entry((row.variant.clone(), key)).or_default().push(row);
    }
    let groups: Vec<Group> = groups.into_values().map(Group::of).collect();
    let (squares, df) = groups
        .iter()
        .filter_map(|group| group.fit.as_ref().ok())
        .fold((0.0, 0.0), |(squares, df), fit| (squares + fit.linear.squares, df + fit.n_rows as f64 - 3.0));
    let noise = (df > 0.0).then(|| (squares / df).sqrt());
    let noise_of = noise.map(|sd| Noise { sd, df });
    let mut optima: Vec<LrOptimum> = groups.iter().map(|group| group.optimum(noise_of, level)).collect();
    mark_best_beta2(&mut optima);
    let mut warnings = Vec::new();
    if noise.is_none() {
        warnings.push(
            "no quadratic has a run to spare, so no interval of a best rate can be had (hint: five rates, or two seeds)"
                .to_string(),
        );
    }
    let law = law(&optima, noise_of, level, &mut warnings);
    LrConclusion {
        schema_version: scalelaw_schema::SCHEMA_VERSION,
        source: source.to_string(),
        level,
        optima,
        noise,
        law,
        critical_batches: None,
        warnings,
    }
}

/// Noise of ln loss with its degrees of freedom.
#[derive(Debug, Clone, Copy)]
struct Noise {
    sd: f64,
    df: f64,
}

/// The runs that differ in rate and seed alone.
struct Group<'a> {
    first: &'a LrRow,
    rates: Vec<RateLoss>,
    fit: Result<Quadratic, String>,
}

/// `ln loss = b0 + b1·t + b2·t²` with `t = ln lr − centre`.
struct Quadratic {
    linear: LinearFit,
    centre: f64,
    n_rows: usize,
    /// ln of the smallest and largest rate.
    range: [f64; 2],
}

impl<'a> Group<'a> {
    fn of(rows: Vec<&'a LrRow>) -> Group<'a> {
        let mut by_rate: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for row in &rows {
            by_rate.entry(row.lr.to_bits()).or_default().extend(row.loss.map(f64::ln));
        }
        let rates: Vec<RateLoss> = by_rate
            .iter()
            .map(|(lr, ln_losses)| {
                let mean = ln_losses.iter().sum::<f64>() / ln_losses.len() as f64;
                RateLoss { lr: f64::from_bits(*lr), loss: (!ln_losses.is_empty()).then(|| mean.exp()) }
            })
            .collect();
        let fit = quadratic(&rates, &rows);
        Group { first: rows[0], rates, fit }
    }

    fn optimum(&self, noise: Option<Noise>, level: f64) -> LrOptimum {
        let first = self.first;
        let mut optimum = LrOptimum {
            n: first.n,
            d: first.d,
            batch_tokens: first.batch_tokens,
            beta2: first.beta2,
            variant: first.variant.clone(),
            rates: self.rates.clone(),
            lr: None,
            lr_interval: None,
            loss: None,
            why_none: None,
            quadratic: None,
            fitted_range: None,
            is_best_beta2: true,
            se: None,
        };
        let fit = match &self.fit {
            Ok(fit) => fit,
            Err(why) => {
                optimum.why_none = Some(why.clone());
                return optimum;
            }
        };
        let (b, centre) = (&fit.linear.coefficients, fit.centre);
        optimum.quadratic =
            Some([b[0] - b[1] * centre + b[2] * centre * centre, b[1] - 2.0 * b[2] * centre, b[2]]);
        optimum.fitted_range = Some(fit.range.map(f64::exp));
        match fit.vertex() {
            Err(why) => optimum.why_none = Some(why),
            Ok(t) => {
                optimum.lr = Some((centre + t).exp());
                optimum.loss = Some((b[0] + t * (b[1] + t * b[2])).exp());
                if let Some(noise) = noise {
                    optimum.se = Some(noise.sd * fit.slope_variance(t).sqrt() / (2.0 * b[2]));
                    optimum.lr_interval = fit.interval(noise, level);
                }
            }
        }
        optimum
    }
}

/// Through the runs near the best rate, or why there is none.
fn quadratic(rates: &[RateLoss], rows: &[&LrRow]) -> Result<Quadratic, String> {
    let known: Vec<(usize, f64)> =
        rates.iter().enumerate().filter_map(|(idx, rate)| Some((idx, rate.loss?))).collect();
    let Some(&(best, best_loss)) = known.iter().min_by(|a, b| a.1.total_cmp(&b.1)) else {
        return Err("every run diverged".to_string());
    };
    let show = |idx: usize| format!("{:.2e}", rates[idx].lr);
    if best == 0 {
        return Err(format!(
            "the smallest rate, {}, is the best: the minimum lies at the grid's edge",
            show(0)
        ));
    }
    if best + 1 == rates.len() {
        return Err(format!(
            "the largest rate, {}, is the best: the minimum lies at the grid's edge",
            show(best)
        ));
    }
    if rates[best + 1].loss.is_none() {
        return Err(format!(
            "{} is the best rate and {} diverged: no run lies between",
            show(best),
            show(best + 1)
        ));
    }
    let is_near = |idx: usize| {
        rates[idx].loss.is_some_and(|loss| (loss / best_loss).ln() <= NEAR_LN_LOSS) || idx.abs_diff(best) <= 1
    };
    let (mut first, mut last) = (best, best);
    while first > 0 && is_near(first - 1) {
        first -= 1;
    }
    while last + 1 < rates.len() && is_near(last + 1) {
        last += 1;
    }
    let (low, high) = (rates[first].lr, rates[last].lr);
    let points: Vec<(f64, f64)> = rows
        .iter()
        .filter(|row| (low..=high).contains(&row.lr))
        .filter_map(|row| Some((row.lr.ln(), row.loss?.ln())))
        .collect();
    let centre = points.iter().map(|(x, _)| x).sum::<f64>() / points.len() as f64;
    let table: Vec<_> = points
        .iter()
        .map(|&(x, y)| {
            let t = x - centre;
            (vec![1.0, t, t * t], y, 1.0)
        })
        .collect();
    let linear =
        least_squares(&table).ok_or("fewer than three rates near the best one do not make a quadratic")?;
    Ok(Quadratic { linear, centre, n_rows: points.len(), range: [low.ln(), high.ln()] })
}

impl Quadratic {
    /// t of the minimum, strictly between the rates.
    fn vertex(&self) -> Result<f64, String> {
        let b = &self.linear.coefficients;
        if b[2].is_nan() || b[2] <= 0.0 {
            return Err("the losses do not curve upwards".to_string());
        }
        let t = -b[1] / (2.0 * b[2]);
        let [low, high] = self.range;
        if t + self.centre <= low || t + self.centre >= high {
            return Err("the quadratic's minimum lies at the grid's edge".to_string());
        }
        Ok(t)
    }

    /// Variance of `b1 + 2·b2·t` over that of a row.
    fn slope_variance(&self, t: f64) -> f64 {
        let v = &self.linear.inverse;
        v[1][1] + 4.0 * t * v[1][2] + 4.0 * t * t * v[2][2]
    }

    /// All t at which a slope of zero is not refuted (Fieller 1954): exact where the noise is normal, also where the
    /// curvature is weakly known. `None` where that is no interval.
    fn interval(&self, noise: Noise, level: f64) -> Option<Interval> {
        let (b, v) = (&self.linear.coefficients, &self.linear.inverse);
        let bound = (quantile::student(0.5 + 0.5 * level, noise.df) * noise.sd).powi(2);
        // (b1 + 2·b2·t)² ≤ bound · Var: p·t² + 2·q·t + r ≤ 0.
        let p = 4.0 * (b[2] * b[2] - bound * v[2][2]);
        let q = 2.0 * (b[1] * b[2] - bound * v[1][2]);
        let r = b[1] * b[1] - bound * v[1][1];
        let root = (q * q - p * r).sqrt();
        if p.is_nan() || p <= 0.0 || root.is_nan() {
            return None;
        }
        Some(Interval {
            low: (self.centre + (-q - root) / p).exp(),
            high: (self.centre + (-q + root) / p).exp(),
            level,
            method: format!(
                "Fieller's, noise of {:.2} % in the loss with {} degrees of freedom",
                100.0 * noise.sd,
                noise.df
            ),
            resamples: 0,
        })
    }
}

/// Where several beta2 were compared, the ones that lost are no optima of the law.
fn mark_best_beta2(optima: &mut [LrOptimum]) {
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

fn law(optima: &[LrOptimum], noise: Option<Noise>, level: f64, warnings: &mut Vec<String>) -> Option<LrLaw> {
    let points: Vec<(&LrOptimum, f64)> = optima
        .iter()
        .filter(|optimum| optimum.is_best_beta2)
        .filter_map(|optimum| Some((optimum, optimum.lr?.ln())))
        .collect();
    if points.is_empty() {
        warnings.push(
            "no best rate lies inside of the rates compared, so there is no rule (hint: rates around those that were best)"
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
                "{name} varies together with what stands before it in N, D, batch: its exponent is part of theirs, and the rule holds along that path (hint: several horizons at one size)"
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
        method: spread.map_or_else(|| "no interval: no optimum to spare".to_string(), |spread| spread.method),
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
    let value = x.exp();
    format!("{value:.11e}").parse().unwrap_or(value)
}

fn rms(values: &[f64]) -> f64 {
    (values.iter().map(|x| x * x).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

/// From the inverse of the law's information to half an interval.
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
        let t = |df: f64| quantile::student(0.5 + 0.5 * level, df);
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
            "the best beta2 is the smallest or largest compared in {n} of {} cases: a bound, no optimum",
            measured.len()
        )),
    }
    // ln beta2 per token, its logarithm averaged: a geometric mean of half-lives.
    let ln_rate =
        measured.iter().map(|optimum| (-optimum.beta2.ln() / optimum.batch_tokens).ln()).sum::<f64>()
            / measured.len() as f64;
    Beta2Rule { beta2: (-ln_rate.exp() * batch_tokens).exp(), batch_tokens, measured: true }
}

#[cfg(test)]
mod tests;
