//! The parts of the model made of burn's own operations: they run on every device, and are what the fused
//! operations are tested against. Letters in shapes are those of [`super::transformer`].

use burn::tensor::{DType, Device, IndexingUpdateOp, Int, Tensor, TensorData, activation, module};

use crate::cpu::rows::{NORM_EPS, Rotary};

/// Logits are computed for so many bytes at once: below the 128 MiB that the smallest adapters can bind,
/// with room for a backend that binds several tensors as one.
pub const MAX_LOGIT_BYTES: usize = 64 << 20;

/// A score that no query reaches: the exponential of it is exactly 0 in `f32`. Finite, because shader
/// compilers may assume that there are no infinities.
const MASKED: f32 = -1e9;

/// What every sequence of one length shares.
#[derive(Debug, Clone)]
pub struct Tables {
    context_len: usize,
    /// Cosines and sines, `[1, T·C]`, those of the queries already times the scale of the scores.
    query: [Tensor<2>; 2],
    key: [Tensor<2>; 2],
    /// `x · rotate` is Llama's `rotate_half(x) = (−x₂, x₁)`, `[D, D]`. Exact, since each sum has one term.
    rotate: Tensor<2>,
    /// 0 where a query may look and [`MASKED`] where it may not, `[1, 1, T, T]`.
    mask: Tensor<4>,
}

impl Tables {
    /// The tables on a device, for a model of width `c`.
    pub fn new(rotary: &Rotary, c: usize, device: &Device) -> Tables {
        let (t, d) = (rotary.context_len, rotary.d_head);
        let table = |scale: f32, values: &[f32]| {
            let wide = (0..t * c).map(|idx| scale * values[idx / c * (d / 2) + idx % c % d % (d / 2)]);
            from_values(wide.collect(), [1, t * c], device)
        };
        let rotate = (0..d * d).map(|idx| match (idx / d, idx % d) {
            (row, col) if row == col + d / 2 => -1.0,
            (row, col) if col == row + d / 2 => 1.0,
            _ => 0.0,
        });
        let mask = (0..t * t).map(|idx| if idx % t > idx / t { MASKED } else { 0.0 });
        let scale = rotary.score_scale;
        Tables {
            context_len: t,
            query: [table(scale, &rotary.cos), table(scale, &rotary.sin)],
            key: [table(1.0, &rotary.cos), table(1.0, &rotary.sin)],
            rotate: from_values(rotate.collect(), [d, d], device),
            mask: from_values(mask.collect(), [1, 1, t, t], device),
        }
    }

    /// T
    pub fn context_len(&self) -> usize {
        self.context_len
    }
}

/// `[N, C]` from a table `[V, C]` and tokens `[B, T]`.
pub fn embedding(table: Tensor<2>, tokens: Tensor<2, Int>) -> Tensor<2> {
    let ([b, t], [_, c]) = (tokens.dims(), table.dims());
    module::embedding(table, tokens).reshape([b * t, c])
}

/// `x + attention(norm(x))`; x `[N, C]`, weights are gain, q, k, v, o.
pub fn attention(x: Tensor<2>, weights: [&Tensor<2>; 5], tables: &Tables) -> Tensor<2> {
    let [gain, q, k, v, o] = weights;
    let h = rms_norm(x.clone(), gain);
    let [q, k, v] = [q, k, v].map(|weight| h.clone().matmul(weight.clone()));
    let [n, c] = q.dims();
    let (t, d) = (tables.context_len, tables.rotate.dims()[0]);
    let q = rotary(q, &tables.query, tables).swap_dims(1, 2); // [B, H, T, D]
    let k = rotary(k, &tables.key, tables).permute([0, 2, 3, 1]); // [B, H, D, T]
    let v = v.reshape([n / t, t, c / d, d]).swap_dims(1, 2); // [B, H, T, D]
    let scores = q.matmul(k) + tables.mask.clone(); // [B, H, T, T]
    let mixed = activation::softmax(scores, 3).matmul(v); // [B, H, T, D]
    x + mixed.swap_dims(1, 2).reshape([n, c]).matmul(o.clone())
}

/// `x + mlp(norm(x))`; x `[N, C]`, weights are gain, gate, up, down.
pub fn mlp(x: Tensor<2>, weights: [&Tensor<2>; 4]) -> Tensor<2> {
    let [gain, gate, up, down] = weights;
    let h = rms_norm(x.clone(), gain);
    let gated = activation::silu(h.clone().matmul(gate.clone())) * h.matmul(up.clone()); // [N, F]
    x + gated.matmul(down.clone())
}

/// Negative log-likelihood of each target `[N, 1]` in nats, `[N]`; x `[N, C]`, weight `[C, V]`.
pub fn token_losses(x: Tensor<2>, gain: &Tensor<2>, weight: Tensor<2>, targets: Tensor<2, Int>) -> Tensor<1> {
    in_parts(rms_norm(x, gain), weight, targets, |logits, targets| {
        let n = logits.dims()[0];
        cross_entropy(logits, targets).reshape([n, 1])
    })
    .squeeze_dim(1)
}

/// The same, and by how much the target's logit is above the largest other one, `[2, N]`.
pub fn token_scores(x: Tensor<2>, gain: &Tensor<2>, weight: Tensor<2>, targets: Tensor<2, Int>) -> Tensor<2> {
    in_parts(rms_norm(x, gain), weight, targets, |logits, targets| {
        let n = logits.dims()[0];
        let target = logits.clone().gather(1, targets.clone()); // [n, 1]
        let masked = Tensor::full([n, 1], MASKED, &logits.device());
        let others = logits.clone().scatter(1, targets.clone(), masked, IndexingUpdateOp::Add);
        let margin = target - others.max_dim(1);
        Tensor::cat(vec![cross_entropy(logits, targets).reshape([n, 1]), margin], 1)
    })
    .transpose()
}

/// What `of` makes of logits `[n, V]` and targets `[n, 1]`, one row for each, over parts that are small enough to exist
/// at once; h `[N, C]`, weight `[C, V]`.
fn in_parts(
    h: Tensor<2>,
    weight: Tensor<2>,
    targets: Tensor<2, Int>,
    of: impl Fn(Tensor<2>, Tensor<2, Int>) -> Tensor<2>,
) -> Tensor<2> {
    let ([n, _], [_, v]) = (h.dims(), weight.dims());
    let rows = (MAX_LOGIT_BYTES / (4 * v)).max(1);
    if n <= rows {
        return of(h.matmul(weight), targets);
    }
    let parts = (0..n).step_by(rows).map(|first| {
        let here = rows.min(n - first);
        let logits = h.clone().narrow(0, first, here).matmul(weight.clone());
        of(logits, targets.clone().narrow(0, first, here))
    });
    Tensor::cat(parts.collect(), 0)
}

/// `x / √(mean(x²) + eps) · gain`; x `[N, C]`, gain `[1, C]`.
fn rms_norm(x: Tensor<2>, gain: &Tensor<2>) -> Tensor<2> {
    let scale = x.clone().square().mean_dim(1).add_scalar(NORM_EPS).sqrt().recip(); // [N, 1]
    x * scale * gain.clone()
}

/// Rotary positions on `x` `[N, C]`, as `[B, T, H, D]`; `[cos, sin]` are `[1, T·C]`.
fn rotary(x: Tensor<2>, [cos, sin]: &[Tensor<2>; 2], tables: &Tables) -> Tensor<4> {
    let [n, c] = x.dims();
    let (t, d) = (tables.context_len, tables.rotate.dims()[0]);
    let (b, h) = (n / t, c / d);
    let rotated = x.clone().reshape([n * h, d]).matmul(tables.rotate.clone()).reshape([b, t * c]);
    let x = x.reshape([b, t * c]);
    (x * cos.clone() + rotated * sin.clone()).reshape([b, t, h, d])
}

/// `−log softmax(logits)[target]`, `[N]`; logits `[N, V]`, targets `[N, 1]`.
///
/// Spelt out, because a `log_softmax` would write all V columns to pick one.
fn cross_entropy(logits: Tensor<2>, targets: Tensor<2, Int>) -> Tensor<1> {
    let max = logits.clone().detach().max_dim(1); // [N, 1]
    let shifted = logits - max;
    let log_sum = shifted.clone().exp().sum_dim(1).log(); // [N, 1]
    let n = log_sum.dims()[0];
    (log_sum - shifted.gather(1, targets)).reshape([n])
}

fn from_values<const D: usize>(values: Vec<f32>, dims: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, dims), (device, DType::F32))
}
