//! What is trained on: sources by content hash, with weights.

use serde::{Deserialize, Serialize};

use crate::SchemaError;

/// Sources and their shares of the sequences. Sorted by hash, weights positive and summing to 1, so
/// that the same data always has the same canonical form.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mixture {
    /// At least one.
    pub sources: Vec<MixtureSource>,
}

/// One source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixtureSource {
    /// Content hash of the tokenised corpus: tokenizer, documents, their order and split.
    pub tokens: String,
    /// Share of the sequences.
    pub weight: f64,
}

impl Mixture {
    /// Sorts the sources and makes the weights sum to 1.
    ///
    /// # Errors
    /// `BadMixture` if a weight is not positive and finite, a source is listed twice, or there is none.
    pub fn new(mut sources: Vec<MixtureSource>) -> Result<Mixture, SchemaError> {
        let bad = |why: String| Err(SchemaError::BadMixture { why });
        if sources.is_empty() {
            return bad("it has no sources".to_string());
        }
        sources.sort_by(|a, b| a.tokens.cmp(&b.tokens));
        if let Some(source) =
            sources.iter().find(|source| !(source.weight.is_finite() && source.weight > 0.0))
        {
            return bad(format!("weight {} of source `{}` must be positive", source.weight, source.tokens));
        }
        if let Some(pair) = sources.windows(2).find(|pair| pair[0].tokens == pair[1].tokens) {
            return bad(format!("source `{}` is listed twice", pair[0].tokens));
        }
        let sum: f64 = sources.iter().map(|source| source.weight).sum();
        // A lone source is exactly 1, whatever was written.
        for source in &mut sources {
            source.weight /= sum;
        }
        Ok(Mixture { sources })
    }
}
