//! Mixtures: corpora by name become token sets by hash.

use std::collections::BTreeMap;

use scalelaw_schema::mixture::{Mixture, MixtureSource};
use scalelaw_schema::run::CorpusRef;
use scalelaw_schema::sweep::{SweepSpec, TokenizerChoice};

use crate::error::PlanError;
use crate::facts::PlanFacts;

/// One mixture and the corpora that a run with it is evaluated on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MixtureChoice {
    pub mixture: Mixture,
    pub corpora: Vec<CorpusRef>,
}

/// Every mixture of the sweep under each of its tokenizers.
pub(crate) fn mixtures(
    sweep: &SweepSpec,
    facts: &PlanFacts,
) -> Result<BTreeMap<TokenizerChoice, Vec<MixtureChoice>>, PlanError> {
    let is_list = sweep.data.mixture.0.len() > 1;
    let eval_corpora = sweep.eval.iter().flat_map(|eval| eval.corpora.iter().flatten());
    let mut mixtures = BTreeMap::new();
    for &tokenizer in &sweep.data.tokenizer.0 {
        let mut of_tokenizer = Vec::new();
        for (mixture_idx, written) in sweep.data.mixture.0.iter().enumerate() {
            let path =
                if is_list { format!("data.mixture[{mixture_idx}]") } else { "data.mixture".to_string() };
            check_shares(written, &path)?;
            let mut sources = Vec::new();
            let mut corpora = Vec::new();
            for (name, &weight) in written {
                let path = format!("{path}.{name}");
                if !(weight.is_finite() && weight > 0.0) {
                    return Err(PlanError::at(path, format!("weight {weight} of `{name}` must be positive")));
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
            of_tokenizer.push(MixtureChoice { mixture, corpora });
        }
        mixtures.insert(tokenizer, of_tokenizer);
    }
    Ok(mixtures)
}

/// Whole numbers are parts. If one is not whole, all are shares, and shares that do not sum to 1 are a mistake.
fn check_shares(written: &BTreeMap<String, f64>, path: &str) -> Result<(), PlanError> {
    /// Three thirds written with four digits still sum to 1.
    const TOLERANCE: f64 = 5e-4;
    let sum: f64 = written.values().sum();
    if written.values().all(|weight| weight.fract() == 0.0) || (sum - 1.0).abs() <= TOLERANCE {
        return Ok(());
    }
    Err(PlanError::at(
        path,
        format!(
            "shares must sum to 1, these sum to {sum} (hint: write whole numbers to give only their ratio)"
        ),
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
                        "all corpora must share one vocabulary: `{name}` has {} tokens, `{other}` has {vocab_size}",
                        corpus.vocab_size
                    ),
                ));
            }
            _ => found = Some((corpus.vocab_size, name)),
        }
    }
    // A sweep without a known corpus has already failed when its mixtures were read.
    found
        .map(|(vocab_size, _)| vocab_size)
        .ok_or_else(|| PlanError::at("data.mixture", "the mixture is empty (hint: `mixture = { code = 1 }`)"))
}
