//! Which model is trained: one module per family, which owns its shape, its counts and its checks.
//!
//! A new family is a variant of [`ModelSpec`] and a module beside [`transformer`]; the methods here only ask it.

mod counts;
pub mod transformer;

use serde::{Deserialize, Serialize};

use crate::{EXACT_MAX, SchemaError};

pub use counts::{FlopCount, ParamCount};
pub use transformer::{Head, ModelShape};

/// A family of models with the shape of one of them. Its serialised form is hashed into every run's id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ModelSpec {
    /// A decoder-only transformer in the Llama convention.
    Transformer(ModelShape),
}

impl ModelSpec {
    /// Refuses a model that cannot be built.
    ///
    /// # Errors
    /// `BadShape`, naming the field.
    pub fn check(&self) -> Result<(), SchemaError> {
        match self {
            ModelSpec::Transformer(shape) => shape.check(),
        }
    }

    /// Size of the vocabulary.
    pub fn vocab_size(&self) -> usize {
        match self {
            ModelSpec::Transformer(shape) => shape.vocab_size,
        }
    }

    /// The shape in a few characters, such as `L4 d128`.
    pub fn label(&self) -> String {
        match self {
            ModelSpec::Transformer(shape) => format!("L{} d{}", shape.n_layer, shape.d_model),
        }
    }

    /// Parameters by group.
    pub fn params(&self) -> ParamCount {
        match self {
            ModelSpec::Transformer(shape) => shape.params(),
        }
    }

    /// Entries of the matrix that computes the logits, also where it is shared with the embedding.
    pub fn output_params(&self) -> u64 {
        match self {
            ModelSpec::Transformer(shape) => shape.output_params(),
        }
    }

    /// Forward FLOPs of one sequence of `context_len` tokens.
    pub fn forward_flops(&self, context_len: usize) -> FlopCount {
        match self {
            ModelSpec::Transformer(shape) => shape.forward_flops(context_len),
        }
    }

    /// Training FLOPs of one sequence of `context_len` tokens: three forward passes, since the backward pass
    /// computes two products for each forward one.
    pub fn train_flops(&self, context_len: usize) -> FlopCount {
        self.forward_flops(context_len).scaled(3.0)
    }

    /// Whether the training FLOPs of one sequence are counted exactly: all are whole numbers below [`EXACT_MAX`].
    pub fn is_countable(&self, context_len: usize) -> bool {
        match self {
            ModelSpec::Transformer(shape) => 3.0 * shape.approximate_forward_flops(context_len) < EXACT_MAX,
        }
    }
}
