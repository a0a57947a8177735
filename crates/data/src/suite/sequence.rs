//! An item as the token sequences that a model reads.

use scalelaw_schema::skill::TokenClass;
use serde::{Deserialize, Serialize};

/// One item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenItem {
    /// One, or one per choice.
    pub sequences: Vec<Sequence>,
    /// Index of the right one.
    pub correct: usize,
    pub group: Option<String>,
    pub chance: Option<f64>,
}

/// A prompt with an answer, as a model reads it: the end of another document, then the prompt as a document begins,
/// then the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// Token ids; inputs are all but the last, targets all but the first.
    pub tokens: Vec<u16>,
    /// Index of the answer's first token in `tokens`; the answer goes to the end.
    pub answer: usize,
    /// Bytes of text in the answer.
    pub(crate) answer_bytes: u64,
    /// Classes of the tokens, if known, as runs that end before an index.
    pub(crate) classes: Vec<(Option<TokenClass>, usize)>,
}

/// A model's losses on one [`Sequence`].
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceLosses {
    /// Loss of each target, nats, `[tokens.len() - 1]`.
    pub losses: Vec<f32>,
    /// Whether each target is the model's most likely token, `[tokens.len() - 1]`.
    pub is_top: Vec<bool>,
}
