//! One step: the gradient of a batch, in parts where it does not fit into memory at once, and the update.

use burn::tensor::{Device, Tensor};
use scalelaw_data::Batch;
use scalelaw_schema::recipe::Precision;
use scalelaw_schema::train_spec::TrainSpec;

use super::TrainState;
use crate::models::scaling::tensor_scales;
use crate::models::transformer::Backend;
use crate::models::{Model, TokenBatch};
use crate::optimizer::{self, Update};

/// What a step needs beside the state and its batch.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// The run.
    pub train: &'a TrainSpec,
    /// Tokens computed at once, in whole sequences and at least one.
    pub micro_batch_tokens: u64,
    /// Where the weights are.
    pub device: &'a Device,
}

/// Loss of a batch and the norm of its gradient, `[1]` each, still on the device.
#[derive(Debug, Clone)]
pub struct Unread {
    /// Nats per token.
    pub loss: Tensor<1>,
    /// Before clipping.
    pub norm: Tensor<1>,
}

impl Step<'_> {
    /// Gradient and update; the progress stays as it is.
    pub fn take(&self, state: &mut TrainState, batch: &Batch, backend: &Backend) -> Unread {
        let train = self.train;
        let step = state.progress.step;
        let parts = Parts {
            context_len: train.phase_at(step).context_len,
            micro_batch_tokens: self.micro_batch_tokens,
            precision: train.recipe.precision,
        };
        let (loss, grads) = gradient(&state.model, batch, parts, backend, self.device);
        let scales = tensor_scales(state.model.specs(), &train.model, &train.recipe.parametrisation);
        let update = Update {
            optimizer: &train.recipe.optimizer,
            scales: &scales,
            lr: train.recipe.lr(step, train.total_steps()),
            step,
            clip_norm: train.recipe.grad_clip_norm,
        };
        let norm = optimizer::apply(&mut state.model, &mut state.moments, grads, update);
        Unread { loss, norm }
    }
}

/// How a batch is cut and computed.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    /// Tokens of a sequence.
    pub context_len: usize,
    /// Tokens computed at once, in whole sequences and at least one.
    pub micro_batch_tokens: u64,
    /// Of the products with weights.
    pub precision: Precision,
}

/// Mean loss of a batch, `[1]`, and its gradient with respect to each tensor, computed for some sequences at
/// once: the sum of the parts' gradients, each weighted by its share of the tokens.
pub fn gradient(
    model: &Model,
    batch: &Batch,
    parts: Parts,
    backend: &Backend,
    device: &Device,
) -> (Tensor<1>, Vec<Tensor<2>>) {
    let Parts { context_len, micro_batch_tokens, precision } = parts;
    let part_len = (micro_batch_tokens as usize / context_len).max(1) * context_len;
    let mut sum: Option<(Tensor<1>, Vec<Tensor<2>>)> = None;
    for (inputs, targets) in batch.inputs.chunks(part_len).zip(batch.targets.chunks(part_len)) {
        let tracked = model.tracked();
        let tokens = TokenBatch::new(inputs, targets, context_len, device);
        let mut loss = tracked.mean_loss(&tokens, backend, precision);
        if inputs.len() < batch.inputs.len() {
            loss = loss.mul_scalar(inputs.len() as f64 / batch.inputs.len() as f64);
        }
        let mut grads = loss.backward();
        let grads = tracked.weights().iter().map(|weight| {
            weight.grad_remove(&mut grads).expect("the loss depends on every tensor of the model")
        });
        let loss = loss.without_autodiff();
        sum = Some(match sum {
            None => (loss, grads.collect()),
            Some((loss_sum, grad_sum)) => {
                (loss_sum + loss, grad_sum.into_iter().zip(grads).map(|(sum, grad)| sum + grad).collect())
            }
        });
    }
    sum.expect("a batch has at least one sequence")
}
