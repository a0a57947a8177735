//! The end of the model: last norm, logits, and negative log-likelihood, with the gradient in the same pass. The
//! logits of all tokens never exist at once.

use rayon::prelude::*;
use scalelaw_schema::recipe::Precision;

use crate::cpu::product::{Matrix, Packed, Store, product, product_into};
use crate::cpu::simd::{self, LANES, for_each_level};
use crate::cpu::{ROWS, WeightGrad, add_weight_grad, rows, sum_parts, take, weight_grads, with_scratch};

/// Logits that exist at once, as numbers: 4 MiB, which stay in the last cache; of [`MIN_TOKENS`] tokens at least.
/// Neither depends on the number of threads, since the gradient of the weight is a sum over such parts.
const MAX_LOGITS: usize = 1 << 20;
/// Fewest tokens of a part.
const MIN_TOKENS: usize = 4 * ROWS;

/// The last norm and the matrix to the logits.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    /// Gain of the norm, `[C]`.
    pub gain: &'a [f32],
    /// Weight of the logits.
    pub weight: HeadWeight<'a>,
    /// Of the products with the weight in training; [`Head::token_scores`] are always `f32`.
    pub precision: Precision,
}

/// The weight of the logits as it is held.
#[derive(Debug, Clone, Copy)]
pub enum HeadWeight<'a> {
    /// A matrix of its own, `[C, V]`.
    Untied(&'a [f32]),
    /// The embedding, `[V, C]`.
    Tied(&'a [f32]),
}

/// Gradients of the mean loss with respect to each input.
#[derive(Debug, Clone)]
pub struct Grads {
    /// Of x.
    pub x: Vec<f32>,
    /// Of the norm's gain.
    pub gain: Vec<f32>,
    /// Of the weight, in its order.
    pub weight: Vec<f32>,
}

for_each_level! {
    /// Negative log-likelihood of each row's target, and by how much the target's logit is above the largest other
    /// one; logits `[rows, V]`, which are spoilt.
    fn scores_of_rows(logits: &mut [f32], targets: &[i32], losses: &mut [f32], margins: &mut [f32]) {
        let v = logits.len() / targets.len();
        let outs = losses.iter_mut().zip(margins);
        for ((logits, &target), (loss, margin)) in logits.chunks_exact_mut(v).zip(targets).zip(outs) {
            let target = target as usize;
            let target_logit = std::mem::replace(&mut logits[target], f32::NEG_INFINITY);
            let other = simd::max(logits);
            *margin = target_logit - other;
            logits[target] = target_logit;
            let max = if target_logit > other { target_logit } else { other };
            let mut sums = [0f32; LANES];
            let (chunks, rest) = logits.as_chunks::<LANES>();
            for chunk in chunks {
                for lane in 0..LANES {
                    sums[lane] += simd::exp::<FMA>(chunk[lane] - max);
                }
            }
            let mut sum = simd::sum_lanes(sums);
            for logit in rest {
                sum += simd::exp::<FMA>(logit - max);
            }
            *loss = sum.ln() + (max - target_logit);
        }
    }
}

for_each_level! {
    /// The same, and the logits are replaced by `factor · (softmax − one-hot)`.
    fn gradient_of_rows(logits: &mut [f32], targets: &[i32], losses: &mut [f32], factor: f32) {
        let v = logits.len() / targets.len();
        for ((logits, &target), loss) in logits.chunks_exact_mut(v).zip(targets).zip(losses) {
            let target_logit = logits[target as usize];
            let (max, sum) = simd::exponentials::<FMA>(logits);
            *loss = sum.ln() + (max - target_logit);
            let scale = factor / sum;
            for value in logits.iter_mut() {
                *value *= scale;
            }
            logits[target as usize] -= factor;
        }
    }
}

impl Head<'_> {
    /// `(C, V)`
    fn dims(&self) -> (usize, usize) {
        let (HeadWeight::Untied(weight) | HeadWeight::Tied(weight)) = self.weight;
        (self.gain.len(), weight.len() / self.gain.len())
    }

    /// The weight as `[C, V]`.
    fn matrix(&self) -> Matrix<'_> {
        let (c, v) = self.dims();
        match self.weight {
            HeadWeight::Untied(weight) => Matrix::new(weight, c, v),
            HeadWeight::Tied(weight) => Matrix::new(weight, v, c).transposed(),
        }
    }

    /// Negative log-likelihood of each target in nats, and by how much its logit is above the largest other one,
    /// `[2, N]`; x is `[N, C]`.
    pub fn token_scores(&self, x: &[f32], targets: &[i32]) -> Vec<f32> {
        let (c, v) = self.dims();
        let weight = Packed::of(&[self.matrix()], Precision::F32);
        let mut scores = vec![0.0; 2 * targets.len()];
        let (losses, margins) = scores.split_at_mut(targets.len());
        losses
            .par_chunks_mut(ROWS)
            .zip(margins.par_chunks_mut(ROWS))
            .zip(x.par_chunks(ROWS * c))
            .zip(targets.par_chunks(ROWS))
            .for_each(|(((losses, margins), x), targets)| {
                let n = targets.len();
                with_scratch(n * (c + 1 + v), |mut memory| {
                    let (h, inverse) = (take(&mut memory, n * c), take(&mut memory, n));
                    let logits = take(&mut memory, n * v);
                    rows::norm(x, self.gain, h, inverse);
                    product(Matrix::new(h, n, c), &weight, logits, v, Store::Set);
                    scores_of_rows(logits, targets, losses, margins);
                });
            });
        scores
    }

    /// Mean loss and its gradients; x is `[N, C]`.
    ///
    /// # Panics
    /// Where there is not one target for each row of x: a bug.
    pub fn mean_loss(&self, x: &[f32], targets: &[i32]) -> (f32, Grads) {
        let (c, v) = self.dims();
        let n = targets.len();
        assert!(n > 0 && x.len() == n * c, "{n} targets for {} numbers", x.len());
        let factor = 1.0 / n as f32;
        let weight = Packed::of(&[self.matrix()], self.precision);
        let back = Packed::of(&[self.matrix().transposed()], self.precision);
        let mut losses = vec![0.0; n];
        let (mut dx, mut weight_grad) = (Box::new_uninit_slice(n * c), Vec::new());
        let mut gain_parts = vec![0.0; n.div_ceil(ROWS) * c];
        let at_once = (MAX_LOGITS / v / ROWS * ROWS).max(MIN_TOKENS);
        let n_most = at_once.min(n);
        let (mut logits, mut h) = (Box::new_uninit_slice(n_most * v), vec![0.0; n_most * c]);
        for first in (0..n).step_by(at_once) {
            let n = at_once.min(n - first);
            let (logits, h) = (&mut logits[..n * v], &mut h[..n * c]);
            let gain_parts = &mut gain_parts[first / ROWS * c..];
            logits
                .par_chunks_mut(ROWS * v)
                .zip(h.par_chunks_mut(ROWS * c))
                .zip(x[first * c..][..n * c].par_chunks(ROWS * c))
                .zip(targets[first..][..n].par_chunks(ROWS))
                .zip(losses[first..][..n].par_chunks_mut(ROWS))
                .zip(dx[first * c..][..n * c].par_chunks_mut(ROWS * c))
                .zip(gain_parts.par_chunks_mut(c))
                .for_each(|((((((logits, h), x), targets), losses), dx), gain_grad)| {
                    let n = targets.len();
                    with_scratch(n * (c + 1), |mut memory| {
                        let (h_grad, inverse) = (take(&mut memory, n * c), take(&mut memory, n));
                        rows::norm(x, self.gain, h, inverse);
                        let logits = product_into(Matrix::new(h, n, c), &weight, logits);
                        gradient_of_rows(logits, targets, losses, factor);
                        product(Matrix::new(logits, n, v), &back, h_grad, c, Store::Set);
                        rows::last_norm_backward(x, self.gain, inverse, h_grad, dx, gain_grad);
                    });
                });
            // SAFETY: each part was written by its product.
            let logits = unsafe { logits.assume_init_ref() };
            let (logits, h) = (Matrix::new(logits, n, v), Matrix::new(h, n, c));
            let (input, output_grad) = match self.weight {
                HeadWeight::Untied(_) => (h, logits),
                HeadWeight::Tied(_) => (logits, h),
            };
            let grad = WeightGrad { input, output_grad };
            match first {
                0 => [weight_grad] = weight_grads([grad], self.precision),
                _ => add_weight_grad(grad, &mut weight_grad, self.precision),
            }
        }
        // SAFETY: the norm's backward has written every number of each part.
        let dx = unsafe { dx.assume_init() }.into_vec();
        let grads = Grads { x: dx, gain: sum_parts(&gain_parts, c), weight: weight_grad };
        let sum: f64 = losses.iter().map(|&loss| f64::from(loss)).sum();
        ((sum / n as f64) as f32, grads)
    }
}
