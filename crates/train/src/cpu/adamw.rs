//! Norm of a gradient and the update of AdamW, in place.

use rayon::prelude::*;

use crate::cpu::simd::{dot, fma, for_each_level};

/// Numbers that one thread updates at a time.
const CHUNK: usize = 1 << 14;
/// Squares that are summed in `f32`.
const SHORT: usize = 1 << 10;

for_each_level! {
    fn sum_of_squares_of(values: &[f32]) -> f64 {
        let mut sum = 0.0;
        for short in values.chunks(SHORT) {
            sum += f64::from(dot::<FMA>(short, short));
        }
        sum
    }
}

/// `Σ g²`
pub fn sum_of_squares(values: &[f32]) -> f64 {
    let parts: Vec<f64> = values.par_chunks(CHUNK).map(sum_of_squares_of).collect();
    parts.iter().sum()
}

/// Numbers of the update of one tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Factor of the gradient, from clipping.
    pub grad_scale: f32,
    /// `1 − beta1`
    pub first_rate: f32,
    /// `1 − beta2`
    pub second_rate: f32,
    /// Learning rate over `1 − beta1ᵗ`.
    pub rate: f32,
    /// `1 / √(1 − beta2ᵗ)`
    pub root_scale: f32,
    /// Added to the root of the second moment.
    pub eps: f32,
    /// What a weight is multiplied by: `1 − lr · weight_decay`.
    pub keep: f32,
}

for_each_level! {
    fn update_chunk(weights: &mut [f32], grads: &[f32], first: &mut [f32], second: &mut [f32], step: &Step) {
        let Step { grad_scale, first_rate, second_rate, rate, root_scale, eps, keep } = *step;
        for i in 0..weights.len().min(grads.len()).min(first.len()).min(second.len()) {
            let grad = grads[i] * grad_scale;
            first[i] = fma::<FMA>(grad - first[i], first_rate, first[i]);
            second[i] = fma::<FMA>(fma::<FMA>(grad, grad, -second[i]), second_rate, second[i]);
            let change = first[i] * rate / fma::<FMA>(second[i].sqrt(), root_scale, eps);
            weights[i] = fma::<FMA>(weights[i], keep, -change);
        }
    }
}

/// Updates a tensor and its moments; all have the same length.
pub fn update(weights: &mut [f32], grads: &[f32], first: &mut [f32], second: &mut [f32], step: &Step) {
    weights
        .par_chunks_mut(CHUNK)
        .zip(grads.par_chunks(CHUNK))
        .zip(first.par_chunks_mut(CHUNK))
        .zip(second.par_chunks_mut(CHUNK))
        .for_each(|(((weights, grads), first), second)| update_chunk(weights, grads, first, second, step));
}
