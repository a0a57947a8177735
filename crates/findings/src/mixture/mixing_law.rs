//! The mixing law, `L_i(r) = c_i + k_i·exp(Σ_j t_ij r_j)`: the loss of text i after training on the mixture r
//! (Ye et al. 2024, arXiv:2403.16952), runs alike in everything else.
//!
//! The shares r_j sum to one, so a constant added to all t_ij is a factor of k_i: here `Σ_j t_ij = 0`, and k_i is
//! the loss above c_i at the mean of the mixtures that were tried. Fitted by Huber's loss of log residuals at 2.5
//! spreads, by a search over c_i with the rest solved inside.

use std::sync::Arc;

use scalelaw_schema::SCHEMA_VERSION;
use serde::{Deserialize, Serialize};

pub use super::mixing_fit::MixingParams;
use super::mixing_fit::{Design, Theta, row};
use crate::skills::draws::Draws;
use crate::skills::noise::{self, SharedNoise};
use crate::skills::{self, SkillSpec};
use scalelaw_fit::FitError;
use scalelaw_fit::conclusion::Interval;
use scalelaw_fit::stats::linalg::MAX_PARAMS;
use scalelaw_fit::stats::quantile;

/// Most sources: c, k and a slope for all but one of them are the parameters that a fit can have.
const MOST_SOURCES: usize = MAX_PARAMS - 1;

const METHOD: &str = "residual bootstrap of the mixing law, runs drawn jointly for all texts";

/// Runs that differ in their mixture alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MixtureRuns {
    /// Where the runs came from.
    pub source: String,
    /// Names of the sources of training data.
    pub sources: Vec<String>,
    /// Names of the texts that the runs are evaluated on.
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
    /// Tested range of each source's share.
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
/// single text's failure is in [`MixingConclusion::refused`].
pub fn mixing_laws(runs: &MixtureRuns, spec: &SkillSpec) -> Result<MixingConclusion, FitError> {
    skills::check(spec)?;
    let n_sources = runs.sources.len();
    if !(2..=MOST_SOURCES).contains(&n_sources) {
        return skills::refuse(
            &format!("the mixing law takes 2 to {MOST_SOURCES} sources, not {n_sources}"),
            "join sources that are always mixed in the same ratio",
        );
    }
    for run in &runs.runs {
        let sum: f64 = run.shares.iter().sum();
        let is_share = |share: &f64| (0.0..=1.0 + 1e-9).contains(share);
        if run.shares.len() != n_sources || (sum - 1.0).abs() > 1e-6 || !run.shares.iter().all(is_share) {
            return skills::refuse(
                &format!("the shares of run `{}` are not {n_sources} numbers that sum to 1", run.name),
                "divide the weights by their sum",
            );
        }
    }
    let noise = SharedNoise::named(runs.runs.iter().map(|run| run.name.clone()), spec.draws, spec.seed);
    let (mut laws, mut refused) = (Vec::new(), Vec::new());
    for (idx, text) in runs.texts.iter().enumerate() {
        match one_text(runs, idx, &noise, spec) {
            Ok(law) => laws.push(law),
            Err(why) => refused.push((text.clone(), why.to_string())),
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

/// Why a text has no mixing law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum NoMixingLaw {
    #[error("{n_mixtures} mixtures cannot identify {n_params} parameters (hint: {least} or more)")]
    TooFewMixtures { n_mixtures: usize, n_params: usize, least: usize },
    #[error("the mixtures vary in fewer directions than there are sources")]
    Alike,
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
) -> Result<MixingLaw, NoMixingLaw> {
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
        return Err(NoMixingLaw::TooFewMixtures { n_mixtures, n_params, least: n_params + 1 });
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
    let (objective, theta) = design.fit(&ln_loss).ok_or(NoMixingLaw::Alike)?;
    let fitted: Vec<f64> = design.x.iter().map(|x| theta.ln_loss(x)).collect();
    let leverages = design.leverages(&theta).ok_or(NoMixingLaw::Alike)?;
    let errors: Vec<f64> =
        (0..known.len()).map(|i| noise::held_out(ln_loss[i] - fitted[i], leverages[i])).collect();
    let places = noise.places_named(known.iter().map(|(run, _)| run.name.as_str()));
    // Some mixtures determine a parameter nearly alone, and one residual says little about their noise: each run gets
    // the residual of any run, not its own. (Measured coverage is that of the wild bootstrap: README.)
    let drawn: Vec<Option<Theta>> = {
        use rayon::prelude::*;
        noise
            .draws()
            .par_iter()
            .map(|draw| {
                let with_noise: Vec<f64> = (0..fitted.len())
                    .map(|i| fitted[i] + errors[pick(draw[places[i]], errors.len())])
                    .collect();
                design.fit_by(&with_noise, objective)
            })
            .collect()
    };
    let df = noise::n_units(&places) as f64 - n_params as f64;
    let interval = |of: &dyn Fn(&MixingParams) -> f64, low: f64| {
        let draws = drawn.iter().map(|theta| theta.as_ref().map_or(f64::NAN, |theta| of(&theta.params())));
        let draws = Draws::new(of(&theta.params()), draws, df, &Arc::default(), METHOD);
        draws.within(low, f64::INFINITY).interval(spec.level)
    };
    let (held_out_mae, baseline_mae) = held_out(&design, &ln_loss, &place).ok_or(NoMixingLaw::Alike)?;
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

/// One of `n` runs, each as likely, by a number of the standard normal: the same for every text.
fn pick(gaussian: f64, n: usize) -> usize {
    ((quantile::normal_cdf(gaussian) * n as f64) as usize).min(n - 1)
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
