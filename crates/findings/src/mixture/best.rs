//! The mixture that is best for a weighted set of texts, by their mixing laws.
//!
//! Each law is convex in the shares, so their weighted sum has one least value on the simplex; it is found by
//! moving share between pairs of sources. Two answers are given: inside the tested range, which is the one to
//! use, and without that bound, which says where to try next.

use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::mixing_law::{MixingConclusion, MixingLaw, MixingParams};
use crate::skills;
use crate::skills::draws::Draws;
use scalelaw_fit::FitError;
use scalelaw_fit::conclusion::Interval;

const METHOD: &str = "residual bootstrap of the mixing laws";

/// The best mixture for a use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BestMixture {
    /// Weight of each text in the use; they sum to one.
    pub weights: Vec<(String, f64)>,
    /// Best share of each source inside the tested range.
    pub shares: Vec<BestShare>,
    /// Weighted loss there, nats per token.
    pub loss: f64,
    /// Its interval: of the laws, without the noise of a single run.
    pub loss_interval: Option<Interval>,
    /// The mixture, of those that were trained, with the least weighted loss by the laws.
    pub trained: Vec<f64>,
    /// How much less than there the loss is at the best, nats per token.
    pub gain: f64,
    /// Its interval.
    pub gain_interval: Option<Interval>,
    /// The least of the laws anywhere, where that lies outside the tested range.
    #[serde(rename = "beyond")]
    pub extrapolated: Option<Extrapolated>,
}

/// The best share of one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BestShare {
    /// The source.
    pub source: String,
    /// Its share.
    pub share: f64,
    /// Its interval.
    pub interval: Option<Interval>,
    /// The tested range.
    pub tried: [f64; 2],
    /// Whether the share is an end of it: then the best may lie beyond.
    #[serde(rename = "is_at_bound")]
    pub on_boundary: bool,
}

/// Where the laws are least without regard to the tested range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Extrapolated {
    /// Share of each source.
    pub shares: Vec<f64>,
    /// Weighted loss there, nats per token.
    pub loss: f64,
    /// The sources whose share lies outside their tested range.
    pub outside: Vec<String>,
}

/// The best mixture for texts weighed by `weights` (name and weight; they need not sum to one).
///
/// `trained` holds the mixtures that were trained.
///
/// # Errors
/// [`FitError::Refused`] for a text without a law or with one that does not beat the mean, for weights that are not
/// positive, without a mixture.
pub fn best_mixture(
    found: &MixingConclusion,
    trained: &[Vec<f64>],
    weights: &[(String, f64)],
) -> Result<BestMixture, FitError> {
    let sum: f64 = weights.iter().map(|(_, weight)| weight).sum();
    if !(sum > 0.0 && sum.is_finite()) || weights.iter().any(|(_, weight)| weight.is_nan() || *weight < 0.0) {
        return skills::refuse(
            "the weights of the texts do not sum to a positive number",
            "give weights above zero",
        );
    }
    let Some(start) = trained.first() else {
        return skills::refuse("no mixture was trained", "train a grid of mixtures");
    };
    let mut parts: Vec<(&MixingLaw, f64)> = Vec::new();
    for (text, weight) in weights {
        match found.laws.iter().find(|law| law.text == *text) {
            // Where the mean of the others predicts a mixture as well, the law is no basis for a choice.
            Some(law) if law.held_out_mae >= law.baseline_mae => {
                return skills::refuse(
                    &format!(
                        "the mixing law of `{text}` predicts a mixture held out no better than the mean of the others does ({:.3} nats against {:.3})",
                        law.held_out_mae, law.baseline_mae
                    ),
                    "add mixtures or seeds, or leave the text out of the use",
                );
            }
            Some(law) => parts.push((law, weight / sum)),
            None => {
                return skills::refuse(
                    &format!("text `{text}` has no mixing law"),
                    "name a text that was fitted, or add mixtures",
                );
            }
        }
    }
    let n_draws = parts.iter().map(|(law, _)| law.drawn.len()).min().unwrap_or(0);
    let fitted = Use { parts: parts.iter().map(|(law, weight)| (*law, law.params(), *weight)).collect() };
    let anywhere: Vec<[f64; 2]> = vec![[0.0, 1.0]; found.sources.len()];
    let solve = |texts: &Use, bounds: &[[f64; 2]]| {
        let start = trained.iter().min_by(|x, y| texts.loss(x).total_cmp(&texts.loss(y))).unwrap_or(start);
        (texts.least(start, bounds), start.clone())
    };
    let (shares, nearest) = solve(&fitted, &found.tried);
    // Loss and gain of each draw are taken at the reported choice: at a draw's own optimum they would be biased low.
    let drawn: Vec<Drawn> = (0..n_draws)
        .into_par_iter()
        .map(|draw| {
            let texts = Use {
                parts: parts.iter().map(|(law, weight)| (*law, law.drawn[draw].clone(), *weight)).collect(),
            };
            let loss = texts.loss(&shares);
            Drawn { shares: solve(&texts, &found.tried).0, loss, gain: texts.loss(&nearest) - loss }
        })
        .collect();
    let df = parts.iter().map(|(law, _)| law.n_runs as f64).fold(f64::INFINITY, f64::min)
        - (found.sources.len() + 1) as f64;
    let interval = |estimate: f64, of: &dyn Fn(&Drawn) -> f64, low: f64, high: f64| {
        let draws = Draws::new(estimate, drawn.iter().map(of), df, &Arc::default(), METHOD);
        draws.within(low, high).interval(found.level)
    };
    let loss = fitted.loss(&shares);
    let gain = fitted.loss(&nearest) - loss;
    let free = solve(&fitted, &anywhere).0;
    let outside: Vec<String> = found
        .sources
        .iter()
        .zip(free.iter().zip(&found.tried))
        .filter(|(_, (share, tried))| **share < tried[0] - 1e-6 || **share > tried[1] + 1e-6)
        .map(|(source, _)| source.clone())
        .collect();
    Ok(BestMixture {
        weights: weights.iter().map(|(text, weight)| (text.clone(), weight / sum)).collect(),
        shares: found
            .sources
            .iter()
            .enumerate()
            .map(|(idx, source)| {
                let tried = found.tried[idx];
                BestShare {
                    source: source.clone(),
                    share: shares[idx],
                    interval: interval(shares[idx], &|draw| draw.shares[idx], tried[0], tried[1]),
                    tried,
                    on_boundary: shares[idx] <= tried[0] + 1e-6 || shares[idx] >= tried[1] - 1e-6,
                }
            })
            .collect(),
        loss,
        loss_interval: interval(loss, &|draw| draw.loss, 0.0, f64::INFINITY),
        gain,
        gain_interval: interval(gain, &|draw| draw.gain, f64::NEG_INFINITY, f64::INFINITY),
        trained: nearest,
        extrapolated: (!outside.is_empty()).then(|| Extrapolated {
            loss: fitted.loss(&free),
            shares: free,
            outside,
        }),
    })
}

/// Best shares, loss and gain in one draw of the laws.
struct Drawn {
    shares: Vec<f64>,
    loss: f64,
    gain: f64,
}

/// Texts with the parameters of their laws and their weights.
struct Use<'a> {
    parts: Vec<(&'a MixingLaw, MixingParams, f64)>,
}

impl Use<'_> {
    fn loss(&self, shares: &[f64]) -> f64 {
        self.parts.iter().map(|(law, params, weight)| weight * law.loss(params, shares)).sum()
    }

    /// Slope of the loss when share moves from source j to source i.
    fn slope(&self, shares: &[f64], i: usize, j: usize) -> f64 {
        self.parts
            .iter()
            .map(|(law, params, weight)| {
                weight * params.k * law.exponent(params, shares).exp() * (params.t[i] - params.t[j])
            })
            .sum()
    }

    /// The least loss between bounds on every share, from a start inside them.
    fn least(&self, start: &[f64], bounds: &[[f64; 2]]) -> Vec<f64> {
        let mut shares = start.to_vec();
        for _ in 0..500 {
            let mut moved: f64 = 0.0;
            for i in 0..shares.len() {
                for j in 0..i {
                    let by = self.best_move(&shares, bounds, i, j);
                    shares[i] += by;
                    shares[j] -= by;
                    moved = moved.max(by.abs());
                }
            }
            if moved < 1e-9 {
                break;
            }
        }
        shares
    }

    /// How much share to move from j to i: the slope rises with the move, so its zero is found by halving.
    fn best_move(&self, shares: &[f64], bounds: &[[f64; 2]], i: usize, j: usize) -> f64 {
        let low = (bounds[i][0] - shares[i]).max(shares[j] - bounds[j][1]).min(0.0);
        let high = (bounds[i][1] - shares[i]).min(shares[j] - bounds[j][0]).max(0.0);
        let slope = |by: f64| {
            let mut moved = shares.to_vec();
            moved[i] += by;
            moved[j] -= by;
            self.slope(&moved, i, j)
        };
        if slope(low) >= 0.0 {
            return low;
        }
        if slope(high) <= 0.0 {
            return high;
        }
        let (mut low, mut high) = (low, high);
        while high - low > 1e-10 {
            let middle = 0.5 * (low + high);
            if slope(middle) < 0.0 { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }
}
