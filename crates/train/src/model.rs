//! The decoder-only transformer in the Llama convention, one definition for every device. Knows nothing of
//! files, schedules or optimizers.
//!
//! Letters in shapes: `B` sequences, `T` tokens of one, `N = B·T`, `C` width, `H` heads, `D = C/H`,
//! `F` width of the MLP, `V` vocabulary.

use burn::tensor::{DType, Device, Int, Tensor, TensorData, activation, module};
use scalelaw_schema::count::ParamCount;
use scalelaw_schema::recipe::InitRule;
use scalelaw_schema::shape::{Head, ModelShape};

use crate::error::TrainError;
use crate::init::initial_values;
use crate::layout::{self, BLOCK_TENSORS, TensorSpec};

/// Added to the mean square in RMSNorm, as in Llama.
pub const NORM_EPS: f64 = 1e-5;
/// Base of the rotary wavelengths (Su et al. 2021, arXiv:2104.09864).
pub const ROPE_THETA: f64 = 10_000.0;

/// Logits are computed for so many bytes at once: below the 128 MiB that the smallest adapters can bind,
/// with room for a backend that binds several tensors as one.
const MAX_LOGIT_BYTES: usize = 64 << 20;

/// A score that no query reaches: the exponential of it is exactly 0 in `f32`. Finite, because shader
/// compilers may assume that there are no infinities.
const MASKED: f32 = -1e9;

/// Weights of one model.
#[derive(Debug, Clone)]
pub struct Model {
    shape: ModelShape,
    specs: Vec<TensorSpec>,
    /// In the order of `specs`, each as [`TensorSpec::held_shape`].
    weights: Vec<Tensor<2>>,
}

/// What every sequence of one length shares.
#[derive(Debug, Clone)]
pub struct Positions {
    context_len: usize,
    /// Cosines and sines, `[1, T·C]`, those of the queries already times `1/√D`.
    query: [Tensor<2>; 2],
    key: [Tensor<2>; 2],
    /// `x · rotate` is Llama's `rotate_half(x) = (−x₂, x₁)`, `[D, D]`. Exact, since each sum has one term.
    rotate: Tensor<2>,
    /// 0 where a query may look and [`MASKED`] where it may not, `[1, 1, T, T]`.
    mask: Tensor<4>,
}

/// Tokens of some sequences on the device.
#[derive(Debug, Clone)]
pub struct TokenBatch {
    inputs: Tensor<2, Int>,
    /// `[N, 1]`
    targets: Tensor<2, Int>,
}

impl TokenBatch {
    /// `inputs` and `targets` are row-major `[B, T]`.
    pub fn new(inputs: &[u16], targets: &[u16], context_len: usize, device: &Device) -> TokenBatch {
        let n = inputs.len();
        let ints = |tokens: &[u16], dims: [usize; 2]| {
            let data: Vec<i32> = tokens.iter().map(|&token| i32::from(token)).collect();
            Tensor::from_data(TensorData::new(data, dims), (device, DType::I32))
        };
        TokenBatch { inputs: ints(inputs, [n / context_len, context_len]), targets: ints(targets, [n, 1]) }
    }
}

impl Model {
    /// Initial weights drawn with `seed`.
    pub fn new(shape: &ModelShape, rule: InitRule, seed: u64, device: &Device) -> Model {
        Model::build(shape, device, |spec| Ok(initial_values(spec, rule, shape.n_layer, seed)))
            .expect("drawing weights cannot fail")
    }

    /// Weights from `values`, which gives each tensor in the order in which it is saved.
    ///
    /// # Errors
    /// Those of `values`.
    pub fn build(
        shape: &ModelShape,
        device: &Device,
        mut values: impl FnMut(&TensorSpec) -> Result<Vec<f32>, TrainError>,
    ) -> Result<Model, TrainError> {
        let specs = layout::tensors(shape);
        let weights = specs
            .iter()
            .map(|spec| Ok(to_device(values(spec)?, spec, device)))
            .collect::<Result<_, TrainError>>()?;
        Ok(Model { shape: shape.clone(), specs, weights })
    }

    /// Its shape.
    pub fn shape(&self) -> &ModelShape {
        &self.shape
    }

    /// What its tensors are.
    pub fn specs(&self) -> &[TensorSpec] {
        &self.specs
    }

    /// Its tensors in the order of [`Model::specs`].
    pub fn weights(&self) -> &[Tensor<2>] {
        &self.weights
    }

    /// The same for a change in place: whoever takes the tensors out must put them back.
    pub(crate) fn weights_mut(&mut self) -> &mut Vec<Tensor<2>> {
        &mut self.weights
    }

    /// N by group, counted from the tensors as they are on the device.
    pub fn params(&self) -> ParamCount {
        layout::count(
            self.specs
                .iter()
                .zip(&self.weights)
                .map(|(spec, weight)| (spec.group, weight.shape().num_elements())),
        )
    }

    /// The same weights as leaves of a gradient graph.
    pub fn tracked(&self) -> Model {
        Model {
            shape: self.shape.clone(),
            specs: self.specs.clone(),
            weights: self.weights.iter().map(|weight| weight.clone().autodiff().require_grad()).collect(),
        }
    }

    /// Tables for sequences of `context_len` tokens, on the device of the weights.
    pub fn positions(&self, context_len: usize) -> Positions {
        let device = &self.weights[0].device().without_autodiff();
        let (c, d) = (self.shape.d_model, self.shape.d_head());
        let table = |scale: f64, of: fn(f64) -> f64| {
            let values = (0..context_len * c).map(|idx| {
                let (position, pair) = (idx / c, idx % d % (d / 2));
                let frequency = ROPE_THETA.powf(-2.0 * pair as f64 / d as f64);
                (scale * of(position as f64 * frequency)) as f32
            });
            from_values(values.collect(), [1, context_len * c], device)
        };
        let scale = 1.0 / (d as f64).sqrt();
        let rotate = (0..d * d).map(|idx| match (idx / d, idx % d) {
            (row, col) if row == col + d / 2 => -1.0,
            (row, col) if col == row + d / 2 => 1.0,
            _ => 0.0,
        });
        let mask = (0..context_len * context_len)
            .map(|idx| if idx % context_len > idx / context_len { MASKED } else { 0.0 });
        Positions {
            context_len,
            query: [table(scale, f64::cos), table(scale, f64::sin)],
            key: [table(1.0, f64::cos), table(1.0, f64::sin)],
            rotate: from_values(rotate.collect(), [d, d], device),
            mask: from_values(mask.collect(), [1, 1, context_len, context_len], device),
        }
    }

    /// Negative log-likelihood of each target in nats, `[N]`, in the order of the batch.
    pub fn token_losses(&self, batch: &TokenBatch, positions: &Positions) -> Tensor<1> {
        let [b, t] = batch.inputs.dims();
        assert_eq!(t, positions.context_len, "the tables are for another context");
        let (n, c) = (b * t, self.shape.d_model);
        let embedding = &self.weights[0];
        let mut x = module::embedding(embedding.clone(), batch.inputs.clone()).reshape([n, c]); // [N, C]
        for layer in 0..self.shape.n_layer {
            let block = &self.weights[1 + layer * BLOCK_TENSORS..][..BLOCK_TENSORS];
            let [norm_1, q, k, v, o, norm_2, gate, up, down] = block else {
                unreachable!("a block has {BLOCK_TENSORS} tensors")
            };
            let h = rms_norm(x.clone(), norm_1);
            let mixed = attention(
                h.clone().matmul(q.clone()),
                h.clone().matmul(k.clone()),
                h.matmul(v.clone()),
                self.shape.n_head,
                positions,
            );
            x = x + mixed.matmul(o.clone());
            let h = rms_norm(x.clone(), norm_2);
            let gated = activation::silu(h.clone().matmul(gate.clone())) * h.matmul(up.clone()); // [N, F]
            x = x + gated.matmul(down.clone());
        }
        let last = 1 + self.shape.n_layer * BLOCK_TENSORS;
        let x = rms_norm(x, &self.weights[last]);
        let head = match self.shape.head {
            Head::Tied => embedding.clone().transpose(),
            Head::Untied => self.weights[last + 1].clone(),
        }; // [C, V]
        let rows = (MAX_LOGIT_BYTES / (4 * self.shape.vocab_size)).max(1);
        if n <= rows {
            return cross_entropy(x.matmul(head), batch.targets.clone());
        }
        let losses = (0..n).step_by(rows).map(|first| {
            let here = rows.min(n - first);
            let logits = x.clone().narrow(0, first, here).matmul(head.clone());
            cross_entropy(logits, batch.targets.clone().narrow(0, first, here))
        });
        Tensor::cat(losses.collect(), 0)
    }
}

/// `x / √(mean(x²) + eps) · gain`; x `[N, C]`, gain `[1, C]`.
fn rms_norm(x: Tensor<2>, gain: &Tensor<2>) -> Tensor<2> {
    let scale = x.clone().square().mean_dim(1).add_scalar(NORM_EPS).sqrt().recip(); // [N, 1]
    x * scale * gain.clone()
}

/// Rotary positions on `x` `[N, C]`, as `[B, T, H, D]`; `[cos, sin]` are `[1, T·C]`.
fn rotary(x: Tensor<2>, [cos, sin]: &[Tensor<2>; 2], positions: &Positions) -> Tensor<4> {
    let [n, c] = x.dims();
    let (t, d) = (positions.context_len, positions.rotate.dims()[0]);
    let (b, h) = (n / t, c / d);
    let rotated = x.clone().reshape([n * h, d]).matmul(positions.rotate.clone()).reshape([b, t * c]);
    let x = x.reshape([b, t * c]);
    (x * cos.clone() + rotated * sin.clone()).reshape([b, t, h, d])
}

/// Causal attention; q, k, v and the result are `[N, C]`.
fn attention(q: Tensor<2>, k: Tensor<2>, v: Tensor<2>, n_head: usize, positions: &Positions) -> Tensor<2> {
    let [n, c] = q.dims();
    let t = positions.context_len;
    let q = rotary(q, &positions.query, positions).swap_dims(1, 2); // [B, H, T, D]
    let k = rotary(k, &positions.key, positions).permute([0, 2, 3, 1]); // [B, H, D, T]
    let v = v.reshape([n / t, t, n_head, c / n_head]).swap_dims(1, 2); // [B, H, T, D]
    let scores = q.matmul(k) + positions.mask.clone(); // [B, H, T, T]
    let mixed = activation::softmax(scores, 3).matmul(v); // [B, H, T, D]
    mixed.swap_dims(1, 2).reshape([n, c])
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

/// A tensor from values in the order in which they are saved.
pub fn to_device(values: Vec<f32>, spec: &TensorSpec, device: &Device) -> Tensor<2> {
    let values = if spec.is_transposed() { transposed(&values, spec.rows, spec.cols) } else { values };
    from_values(values, spec.held_shape(), device)
}

/// Values of a tensor in the order in which they are saved.
///
/// # Errors
/// What the device says when it is read.
pub fn to_host(tensor: &Tensor<2>, spec: &TensorSpec) -> Result<Vec<f32>, TrainError> {
    let values = read(tensor.clone())?;
    Ok(if spec.is_transposed() { transposed(&values, spec.cols, spec.rows) } else { values })
}

/// Reads a tensor, which waits for everything that it depends on.
///
/// # Errors
/// What the device says.
pub fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, TrainError> {
    let data = tensor.without_autodiff().try_into_data().map_err(|e| TrainError::backend(&e.to_string()))?;
    data.try_into_vec::<f32>().map_err(|e| TrainError::Backend { why: format!("{e:?}") })
}

fn from_values<const D: usize>(values: Vec<f32>, dims: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, dims), (device, DType::F32))
}

fn transposed(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    (0..rows * cols).map(|idx| values[(idx % rows) * cols + idx / rows]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use scalelaw_schema::count;

    #[test]
    fn tensors_count_as_the_schema_counts_them() {
        let device = Device::flex();
        for (n_layer, d_model, n_head, d_ff, vocab_size, head) in [
            (1, 8, 1, 20, 11, Head::Tied),
            (2, 16, 4, 48, 257, Head::Untied),
            (3, 24, 2, 64, 30, Head::Untied),
            (5, 12, 3, 7, 5, Head::Tied),
        ] {
            let shape = ModelShape { n_layer, d_model, n_head, d_ff, vocab_size, head };
            let model = Model::new(&shape, InitRule::ScaledNormal { std: 0.02 }, 0, &device);
            assert_eq!(model.params(), count::params(&shape), "{shape:?}");
        }
    }

    #[test]
    fn a_fresh_model_guesses_evenly_and_later_tokens_change_nothing_before_them() {
        let device = Device::flex();
        let model =
            Model::new(&testing::shape(Head::Untied), InitRule::ScaledNormal { std: 0.02 }, 1, &device);
        let positions = model.positions(8);
        let losses = |last: u16| {
            let mut inputs = testing::tokens(0, 16);
            inputs[15] = last;
            read(
                model
                    .token_losses(&TokenBatch::new(&inputs, &testing::tokens(1, 16), 8, &device), &positions),
            )
            .unwrap()
        };
        let (a, b) = (losses(0), losses(1));
        for loss in &a {
            // Four deviations of a logit, 0.02·√16 each.
            assert!((loss - 29f32.ln()).abs() < 0.32, "{loss}");
        }
        assert_eq!(a[..15], b[..15]);
        assert_ne!(a[15], b[15]);
    }

    #[test]
    fn logits_in_parts_give_the_losses_and_gradients_of_each_sequence_alone() {
        let device = Device::flex();
        // 64 MiB hold the logits of 419 tokens: four sequences of 128 are cut in the last one.
        let vocab_size = 40_000;
        let shape = ModelShape { n_layer: 1, d_model: 8, n_head: 1, d_ff: 8, vocab_size, head: Head::Untied };
        assert!((MAX_LOGIT_BYTES / (4 * vocab_size)..512).contains(&419));
        let model = Model::new(&shape, InitRule::ScaledNormal { std: 0.5 }, 1, &device).tracked();
        let positions = model.positions(128);
        let text: Vec<u16> = (0..513u32).map(|idx| (idx * 7919 % 40_000) as u16).collect();
        let run = |from: usize, to: usize| {
            let batch = TokenBatch::new(&text[from..to], &text[from + 1..to + 1], 128, &device);
            let losses = model.token_losses(&batch, &positions);
            let grads = losses.clone().sum().backward();
            (read(losses).unwrap(), read(model.weights[2].grad(&grads).unwrap()).unwrap())
        };
        let (losses, grad) = run(0, 512);
        let mut grad_sum = vec![0.0; grad.len()];
        for from in [0, 128, 256, 384] {
            let (alone, part) = run(from, from + 128);
            for (a, b) in losses[from..].iter().zip(&alone) {
                assert!((a - b).abs() < 1e-4 * b, "{a} {b}");
            }
            grad_sum.iter_mut().zip(&part).for_each(|(sum, g)| *sum += g);
        }
        let size = grad.iter().fold(0f32, |max, g| max.max(g.abs()));
        for (a, b) in grad.iter().zip(&grad_sum) {
            // Sums over 512 tokens in another order.
            assert!((a - b).abs() < 1e-4 * size, "{a} {b}, largest {size}");
        }
    }

    /// Attention and norms by their definitions, in `f64` and one number at a time.
    #[test]
    fn losses_agree_with_a_plain_computation() {
        let device = Device::flex();
        for head in [Head::Tied, Head::Untied] {
            let shape = testing::shape(head);
            // Large weights, so that every part of the model matters.
            let model = Model::new(&shape, InitRule::ScaledNormal { std: 0.4 }, 5, &device);
            let text = testing::tokens(3, 7);
            let batch = TokenBatch::new(&text[..6], &text[1..], 6, &device);
            let found = read(model.token_losses(&batch, &model.positions(6))).unwrap();
            let expected = plain_losses(&shape, &testing::weights(&model), &text);
            for (found, expected) in found.iter().zip(expected) {
                // f32 against f64 over sums of up to 24 terms.
                assert!((f64::from(*found) - expected).abs() < 2e-5 * expected, "{found} {expected}");
            }
        }
    }

    fn plain_losses(shape: &ModelShape, weights: &[Vec<f32>], text: &[u16]) -> Vec<f64> {
        let (c, d) = (shape.d_model, shape.d_head());
        let times = |weight: &[f32], x: &[f64]| -> Vec<f64> {
            weight
                .chunks(x.len())
                .map(|row| row.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum())
                .collect()
        };
        let norm = |gain: &[f32], x: &[f64]| -> Vec<f64> {
            let root = (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64 + NORM_EPS).sqrt();
            x.iter().zip(gain).map(|(x, g)| x / root * f64::from(*g)).collect()
        };
        let turn = |x: &[f64], position: usize| -> Vec<f64> {
            (0..c)
                .map(|idx| {
                    let (first, within) = (idx - idx % d, idx % d);
                    let pair = within % (d / 2);
                    let angle = position as f64 * ROPE_THETA.powf(-2.0 * pair as f64 / d as f64);
                    let (a, b) = (x[first + pair], x[first + pair + d / 2]);
                    if within < d / 2 {
                        a * angle.cos() - b * angle.sin()
                    } else {
                        b * angle.cos() + a * angle.sin()
                    }
                })
                .collect()
        };
        let t = text.len() - 1;
        let embedding = |token: u16| &weights[0][usize::from(token) * c..][..c];
        let mut xs: Vec<Vec<f64>> =
            text[..t].iter().map(|&token| embedding(token).iter().map(|&x| f64::from(x)).collect()).collect();
        for layer in 0..shape.n_layer {
            let w = &weights[1 + layer * BLOCK_TENSORS..];
            let hs: Vec<Vec<f64>> = xs.iter().map(|x| norm(&w[0], x)).collect();
            let q: Vec<_> = hs.iter().enumerate().map(|(at, h)| turn(&times(&w[1], h), at)).collect();
            let k: Vec<_> = hs.iter().enumerate().map(|(at, h)| turn(&times(&w[2], h), at)).collect();
            let v: Vec<_> = hs.iter().map(|h| times(&w[3], h)).collect();
            for at in 0..t {
                let mut mixed = vec![0.0; c];
                for head in 0..shape.n_head {
                    let part = head * d..(head + 1) * d;
                    let scores: Vec<f64> = (0..=at)
                        .map(|to| {
                            let dot: f64 = part.clone().map(|idx| q[at][idx] * k[to][idx]).sum();
                            (dot / (d as f64).sqrt()).exp()
                        })
                        .collect();
                    let sum: f64 = scores.iter().sum();
                    for (to, score) in scores.iter().enumerate() {
                        part.clone().for_each(|idx| mixed[idx] += score / sum * v[to][idx]);
                    }
                }
                for (x, y) in xs[at].iter_mut().zip(times(&w[4], &mixed)) {
                    *x += y;
                }
                let h = norm(&w[5], &xs[at]);
                let gated: Vec<f64> = times(&w[6], &h)
                    .iter()
                    .zip(times(&w[7], &h))
                    .map(|(g, u)| g / (1.0 + (-g).exp()) * u)
                    .collect();
                for (x, y) in xs[at].iter_mut().zip(times(&w[8], &gated)) {
                    *x += y;
                }
            }
        }
        let last = 1 + shape.n_layer * BLOCK_TENSORS;
        let head = if shape.head == Head::Tied { &weights[0] } else { &weights[last + 1] };
        xs.iter()
            .zip(&text[1..])
            .map(|(x, &target)| {
                let logits = times(head, &norm(&weights[last], x));
                logits.iter().map(|l| l.exp()).sum::<f64>().ln() - logits[usize::from(target)]
            })
            .collect()
    }
}
