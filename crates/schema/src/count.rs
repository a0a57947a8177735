//! How N and C are counted. The rule is always named, because it moves the exponents.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SchemaError;
use crate::shape::{Head, ModelShape};

/// Parameters by group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParamCount {
    /// Token embedding, `vocab_size · d_model`.
    pub embedding: u64,
    /// Query, key, value and output projections, `n_layer · 4 · d_model²`.
    pub attention: u64,
    /// Gate, up and down projections, `n_layer · 3 · d_model · d_ff`.
    pub mlp: u64,
    /// RMSNorm gains, `(2 · n_layer + 1) · d_model`.
    pub norm: u64,
    /// Output projection, `vocab_size · d_model`; 0 where it is tied to the embedding.
    pub head: u64,
}

impl ParamCount {
    /// Every trainable number.
    pub fn total(&self) -> u64 {
        self.embedding + self.attention + self.mlp + self.norm + self.head
    }

    /// Matrices of the blocks: N in Kaplan et al. 2020 (arXiv:2001.08361), table 1. Norm gains,
    /// embedding and head are left out, as there.
    pub fn non_embedding(&self) -> u64 {
        self.attention + self.mlp
    }
}

/// Floating-point operations of matrix products by group; a multiply-add is two.
///
/// Elementwise work (norms, rotary positions, softmax, activations, the optimizer) and the
/// embedding's look-up are left out, as in the scaling-law literature.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlopCount {
    /// Query, key, value and output projections.
    pub attention: f64,
    /// `QKᵀ` and its product with V, over the causal half only.
    pub scores: f64,
    /// Gate, up and down projections.
    pub mlp: f64,
    /// Output projection (tied or not: the product is computed either way).
    pub head: f64,
}

impl FlopCount {
    /// All groups.
    pub fn total(&self) -> f64 {
        self.attention + self.scores + self.mlp + self.head
    }

    /// Each group times `factor`; exact while every product stays below 2^53.
    pub fn scaled(&self, factor: f64) -> FlopCount {
        FlopCount {
            attention: self.attention * factor,
            scores: self.scores * factor,
            mlp: self.mlp * factor,
            head: self.head * factor,
        }
    }

    /// The sum of two counts, group by group.
    pub fn plus(&self, other: &FlopCount) -> FlopCount {
        FlopCount {
            attention: self.attention + other.attention,
            scores: self.scores + other.scores,
            mlp: self.mlp + other.mlp,
            head: self.head + other.head,
        }
    }

    /// Nothing computed.
    pub const ZERO: FlopCount = FlopCount { attention: 0.0, scores: 0.0, mlp: 0.0, head: 0.0 };
}

/// Parameters of `shape` by group.
pub fn params(shape: &ModelShape) -> ParamCount {
    let [l, d, f, v] = [shape.n_layer, shape.d_model, shape.d_ff, shape.vocab_size].map(|x| x as u64);
    ParamCount {
        embedding: v * d,
        attention: l * 4 * d * d,
        mlp: l * 3 * d * f,
        norm: (2 * l + 1) * d,
        head: match shape.head {
            Head::Tied => 0,
            Head::Untied => v * d,
        },
    }
}

/// Forward FLOPs of one sequence of `context_len` tokens.
///
/// Position t attends to t + 1 positions, so over a sequence of T tokens `QKᵀ` costs
/// `2·d_model·T(T+1)/2` per layer and the product with V the same: the causal half, not the full square.
pub fn forward_flops_per_sequence(shape: &ModelShape, context_len: usize) -> FlopCount {
    let [l, d, f, v, t] =
        [shape.n_layer, shape.d_model, shape.d_ff, shape.vocab_size, context_len].map(|x| x as u64);
    FlopCount {
        attention: (2 * t * l * 4 * d * d) as f64,
        scores: (l * 2 * d * t * (t + 1)) as f64,
        mlp: (2 * t * l * 3 * d * f) as f64,
        head: (2 * t * v * d) as f64,
    }
}

/// Training FLOPs of one sequence: three forward passes, since the backward pass computes two
/// products for each forward one.
pub fn train_flops_per_sequence(shape: &ModelShape, context_len: usize) -> FlopCount {
    forward_flops_per_sequence(shape, context_len).scaled(3.0)
}

/// Which parameters are N and which FLOPs are C.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CountRule {
    /// N: every parameter. C: every matrix product of training, head and causal scores included.
    Exact,
    /// N: every parameter. C = 6·N·D (Hoffmann et al. 2022).
    SixNTotal,
    /// N: matrices of the blocks. C = 6·N·D (Kaplan et al. 2020).
    SixNNonEmbedding,
    /// N: matrices of the blocks and the head. C = 6·N·D (the first correction of Porian et al. 2024).
    SixNWithHead,
    /// N: matrices of the blocks and the head. C: every matrix product (attention's scores included).
    WithHeadExact,
}

impl CountRule {
    /// All rules, the default first.
    pub const ALL: [CountRule; 5] = [
        CountRule::Exact,
        CountRule::SixNTotal,
        CountRule::SixNNonEmbedding,
        CountRule::SixNWithHead,
        CountRule::WithHeadExact,
    ];

    /// The name written in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            CountRule::Exact => "exact",
            CountRule::SixNTotal => "six-n-total",
            CountRule::SixNNonEmbedding => "six-n-non-embedding",
            CountRule::SixNWithHead => "six-n-with-head",
            CountRule::WithHeadExact => "with-head-exact",
        }
    }

    /// N of `shape`.
    pub fn n(self, shape: &ModelShape) -> f64 {
        let count = params(shape);
        let n = match self {
            CountRule::Exact | CountRule::SixNTotal => count.total(),
            CountRule::SixNNonEmbedding => count.non_embedding(),
            CountRule::SixNWithHead | CountRule::WithHeadExact => {
                count.non_embedding() + (shape.vocab_size * shape.d_model) as u64
            }
        };
        n as f64
    }

    /// C of training `shape` on `tokens` tokens in sequences of `context_len`.
    pub fn c(self, shape: &ModelShape, context_len: usize, tokens: f64) -> f64 {
        match self {
            CountRule::Exact | CountRule::WithHeadExact => {
                train_flops_per_sequence(shape, context_len).total() * (tokens / context_len as f64)
            }
            CountRule::SixNTotal | CountRule::SixNNonEmbedding | CountRule::SixNWithHead => {
                6.0 * self.n(shape) * tokens
            }
        }
    }
}

impl fmt::Display for CountRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CountRule {
    type Err = SchemaError;

    fn from_str(text: &str) -> Result<Self, SchemaError> {
        CountRule::ALL.into_iter().find(|rule| rule.name() == text).ok_or_else(|| SchemaError::UnknownName {
            what: "count rule",
            name: text.to_string(),
            known: CountRule::ALL.map(CountRule::name).join(", "),
        })
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
        let count = params(&shape());
        // 11·8 | 2·4·64 | 2·3·8·20 | 5·8 | 11·8
        assert_eq!(count, ParamCount { embedding: 88, attention: 512, mlp: 960, norm: 40, head: 88 });
        assert_eq!(count.total(), 1688);
        assert_eq!(count.non_embedding(), 1472);
        assert_eq!(params(&ModelShape { head: Head::Tied, ..shape() }).total(), 1600);
    }

    #[test]
    fn non_embedding_params_equal_12_l_d_squared_when_the_gated_mlp_matches_4_d() {
        // SwiGLU with d_ff = 8/3·d has the parameters of Kaplan's ungated MLP with d_ff = 4·d.
        let shape =
            ModelShape { n_layer: 3, d_model: 96, n_head: 4, d_ff: 256, vocab_size: 256, head: Head::Tied };
        assert_eq!(params(&shape).non_embedding(), 12 * 3 * 96 * 96);
    }

    #[test]
    fn forward_flops_agree_with_a_count_by_hand() {
        let flops = forward_flops_per_sequence(&shape(), 3);
        // Two FLOPs for each matrix entry and token; scores: 1 + 2 + 3 = 6 pairs, 2·8 FLOPs each, twice, 2 layers.
        assert_eq!(flops, FlopCount { attention: 3072.0, scores: 384.0, mlp: 5760.0, head: 528.0 });
        assert_eq!(train_flops_per_sequence(&shape(), 3).total(), 3.0 * 9744.0);
    }

    #[test]
    fn every_rule_counts_what_its_name_says() {
        let tokens = 30.0;
        for (rule, n, c) in [
            (CountRule::Exact, 1688.0, 29232.0 * 10.0),
            (CountRule::SixNTotal, 1688.0, 6.0 * 1688.0 * 30.0),
            (CountRule::SixNNonEmbedding, 1472.0, 6.0 * 1472.0 * 30.0),
            (CountRule::SixNWithHead, 1560.0, 6.0 * 1560.0 * 30.0),
            (CountRule::WithHeadExact, 1560.0, 29232.0 * 10.0),
        ] {
            assert_eq!(rule.n(&shape()), n, "{rule}");
            assert_eq!(rule.c(&shape(), 3, tokens), c, "{rule}");
            assert_eq!(rule.name().parse::<CountRule>().unwrap(), rule);
        }
    }
}
