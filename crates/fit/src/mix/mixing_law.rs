//! The mixing law, `L_i(r) = c_i + k_i·exp(Σ_j t_ij r_j)`: the loss of text i after training on the mixture r
//! (Ye et al. 2024, arXiv:2403.16952), runs alike in everything else.
//!
//! The shares r_j sum to one, so a constant added to all t_ij is a factor of k_i: here `Σ_j t_ij = 0`, and k_i is
//! the loss above c_i at the mean of the mixtures that were tried. Fitted by Huber's loss of log residuals at 2.5
//! spreads, by a search over c_i with the rest solved inside.

use scalelaw_schema::SCHEMA_VERSION;
use serde::{Deserialize, Serialize};

use crate::conclusion::Interval;
use crate::laws::{MAX_PARAMS, Square};
use crate::objective::Objective;
use crate::profile::inverse;
use crate::quantile;
use crate::skills::draws::Draws;
use crate::skills::noise::{self, SharedNoise};
use crate::skills::{self, SkillSpec};
use crate::spec::FitError;

/// Most sources: c, k and a slope for all but one of them are the parameters that a fit can have.
const MOST_SOURCES: usize = MAX_PARAMS - 1;

const METHOD: &str = "wild bootstrap of the mixing law, runs drawn jointly for all texts";

/// Runs that differ in their mixture alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MixtureRuns {
    /// Where the runs came from.
    pub source: String,
    /// Names of the sources of training data.
    pub sources: Vec<String>,
    /// Names of the texts that the runs are judged by.
    pub texts: Vec<String>,
    /// The runs.
    pub runs: Vec<MixtureRun>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MixtureRun {
    /// Its name.
    pub name: String,
    /// Share of each source; they sum to one.
    pub shares: Vec<f64>,
    /// Loss of each text, nats per token.
    pub losses: Vec<Option<f64>>,
}

/// The mixing laws of all texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MixingConclusion {
    /// Version of this format.
    pub schema_version: u32,
    /// Where the runs came from.
    pub source: String,
    /// The sources of training data.
    pub sources: Vec<String>,
    /// Smallest and largest share of each source that was tried.
    pub tried: Vec<[f64; 2]>,
    /// Distinct mixtures.
    pub n_mixtures: usize,
    /// One for each text that could be fitted.
    pub laws: Vec<MixingLaw>,
    /// Texts that could not, each with its reason.
    pub refused: Vec<(String, String)>,
    /// Level of the intervals.
    pub level: f64,
    /// Draws of the noise.
    pub draws: usize,
}

/// The law of one text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MixingLaw {
    /// The text.
    pub text: String,
    /// Loss that no mixture lowers, nats per token.
    pub c: f64,
    /// Its interval.
    pub c_interval: Option<Interval>,
    /// Loss above `c` at the mean mixture.
    pub k: f64,
    /// Slope of each source, in the order of the sources; below zero, more of it helps. They sum to zero.
    pub t: Vec<f64>,
    /// Their intervals.
    pub t_intervals: Vec<Option<Interval>>,
    /// Mean share of each source, about which `k` is taken.
    pub mean: Vec<f64>,
    /// Runs used.
    pub n_runs: usize,
    /// Root mean square of the residuals of log loss.
    pub rms_log_residual: f64,
    /// Mean absolute error of predicting each mixture from the others, nats per token.
    pub held_out_mae: f64,
    /// The same by the mean loss of the others: what a law must beat.
    pub baseline_mae: f64,
    /// `c, k, t` of each draw; for intervals of what follows. Not printed.
    #[serde(skip)]
    pub drawn: Vec<MixingParams>,
}

/// Parameters of a mixing law.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MixingParams {
    /// See [`MixingLaw::c`].
    pub c: f64,
    /// See [`MixingLaw::k`].
    pub k: f64,
    /// See [`MixingLaw::t`].
    pub t: Vec<f64>,
}

impl MixingLaw {
    /// Parameters as fitted.
    pub fn params(&self) -> MixingParams {
        MixingParams { c: self.c, k: self.k, t: self.t.clone() }
    }

    /// Loss after training on a mixture, nats per token.
    pub fn loss(&self, params: &MixingParams, shares: &[f64]) -> f64 {
        params.c + params.k * self.exponent(params, shares).exp()
    }

    /// `Σ_j t_j (r_j − mean_j)`.
    pub(crate) fn exponent(&self, params: &MixingParams, shares: &[f64]) -> f64 {
        params.t.iter().zip(shares.iter().zip(&self.mean)).map(|(t, (r, mean))| t * (r - mean)).sum()
    }
}

/// The mixing law of every text. Mixtures are held out one at a time for the error.
///
/// # Errors
/// [`FitError::Refused`] where shares do not fit the sources, or there are too few or too many of either; a
/// single text's failure stands in [`MixingConclusion::refused`].
pub fn mixing_laws(runs: &MixtureRuns, spec: &SkillSpec) -> Result<MixingConclusion, FitError> {
    skills::check(spec)?;
    let n_sources = runs.sources.len();
    if !(2..=MOST_SOURCES).contains(&n_sources) {
        return skills::refuse(
            &format!("the mixing law takes 2 to {MOST_SOURCES} sources, not {n_sources}"),
            "join sources that are always mixed alike",
        );
    }
    for run in &runs.runs {
        let sum: f64 = run.shares.iter().sum();
        let is_share = |share: &f64| (0.0..=1.0 + 1e-9).contains(share);
        if run.shares.len() != n_sources || (sum - 1.0).abs() > 1e-6 || !run.shares.iter().all(is_share) {
            return skills::refuse(
                &format!("the shares of run `{}` are not {n_sources} shares that sum to 1", run.name),
                "divide the weights by their sum",
            );
        }
    }
    let noise = SharedNoise::named(runs.runs.iter().map(|run| run.name.clone()), spec.draws, spec.seed);
    let (mut laws, mut refused) = (Vec::new(), Vec::new());
    for (idx, text) in runs.texts.iter().enumerate() {
        match one_text(runs, idx, &noise, spec) {
            Ok(law) => laws.push(law),
            Err(why) => refused.push((text.clone(), why)),
        }
    }
    let tried = (0..n_sources)
        .map(|source| {
            let shares = || runs.runs.iter().map(|run| run.shares[source]);
            [shares().fold(1.0, f64::min), shares().fold(0.0, f64::max)]
        })
        .collect();
    let shares: Vec<&[f64]> = runs.runs.iter().map(|run| run.shares.as_slice()).collect();
    Ok(MixingConclusion {
        schema_version: SCHEMA_VERSION,
        source: runs.source.clone(),
        sources: runs.sources.clone(),
        tried,
        n_mixtures: mixtures(&shares).iter().max().map_or(0, |last| last + 1),
        laws,
        refused,
        level: spec.level,
        draws: spec.draws,
    })
}

/// Place of each run's mixture among the distinct ones.
fn mixtures(shares: &[&[f64]]) -> Vec<usize> {
    let mut distinct: Vec<&[f64]> = Vec::new();
    shares
        .iter()
        .map(|run| {
            let is_same = |other: &&[f64]| other.iter().zip(*run).all(|(x, y)| (x - y).abs() < 1e-9);
            distinct.iter().position(is_same).unwrap_or_else(|| {
                distinct.push(run);
                distinct.len() - 1
            })
        })
        .collect()
}

fn one_text(
    runs: &MixtureRuns,
    text: usize,
    noise: &SharedNoise,
    spec: &SkillSpec,
) -> Result<MixingLaw, String> {
    let known: Vec<(&MixtureRun, f64)> = runs
        .runs
        .iter()
        .filter_map(|run| Some((run, (*run.losses.get(text)?)?)))
        .filter(|(_, loss)| *loss > 0.0 && loss.is_finite())
        .collect();
    let shares: Vec<&[f64]> = known.iter().map(|(run, _)| run.shares.as_slice()).collect();
    let place = mixtures(&shares);
    let n_mixtures = place.iter().max().map_or(0, |last| last + 1);
    let n_params = runs.sources.len() + 1;
    if n_mixtures < n_params + 1 {
        return Err(format!(
            "{n_mixtures} mixtures cannot tell {n_params} parameters (hint: {} or more)",
            n_params + 1
        ));
    }
    let n = known.len() as f64;
    let mean: Vec<f64> = (0..runs.sources.len())
        .map(|source| shares.iter().map(|shares| shares[source]).sum::<f64>() / n)
        .collect();
    let design = Design {
        x: shares.iter().map(|shares| row(shares, &mean)).collect(),
        n_slopes: runs.sources.len() - 1,
    };
    let ln_loss: Vec<f64> = known.iter().map(|(_, loss)| loss.ln()).collect();
    let alike = || "the mixtures do not vary in as many directions as there are sources".to_owned();
    let (objective, theta) = design.fit(&ln_loss).ok_or_else(alike)?;
    let fitted: Vec<f64> = design.x.iter().map(|x| theta.ln_loss(x)).collect();
    let leverages = design.leverages(&theta).ok_or_else(alike)?;
    let errors: Vec<f64> =
        (0..known.len()).map(|i| noise::held_out(ln_loss[i] - fitted[i], leverages[i])).collect();
    let places = noise.places_named(known.iter().map(|(run, _)| run.name.as_str()));
    let drawn: Vec<Option<Theta>> = {
        use rayon::prelude::*;
        noise
            .draws()
            .par_iter()
            .map(|draw| {
                let shaken: Vec<f64> =
                    (0..fitted.len()).map(|i| fitted[i] + draw[places[i]] * errors[i]).collect();
                design.fit_by(&shaken, objective)
            })
            .collect()
    };
    let df = noise::n_units(&places) as f64 - n_params as f64;
    let interval = |of: &dyn Fn(&MixingParams) -> f64, low: f64| {
        let draws = drawn.iter().map(|theta| theta.as_ref().map_or(f64::NAN, |theta| of(&theta.params())));
        let draws = Draws::new(of(&theta.params()), draws, df, noise.draws(), METHOD);
        draws.within(low, f64::INFINITY).interval(spec.level)
    };
    let (held_out_mae, baseline_mae) = held_out(&design, &ln_loss, &place).ok_or_else(alike)?;
    let params = theta.params();
    let square: f64 = fitted.iter().zip(&ln_loss).map(|(x, y)| (x - y) * (x - y)).sum();
    Ok(MixingLaw {
        text: runs.texts[text].clone(),
        c: params.c,
        c_interval: interval(&|params| params.c, 0.0),
        k: params.k,
        t_intervals: (0..params.t.len())
            .map(|source| interval(&|params| params.t[source], f64::NEG_INFINITY))
            .collect(),
        t: params.t,
        mean,
        n_runs: known.len(),
        rms_log_residual: (square / n).sqrt(),
        held_out_mae,
        baseline_mae,
        drawn: drawn.iter().flatten().map(Theta::params).collect(),
    })
}

/// A one for ln k, then all shares but the last relative to their means.
fn row(shares: &[f64], mean: &[f64]) -> Vec<f64> {
    let others = shares.iter().zip(mean).take(mean.len() - 1).map(|(share, mean)| share - mean);
    std::iter::once(1.0).chain(others).collect()
}

/// Mean absolute error of each mixture predicted from the others, by the law and by their mean loss.
fn held_out(design: &Design, ln_loss: &[f64], place: &[usize]) -> Option<(f64, f64)> {
    let n_mixtures = place.iter().max()? + 1;
    let (mut of_law, mut of_mean) = (0.0, 0.0);
    for mixture in 0..n_mixtures {
        let kept: Vec<usize> = (0..place.len()).filter(|&i| place[i] != mixture).collect();
        let held: Vec<usize> = (0..place.len()).filter(|&i| place[i] == mixture).collect();
        let rest =
            Design { x: kept.iter().map(|&i| design.x[i].clone()).collect(), n_slopes: design.n_slopes };
        let losses: Vec<f64> = kept.iter().map(|&i| ln_loss[i]).collect();
        let (_, theta) = rest.fit(&losses)?;
        let mean_of =
            |idxs: &[usize]| idxs.iter().map(|&i| ln_loss[i].exp()).sum::<f64>() / idxs.len() as f64;
        let truth = mean_of(&held);
        of_law += (theta.ln_loss(&design.x[held[0]]).exp() - truth).abs();
        of_mean += (mean_of(&kept) - truth).abs();
    }
    Some((of_law / n_mixtures as f64, of_mean / n_mixtures as f64))
}

/// Rows of a mixing law.
struct Design {
    x: Vec<Vec<f64>>,
    n_slopes: usize,
}

/// Parameters: c, and (ln k, slopes relative to the last source).
#[derive(Debug, Clone)]
struct Theta {
    c: f64,
    b: Vec<f64>,
}

impl Theta {
    fn reducible(&self, x: &[f64]) -> f64 {
        self.b.iter().zip(x).map(|(b, x)| b * x).sum::<f64>().exp()
    }

    fn ln_loss(&self, x: &[f64]) -> f64 {
        (self.c + self.reducible(x)).ln()
    }

    fn params(&self) -> MixingParams {
        let n_sources = self.b.len() as f64;
        let mean = self.b[1..].iter().sum::<f64>() / n_sources;
        // The last source has slope zero, until all are shifted to sum to zero.
        let t = self.b[1..].iter().copied().chain([0.0]).map(|t| t - mean).collect();
        MixingParams { c: self.c, k: self.b[0].exp(), t }
    }
}

impl Design {
    fn n_inner(&self) -> usize {
        self.n_slopes + 1
    }

    /// By least squares, then by Huber's loss at 2.5 of the residuals' spreads.
    fn fit(&self, ln_loss: &[f64]) -> Option<(Objective, Theta)> {
        let squares = self.fit_by(ln_loss, Objective::LogMse)?;
        let mut sizes: Vec<f64> =
            self.x.iter().zip(ln_loss).map(|(x, y)| (squares.ln_loss(x) - y).abs()).collect();
        sizes.sort_by(f64::total_cmp);
        let df = (self.x.len() as f64 - self.n_inner() as f64 - 1.0).max(1.0);
        let spread = 1.4826 * quantile::of_sorted(&sizes, 0.5)? * (self.x.len() as f64 / df).sqrt();
        let objective = Objective::LogHuber((2.5 * spread).max(1e-9));
        Some((objective, self.fit_by(ln_loss, objective)?))
    }

    /// Over the share of the smallest loss that is above c: coarsely, then by golden section.
    fn fit_by(&self, ln_loss: &[f64], objective: Objective) -> Option<Theta> {
        let smallest = ln_loss.iter().copied().fold(f64::INFINITY, f64::min).exp();
        // From all of the smallest loss (c = 0) to a hundredth of it.
        let lowest = 0.01_f64.ln();
        let at = |ln_share: f64| {
            let c = smallest * (1.0 - ln_share.min(0.0).exp()).max(0.0);
            let theta = self.inner(c, ln_loss, objective)?;
            let value = self.value(&theta, ln_loss, objective);
            value.is_finite().then_some((value, theta))
        };
        let n_steps = 14;
        let grid: Vec<(f64, f64)> = (0..=n_steps)
            .map(|i| lowest * f64::from(i) / f64::from(n_steps))
            .map(|x| (x, at(x).map_or(f64::INFINITY, |found| found.0)))
            .collect();
        let best = (0..grid.len()).min_by(|&i, &j| grid[i].1.total_cmp(&grid[j].1))?;
        let (mut high, mut low) = (grid[best.saturating_sub(1)].0, grid[(best + 1).min(grid.len() - 1)].0);
        let golden = 0.5 * (5f64.sqrt() - 1.0);
        let value = |x: f64| at(x).map_or(f64::INFINITY, |found| found.0);
        let (mut x1, mut x2) = (high - golden * (high - low), low + golden * (high - low));
        let (mut f1, mut f2) = (value(x1), value(x2));
        for _ in 0..30 {
            if f1 <= f2 {
                (high, x2, f2) = (x2, x1, f1);
                x1 = high - golden * (high - low);
                f1 = value(x1);
            } else {
                (low, x1, f1) = (x1, x2, f2);
                x2 = low + golden * (high - low);
                f2 = value(x2);
            }
        }
        let refined = [0.5 * (low + high), grid[best].0].into_iter().filter_map(at);
        refined.min_by(|x, y| x.0.total_cmp(&y.0)).map(|found| found.1)
    }

    fn value(&self, theta: &Theta, ln_loss: &[f64], objective: Objective) -> f64 {
        self.x.iter().zip(ln_loss).map(|(x, y)| objective.at(theta.ln_loss(x) - y).value).sum()
    }

    /// The rest at a given c: reweighted Gauss-Newton steps, halved where they do not help.
    fn inner(&self, c: f64, ln_loss: &[f64], objective: Objective) -> Option<Theta> {
        let p = self.n_inner();
        // From the logarithm of the reducible part, weighted as log loss sees it.
        let reducible: Vec<f64> = ln_loss.iter().map(|y| (y.exp() - c).max(1e-3 * y.exp())).collect();
        let rows = self.x.iter().zip(reducible.iter().zip(ln_loss)).map(|(x, (reducible, y))| {
            let weight = (reducible / y.exp()).powi(2);
            (x.as_slice(), reducible.ln(), weight)
        });
        let mut theta = Theta { c, b: solve(rows, p)? };
        let mut value = self.value(&theta, ln_loss, objective);
        for _ in 0..40 {
            let rows = self.x.iter().zip(ln_loss).map(|(x, y)| {
                let reducible = theta.reducible(x);
                let slope = reducible / (c + reducible);
                let residual = theta.ln_loss(x) - y;
                // One step of `slope · x·step = −residual`, weighed by Huber.
                (x.as_slice(), -residual / slope, slope * slope * objective.at(residual).weight)
            });
            let step = solve(rows, p)?;
            let mut share = 1.0;
            let moved = loop {
                let b = theta.b.iter().zip(&step).map(|(b, step)| b + share * step).collect();
                let trial = Theta { c, b };
                let found = self.value(&trial, ln_loss, objective);
                if found < value {
                    break Some((found, trial));
                }
                share *= 0.5;
                if share < 1e-3 {
                    break None;
                }
            };
            let Some((found, trial)) = moved else { break };
            let is_done = value - found <= 1e-12 * value;
            (value, theta) = (found, trial);
            if is_done {
                break;
            }
        }
        Some(theta)
    }

    /// Share of its own fitted value that each row decides.
    fn leverages(&self, theta: &Theta) -> Option<Vec<f64>> {
        let p = self.n_inner() + 1;
        let slopes: Vec<Vec<f64>> = self
            .x
            .iter()
            .map(|x| {
                let reducible = theta.reducible(x);
                let loss = theta.c + reducible;
                std::iter::once(1.0 / loss).chain(x.iter().map(|x| x * reducible / loss)).collect()
            })
            .collect();
        let mut gram = [[0.0; MAX_PARAMS]; MAX_PARAMS];
        for slope in &slopes {
            add_outer(&mut gram, slope, 1.0);
        }
        // Where c cannot be told from k, the rest is still known.
        let (inverse, first) = match inverse(&gram, p) {
            Some(whole) => (whole, 0),
            None => {
                let mut rest = [[0.0; MAX_PARAMS]; MAX_PARAMS];
                for slope in &slopes {
                    add_outer(&mut rest, &slope[1..], 1.0);
                }
                (inverse(&rest, p - 1)?, 1)
            }
        };
        let leverage = |slope: &Vec<f64>| {
            let slope = &slope[first..];
            let row = |i: usize| (0..slope.len()).map(|j| inverse[i][j] * slope[j]).sum::<f64>();
            (0..slope.len()).map(|i| slope[i] * row(i)).sum::<f64>()
        };
        Some(slopes.iter().map(leverage).collect())
    }
}

fn add_outer(matrix: &mut Square, x: &[f64], weight: f64) {
    for i in 0..x.len() {
        for j in 0..x.len() {
            matrix[i][j] += weight * x[i] * x[j];
        }
    }
}

/// Weighted least squares over `(x, y, weight)`; `None` where x does not vary in all directions.
fn solve<'r>(rows: impl Iterator<Item = (&'r [f64], f64, f64)>, p: usize) -> Option<Vec<f64>> {
    let mut gram = [[0.0; MAX_PARAMS]; MAX_PARAMS];
    let mut moment = [0.0; MAX_PARAMS];
    for (x, y, weight) in rows {
        add_outer(&mut gram, x, weight);
        for i in 0..p {
            moment[i] += weight * x[i] * y;
        }
    }
    let lower = crate::minimise::cholesky(&gram, p)?;
    let solution = crate::minimise::cholesky_solve(&lower, p, &moment);
    solution[..p].iter().all(|x| x.is_finite()).then(|| solution[..p].to_vec())
}
