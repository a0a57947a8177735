//! The forward pass of the decoder-only transformer in the Llama convention, one definition for every device.
//!
//! Letters in shapes: `B` sequences, `T` tokens of one, `N = B·T`, `C` width, `H` heads, `D = C/H`,
//! `F` width of the MLP, `V` vocabulary.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor};
use scalelaw_schema::model::{Head, ModelShape};
use scalelaw_schema::recipe::Precision;

use super::composed::{self, Tables};
use super::fused::{self, AttentionSpec, HeadSpec};
use super::layout::BLOCK_TENSORS;
use crate::cpu::rows::Rotary;

/// What computes the parts of a transformer, with what all sequences of one length share.
#[derive(Debug, Clone)]
pub enum Backend {
    /// Each part is a single operation of the processor.
    Fused(Arc<Rotary>),
    /// Each part is composed of burn's operations, which every device has.
    Composed(Box<Tables>),
}

impl Backend {
    /// The fastest one of `device` for sequences of `context_len` tokens.
    pub fn new(shape: &ModelShape, context_len: usize, device: &Device) -> Backend {
        match fused::is_available(device) {
            true => Backend::Fused(Arc::new(Rotary::new(context_len, shape.d_head()))),
            false => Backend::composed(shape, context_len, device),
        }
    }

    /// The one that every device has.
    pub fn composed(shape: &ModelShape, context_len: usize, device: &Device) -> Backend {
        let rotary = Rotary::new(context_len, shape.d_head());
        Backend::Composed(Box::new(Tables::new(&rotary, shape.d_model, device)))
    }

    fn context_len(&self) -> usize {
        match self {
            Backend::Fused(rotary) => rotary.context_len,
            Backend::Composed(tables) => tables.context_len(),
        }
    }
}

/// The forward pass of a transformer, in steps: tokens to vectors ([`Transformer::embed`]), through the blocks
/// ([`Transformer::blocks`]), and to losses. Other vectors may be put in between, or gradients taken there.
#[derive(Debug, Clone, Copy)]
pub struct Transformer<'a> {
    shape: &'a ModelShape,
    weights: &'a [Tensor<2>],
    backend: &'a Backend,
    precision: Precision,
}

impl<'a> Transformer<'a> {
    /// With weights in the order of [`super::layout::tensors`].
    ///
    /// # Panics
    /// Where the backend lacks the precision.
    pub fn new(
        shape: &'a ModelShape,
        weights: &'a [Tensor<2>],
        backend: &'a Backend,
        precision: Precision,
    ) -> Transformer<'a> {
        let has_precision = precision.is_f32() || matches!(backend, Backend::Fused(_));
        assert!(has_precision, "composed parts have no {precision:?}");
        Transformer { shape, weights, backend, precision }
    }

    /// The vector of each token, `[N, C]`; tokens `[B, T]`.
    pub fn embed(&self, tokens: Tensor<2, Int>) -> Tensor<2> {
        let [_, t] = tokens.dims();
        assert_eq!(t, self.backend.context_len(), "the backend is for another context");
        let table = self.weights[0].clone();
        match self.backend {
            Backend::Fused(_) => fused::embedding(table, tokens),
            Backend::Composed(_) => composed::embedding(table, tokens),
        }
    }

    /// What the last block leaves, `[N, C]`; x `[N, C]` of whole sequences.
    pub fn blocks(&self, mut x: Tensor<2>) -> Tensor<2> {
        let precision = self.precision;
        for layer in 0..self.shape.n_layer {
            let block = &self.weights[1 + layer * BLOCK_TENSORS..][..BLOCK_TENSORS];
            let [norm_1, q, k, v, o, norm_2, gate, up, down] = block else {
                unreachable!("a block has {BLOCK_TENSORS} tensors")
            };
            let (attention, mlp) = ([norm_1, q, k, v, o], [norm_2, gate, up, down]);
            x = match self.backend {
                Backend::Fused(rotary) => {
                    let x =
                        fused::attention(x, attention, AttentionSpec { rotary: rotary.clone(), precision });
                    fused::mlp(x, mlp, precision)
                }
                Backend::Composed(tables) => composed::mlp(composed::attention(x, attention, tables), mlp),
            };
        }
        x
    }

    /// Mean negative log-likelihood of the targets `[N, 1]` in nats, `[1]`; x `[N, C]` is what the blocks leave.
    pub fn loss_from(&self, x: Tensor<2>, targets: Tensor<2, Int>) -> Tensor<1> {
        let (gain, weight) = self.head();
        match self.backend {
            Backend::Fused(_) => fused::mean_loss(x, gain, weight, targets, self.head_spec()),
            Backend::Composed(_) => composed::token_losses(x, gain, self.unembedding(), targets).mean(),
        }
    }

    /// Negative log-likelihood of each target `[N, 1]` in nats, and by how many nats it is above the most likely
    /// other token, `[2, N]`; x `[N, C]` is what the blocks leave. Not to be differentiated.
    pub fn scores_from(&self, x: Tensor<2>, targets: Tensor<2, Int>) -> Tensor<2> {
        let (gain, weight) = self.head();
        match self.backend {
            Backend::Fused(_) => fused::token_scores(x, gain, weight, targets, self.head_spec()),
            Backend::Composed(_) => composed::token_scores(x, gain, self.unembedding(), targets),
        }
    }

    /// Gain of the last norm, and the head's weight as it is held.
    fn head(&self) -> (&Tensor<2>, &Tensor<2>) {
        let last = 1 + self.shape.n_layer * BLOCK_TENSORS;
        let weight = match self.shape.head {
            Head::Tied => &self.weights[0],
            Head::Untied => &self.weights[last + 1],
        };
        (&self.weights[last], weight)
    }

    /// The head's weight as `[C, V]`.
    fn unembedding(&self) -> Tensor<2> {
        let (_, weight) = self.head();
        match self.shape.head {
            Head::Tied => weight.clone().transpose(),
            Head::Untied => weight.clone(),
        }
    }

    fn head_spec(&self) -> HeadSpec {
        HeadSpec { is_tied: self.shape.head == Head::Tied, precision: self.precision }
    }
}
