//! Parameters and FLOPs by group, the same groups for every family. A family without a group leaves it at 0.

use serde::{Deserialize, Serialize};

/// Parameters by group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParamCount {
    /// Token embedding.
    pub embedding: u64,
    /// Query, key, value and output projections.
    pub attention: u64,
    /// Matrices of the MLPs.
    pub mlp: u64,
    /// Gains of the norms.
    pub norm: u64,
    /// Output projection; 0 where it is tied to the embedding.
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
    /// Matrices of the MLPs.
    pub mlp: f64,
    /// Output projection (tied or not: the product is computed either way).
    pub head: f64,
}

impl FlopCount {
    /// Nothing computed.
    pub const ZERO: FlopCount = FlopCount { attention: 0.0, scores: 0.0, mlp: 0.0, head: 0.0 };

    /// All groups.
    pub fn total(&self) -> f64 {
        self.attention + self.scores + self.mlp + self.head
    }

    /// Each group times `factor`; exact while every product stays below [`EXACT_MAX`](crate::EXACT_MAX).
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
}
