//! An evaluation of finished weights: what was asked, what came out.

use serde::{Deserialize, Serialize};

use crate::canonical::hash12;
use crate::record::Provenance;
use crate::run_id::RunId;
use crate::score::SkillScore;

/// What is measured. Its hash names the file `evals/<hash>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum EvalSpec {
    /// Mean loss over the first `n_tokens` target tokens of a corpus' held-out part, in windows of
    /// `context_len`; each window starts without context.
    HeldOut {
        /// Content hash of the token set.
        tokens: String,
        /// Target tokens, a multiple of the context length.
        n_tokens: u64,
        /// Tokens of one window.
        context_len: usize,
    },
    /// The first `n_items` items of a skill's suite, each without context before it.
    Skill {
        /// Content hash of the tokenised suite: tokenizer, items, tag and scoring.
        suite: String,
        /// Items scored.
        n_items: u64,
        /// Sequences of these items: one each, or one per choice.
        n_sequences: u64,
        /// Tokens that every sequence is padded to: a constant of the suite, so that the numbers do not hang on
        /// how items are put together.
        context_len: usize,
    },
}

impl EvalSpec {
    /// Twelve hex digits, the name of the evaluation's file.
    pub fn hash(&self) -> String {
        hash12(self)
    }

    /// The same over `n_items` items where it has more; where none are named, and for text, the same.
    pub fn at_most(&self, n_items: Option<u64>) -> EvalSpec {
        match (self, n_items) {
            (EvalSpec::Skill { suite, n_items: all, n_sequences, context_len }, Some(some))
                if some < *all =>
            {
                let (suite, context_len) = (suite.clone(), *context_len);
                // Items have about the same number of sequences each.
                let n_sequences = (*n_sequences as f64 * some as f64 / *all as f64).round() as u64;
                EvalSpec::Skill { suite, n_items: some, n_sequences, context_len }
            }
            _ => self.clone(),
        }
    }
}

/// An evaluation with the name a person gave to it (the corpus' or the skill's).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalRequest {
    /// For metric names and columns: `eval/<name>/loss`, `skill/<name>/nll`.
    pub name: String,
    /// What is measured.
    pub spec: EvalSpec,
}

/// The content of `evals/<hash>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalRecord {
    /// Version of this format.
    pub schema_version: u32,
    /// The run whose weights were judged.
    pub run: RunId,
    /// What was asked.
    pub request: EvalRequest,
    /// Nats per token; of a skill, per token of the right answers.
    pub loss: f64,
    /// Bits per byte of the original text; of a skill, of the right answers.
    pub bpb: f64,
    /// Target tokens scored.
    pub n_tokens: u64,
    /// Bytes of text that these tokens stand for.
    pub n_bytes: u64,
    /// The score in full, of a skill.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub skill: Option<SkillScore>,
    /// Time it took.
    pub wall_seconds: f64,
    /// Program and machine.
    pub provenance: Provenance,
}
