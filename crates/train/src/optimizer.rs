//! Global-norm clipping and AdamW over a flat list of tensors. Nothing here waits for the device.

use burn::tensor::{DType, Tensor, TensorData};
use scalelaw_schema::recipe::Optimizer;

use crate::cpu::adamw::Step;
use crate::models::scaling::TensorScale;
use crate::models::{Model, fused};

/// Added to the norm before dividing, as in PyTorch's `clip_grad_norm_`.
const CLIP_EPS: f64 = 1e-6;

/// Moments of the gradient, a pair for each tensor of the model.
#[derive(Debug, Clone)]
pub struct Moments {
    /// Mean.
    pub first: Vec<Tensor<2>>,
    /// Mean square, uncentred.
    pub second: Vec<Tensor<2>>,
}

/// Numbers of one update.
#[derive(Debug, Clone, Copy)]
pub struct Update<'a> {
    /// The optimizer with its constants.
    pub optimizer: &'a Optimizer,
    /// Factors of each tensor on the learning rate, eps and weight decay.
    pub scales: &'a [TensorScale],
    /// Learning rate of this step.
    pub lr: f64,
    /// The step, from 0.
    pub step: u64,
    /// Largest global norm of the gradient.
    pub clip_norm: f64,
}

impl Moments {
    /// All zero.
    pub fn zeros(model: &Model) -> Moments {
        let zeros = || model.weights().iter().map(Tensor::zeros_like).collect();
        Moments { first: zeros(), second: zeros() }
    }
}

/// `√(Σ g²)` over all tensors, `[1]`.
pub fn global_norm(grads: &[Tensor<2>]) -> Tensor<1> {
    let squares: Vec<Tensor<1>> = grads.iter().map(|grad| grad.clone().square().sum()).collect();
    Tensor::cat(squares, 0).sum().sqrt()
}

/// Clips the gradients to the global norm, then one step of AdamW (Loshchilov & Hutter 2019,
/// arXiv:1711.05101): `w ← w − lr·(m̂/(√v̂ + eps) + weight_decay·w)`, decay on matrices only, lr, eps and
/// weight_decay each times the tensor's factor. Returns the norm before clipping, `[1]`.
///
/// Where the norm is not finite, weights and moments stay as they are to the bit. This is decided on the
/// device, so that the host need not wait: `ok` is 1 or 0, and each change is multiplied by it. The bias
/// correction counts such a step as taken.
pub fn apply(model: &mut Model, moments: &mut Moments, grads: Vec<Tensor<2>>, update: Update) -> Tensor<1> {
    match fused::is_available(&grads[0].device()) {
        true => apply_fused(model, moments, grads, update),
        false => apply_composed(model, moments, grads, update),
    }
}

/// [`apply`] in burn's operations, on any device: a tensor at a time, nothing is read.
fn apply_composed(
    model: &mut Model,
    moments: &mut Moments,
    grads: Vec<Tensor<2>>,
    update: Update,
) -> Tensor<1> {
    let Optimizer::AdamW { beta1, beta2, eps, weight_decay } = *update.optimizer;
    let norm = global_norm(&grads);
    let flat = norm.clone().reshape([1, 1]);
    // Not finite is what is not below the largest number: true of an infinity and of a NaN.
    let bad = flat.clone().lower_elem(f32::MAX).bool_not();
    let ok = bad.clone().bool_not().float(); // [1, 1]
    let clip = flat.add_scalar(CLIP_EPS).recip().mul_scalar(update.clip_norm).clamp_max(1.0);
    let clip = clip.mask_fill(bad.clone(), 0.0);
    let taken = (update.step + 1) as f64;
    // √v̂ = √v / √(1 − beta2ᵗ), and m̂ likewise.
    let rate = |scale: TensorScale| ok.clone().mul_scalar(update.lr * scale.lr / (1.0 - beta1.powf(taken)));
    let root_scale = 1.0 / (1.0 - beta2.powf(taken)).sqrt();
    let first_rate = ok.clone().mul_scalar(1.0 - beta1);
    let second_rate = ok.clone().mul_scalar(1.0 - beta2);
    let keep = |scale: TensorScale| {
        let decay = weight_decay * scale.weight_decay;
        ok.clone().mul_scalar(-update.lr * scale.lr * decay).add_scalar(1.0)
    };
    // Neighbours mostly share their factors, so most tensors take those of the tensor before.
    let mut shared: Option<(TensorScale, Tensor<2>, Tensor<2>)> = None;

    let decayed: Vec<bool> = model.specs().iter().map(|spec| spec.is_decayed()).collect();
    let weights = std::mem::take(model.weights_mut());
    let firsts = std::mem::take(&mut moments.first);
    let seconds = std::mem::take(&mut moments.second);
    for (((((weight, first), second), grad), decayed), &scale) in
        weights.into_iter().zip(firsts).zip(seconds).zip(grads).zip(decayed).zip(update.scales)
    {
        let (rate, keep) = match shared.take() {
            Some((of, rate, keep)) if of == scale => (rate, keep),
            _ => (rate(scale), keep(scale)),
        };
        // A NaN times 0 is a NaN: the gradient itself has to be cleared first.
        let mask = bad.clone().expand(grad.shape());
        let grad = grad.mask_fill(mask, 0.0) * clip.clone();
        let square = grad.clone().square();
        let first = first.clone() + (grad - first) * first_rate.clone();
        let second = second.clone() + (square - second) * second_rate.clone();
        let root = second.clone().sqrt().mul_scalar(root_scale).add_scalar(eps * scale.eps);
        let change = first.clone() * rate.clone() / root;
        let kept = if decayed { weight * keep.clone() } else { weight };
        shared = Some((scale, rate, keep));
        model.weights_mut().push(kept - change);
        moments.first.push(first);
        moments.second.push(second);
    }
    norm
}

/// [`apply`] on the processor, where nothing is gained by not waiting: one pass over each tensor, in place.
fn apply_fused(model: &mut Model, moments: &mut Moments, grads: Vec<Tensor<2>>, update: Update) -> Tensor<1> {
    let Optimizer::AdamW { beta1, beta2, eps, weight_decay } = *update.optimizer;
    let norm = fused::global_norm(&grads);
    let device = grads[0].device();
    // As on a device, where the norm is an `f32`.
    let is_taken = (norm as f32).is_finite();
    let result = Tensor::from_data(TensorData::new(vec![norm as f32], [1]), (&device, DType::F32));
    if !is_taken {
        return result;
    }
    let taken = (update.step + 1) as f64;
    let step = |is_decayed: bool, scale: &TensorScale| Step {
        grad_scale: (update.clip_norm / (norm + CLIP_EPS)).min(1.0) as f32,
        first_rate: (1.0 - beta1) as f32,
        second_rate: (1.0 - beta2) as f32,
        rate: (update.lr * scale.lr / (1.0 - beta1.powf(taken))) as f32,
        root_scale: (1.0 / (1.0 - beta2.powf(taken)).sqrt()) as f32,
        eps: (eps * scale.eps) as f32,
        keep: if is_decayed {
            (1.0 - update.lr * scale.lr * (weight_decay * scale.weight_decay)) as f32
        } else {
            1.0
        },
    };
    let decayed: Vec<bool> = model.specs().iter().map(|spec| spec.is_decayed()).collect();
    let weights = std::mem::take(model.weights_mut());
    let firsts = std::mem::take(&mut moments.first);
    let seconds = std::mem::take(&mut moments.second);
    for (((((weight, first), second), grad), decayed), scale) in
        weights.into_iter().zip(firsts).zip(seconds).zip(grads).zip(decayed).zip(update.scales)
    {
        let [weight, first, second] = fused::adamw(weight, grad, first, second, &step(decayed, scale));
        model.weights_mut().push(weight);
        moments.first.push(first);
        moments.second.push(second);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::scaling::STANDARD;
    use crate::models::{self, to_host};
    use crate::testing;
    use burn::tensor::Device;
    use scalelaw_schema::model::Head;

    const ADAMW: Optimizer = Optimizer::AdamW { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1 };

    /// Gradients that differ from tensor to tensor and from number to number.
    fn grads(model: &Model, step: u64) -> Vec<Vec<f32>> {
        let mut at = step as f32;
        model
            .specs()
            .iter()
            .map(|spec| {
                (0..spec.n_elements())
                    .map(|_| {
                        at += 0.7;
                        at.sin() * 0.05
                    })
                    .collect()
            })
            .collect()
    }

    fn on_device(model: &Model, grads: &[Vec<f32>]) -> Vec<Tensor<2>> {
        let device = model.weights()[0].device();
        grads.iter().zip(model.specs()).map(|(g, spec)| models::to_device(g.clone(), spec, &device)).collect()
    }

    #[test]
    fn five_steps_agree_with_adamw_written_out_in_f64() {
        for apply in [apply_composed, apply_fused] {
            check_five_steps(apply);
        }
    }

    fn check_five_steps(apply: fn(&mut Model, &mut Moments, Vec<Tensor<2>>, Update) -> Tensor<1>) {
        let mut model = testing::model(&testing::shape(Head::Untied), 0.02, 2, &Device::flex());
        let mut moments = Moments::zeros(&model);
        let decayed: Vec<bool> = model.specs().iter().map(|spec| spec.is_decayed()).collect();
        // Factors that differ from tensor to tensor, eps beyond the root of the smallest second moments.
        let scales: Vec<TensorScale> = (0..decayed.len())
            .map(|idx| {
                let x = 1.0 + (idx / 2) as f64;
                TensorScale { init: 1.0, lr: 1.0 / x, eps: 1e5 * x, weight_decay: x.sqrt() }
            })
            .collect();
        let mut expected: Vec<Vec<[f64; 3]>> = testing::weights(&model)
            .iter()
            .map(|tensor| tensor.iter().map(|&w| [f64::from(w), 0.0, 0.0]).collect())
            .collect();
        for step in 0..5 {
            let lr = 1e-2 / (step + 1) as f64;
            // The norm is about 2.7, so the limit of 4 does not clip and that of 1 does.
            let clip_norm = if step < 2 { 4.0 } else { 1.0 };
            let grads = grads(&model, step);
            let update = Update { optimizer: &ADAMW, scales: &scales, lr, step, clip_norm };
            let on_device = on_device(&model, &grads);
            let found = apply(&mut model, &mut moments, on_device, update);
            let norm = grads.iter().flatten().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
            let found = f64::from(models::read(found).unwrap()[0]);
            assert!((found - norm).abs() < 1e-5 * norm && norm > 1.0 && norm < 4.0, "{found} {norm}");
            let t = (step + 1) as i32;
            for (((tensor, grads), decayed), scale) in
                expected.iter_mut().zip(&grads).zip(&decayed).zip(&scales)
            {
                for ([w, m, v], &g) in tensor.iter_mut().zip(grads) {
                    let g = f64::from(g) * (clip_norm / norm).min(1.0);
                    *m = 0.9 * *m + 0.1 * g;
                    *v = 0.95 * *v + 0.05 * g * g;
                    let (m_hat, v_hat) = (*m / (1.0 - 0.9f64.powi(t)), *v / (1.0 - 0.95f64.powi(t)));
                    let decay = if *decayed { 0.1 * scale.weight_decay * *w } else { 0.0 };
                    *w -= lr * scale.lr * (m_hat / (v_hat.sqrt() + 1e-8 * scale.eps) + decay);
                }
            }
        }
        for (found, expected) in testing::weights(&model).iter().zip(&expected) {
            for (found, [w, ..]) in found.iter().zip(expected) {
                // Five roundings of numbers of size one.
                assert!((f64::from(*found) - w).abs() < 1e-6, "{found} {w}");
            }
        }
    }

    #[test]
    fn a_gradient_that_is_not_finite_changes_no_bit() {
        for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut model = testing::model(&testing::shape(Head::Tied), 0.02, 2, &Device::flex());
            let mut moments = Moments::zeros(&model);
            let scales = vec![STANDARD; model.specs().len()];
            let update = |step| Update { optimizer: &ADAMW, scales: &scales, lr: 1e-2, step, clip_norm: 1.0 };
            let good = on_device(&model, &grads(&model, 0));
            apply(&mut model, &mut moments, good, update(0));
            let saved = |model: &Model, moments: &Moments| {
                let read = |tensors: &[Tensor<2>]| -> Vec<Vec<f32>> {
                    tensors.iter().zip(model.specs()).map(|(t, spec)| to_host(t, spec).unwrap()).collect()
                };
                [testing::weights(model), read(&moments.first), read(&moments.second)]
            };
            let before = saved(&model, &moments);
            let mut bad = grads(&model, 1);
            bad[3][5] = poison;
            let bad = on_device(&model, &bad);
            let norm = apply(&mut model, &mut moments, bad, update(1));
            assert!(!models::read(norm).unwrap()[0].is_finite());
            assert_eq!(saved(&model, &moments), before, "{poison}");
        }
    }
}
