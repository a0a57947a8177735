//! The text of one run, opened: what it trains on and what it is evaluated on.

use std::collections::BTreeMap;
use std::path::Path;

use scalelaw_data::{Batches, TokenSet, TokenSuite};
use scalelaw_schema::SchemaError;
use scalelaw_schema::eval::{EvalRequest, EvalSpec};
use scalelaw_schema::run::RunSpec;

use crate::error::TrainError;

/// Token sets and suites of items by content hash.
#[derive(Debug)]
pub struct Text {
    sets: BTreeMap<String, TokenSet>,
    suites: BTreeMap<String, TokenSuite>,
}

impl Text {
    /// Opens everything that the run needs, so that nothing is found missing after hours of training.
    ///
    /// # Errors
    /// `Text`, `Vocabulary`.
    pub fn of_run(cache: &Path, run: &RunSpec) -> Result<Text, TrainError> {
        let trained_on = run.train.mixture.sources.iter().map(|source| source.tokens.as_str());
        let text = Text::open(cache, run, trained_on, &run.evals)?;
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
        Text::open(cache, run, std::iter::empty(), std::slice::from_ref(request))
    }

    fn open<'a>(
        cache: &Path,
        run: &'a RunSpec,
        trained_on: impl Iterator<Item = &'a str>,
        evals: &'a [EvalRequest],
    ) -> Result<Text, TrainError> {
        let model_vocab = run.train.model.vocab_size();
        let fits = |tokens: &str, vocab_size: u32| match vocab_size as usize {
            tokens_vocab if tokens_vocab > model_vocab => {
                Err(TrainError::Vocabulary { tokens: tokens.to_string(), tokens_vocab, model_vocab })
            }
            _ => Ok(()),
        };
        let (mut sets, mut suites) = (BTreeMap::new(), BTreeMap::new());
        for hash in trained_on.chain(evals.iter().filter_map(tokens_of)) {
            if sets.contains_key(hash) {
                continue;
            }
            let set = TokenSet::open(cache, hash)?;
            fits(run.corpus_name(hash), set.vocab_size())?;
            sets.insert(hash.to_string(), set);
        }
        for request in evals {
            let EvalSpec::Skill { suite: hash, context_len, .. } = &request.spec else { continue };
            let suite = TokenSuite::open(cache, hash)?;
            if *context_len < suite.context_len() {
                let why = format!(
                    "its evaluation of skill `{}` is over sequences of {context_len} tokens, and the longest item has {}",
                    request.name,
                    suite.context_len()
                );
                return Err(SchemaError::BadRun { why }.into());
            }
            fits(&request.name, suite.vocab_size())?;
            suites.insert(hash.clone(), suite);
        }
        Ok(Text { sets, suites })
    }

    /// The run's batches.
    ///
    /// # Errors
    /// `Text`.
    pub fn batches(&self, run: &RunSpec) -> Result<Batches, TrainError> {
        Ok(Batches::new(&run.train.mixture, &self.sets, run.train.seed)?)
    }

    /// The held-out part of a token set: `n_tokens` and one more, and the bytes that all but the first stand for.
    ///
    /// # Errors
    /// `Text`.
    pub fn held_out(&self, tokens: &str, n_tokens: u64) -> Result<(Vec<u16>, u64), TrainError> {
        let not_opened = || TrainError::NotOpened { tokens: tokens.to_string() };
        let set = self.sets.get(tokens).ok_or_else(not_opened)?;
        Ok((set.held_out(n_tokens)?, set.held_out_bytes(n_tokens)?))
    }

    /// A suite of items.
    ///
    /// # Errors
    /// `NotOpened`.
    pub fn suite(&self, hash: &str) -> Result<&TokenSuite, TrainError> {
        self.suites.get(hash).ok_or_else(|| TrainError::NotOpened { tokens: hash.to_string() })
    }
}

fn tokens_of(request: &EvalRequest) -> Option<&str> {
    match &request.spec {
        EvalSpec::HeldOut { tokens, .. } => Some(tokens),
        EvalSpec::Skill { .. } => None,
    }
}
