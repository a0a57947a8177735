//! Critical batch sizes from learning curves at several batch sizes (McCandlish et al. 2018, arXiv:1812.06162; Kaplan
//! et al. 2020, section 5.1): for each loss, steps S and tokens E = B·S that reach it obey
//! `(S/S_min − 1)(E/E_min − 1) = 1`, and `B_crit = E_min/S_min` depends on the loss alone.

use std::collections::BTreeMap;

use scalelaw_schema::measure::Measure;
use scalelaw_schema::table::{Counting, LossRow, LossTable};
use serde::{Deserialize, Serialize};

use scalelaw_fit::conclusion::{FitStatus, Interval};
use scalelaw_fit::stats::least_squares;
use scalelaw_fit::stats::quantile;
use scalelaw_fit::{FitSpec, LawChoice};

/// Fewest batch sizes that reach a loss: the hyperbola has two numbers, and its errors need two more.
const BATCHES_MIN: usize = 4;

/// Losses that are asked for, over the worst batch's final one: the smallest that every batch size reaches (two per
/// cent above, so that noise decides nothing), and some before it.
const LEVELS: [f64; 4] = [1.02, 1.06, 1.12, 1.2];

/// Rows of a curve that are averaged before it is read: a row is the mean over a hundredth of the run already.
const SMOOTHED_ROWS: usize = 5;

/// A learning curve of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchCurve {
    /// Parameters, all counted.
    pub n: f64,
    /// Other settings: only runs that share them are compared.
    pub variant: String,
    /// Tokens of one step.
    pub batch_tokens: f64,
    /// Steps taken and training loss, nats per token, rising in steps.
    pub points: Vec<(f64, f64)>,
}

/// Steps with the loss after them.
type Points = Vec<(f64, f64)>;

/// Curves of one size, by the bits of their batch's tokens.
type OfBatch = BTreeMap<u64, Vec<Points>>;

/// Critical batch sizes of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CriticalBatches {
    /// One for each size and loss that enough batch sizes reach.
    pub at: Vec<CriticalBatchAt>,
    /// `B_crit = coefficient · L^exponent` through all of them.
    pub power: Option<BatchPower>,
    /// How, in words.
    pub method: String,
}

/// The critical batch at one loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CriticalBatchAt {
    /// Parameters of the models, all counted.
    pub n: f64,
    /// The loss, nats per token.
    pub loss: f64,
    /// Batch sizes that reach it.
    pub n_batches: usize,
    /// Tokens; absent where the hyperbola has no minimum inside its bounds.
    pub batch_tokens: Option<f64>,
    /// Its interval.
    pub interval: Option<Interval>,
    /// Fewest steps, those of an endless batch.
    pub steps_min: Option<f64>,
    /// Why it is absent.
    pub why_none: Option<String>,
}

/// A power law of the loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BatchPower {
    /// Tokens at a loss of 1.
    pub coefficient: f64,
    /// Of the loss; −1/α_B in Kaplan et al., −4.8 there.
    pub exponent: f64,
    /// Of the exponent, by the scatter about the power law.
    pub interval: Option<[f64; 2]>,
}

/// For each size and loss the hyperbola over batch sizes, each with the fewest steps among its curves (so at its best
/// learning rate); `None` where no size has enough batch sizes.
pub fn critical_batches(curves: &[BatchCurve], level: f64) -> Option<CriticalBatches> {
    let mut sizes: BTreeMap<(String, u64), OfBatch> = BTreeMap::new();
    for curve in curves {
        // Positive floats are ordered as their bits are.
        let size = sizes.entry((curve.variant.clone(), curve.n.to_bits())).or_default();
        size.entry(curve.batch_tokens.to_bits()).or_default().push(smoothed(&curve.points));
    }
    sizes.retain(|_, batches| batches.len() >= BATCHES_MIN);
    if sizes.is_empty() {
        return None;
    }
    let mut at = Vec::new();
    for ((_, n), batches) in &sizes {
        let least =
            |curves: &Vec<Points>| curves.iter().flatten().map(|point| point.1).fold(f64::INFINITY, f64::min);
        let worst = batches.values().map(least).fold(f64::NEG_INFINITY, f64::max);
        if !worst.is_finite() {
            continue;
        }
        for factor in LEVELS {
            let loss = worst * factor;
            let steps: Vec<(f64, f64)> = batches
                .iter()
                .filter_map(|(batch, curves)| {
                    let fewest =
                        curves.iter().filter_map(|curve| steps_to(curve, loss)).min_by(f64::total_cmp)?;
                    Some((f64::from_bits(*batch), fewest))
                })
                .collect();
            at.push(hyperbola(f64::from_bits(*n), loss, &steps, level));
        }
    }
    let power = power(&at, level);
    let method = "hyperbola through the fewest steps of each batch size to a training loss, along whole schedules: losses before the cool-down are those of the peak rate";
    Some(CriticalBatches { at, power, method: method.to_string() })
}

/// Means over neighbouring rows; the ends keep shorter ones.
fn smoothed(points: &[(f64, f64)]) -> Points {
    let half = SMOOTHED_ROWS / 2;
    (0..points.len())
        .map(|idx| {
            let part = &points[idx.saturating_sub(half)..(idx + half + 1).min(points.len())];
            (points[idx].0, part.iter().map(|point| point.1).sum::<f64>() / part.len() as f64)
        })
        .collect()
}

/// Steps at which a curve first comes down to `loss`, between rows by a straight line in ln steps.
fn steps_to(curve: &[(f64, f64)], loss: f64) -> Option<f64> {
    let pair = curve.windows(2).find(|pair| pair[0].1 > loss && pair[1].1 <= loss)?;
    let share = (pair[0].1 - loss) / (pair[0].1 - pair[1].1);
    Some((pair[0].0.ln() + share * (pair[1].0 / pair[0].0).ln()).exp())
}

fn hyperbola(n: f64, loss: f64, steps: &[(f64, f64)], level: f64) -> CriticalBatchAt {
    let mut found = CriticalBatchAt {
        n,
        loss,
        n_batches: steps.len(),
        batch_tokens: None,
        interval: None,
        steps_min: None,
        why_none: None,
    };
    if steps.len() < BATCHES_MIN {
        found.why_none = Some(format!("{} batch sizes reach it, {BATCHES_MIN} are needed", steps.len()));
        return found;
    }
    let row = |(batch, steps): &(f64, f64)| LossRow {
        name: format!("{batch}"),
        n,
        d: *batch,
        c: *batch,
        loss: *steps,
        budget: None,
        cluster: None,
        seed: None,
        unique_tokens: None,
    };
    let rows = steps.iter().map(row).collect();
    let table = LossTable { rows, ..LossTable::new("", Counting::AsGiven, Measure::of_user("steps")) };
    let spec = FitSpec {
        law: LawChoice::Named("critical-batch".to_string()),
        bootstrap: 0,
        level,
        ..FitSpec::new()
    };
    match scalelaw_fit::fit(&table, &spec) {
        Err(error) => found.why_none = Some(error.to_string()),
        Ok(conclusion) => {
            let fit = &conclusion.fits[0];
            if fit.status == FitStatus::Converged {
                found.batch_tokens = fit.params.get("B_crit").copied();
                found.steps_min = fit.params.get("S_min").copied();
                found.interval = fit.intervals.get("B_crit").cloned();
            } else {
                found.why_none = Some(format!("the hyperbola is at a bound: {}", fit.notes.join("; ")));
            }
        }
    }
    found
}

/// A line through ln B_crit over ln L.
fn power(at: &[CriticalBatchAt], level: f64) -> Option<BatchPower> {
    let rows: Vec<(Vec<f64>, f64, f64)> =
        at.iter().filter_map(|at| Some((vec![1.0, at.loss.ln()], at.batch_tokens?.ln(), 1.0))).collect();
    let fit = least_squares(&rows)?;
    let df = rows.len() as f64 - 2.0;
    let (ln_coefficient, exponent) = (fit.coefficients[0], fit.coefficients[1]);
    let interval = (df > 0.0).then(|| {
        let half = quantile::student_at(level, df) * (fit.inverse[1][1] * fit.squares / df).sqrt();
        [exponent - half, exponent + half]
    });
    exponent.is_finite().then_some(BatchPower { coefficient: ln_coefficient.exp(), exponent, interval })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Curves with `S(L, B) = S_min(L)·(1 + B_crit(L)/B)`, `S_min = (5/L)^8`·100, `B_crit = 2e6·L^−5`.
    fn curves(batches: &[f64]) -> Vec<BatchCurve> {
        let curve = |n: f64, batch_tokens: f64| {
            let points = (0..400)
                .map(|idx| {
                    let loss: f64 = 4.5 * (2.0f64 / 4.5).powf(f64::from(idx) / 399.0);
                    let b_crit = 2e6 * loss.powf(-5.0);
                    (100.0 * (5.0 / loss).powf(8.0) * (1.0 + b_crit / batch_tokens), loss)
                })
                .collect();
            BatchCurve { n, variant: String::new(), batch_tokens, points }
        };
        [1e5, 3e5].iter().flat_map(|&n| batches.iter().map(move |&batch| curve(n, batch))).collect()
    }

    #[test]
    fn the_critical_batch_of_known_curves_and_its_power_are_recovered() {
        let found = critical_batches(&curves(&[1e3, 4e3, 1.6e4, 6.4e4]), 0.95).unwrap();
        assert_eq!(found.at.len(), 2 * LEVELS.len());
        for at in &found.at {
            let expected = 2e6 * at.loss.powf(-5.0);
            let b_crit = at.batch_tokens.unwrap();
            // The curves are read between points that are half a per cent of loss apart.
            assert!((b_crit / expected - 1.0).abs() < 0.02, "{at:?}: {expected}");
            let steps_min = 100.0 * (5.0 / at.loss).powf(8.0);
            assert!((at.steps_min.unwrap() / steps_min - 1.0).abs() < 0.02, "{at:?}");
        }
        let power = found.power.unwrap();
        assert!((power.exponent + 5.0).abs() < 0.1, "{power:?}");
    }

    #[test]
    fn a_slower_learning_rate_changes_nothing() {
        let mut both = curves(&[1e3, 4e3, 1.6e4, 6.4e4]);
        let expected = critical_batches(&both, 0.95).unwrap();
        let slower = curves(&[1e3, 4e3, 1.6e4, 6.4e4]).into_iter().map(|mut curve| {
            curve.points.iter_mut().for_each(|point| point.0 *= 1.7);
            curve
        });
        both.extend(slower);
        assert_eq!(critical_batches(&both, 0.95).unwrap(), expected);
    }

    #[test]
    fn too_few_batch_sizes_are_no_hyperbola() {
        assert_eq!(critical_batches(&curves(&[1e3, 4e3, 1.6e4]), 0.95), None);
        assert_eq!(critical_batches(&[], 0.95), None);
        // A batch that never learns reaches no loss that the others do.
        let mut slow = curves(&[1e3, 4e3, 1.6e4, 6.4e4]);
        slow[0].points = vec![(1.0, 4.5), (2.0, 4.4), (3.0, 4.45)];
        let found = critical_batches(&slow, 0.95).unwrap();
        assert!(found.at.iter().all(|at| at.batch_tokens.is_some() || at.why_none.is_some()), "{found:?}");
    }
}
