//! Mixtures: corpora by name become token sets by hash.

use std::collections::BTreeMap;

use scalelaw_schema::mixture::{Mixture, MixtureSource};
use scalelaw_schema::run::CorpusRef;
use scalelaw_schema::sweep::{Grid, SweepSpec, TokenizerChoice};

use crate::error::PlanError;
use crate::facts::PlanFacts;
use crate::mix;

/// One mixture and the corpora that a run with it is evaluated on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Blend {
    pub mixture: Mixture,
    pub corpora: Vec<CorpusRef>,
}

/// Every mixture of the sweep under each of its tokenizers.
pub(crate) fn blends(
    sweep: &SweepSpec,
    facts: &PlanFacts,
) -> Result<BTreeMap<TokenizerChoice, Vec<Blend>>, PlanError> {
    let is_list = sweep.data.mixture.0.len() > 1;
    let eval_corpora = sweep.eval.iter().flat_map(|eval| eval.corpora.iter().flatten());
    if let Grid::Mix(grid) = &sweep.grid {
        mix::check(sweep, grid)?;
    }
    let mut blends = BTreeMap::new();
    for &tokenizer in &sweep.data.tokenizer.0 {
        let mut of_tokenizer = Vec::new();
        for (mixture_idx, written) in sweep.data.mixture.0.iter().enumerate() {
            let path =
                if is_list { format!("data.mixture[{mixture_idx}]") } else { "data.mixture".to_string() };
            check_shares(written).map_err(|why| PlanError::at(path.clone(), why))?;
            let mut sources = Vec::new();
            let mut corpora = Vec::new();
            for (name, &weight) in written {
                let path = format!("{path}.{name}");
                if !(weight.is_finite() && weight > 0.0) {
                    return Err(PlanError::at(path, format!("weight {weight} of `{name}` is not positive")));
                }
                let corpus = corpus_ref(facts, tokenizer, name, path)?;
                sources.push(MixtureSource { tokens: corpus.tokens.clone(), weight });
                corpora.push(corpus);
            }
            for (corpus_idx, name) in eval_corpora.clone().enumerate() {
                let corpus = corpus_ref(facts, tokenizer, name, format!("eval.corpora[{corpus_idx}]"))?;
                if !corpora.contains(&corpus) {
                    corpora.push(corpus);
                }
            }
            let mixture = Mixture::new(sources).map_err(|error| PlanError::at(path, error.to_string()))?;
            of_tokenizer.push(Blend { mixture, corpora });
        }
        if let (Grid::Mix(grid), [base]) = (&sweep.grid, of_tokenizer.as_slice()) {
            of_tokenizer = mix::blends(grid, base)?;
        }
        blends.insert(tokenizer, of_tokenizer);
    }
    Ok(blends)
}

/// Whole numbers are parts. Where one is not whole all are shares, and shares that do not sum to 1 are a slip.
fn check_shares(written: &BTreeMap<String, f64>) -> Result<(), String> {
    /// Three thirds written with four digits still sum to 1.
    const TOLERANCE: f64 = 5e-4;
    let sum: f64 = written.values().sum();
    if written.values().all(|weight| weight.fract() == 0.0) || (sum - 1.0).abs() <= TOLERANCE {
        return Ok(());
    }
    Err(format!(
        "the weights sum to {sum}, but shares sum to 1 (hint: whole numbers are parts, of which only the ratio counts)"
    ))
}

fn corpus_ref(
    facts: &PlanFacts,
    tokenizer: TokenizerChoice,
    name: &str,
    path: String,
) -> Result<CorpusRef, PlanError> {
    match facts.corpora.get(&(tokenizer, name.to_string())) {
        Some(corpus) => Ok(CorpusRef { name: name.to_string(), tokens: corpus.tokens.clone() }),
        None => {
            let known: Vec<String> = facts
                .corpora
                .keys()
                .filter(|(of, _)| *of == tokenizer)
                .map(|(_, name)| format!("`{name}`"))
                .collect();
            Err(PlanError::at(path, format!("unknown corpus `{name}`, expected one of {}", known.join(", "))))
        }
    }
}

/// The vocabulary that all corpora of the sweep share under one tokenizer.
pub(crate) fn vocab_size(
    sweep: &SweepSpec,
    facts: &PlanFacts,
    tokenizer: TokenizerChoice,
) -> Result<usize, PlanError> {
    let mut found: Option<(usize, &str)> = None;
    for name in sweep.data.mixture.0.iter().flat_map(BTreeMap::keys) {
        let Some(corpus) = facts.corpora.get(&(tokenizer, name.clone())) else { continue };
        match found {
            Some((vocab_size, other)) if vocab_size != corpus.vocab_size => {
                return Err(PlanError::at(
                    "data.tokenizer",
                    format!(
                        "corpus `{name}` has a vocabulary of {}, corpus `{other}` one of {vocab_size}",
                        corpus.vocab_size
                    ),
                ));
            }
            _ => found = Some((corpus.vocab_size, name)),
        }
    }
    // A sweep without a known corpus has failed before, where its mixtures were read.
    found.map(|(vocab_size, _)| vocab_size).ok_or_else(|| PlanError::at("data.mixture", "it names no corpus"))
}
