//! Memory that training takes.

use scalelaw_schema::model::ModelSpec;

/// Bytes of an f32.
pub(crate) const F32: f64 = 4.0;

/// What each parameter holds while it is trained, in f32: the weight, its gradient, and AdamW's two moments.
const STATE_PER_PARAM: f64 = 4.0;

/// Values of width `d_model` that one block keeps per token for its backward pass: 3 for each of the two norms
/// (input, root, output), 3 for query, key and value, 4 for the two rotations, 2 for attention's output and its
/// projection, 1 for the residual. Counted from the operations, not yet confirmed by measurement.
const KEPT_D_MODEL: f64 = 16.0;

/// The same for width `d_ff`: gate, its sigmoid, their product, up, and the product of both.
const KEPT_D_FF: f64 = 5.0;

/// Copies of the `T x T` scores of each head: scaled, masked, exponentials, shares.
const KEPT_SCORES: f64 = 4.0;

/// Copies of the logits: themselves, the shifted ones, their logarithms, their gradient.
const KEPT_LOGITS: f64 = 4.0;

/// Peak memory of training with `micro_batch` sequences at once, bytes: state and activations.
///
/// Activations are those that composed operations keep for the backward pass, per token of the micro-batch:
/// `n_layer · (16·d_model + 5·d_ff + 4·n_head·T) + 3·d_model + 4·V` values in f32. The trainer itself and the
/// allocator's slack come on top.
pub(crate) fn memory_bytes(model: &ModelSpec, context_len: usize, micro_batch: usize) -> f64 {
    let ModelSpec::Transformer(shape) = model;
    let [l, d, f, h, v] =
        [shape.n_layer, shape.d_model, shape.d_ff, shape.n_head, shape.vocab_size].map(|x| x as f64);
    let t = context_len as f64;
    let state = model.params().total() as f64 * STATE_PER_PARAM;
    let block = KEPT_D_MODEL * d + KEPT_D_FF * f + KEPT_SCORES * h * t;
    let per_token = l * block + 3.0 * d + KEPT_LOGITS * v;
    (state + micro_batch as f64 * t * per_token) * F32
}

/// The largest micro-batch (the batch, its half, its quarter, ...) whose memory is at most `bytes`, with that
/// memory. If not even one sequence fits: one sequence and its memory.
pub(crate) fn micro_batch(
    model: &ModelSpec,
    context_len: usize,
    batch_sequences: usize,
    bytes: Option<f64>,
) -> (usize, f64) {
    let mut micro_batch = batch_sequences.max(1);
    loop {
        let needed = memory_bytes(model, context_len, micro_batch);
        if micro_batch == 1 || bytes.is_none_or(|bytes| needed <= bytes) {
            return (micro_batch, needed);
        }
        micro_batch = micro_batch.div_ceil(2);
    }
}

/// The largest single buffer of training one sequence at a time, bytes: a weight matrix or the scores of a block.
/// Logits can be cut into chunks.
pub(crate) fn largest_binding_bytes(model: &ModelSpec, context_len: usize) -> f64 {
    let ModelSpec::Transformer(shape) = model;
    let [d, f, h, v, t] =
        [shape.d_model, shape.d_ff, shape.n_head, shape.vocab_size, context_len].map(|x| x as f64);
    F32 * (d * d).max(d * f).max(v * d).max(h * t * t)
}

#[cfg(test)]
mod tests {
    use scalelaw_schema::model::{Head, ModelShape};

    use super::*;

    #[test]
    fn memory_agrees_with_a_count_by_hand_and_the_micro_batch_is_halved_until_it_fits() {
        let model = ModelSpec::Transformer(ModelShape {
            n_layer: 2,
            d_model: 8,
            n_head: 2,
            d_ff: 24,
            vocab_size: 10,
            head: Head::Tied,
        });
        // Parameters: 80 + 2·(256 + 576) + 40 = 1784. Per token: 2·(128 + 120 + 32) + 24 + 40 = 624.
        assert_eq!(memory_bytes(&model, 4, 3), (1784.0 * 4.0 + 3.0 * 4.0 * 624.0) * 4.0);
        let fits = |sequences: usize| memory_bytes(&model, 4, sequences);
        assert_eq!(micro_batch(&model, 4, 10, None).0, 10);
        assert_eq!(micro_batch(&model, 4, 10, Some(fits(5))), (5, fits(5)));
        assert_eq!(micro_batch(&model, 4, 10, Some(fits(4))), (3, fits(3)));
        assert_eq!(micro_batch(&model, 4, 10, Some(1.0)), (1, fits(1)));
    }
}
