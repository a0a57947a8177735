//! The decoder-only transformer in the Llama convention: RMSNorm before each block, rotary positions, SwiGLU, no
//! biases.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FlopCount, ParamCount};
use crate::SchemaError;

/// Shape of a transformer.
///
/// The context length is not part of it: rotary positions have no parameters, and a run may change
/// its context from phase to phase.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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

    /// Refuses a shape that cannot be built.
    ///
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

    /// Parameters by group: embedding `V·C`, attention `L·4·C²`, MLP `L·3·C·F`, gains `(2·L + 1)·C`, and the head
    /// `V·C` unless it is tied.
    pub fn params(&self) -> ParamCount {
        let [l, d, f] = [self.n_layer, self.d_model, self.d_ff].map(|x| x as u64);
        ParamCount {
            embedding: self.output_params(),
            attention: l * 4 * d * d,
            mlp: l * 3 * d * f,
            norm: (2 * l + 1) * d,
            head: match self.head {
                Head::Tied => 0,
                Head::Untied => self.output_params(),
            },
        }
    }

    /// Entries of the matrix that computes the logits, and of the embedding: `V·C`.
    pub fn output_params(&self) -> u64 {
        self.vocab_size as u64 * self.d_model as u64
    }

    /// Forward FLOPs of one sequence of `context_len` tokens.
    ///
    /// Position t attends to t + 1 positions, so over a sequence of T tokens `QKᵀ` costs
    /// `2·d_model·T(T+1)/2` per layer and the product with V the same: the causal half, not the full square.
    pub fn forward_flops(&self, context_len: usize) -> FlopCount {
        let [l, d, f, v, t] =
            [self.n_layer, self.d_model, self.d_ff, self.vocab_size, context_len].map(|x| x as u64);
        FlopCount {
            attention: (2 * t * l * 4 * d * d) as f64,
            scores: (l * 2 * d * t * (t + 1)) as f64,
            mlp: (2 * t * l * 3 * d * f) as f64,
            head: (2 * t * v * d) as f64,
        }
    }

    /// The sum of [`ModelShape::forward_flops`], rounded, for shapes of any size: it cannot overflow.
    pub fn approximate_forward_flops(&self, context_len: usize) -> f64 {
        let [l, d, f, v, t] =
            [self.n_layer, self.d_model, self.d_ff, self.vocab_size, context_len].map(|x| x as f64);
        2.0 * t * l * (4.0 * d * d + 3.0 * d * f) + 2.0 * l * d * t * (t + 1.0) + 2.0 * t * v * d
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> ModelShape {
        ModelShape { n_layer: 2, d_model: 8, n_head: 2, d_ff: 20, vocab_size: 11, head: Head::Untied }
    }

    #[test]
    fn params_agree_with_a_count_by_hand() {
        let count = shape().params();
        // 11·8 | 2·4·64 | 2·3·8·20 | 5·8 | 11·8
        assert_eq!(count, ParamCount { embedding: 88, attention: 512, mlp: 960, norm: 40, head: 88 });
        assert_eq!(count.total(), 1688);
        assert_eq!(count.non_embedding(), 1472);
        assert_eq!(ModelShape { head: Head::Tied, ..shape() }.params().total(), 1600);
    }

    #[test]
    fn non_embedding_params_equal_12_l_d_squared_when_the_gated_mlp_matches_4_d() {
        // SwiGLU with d_ff = 8/3·d has the parameters of Kaplan's ungated MLP with d_ff = 4·d.
        let shape =
            ModelShape { n_layer: 3, d_model: 96, n_head: 4, d_ff: 256, vocab_size: 256, head: Head::Tied };
        assert_eq!(shape.params().non_embedding(), 12 * 3 * 96 * 96);
    }

    #[test]
    fn forward_flops_agree_with_a_count_by_hand() {
        let flops = shape().forward_flops(3);
        // Two FLOPs for each matrix entry and token; scores: 1 + 2 + 3 = 6 pairs, 2·8 FLOPs each, twice, 2 layers.
        assert_eq!(flops, FlopCount { attention: 3072.0, scores: 384.0, mlp: 5760.0, head: 528.0 });
        assert_eq!(shape().approximate_forward_flops(3), 9744.0);
    }
}
