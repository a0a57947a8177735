//! The MLP with its norm and its residual: `y = x + (silu(h·W_gate) ⊙ (h·W_up)) · W_down`, `h = norm(x)`.

use std::mem::MaybeUninit;

use rayon::prelude::*;
use scalelaw_schema::recipe::Precision;

use crate::cpu::product::{Matrix, Packed, Store, product, product_into};
use crate::cpu::{ROWS, WeightGrad, rows, sum_parts, take, weight_grads, with_scratch};

/// Weights of one MLP.
#[derive(Debug, Clone, Copy)]
pub struct Mlp<'a> {
    /// Gain of the norm, `[C]`.
    pub gain: &'a [f32],
    /// `[C, F]`
    pub gate: &'a [f32],
    /// `[C, F]`
    pub up: &'a [f32],
    /// `[F, C]`
    pub down: &'a [f32],
    /// Of the products with weights.
    pub precision: Precision,
}

/// What the backward pass needs beside the weights and x.
#[derive(Debug, Clone)]
pub struct Saved {
    /// Inverse root mean squares, `[N]`.
    pub inverse: Vec<f32>,
    /// Gate and up side by side, `[N, 2F]`.
    pub gate_up: Vec<f32>,
}

/// Gradients with respect to each input, in its shape.
#[derive(Debug, Clone)]
pub struct Grads {
    /// Of x.
    pub x: Vec<f32>,
    /// Of the norm's gain.
    pub gain: Vec<f32>,
    /// Of the gate's weight.
    pub gate: Vec<f32>,
    /// Of the weight of what is gated.
    pub up: Vec<f32>,
    /// Of the output's weight.
    pub down: Vec<f32>,
}

impl Mlp<'_> {
    /// `(C, F)`
    fn dims(&self) -> (usize, usize) {
        (self.gain.len(), self.gate.len() / self.gain.len())
    }

    /// N of an x `[N, C]`.
    ///
    /// # Panics
    /// Where these are not whole rows: a bug.
    fn n_rows(&self, x: &[f32]) -> usize {
        let c = self.gain.len();
        assert!(x.len().is_multiple_of(c), "{} numbers in rows of {c}", x.len());
        x.len() / c
    }

    /// y `[N, C]` and what the backward pass needs.
    pub fn forward(&self, x: &[f32]) -> (Vec<f32>, Saved) {
        let (c, f) = self.dims();
        let n = self.n_rows(x);
        let mut y = Box::new_uninit_slice(n * c);
        let (mut inverse, mut gate_up) = (vec![0.0; n], Box::new_uninit_slice(n * 2 * f));
        let (gate_up_weight, down) = self.packed();
        y.par_chunks_mut(ROWS * c)
            .zip(x.par_chunks(ROWS * c))
            .zip(inverse.par_chunks_mut(ROWS))
            .zip(gate_up.par_chunks_mut(ROWS * 2 * f))
            .for_each(|(((y, x), inverse), gate_up)| {
                self.forward_rows(x, y, inverse, gate_up, &gate_up_weight, &down);
            });
        // SAFETY: each part of both was written by `forward_rows`.
        let (y, gate_up) = unsafe { (y.assume_init().into_vec(), gate_up.assume_init().into_vec()) };
        (y, Saved { inverse, gate_up })
    }

    /// y alone, where nothing will be differentiated.
    pub fn value(&self, x: &[f32]) -> Vec<f32> {
        let (c, f) = self.dims();
        let mut y = Box::new_uninit_slice(self.n_rows(x) * c);
        let (gate_up_weight, down) = self.packed();
        y.par_chunks_mut(ROWS * c).zip(x.par_chunks(ROWS * c)).for_each(|(y, x)| {
            let n = x.len() / c;
            let mut inverse = [0.0; ROWS];
            let mut gate_up = Box::new_uninit_slice(n * 2 * f);
            self.forward_rows(x, y, &mut inverse[..n], &mut gate_up, &gate_up_weight, &down);
        });
        // SAFETY: each part was written by `forward_rows`.
        unsafe { y.assume_init() }.into_vec()
    }

    fn packed(&self) -> (Packed, Packed) {
        let (c, f) = self.dims();
        let gate_up = Packed::of(&[Matrix::new(self.gate, c, f), Matrix::new(self.up, c, f)], self.precision);
        (gate_up, Packed::of(&[Matrix::new(self.down, f, c)], self.precision))
    }

    /// Writes all of `y`, `inverse` and `gate_up`.
    fn forward_rows(
        &self,
        x: &[f32],
        y: &mut [MaybeUninit<f32>],
        inverse: &mut [f32],
        gate_up: &mut [MaybeUninit<f32>],
        gate_up_weight: &Packed,
        down: &Packed,
    ) {
        let (c, f) = self.dims();
        let n = x.len() / c;
        with_scratch(n * (c + f), |mut memory| {
            let (h, gated) = (take(&mut memory, n * c), take(&mut memory, n * f));
            rows::norm(x, self.gain, h, inverse);
            let gate_up = product_into(Matrix::new(h, n, c), gate_up_weight, gate_up);
            rows::swiglu(gate_up, gated, f);
            let y = y.write_copy_of_slice(x);
            product(Matrix::new(gated, n, f), down, y, c, Store::Add);
        });
    }

    /// Gradients, given that with respect to y. `saved` is used up.
    pub fn backward(&self, x: &[f32], saved: Saved, y_grad: &[f32]) -> Grads {
        let (c, f) = self.dims();
        let n = self.n_rows(x);
        let Saved { inverse, mut gate_up } = saved;
        let down_back = Packed::of(&[Matrix::new(self.down, f, c).transposed()], self.precision);
        let gate_back = Packed::of(&[Matrix::new(self.gate, c, f).transposed()], self.precision);
        let up_back = Packed::of(&[Matrix::new(self.up, c, f).transposed()], self.precision);
        let [mut dx, mut h, mut gated] = [n * c, n * c, n * f].map(Box::new_uninit_slice);
        let mut gain_parts = vec![0.0; n.div_ceil(ROWS) * c];
        dx.par_chunks_mut(ROWS * c)
            .zip(h.par_chunks_mut(ROWS * c))
            .zip(gated.par_chunks_mut(ROWS * f))
            .zip(gate_up.par_chunks_mut(ROWS * 2 * f))
            .zip(gain_parts.par_chunks_mut(c))
            .enumerate()
            .for_each(|(part, ((((dx, h), gated), gate_up), gain_grad))| {
                let first = part * ROWS;
                let n = dx.len() / c;
                let y_grad = &y_grad[first * c..][..n * c];
                with_scratch(n * (c + f), |mut memory| {
                    let (h_grad, gated_grad) = (take(&mut memory, n * c), take(&mut memory, n * f));
                    product(Matrix::new(y_grad, n, c), &down_back, gated_grad, f, Store::Set);
                    rows::swiglu_backward(gate_up, gated_grad, gated, f);
                    let side = |first: usize| Matrix::strided(&gate_up[first..], n, f, 2 * f);
                    product(side(0), &gate_back, h_grad, c, Store::Set);
                    product(side(f), &up_back, h_grad, c, Store::Add);
                    let (x, inverse) = (&x[first * c..][..n * c], &inverse[first..][..n]);
                    rows::norm_backward(x, self.gain, inverse, h_grad, y_grad, dx, h, gain_grad);
                });
            });
        // SAFETY: the backward passes of norm and SwiGLU have written every number of each part.
        let [dx, h, gated] = [dx, h, gated].map(|values| unsafe { values.assume_init() }.into_vec());
        let h = Matrix::new(&h, n, c);
        let side = |first: usize| Matrix::strided(&gate_up[first..], n, f, 2 * f);
        let grads = [
            WeightGrad { input: h, output_grad: side(0) },
            WeightGrad { input: h, output_grad: side(f) },
            WeightGrad { input: Matrix::new(&gated, n, f), output_grad: Matrix::new(y_grad, n, c) },
        ];
        let [gate, up, down] = weight_grads(grads, self.precision);
        Grads { x: dx, gain: sum_parts(&gain_parts, c), gate, up, down }
    }
}
