//! An evaluation of finished weights: what was asked, what came out.

use serde::{Deserialize, Serialize};

use crate::canonical::hash12;
use crate::record::Provenance;
use crate::run_id::RunId;

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
}

impl EvalSpec {
    /// Twelve hex digits, the name of the evaluation's file.
    pub fn hash(&self) -> String {
        hash12(self)
    }
}

/// An evaluation with the name a person gave to it (the corpus' name, for held-out text).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalRequest {
    /// For metric names and columns: `eval/<name>/loss`.
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
    /// Nats per token.
    pub loss: f64,
    /// Bits per byte of the original text.
    pub bpb: f64,
    /// Target tokens scored.
    pub n_tokens: u64,
    /// Bytes of text that these tokens stand for.
    pub n_bytes: u64,
    /// Time it took.
    pub wall_seconds: f64,
    /// Program and machine.
    pub provenance: Provenance,
}
