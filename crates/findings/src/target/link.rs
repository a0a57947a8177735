//! From likelihood to accuracy: over the runs of a sweep, accuracy as a falling function of nats per answer token.
//!
//! `accuracy = chance + (1 − chance)/(1 + exp(k·(nll − middle)))` by least squares: the second step of OLMo's ladder
//! (Bhagia et al. 2024, arXiv:2412.04403) with its ends held at chance and at 1. Nothing is extrapolated beyond the
//! accuracies that were seen.

use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use scalelaw_fit::FitError;
use scalelaw_fit::conclusion::Interval;
use scalelaw_fit::stats::{quantile, stream, tail_of};
use scalelaw_schema::LEVEL;

/// Two parameters, and at least two runs to show that they are not a coincidence.
const LEAST_RUNS: usize = 4;
const RESAMPLES: usize = 500;

/// One run of a sweep, evaluated on one skill.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinkPoint {
    /// Nats per answer token.
    pub nll: f64,
    /// Share of items that are right.
    pub accuracy: f64,
}

/// Accuracy of one skill as a function of its likelihood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Accuracy without the skill.
    pub chance: f64,
    /// Slope `k` in the logistic, per nat.
    pub k: f64,
    /// Nats per token at which accuracy lies halfway between chance and 1.
    pub middle: f64,
    /// Runs used.
    pub n_runs: usize,
    /// Root mean square of the residuals of accuracy.
    pub rms_residual: f64,
    /// Least and greatest accuracy that was seen.
    pub seen: [f64; 2],
    /// `k` and `middle` of each resample of the runs. Not printed.
    #[serde(skip)]
    pub resamples: Vec<[f64; 2]>,
}

/// The likelihood at which an accuracy is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkedNll {
    /// Nats per answer token.
    pub nll: f64,
    /// Its interval.
    pub interval: Option<Interval>,
}

/// The link of one skill, with a bootstrap over the runs.
///
/// # Errors
/// [`FitError::Refused`] with fewer than four runs, where chance is no share below 1, and where accuracy does not
/// rise as the loss falls.
pub fn link(points: &[LinkPoint], chance: f64, seed: u64) -> Result<Link, FitError> {
    if !(0.0..1.0).contains(&chance) {
        return Err(FitError::refused(
            format!("a chance of {chance} is not a share below 1"),
            &["check the suite"],
        ));
    }
    let points: Vec<LinkPoint> =
        points.iter().filter(|point| point.nll.is_finite() && point.accuracy.is_finite()).copied().collect();
    if points.len() < LEAST_RUNS {
        return Err(FitError::refused(
            format!("{} runs do not determine how accuracy follows from likelihood", points.len()),
            &["evaluate four runs or more"],
        ));
    }
    let rises = |params: &[f64; 2]| explains(&points, chance, *params);
    let Some([k, middle]) = fit_logistic(&points, chance, None).filter(rises) else {
        return Err(FitError::refused(
            "accuracy does not rise as the loss falls",
            &["train until the skill leaves chance, or give a target in nats: `nll:0.5`"],
        ));
    };
    let square: f64 = points.iter().map(|p| (p.accuracy - value(chance, [k, middle], p.nll)).powi(2)).sum();
    let resamples = (0..RESAMPLES)
        .into_par_iter()
        .filter_map(|draw| {
            let mut rng = stream(seed, draw as u64);
            let drawn: Vec<LinkPoint> =
                points.iter().map(|_| points[rng.random_range(0..points.len())]).collect();
            fit_logistic(&drawn, chance, Some([k, middle]))
        })
        .collect();
    let accuracies = || points.iter().map(|point| point.accuracy);
    Ok(Link {
        chance,
        k,
        middle,
        n_runs: points.len(),
        rms_residual: (square / points.len() as f64).sqrt(),
        seen: [accuracies().fold(1.0, f64::min), accuracies().fold(0.0, f64::max)],
        resamples,
    })
}

impl Link {
    /// Accuracy at a likelihood.
    pub fn accuracy(&self, nll: f64) -> f64 {
        value(self.chance, [self.k, self.middle], nll)
    }

    /// The likelihood at which `accuracy` is reached.
    ///
    /// # Errors
    /// [`FitError::Refused`] beyond the accuracies that were seen, and at or below chance.
    pub fn nll(&self, accuracy: f64, level: f64) -> Result<LinkedNll, FitError> {
        let [low, high] = self.seen;
        if !(accuracy > self.chance && accuracy >= low && accuracy <= high) {
            return Err(FitError::refused(
                format!(
                    "accuracies from {low:.3} to {high:.3} were seen, with chance {:.3}: {accuracy} is outside",
                    self.chance
                ),
                &["a target inside this range, or one in nats: `nll:0.5`"],
            ));
        }
        // Where every item was right the logistic has no finite place.
        let odds = ((1.0 - self.chance) / (accuracy - self.chance) - 1.0).max(1e-3);
        let at = |[k, middle]: [f64; 2]| middle + odds.ln() / k;
        let mut drawn: Vec<f64> = self.resamples.iter().map(|params| at(*params)).collect();
        drawn.sort_by(f64::total_cmp);
        let ends = (drawn.len() >= RESAMPLES / 2).then(|| quantile::between_tails(&drawn, tail_of(level)));
        let interval = ends.flatten().map(|(low, high)| Interval {
            low,
            high,
            level,
            method: "bootstrap over the runs".to_owned(),
            resamples: drawn.len(),
        });
        Ok(LinkedNll { nll: at([self.k, self.middle]), interval })
    }
}

fn value(chance: f64, [k, middle]: [f64; 2], nll: f64) -> f64 {
    chance + (1.0 - chance) / (1.0 + (k * (nll - middle)).exp())
}

/// Whether the logistic says more than the mean accuracy does, by the F-test of one more parameter at 5 %.
fn explains(points: &[LinkPoint], chance: f64, params: [f64; 2]) -> bool {
    let n = points.len() as f64;
    let mean = points.iter().map(|point| point.accuracy).sum::<f64>() / n;
    let square = |of: &dyn Fn(&LinkPoint) -> f64| -> f64 {
        points.iter().map(|point| (point.accuracy - of(point)).powi(2)).sum()
    };
    let (of_mean, of_link) = (square(&|_| mean), square(&|point| value(chance, params, point.nll)));
    of_mean - of_link > quantile::fisher(LEVEL, 1.0, n - 2.0) * of_link / (n - 2.0)
}

/// `k` and the middle, by Levenberg's method from `start` or from several; absent where accuracy does not rise as
/// the loss falls.
fn fit_logistic(points: &[LinkPoint], chance: f64, start: Option<[f64; 2]>) -> Option<[f64; 2]> {
    let mut nlls: Vec<f64> = points.iter().map(|point| point.nll).collect();
    nlls.sort_by(f64::total_cmp);
    let (low, high) = (*nlls.first()?, *nlls.last()?);
    let spread = high - low;
    if spread <= 0.0 {
        return None;
    }
    let cost = |params: [f64; 2]| -> f64 {
        points.iter().map(|point| (point.accuracy - value(chance, params, point.nll)).powi(2)).sum()
    };
    let starts = [0.0, 0.25, 0.5, 0.75, 1.0]
        .into_iter()
        .flat_map(|share| [1.0, 4.0, 16.0].map(|steep| [steep / spread, low + share * spread]));
    let starts: Vec<[f64; 2]> = start.map_or_else(|| starts.collect(), |start| vec![start]);
    let best = starts
        .into_iter()
        .map(|start| descend(points, chance, start, &cost))
        .min_by(|one, other| cost(*one).total_cmp(&cost(*other)))?;
    // A step between two runs has any slope.
    (best[0] * spread > 1e-3 && best[0] * spread < 1e4 && best.iter().all(|x| x.is_finite())).then_some(best)
}

fn descend(points: &[LinkPoint], chance: f64, start: [f64; 2], cost: &dyn Fn([f64; 2]) -> f64) -> [f64; 2] {
    let (mut at, mut damping) = (start, 1e-3);
    for _ in 0..100 {
        let (mut gradient, mut square) = ([0.0; 2], [[0.0; 2]; 2]);
        for point in points {
            let share = (value(chance, at, point.nll) - chance) / (1.0 - chance);
            let slope = -(1.0 - chance) * share * (1.0 - share);
            let of = [slope * (point.nll - at[1]), -slope * at[0]];
            let residual = point.accuracy - value(chance, at, point.nll);
            for i in 0..2 {
                gradient[i] += of[i] * residual;
                for j in 0..2 {
                    square[i][j] += of[i] * of[j];
                }
            }
        }
        let (a, d, b) = (square[0][0] * (1.0 + damping), square[1][1] * (1.0 + damping), square[0][1]);
        let determinant = a * d - b * b;
        if determinant <= 0.0 || !determinant.is_finite() {
            break;
        }
        let step = [
            (d * gradient[0] - b * gradient[1]) / determinant,
            (a * gradient[1] - b * gradient[0]) / determinant,
        ];
        let next = [at[0] + step[0], at[1] + step[1]];
        if next[0] > 0.0 && cost(next) <= cost(at) {
            let moved = step.iter().zip(at).map(|(by, x)| (by / x.abs().max(1e-9)).abs()).fold(0.0, f64::max);
            (at, damping) = (next, (damping / 4.0).max(1e-12));
            if moved < 1e-10 {
                break;
            }
        } else if damping > 1e8 {
            break;
        } else {
            damping *= 8.0;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use scalelaw_fit::stats::standard_normal;

    fn known(noise: f64, seed: u64) -> Vec<LinkPoint> {
        let mut rng = stream(seed, 0);
        (0..30)
            .map(|i| {
                let nll = 0.2 + 0.06 * f64::from(i);
                let accuracy = value(0.25, [3.0, 1.0], nll) + noise * standard_normal(&mut rng);
                LinkPoint { nll, accuracy: accuracy.clamp(0.0, 1.0) }
            })
            .collect()
    }

    #[test]
    fn a_known_link_is_found_and_its_interval_holds_the_truth() {
        let exact = link(&known(0.0, 0), 0.25, 0).unwrap();
        assert!((exact.k - 3.0).abs() < 1e-6 && (exact.middle - 1.0).abs() < 1e-6, "{exact:?}");
        assert!((exact.nll(0.625, 0.95).unwrap().nll - 1.0).abs() < 1e-6 && exact.rms_residual < 1e-9);
        let target = value(0.25, [3.0, 1.0], 0.7);
        let held = (0..100).filter(|&seed| {
            let found = link(&known(0.03, seed), 0.25, seed).unwrap().nll(target, 0.95).unwrap();
            let interval = found.interval.unwrap();
            interval.low <= 0.7 && 0.7 <= interval.high
        });
        // 95 % intervals of a bootstrap over 30 runs: below 86 of 100 they would be too narrow by chance in 1e-4.
        let held = held.count();
        assert!(held >= 86, "{held} of 100");
    }

    #[test]
    fn nothing_is_extrapolated_beyond_the_accuracies_that_were_seen() {
        let found = link(&known(0.0, 0), 0.25, 0).unwrap();
        for accuracy in [0.99, 0.25, 0.1] {
            assert!(matches!(found.nll(accuracy, 0.95), Err(FitError::Refused { .. })), "{accuracy}");
        }
        let flat: Vec<LinkPoint> = known(0.0, 0).iter().map(|p| LinkPoint { accuracy: 0.25, ..*p }).collect();
        let rising: Vec<LinkPoint> =
            known(0.0, 0).iter().map(|p| LinkPoint { accuracy: 0.3 + 0.3 * p.nll, ..*p }).collect();
        for points in [&flat[..], &rising[..], &known(0.0, 0)[..3]] {
            assert!(matches!(link(points, 0.25, 0), Err(FitError::Refused { .. })), "{points:?}");
        }
    }
}
