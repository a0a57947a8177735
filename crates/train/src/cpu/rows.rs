//! Loops over rows that are not matrix products: norm, rotary positions, SwiGLU. One thread each.

use std::mem::MaybeUninit;

use crate::cpu::simd::{dot, dot3, fma, for_each_level, sigmoid};

/// Added to the mean square in RMSNorm, as in Llama.
pub const NORM_EPS: f64 = 1e-5;
/// Base of the rotary wavelengths (Su et al. 2021, arXiv:2104.09864).
pub const ROPE_THETA: f64 = 10_000.0;

for_each_level! {
    /// RMSNorm: `h = x · inverse · gain` with `inverse = 1 / √(mean(x²) + eps)`; x and h `[rows, C]`, inverse
    /// `[rows]`, gain `[C]`.
    pub fn norm(x: &[f32], gain: &[f32], h: &mut [f32], inverse: &mut [f32]) {
        let c = gain.len();
        for ((x, h), inverse) in x.chunks_exact(c).zip(h.chunks_exact_mut(c)).zip(inverse) {
            *inverse = 1.0 / (dot::<FMA>(x, x) / c as f32 + NORM_EPS as f32).sqrt();
            for ((h, x), gain) in h.iter_mut().zip(x).zip(gain) {
                *h = x * *inverse * gain;
            }
        }
    }
}

for_each_level! {
    /// Backward of [`norm`] where x also goes on as it is: `dx = dx_direct + gradient through h`. Adds to
    /// `gain_grad`, and writes h once more, which the gradients of the weights need.
    pub fn norm_backward(
        x: &[f32],
        gain: &[f32],
        inverse: &[f32],
        h_grad: &[f32],
        dx_direct: &[f32],
        dx: &mut [MaybeUninit<f32>],
        h: &mut [MaybeUninit<f32>],
        gain_grad: &mut [f32],
    ) {
        let c = gain.len();
        for (row, &inverse) in inverse.iter().enumerate() {
            let here = row * c..(row + 1) * c;
            let (x, h_grad) = (&x[here.clone()], &h_grad[here.clone()]);
            let (direct, dx, h) = (&dx_direct[here.clone()], &mut dx[here.clone()], &mut h[here]);
            let shift = dot3::<FMA>(x, h_grad, gain) * inverse * inverse * inverse / c as f32;
            for i in 0..c {
                let unit = x[i] * inverse;
                h[i].write(unit * gain[i]);
                gain_grad[i] = fma::<FMA>(h_grad[i], unit, gain_grad[i]);
                dx[i].write(fma::<FMA>(h_grad[i] * gain[i], inverse, fma::<FMA>(-x[i], shift, direct[i])));
            }
        }
    }
}

for_each_level! {
    /// Gradient of a norm whose input goes nowhere else: [`norm_backward`] with nothing added.
    pub fn last_norm_backward(
        x: &[f32],
        gain: &[f32],
        inverse: &[f32],
        h_grad: &[f32],
        dx: &mut [MaybeUninit<f32>],
        gain_grad: &mut [f32],
    ) {
        let c = gain.len();
        for (row, &inverse) in inverse.iter().enumerate() {
            let here = row * c..(row + 1) * c;
            let (x, h_grad, dx) = (&x[here.clone()], &h_grad[here.clone()], &mut dx[here]);
            let shift = dot3::<FMA>(x, h_grad, gain) * inverse * inverse * inverse / c as f32;
            for i in 0..c {
                gain_grad[i] = fma::<FMA>(h_grad[i], x[i] * inverse, gain_grad[i]);
                dx[i].write(fma::<FMA>(h_grad[i] * gain[i], inverse, -x[i] * shift));
            }
        }
    }
}

/// Cosines and sines of the rotary positions (Su et al. 2021, arXiv:2104.09864).
#[derive(Debug, Clone, PartialEq)]
pub struct Rotary {
    /// `[T, D/2]`
    pub cos: Vec<f32>,
    /// `[T, D/2]`
    pub sin: Vec<f32>,
    /// T
    pub context_len: usize,
    /// D
    pub d_head: usize,
    /// What scores are multiplied by.
    pub score_scale: f32,
}

impl Rotary {
    /// The tables for sequences of `context_len` tokens and heads of width `d`.
    pub fn new(context_len: usize, d: usize) -> Rotary {
        let table = |of: fn(f64) -> f64| {
            (0..context_len * (d / 2))
                .map(|idx| {
                    let (position, pair) = (idx / (d / 2), idx % (d / 2));
                    let frequency = ROPE_THETA.powf(-2.0 * pair as f64 / d as f64);
                    of(position as f64 * frequency) as f32
                })
                .collect()
        };
        Rotary {
            cos: table(f64::cos),
            sin: table(f64::sin),
            context_len,
            d_head: d,
            score_scale: (1.0 / (d as f64).sqrt()) as f32,
        }
    }
}

for_each_level! {
    /// Turns the first `2·C` columns of rows `[q | k | v]` in place: each head's halves `(a, b)` become
    /// `(a·cos − b·sin, b·cos + a·sin)`; q is then multiplied by the scale of the scores. `first` is the position
    /// of the first row, counted over all sequences.
    pub fn rotate(qkv: &mut [f32], rotary: &Rotary, first: usize, c: usize) {
        let (d, half) = (rotary.d_head, rotary.d_head / 2);
        for (row, qkv) in qkv.chunks_exact_mut(3 * c).enumerate() {
            let position = (first + row) % rotary.context_len;
            let cos = &rotary.cos[position * half..][..half];
            let sin = &rotary.sin[position * half..][..half];
            for (head, values) in qkv[..2 * c].chunks_exact_mut(d).enumerate() {
                let scale = if head * d < c { rotary.score_scale } else { 1.0 };
                let (a, b) = values.split_at_mut(half);
                for i in 0..half {
                    let (cos, sin) = (cos[i] * scale, sin[i] * scale);
                    (a[i], b[i]) = (a[i] * cos - b[i] * sin, b[i] * cos + a[i] * sin);
                }
            }
        }
    }
}

for_each_level! {
    /// Backward of [`rotate`] for one head: turns rows `[rows, D]` back in place, times `scale`; `first` is the
    /// position of the first row in its sequence.
    pub fn rotate_back(values: &mut [f32], rotary: &Rotary, first: usize, scale: f32) {
        let (d, half) = (rotary.d_head, rotary.d_head / 2);
        for (row, values) in values.chunks_exact_mut(d).enumerate() {
            let cos = &rotary.cos[(first + row) * half..][..half];
            let sin = &rotary.sin[(first + row) * half..][..half];
            let (a, b) = values.split_at_mut(half);
            for i in 0..half {
                let (cos, sin) = (cos[i] * scale, sin[i] * scale);
                (a[i], b[i]) = (a[i] * cos + b[i] * sin, b[i] * cos - a[i] * sin);
            }
        }
    }
}

for_each_level! {
    /// `gated = silu(gate) · up`; rows `[gate | up]` of `2·F`, gated of F.
    pub fn swiglu(gate_up: &[f32], gated: &mut [f32], f: usize) {
        for (gate_up, gated) in gate_up.chunks_exact(2 * f).zip(gated.chunks_exact_mut(f)) {
            let (gate, up) = gate_up.split_at(f);
            for ((gated, &gate), up) in gated.iter_mut().zip(gate).zip(up) {
                *gated = gate * sigmoid::<FMA>(gate) * up;
            }
        }
    }
}

for_each_level! {
    /// Backward of [`swiglu`]: rows `[gate | up]` are replaced by their gradients, and gated is written once more.
    pub fn swiglu_backward(
        gate_up: &mut [f32],
        gated_grad: &[f32],
        gated: &mut [MaybeUninit<f32>],
        f: usize,
    ) {
        for ((gate_up, grad), gated) in
            gate_up.chunks_exact_mut(2 * f).zip(gated_grad.chunks_exact(f)).zip(gated.chunks_exact_mut(f))
        {
            let (gate, up) = gate_up.split_at_mut(f);
            for i in 0..f {
                let (g, u) = (gate[i], up[i]);
                let s = sigmoid::<FMA>(g);
                let silu = g * s;
                gated[i].write(silu * u);
                up[i] = grad[i] * silu;
                gate[i] = grad[i] * u * (s + silu * (1.0 - s));
            }
        }
    }
}

for_each_level! {
    /// `to += from`
    pub fn add(to: &mut [f32], from: &[f32]) {
        for (to, from) in to.iter_mut().zip(from) {
            *to += from;
        }
    }
}

for_each_level! {
    /// `values *= factor`
    pub fn scale(values: &mut [f32], factor: f32) {
        for value in values {
            *value *= factor;
        }
    }
}
