//! The shape of a model: what has to be known to count it and to build it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SchemaError;

/// Which architecture, with its shape. Tagged, because others will come beside the transformer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ModelSpec {
    /// A decoder-only transformer in the Llama convention.
    Transformer(ModelShape),
}

impl ModelSpec {
    /// The transformer's shape.
    pub fn shape(&self) -> &ModelShape {
        match self {
            ModelSpec::Transformer(shape) => shape,
        }
    }
}

/// Shape of a decoder-only transformer: RMSNorm before each block, rotary positions, SwiGLU, no biases.
///
/// The context length is not part of it: rotary positions have no parameters, and a run may change
/// its context from phase to phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelShape {
    /// Number of blocks.
    pub n_layer: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Attention heads; each is `d_model / n_head` wide, an even number.
    pub n_head: usize,
    /// Width of the SwiGLU's hidden layer (three matrices of `d_model · d_ff`).
    pub d_ff: usize,
    /// Size of the vocabulary.
    pub vocab_size: usize,
    /// Whether the output projection shares the embedding's matrix.
    pub head: Head,
}

/// The output projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Head {
    /// The embedding's matrix, transposed; counted once in N.
    Tied,
    /// A matrix of its own.
    Untied,
}

impl ModelShape {
    /// Width of one attention head.
    pub fn d_head(&self) -> usize {
        self.d_model / self.n_head
    }

    /// # Errors
    /// `BadShape` for a zero size, a width that does not divide into heads, or an odd head width
    /// (rotary positions turn pairs).
    pub fn check(&self) -> Result<(), SchemaError> {
        let bad = |why: String| Err(SchemaError::BadShape { why });
        for (name, size) in [
            ("n_layer", self.n_layer),
            ("d_model", self.d_model),
            ("n_head", self.n_head),
            ("d_ff", self.d_ff),
            ("vocab_size", self.vocab_size),
        ] {
            if size == 0 {
                return bad(format!("`{name}` is 0"));
            }
        }
        if !self.d_model.is_multiple_of(self.n_head) {
            return bad(format!("d_model {} is not divisible into {} heads", self.d_model, self.n_head));
        }
        if !self.d_head().is_multiple_of(2) {
            return bad(format!("head width {} is odd, rotary positions need pairs", self.d_head()));
        }
        Ok(())
    }
}
