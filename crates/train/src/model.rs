//! The decoder-only transformer in the Llama convention, one definition for every device. Knows nothing of
//! files, schedules or optimizers.
//!
//! Letters in shapes: `B` sequences, `T` tokens of one, `N = B·T`, `C` width, `H` heads, `D = C/H`,
//! `F` width of the MLP, `V` vocabulary.

use std::sync::Arc;

use burn::backend::DispatchDevice;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use scalelaw_schema::count::ParamCount;
#[cfg(test)]
use scalelaw_schema::recipe::InitRule;
use scalelaw_schema::recipe::Precision;
use scalelaw_schema::shape::{Head, ModelShape};
use scalelaw_schema::train_spec::TrainSpec;

use crate::composed::{self, Tables};
use crate::cpu::rows::Rotary;
use crate::error::TrainError;
use crate::fused::{self, AttentionSpec, HeadSpec};
use crate::init::initial_values;
use crate::layout::{self, BLOCK_TENSORS, TensorSpec};
use crate::scaling::tensor_scales;

/// Added to the mean square in RMSNorm, as in Llama.
pub const NORM_EPS: f64 = 1e-5;
/// Base of the rotary wavelengths (Su et al. 2021, arXiv:2104.09864).
pub const ROPE_THETA: f64 = 10_000.0;

/// Weights of one model.
#[derive(Debug, Clone)]
pub struct Model {
    shape: ModelShape,
    specs: Vec<TensorSpec>,
    /// In the order of `specs`, each as [`TensorSpec::held_shape`].
    weights: Vec<Tensor<2>>,
    /// Whether its parts are single operations, as on the processor, or composed of burn's.
    is_fused: bool,
}

/// What every sequence of one length shares.
#[derive(Debug, Clone)]
pub struct Positions {
    rotary: Arc<Rotary>,
    /// Where the parts of the model are composed.
    tables: Option<Tables>,
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
    /// Initial weights of a run, drawn with its seed.
    pub fn initial(train: &TrainSpec, device: &Device) -> Model {
        let shape = train.model.shape();
        let scales = tensor_scales(&layout::tensors(shape), shape, &train.recipe.parametrisation);
        let mut scales = scales.into_iter();
        Model::build(shape, device, |spec| {
            let mut values = initial_values(spec, train.recipe.init, shape.n_layer, train.seed);
            let factor = scales.next().expect("every tensor has a scale").init;
            if factor != 1.0 {
                values.iter_mut().for_each(|x| *x = (f64::from(*x) * factor) as f32);
            }
            Ok(values)
        })
        .expect("drawing weights cannot fail")
    }

    /// Initial weights in the standard parametrisation.
    #[cfg(test)]
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
        let is_fused = matches!(device.as_dispatch(), DispatchDevice::Flex(_));
        Ok(Model { shape: shape.clone(), specs, weights, is_fused })
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

    /// Whether its parts are single operations, [`crate::fused`].
    pub fn is_fused(&self) -> bool {
        self.is_fused
    }

    /// The same with parts composed of burn's operations, for comparison.
    #[cfg(test)]
    pub fn composed(&self) -> Model {
        Model { is_fused: false, ..self.clone() }
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
            is_fused: self.is_fused,
        }
    }

    /// Tables for sequences of `context_len` tokens, on the device of the weights.
    pub fn positions(&self, context_len: usize) -> Positions {
        let d = self.shape.d_head();
        let table = |of: fn(f64) -> f64| {
            (0..context_len * (d / 2))
                .map(|idx| {
                    let (position, pair) = (idx / (d / 2), idx % (d / 2));
                    let frequency = ROPE_THETA.powf(-2.0 * pair as f64 / d as f64);
                    of(position as f64 * frequency) as f32
                })
                .collect()
        };
        let rotary = Rotary {
            cos: table(f64::cos),
            sin: table(f64::sin),
            context_len,
            d_head: d,
            score_scale: (1.0 / (d as f64).sqrt()) as f32,
        };
        let device = self.weights[0].device().without_autodiff();
        let tables = (!self.is_fused).then(|| Tables::new(&rotary, self.shape.d_model, &device));
        Positions { rotary: Arc::new(rotary), tables }
    }

    /// Negative log-likelihood of each target in nats, `[N]`, in the order of the batch. Not to be
    /// differentiated: that is [`Model::mean_loss`].
    pub fn token_losses(&self, batch: &TokenBatch, positions: &Positions) -> Tensor<1> {
        self.token_scores(batch, positions).narrow(0, 0, 1).squeeze_dim(0)
    }

    /// The same, and by how many nats each target is above the most likely other token, `[2, N]`: where that is
    /// positive, greedy decoding writes the target.
    pub fn token_scores(&self, batch: &TokenBatch, positions: &Positions) -> Tensor<2> {
        let x = self.residual_stream(batch, positions, Precision::F32);
        let (gain, weight) = self.head();
        let targets = batch.targets.clone();
        match self.is_fused {
            true => fused::token_scores(x, gain, weight, targets, self.head_spec(Precision::F32)),
            false => composed::token_scores(x, gain, self.unembedding(), targets),
        }
    }

    /// Mean over the batch of the negative log-likelihood in nats, `[1]`, to be differentiated.
    ///
    /// # Panics
    /// Where the device lacks the precision: [`crate::device::OpenDevice::check_precision`] tells before.
    pub fn mean_loss(&self, batch: &TokenBatch, positions: &Positions, precision: Precision) -> Tensor<1> {
        if !self.is_fused {
            assert!(precision.is_f32(), "composed parts have no {precision:?}");
            let x = self.residual_stream(batch, positions, Precision::F32);
            return composed::token_losses(x, self.head().0, self.unembedding(), batch.targets.clone())
                .mean();
        }
        let x = self.residual_stream(batch, positions, precision);
        let (gain, weight) = self.head();
        fused::mean_loss(x, gain, weight, batch.targets.clone(), self.head_spec(precision))
    }

    /// What the last block leaves, `[N, C]`.
    fn residual_stream(&self, batch: &TokenBatch, positions: &Positions, precision: Precision) -> Tensor<2> {
        let [_, t] = batch.inputs.dims();
        assert_eq!(t, positions.rotary.context_len, "the tables are for another context");
        let (table, inputs) = (self.weights[0].clone(), batch.inputs.clone());
        let mut x = match self.is_fused {
            true => fused::embedding(table, inputs),
            false => composed::embedding(table, inputs),
        }; // [N, C]
        for layer in 0..self.shape.n_layer {
            let block = &self.weights[1 + layer * BLOCK_TENSORS..][..BLOCK_TENSORS];
            let [norm_1, q, k, v, o, norm_2, gate, up, down] = block else {
                unreachable!("a block has {BLOCK_TENSORS} tensors")
            };
            let (attention, mlp) = ([norm_1, q, k, v, o], [norm_2, gate, up, down]);
            x = match &positions.tables {
                None => {
                    let rotary = positions.rotary.clone();
                    fused::attention(x, attention, AttentionSpec { rotary, precision })
                }
                Some(tables) => composed::attention(x, attention, tables),
            };
            x = match self.is_fused {
                true => fused::mlp(x, mlp, precision),
                false => composed::mlp(x, mlp),
            };
        }
        x
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

    fn head_spec(&self, precision: Precision) -> HeadSpec {
        HeadSpec { is_tied: self.shape.head == Head::Tied, precision }
    }
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
    use crate::cpu::product;
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
        // 64 MiB hold the logits of 419 tokens: four sequences of 128 are cut in the last one. Fused, 256 are
        // computed at once.
        let vocab_size = 40_000;
        let shape = ModelShape { n_layer: 1, d_model: 8, n_head: 1, d_ff: 8, vocab_size, head: Head::Untied };
        assert!((composed::MAX_LOGIT_BYTES / (4 * vocab_size)..512).contains(&419));
        let model = Model::new(&shape, InitRule::ScaledNormal { std: 0.5 }, 1, &device).tracked();
        for model in [model.composed(), model] {
            check_parts(&model, &device);
        }
    }

    fn check_parts(model: &Model, device: &Device) {
        let positions = model.positions(128);
        let text: Vec<u16> = (0..513u32).map(|idx| (idx * 7919 % 40_000) as u16).collect();
        let run = |from: usize, to: usize| {
            let batch = TokenBatch::new(&text[from..to], &text[from + 1..to + 1], 128, device);
            let losses = model.token_losses(&batch, &positions);
            let sum = model.mean_loss(&batch, &positions, Precision::F32).mul_scalar((to - from) as f64);
            let grads = sum.backward();
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

    #[test]
    fn fused_parts_have_the_losses_and_gradients_of_the_composed_ones() {
        let device = Device::flex();
        // Sizes that are no multiples of a register, of a tile, of a panel or of a block of rows or queries.
        for (n_layer, d_model, n_head, d_ff, vocab_size, head, t, b) in [
            (1, 8, 1, 20, 11, Head::Tied, 5, 3),
            (2, 36, 3, 7, 17, Head::Untied, 2, 4),
            (2, 48, 3, 80, 300, Head::Untied, 70, 2),
            (1, 64, 2, 176, 1024, Head::Tied, 128, 1),
            (1, 80, 5, 200, 130, Head::Untied, 65, 3),
            (1, 16, 4, 16, 5000, Head::Tied, 130, 3),
        ] {
            let shape = ModelShape { n_layer, d_model, n_head, d_ff, vocab_size, head };
            let model = Model::new(&shape, InitRule::ScaledNormal { std: 0.3 }, 4, &device);
            let text: Vec<u16> =
                (0..=b * t).map(|idx| ((idx * 7919 + idx * idx) % vocab_size) as u16).collect();
            let run = |model: &Model| {
                let model = model.tracked();
                let positions = model.positions(t);
                let batch = TokenBatch::new(&text[..b * t], &text[1..], t, &device);
                let scores = read(model.token_scores(&batch, &positions)).unwrap();
                let loss = model.mean_loss(&batch, &positions, Precision::F32);
                let mut grads = loss.clone().mul_scalar(3.0).backward();
                let grads: Vec<Vec<f32>> = model
                    .weights
                    .iter()
                    .map(|weight| read(weight.grad_remove(&mut grads).unwrap()).unwrap())
                    .collect();
                (scores, read(loss).unwrap()[0], grads)
            };
            let (fused, composed) = (run(&model), run(&model.composed()));
            assert!(model.is_fused() && !model.composed().is_fused());
            // Losses, then margins.
            assert_eq!(fused.0.len(), 2 * b * t);
            for (a, b) in fused.0.iter().zip(&composed.0) {
                assert!((a - b).abs() < 2e-5 * b.abs().max(1.0), "{shape:?}: {a} {b}");
            }
            assert!(
                (fused.1 - composed.1).abs() < 1e-5 * composed.1,
                "{shape:?}: {} {}",
                fused.1,
                composed.1
            );
            for ((a, b), spec) in fused.2.iter().zip(&composed.2).zip(model.specs()) {
                assert_eq!(a.len(), b.len(), "{}", spec.name);
                let size = b.iter().fold(0f32, |max, g| max.max(g.abs()));
                for (idx, (a, b)) in a.iter().zip(b).enumerate() {
                    // Sums of some hundred terms in another order.
                    let name = &spec.name;
                    let tolerance = 1e-4 * size + 1e-7;
                    assert!((a - b).abs() < tolerance, "{shape:?} {name}[{idx}]: {a} {b}, largest {size}");
                }
            }
        }
    }

    #[test]
    fn fused_parts_give_the_same_bits_for_one_thread_and_for_three() {
        let shape =
            ModelShape { n_layer: 2, d_model: 72, n_head: 3, d_ff: 200, vocab_size: 700, head: Head::Tied };
        let text: Vec<u16> = (0..=3 * 150usize).map(|idx| (idx * 7919 % 700) as u16).collect();
        let run = |threads: usize, precision: Precision| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let device = Device::flex();
                let model = Model::new(&shape, InitRule::ScaledNormal { std: 0.1 }, 4, &device).tracked();
                let batch = TokenBatch::new(&text[..450], &text[1..], 150, &device);
                let loss = model.mean_loss(&batch, &model.positions(150), precision);
                let mut grads = loss.clone().backward();
                let mut bits: Vec<u32> = Vec::new();
                for weight in &model.weights {
                    bits.extend(
                        read(weight.grad_remove(&mut grads).unwrap()).unwrap().iter().map(|x| x.to_bits()),
                    );
                }
                bits.push(read(loss).unwrap()[0].to_bits());
                bits
            })
        };
        assert!(run(1, Precision::F32) == run(3, Precision::F32));
        if product::has(Precision::Bf16) {
            assert!(run(1, Precision::Bf16) == run(3, Precision::Bf16));
            assert!(run(1, Precision::Bf16) != run(1, Precision::F32));
        }
    }

    #[test]
    fn bf16_changes_losses_and_gradients_by_its_rounding_alone() {
        if !product::has(Precision::Bf16) {
            println!("skipped: this processor has no AVX512_BF16");
            return;
        }
        let device = Device::flex();
        for head in [Head::Tied, Head::Untied] {
            let shape = ModelShape { n_layer: 2, d_model: 48, n_head: 3, d_ff: 136, vocab_size: 300, head };
            let model = Model::new(&shape, InitRule::ScaledNormal { std: 0.1 }, 4, &device).tracked();
            let text: Vec<u16> = (0..=2 * 70usize).map(|idx| (idx * 7919 % 300) as u16).collect();
            let batch = TokenBatch::new(&text[..140], &text[1..], 70, &device);
            let run = |precision: Precision| {
                let loss = model.mean_loss(&batch, &model.positions(70), precision);
                let mut grads = loss.clone().backward();
                let grads: Vec<Vec<f32>> = model
                    .weights
                    .iter()
                    .map(|weight| read(weight.grad_remove(&mut grads).unwrap()).unwrap())
                    .collect();
                (read(loss).unwrap()[0], grads)
            };
            let (full, half) = (run(Precision::F32), run(Precision::Bf16));
            // A factor is off by 2^-9 at most, and the errors of many terms cancel.
            assert!((full.0 - half.0).abs() < 2e-3 * full.0, "{} {}", full.0, half.0);
            for ((full, half), spec) in full.1.iter().zip(&half.1).zip(model.specs()) {
                let size = full.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
                let apart = full.iter().zip(half).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
                assert!(apart < 0.03 * size, "{}: {apart} of {size}", spec.name);
            }
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
            let plain = testing::plain_forward(&shape, &testing::weights(&model), &text);
            let expected = [plain.losses(&text), plain.margins(&text)].concat();
            for model in [model.composed(), model] {
                let found = read(model.token_scores(&batch, &model.positions(6))).unwrap();
                assert_eq!(read(model.token_losses(&batch, &model.positions(6))).unwrap(), found[..6]);
                assert_eq!(found.len(), expected.len());
                for (found, expected) in found.iter().zip(&expected) {
                    // f32 against f64 over sums of up to 24 terms.
                    let tolerance = 2e-5 * expected.abs().max(1.0);
                    assert!((f64::from(*found) - expected).abs() < tolerance, "{found} {expected}");
                }
            }
        }
    }
}
