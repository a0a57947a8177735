//! The text of one run, opened: what it trains on and what it is judged on.

use std::collections::BTreeMap;
use std::path::Path;

use scalelaw_data::{Batches, TokenSet};
use scalelaw_schema::eval::{EvalRequest, EvalSpec};
use scalelaw_schema::run::RunSpec;

use crate::error::TrainError;

/// Token sets by content hash.
#[derive(Debug)]
pub struct Text {
    sets: BTreeMap<String, TokenSet>,
}

impl Text {
    /// Opens everything that the run needs, so that nothing is found missing after hours of training.
    ///
    /// # Errors
    /// `Text`, `Vocabulary`.
    pub fn of_run(cache: &Path, run: &RunSpec) -> Result<Text, TrainError> {
        let trained_on = run.train.mixture.sources.iter().map(|source| source.tokens.as_str());
        let text = Text::open(cache, run, trained_on.chain(run.evals.iter().filter_map(tokens_of)))?;
        for request in &run.evals {
            if let EvalSpec::HeldOut { tokens, n_tokens, .. } = &request.spec {
                text.sets[tokens].held_out(*n_tokens)?;
            }
        }
        Ok(text)
    }

    /// Opens what one evaluation needs.
    ///
    /// # Errors
    /// `Text`, `Vocabulary`.
    pub fn of_eval(cache: &Path, run: &RunSpec, request: &EvalRequest) -> Result<Text, TrainError> {
        Text::open(cache, run, tokens_of(request).into_iter())
    }

    fn open<'a>(
        cache: &Path,
        run: &RunSpec,
        hashes: impl Iterator<Item = &'a str>,
    ) -> Result<Text, TrainError> {
        let model_vocab = run.train.model.shape().vocab_size;
        let mut sets = BTreeMap::new();
        for hash in hashes {
            if sets.contains_key(hash) {
                continue;
            }
            let set = TokenSet::open(cache, hash)?;
            let tokens_vocab = set.vocab_size() as usize;
            if tokens_vocab > model_vocab {
                let tokens = run.corpus_name(hash).to_string();
                return Err(TrainError::Vocabulary { tokens, tokens_vocab, model_vocab });
            }
            sets.insert(hash.to_string(), set);
        }
        Ok(Text { sets })
    }

    /// The run's batches.
    ///
    /// # Errors
    /// `Text`.
    pub fn batches(&self, run: &RunSpec) -> Result<Batches, TrainError> {
        Ok(Batches::new(&run.train.mixture, &self.sets, run.train.seed)?)
    }

    /// Held-out tokens, one more than the targets, and the bytes that the targets stand for.
    ///
    /// # Errors
    /// `Text`.
    pub fn held_out(&self, spec: &EvalSpec) -> Result<(Vec<u16>, u64), TrainError> {
        let EvalSpec::HeldOut { tokens, n_tokens, .. } = spec else {
            return Err(crate::eval::no_held_out_text().into());
        };
        let set = self.sets.get(tokens).ok_or_else(|| TrainError::NotOpened { tokens: tokens.clone() })?;
        Ok((set.held_out(*n_tokens)?, set.held_out_bytes(*n_tokens)?))
    }
}

fn tokens_of(request: &EvalRequest) -> Option<&str> {
    match &request.spec {
        EvalSpec::HeldOut { tokens, .. } => Some(tokens),
        EvalSpec::Skill { .. } => None,
    }
}
