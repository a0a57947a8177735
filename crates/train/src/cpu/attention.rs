//! Causal self-attention with its norm and its residual:
//! `y = x + mix(rotary(h·W_q), rotary(h·W_k), h·W_v) · W_o`, `h = norm(x)`. Scores exist for [`QUERIES`] queries
//! of one head at a time, and are computed again in the backward pass (Dao et al. 2022, arXiv:2205.14135).

use rayon::prelude::*;
use scalelaw_schema::recipe::Precision;

use crate::cpu::product::{Matrix, PANEL, Packed, Store, product, product_columns, product_into};
use crate::cpu::rows::{self, Rotary};
use crate::cpu::simd::{self, LANES, for_each_level};
use crate::cpu::{ROWS, Shared, WeightGrad, sum_parts, take, weight_grads, with_scratch};

/// Queries whose scores are held at once: as many as a panel has columns, so that the last key of each block is
/// the last column of a panel.
const QUERIES: usize = PANEL;

/// Weights of one attention and the tables of its positions.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    /// Gain of the norm, `[C]`.
    pub gain: &'a [f32],
    /// `[C, C]`
    pub q: &'a [f32],
    /// `[C, C]`
    pub k: &'a [f32],
    /// `[C, C]`
    pub v: &'a [f32],
    /// `[C, C]`
    pub o: &'a [f32],
    /// Positions, which also say T and D.
    pub rotary: &'a Rotary,
    /// Of the products with weights.
    pub precision: Precision,
}

/// What the backward pass needs beside the weights and x.
#[derive(Debug, Clone)]
pub struct Saved {
    /// Inverse root mean squares, `[N]`.
    pub inverse: Vec<f32>,
    /// Queries and keys with their positions, and values: `[N, 3C]`.
    pub qkv: Vec<f32>,
    /// Mixed values of all heads, `[N, C]`.
    pub mixed: Vec<f32>,
    /// Logarithm of the sum of each query's exponentials, `[B, H, T]`.
    pub log_sums: Vec<f32>,
}

/// Gradients with respect to each input, in its shape.
#[derive(Debug, Clone)]
pub struct Grads {
    /// Of x.
    pub x: Vec<f32>,
    /// Of the norm's gain.
    pub gain: Vec<f32>,
    /// Of the queries' weight.
    pub q: Vec<f32>,
    /// Of the keys' weight.
    pub k: Vec<f32>,
    /// Of the values' weight.
    pub v: Vec<f32>,
    /// Of the output's weight.
    pub o: Vec<f32>,
}

for_each_level! {
    /// Scores `[rows, stride]` become exponentials below their row's maximum, with zeros after the diagonal up to
    /// column `n_keys`; row r may see keys `0..=first + r`. Writes `1 / sum` and `log sum` of each row.
    fn exponentials(
        scores: &mut [f32],
        stride: usize,
        n_keys: usize,
        first: usize,
        inverse_sums: &mut [f32],
        log_sums: &mut [f32],
    ) {
        for (row, scores) in scores.chunks_exact_mut(stride).enumerate() {
            let (seen, hidden) = scores[..n_keys].split_at_mut(first + row + 1);
            let (max, sum) = simd::exponentials::<FMA>(seen);
            hidden.fill(0.0);
            inverse_sums[row] = 1.0 / sum;
            log_sums[row] = max + sum.ln();
        }
    }
}

for_each_level! {
    /// Scores become weights `p = e^(score − log_sum)`, and the gradients with respect to p become those with respect to the scores,
    /// `p · (dp − delta)`; both have zeros after the diagonal.
    fn score_grads(
        scores: &mut [f32],
        grads: &mut [f32],
        stride: usize,
        n_keys: usize,
        first: usize,
        log_sums: &[f32],
        deltas: &[f32],
    ) {
        for (row, (scores, grads)) in
            scores.chunks_exact_mut(stride).zip(grads.chunks_exact_mut(stride)).enumerate()
        {
            let n_seen = first + row + 1;
            let (log_sum, delta) = (log_sums[row], deltas[row]);
            for (score, grad) in scores[..n_seen].iter_mut().zip(&mut grads[..n_seen]) {
                let p = simd::exp::<FMA>(*score - log_sum);
                *score = p;
                *grad = p * (*grad - delta);
            }
            scores[n_seen..n_keys].fill(0.0);
            grads[n_seen..n_keys].fill(0.0);
        }
    }
}

for_each_level! {
    /// `Σ a·b` of each row of D numbers, rows `stride` apart.
    fn row_dots(a: &[f32], b: &[f32], stride: usize, d: usize, dots: &mut [f32]) {
        for (row, dot) in dots.iter_mut().enumerate() {
            let here = row * stride..row * stride + d;
            *dot = simd::dot::<FMA>(&a[here.clone()], &b[here]);
        }
    }
}

impl Attention<'_> {
    fn width(&self) -> usize {
        self.gain.len()
    }

    /// N of an x `[N, C]`.
    ///
    /// # Panics
    /// Where these are not whole sequences, or heads do not fill the width: a bug.
    fn n_rows(&self, x: &[f32]) -> usize {
        let (c, t, d) = (self.width(), self.rotary.context_len, self.rotary.d_head);
        assert!(
            x.len().is_multiple_of(t * c) && c.is_multiple_of(d),
            "{} numbers of whole sequences",
            x.len()
        );
        x.len() / c
    }

    /// y `[N, C]` and what the backward pass needs; x is `[N, C]` of whole sequences.
    pub fn forward(&self, x: &[f32]) -> (Vec<f32>, Saved) {
        let c = self.width();
        let n = self.n_rows(x);
        let t = self.rotary.context_len;
        let (mut inverse, mut qkv) = (vec![0.0; n], Box::new_uninit_slice(n * 3 * c));
        let square = |weight| Matrix::new(weight, c, c);
        let qkv_weight = Packed::of(&[square(self.q), square(self.k), square(self.v)], self.precision);
        qkv.par_chunks_mut(ROWS * 3 * c)
            .zip(x.par_chunks(ROWS * c))
            .zip(inverse.par_chunks_mut(ROWS))
            .enumerate()
            .for_each(|(part, ((qkv, x), inverse))| {
                let n = inverse.len();
                with_scratch(n * c, |h| {
                    rows::norm(x, self.gain, h, inverse);
                    let qkv = product_into(Matrix::new(h, n, c), &qkv_weight, qkv);
                    rows::rotate(qkv, self.rotary, part * ROWS, c);
                });
            });
        // SAFETY: each part was written by its product.
        let qkv = unsafe { qkv.assume_init() }.into_vec();

        let mut mixed = Box::new_uninit_slice(n * c);
        let mut log_sums = vec![0.0; n * c / self.rotary.d_head];
        let mixed_place = Shared::new(&mut mixed);
        log_sums.par_chunks_mut(t).enumerate().for_each(|(head, log_sums)| {
            self.mix_head(&qkv, mixed_place, log_sums, head);
        });
        // SAFETY: each head of each sequence has written its columns of every row.
        let mixed = unsafe { mixed.assume_init() }.into_vec();

        let o = Packed::of(&[square(self.o)], self.precision);
        let mut y = Box::new_uninit_slice(n * c);
        y.par_chunks_mut(ROWS * c).zip(x.par_chunks(ROWS * c)).zip(mixed.par_chunks(ROWS * c)).for_each(
            |((y, x), mixed)| {
                let y = y.write_copy_of_slice(x);
                product(Matrix::new(mixed, x.len() / c, c), &o, y, c, Store::Add);
            },
        );
        // SAFETY: each part began as a copy of its part of x.
        let y = unsafe { y.assume_init() }.into_vec();
        (y, Saved { inverse, qkv, mixed, log_sums })
    }

    /// Columns of q, k and v of a head, counted over all sequences, from its first row on.
    fn head_views<'a>(&self, qkv: &'a [f32], head: usize) -> [Matrix<'a>; 3] {
        let (c, t, d) = (self.width(), self.rotary.context_len, self.rotary.d_head);
        let n_head = c / d;
        let first = (head / n_head) * t * 3 * c + (head % n_head) * d;
        [0, 1, 2].map(|which| Matrix::strided(&qkv[first + which * c..], t, d, 3 * c))
    }

    /// Where the head's columns of an array `[N, C]` begin.
    fn head_offset(&self, head: usize) -> usize {
        let (c, t, d) = (self.width(), self.rotary.context_len, self.rotary.d_head);
        let n_head = c / d;
        (head / n_head) * t * c + (head % n_head) * d
    }

    fn mix_head(&self, qkv: &[f32], mixed: Shared, log_sums: &mut [f32], head: usize) {
        let (c, t, d) = (self.width(), self.rotary.context_len, self.rotary.d_head);
        let [q, k, v] = self.head_views(qkv, head);
        let keys = Packed::of(&[k.transposed()], Precision::F32); // [D, T]
        let values = Packed::of(&[v], Precision::F32); // [T, D]
        let stride = t.next_multiple_of(LANES);
        let offset = self.head_offset(head);
        with_scratch(QUERIES * stride, |scores| {
            for first in (0..t).step_by(QUERIES) {
                let n = QUERIES.min(t - first);
                let n_keys = first + n;
                let mut inverse_sums = [0.0; QUERIES];
                // SAFETY: `scores` has `stride` columns for each query; the columns of this head of `mixed` are
                // nobody else's, and are scaled once the product has written them.
                unsafe {
                    product_columns(
                        q.part(first, n),
                        &keys,
                        0,
                        n_keys,
                        scores.as_mut_ptr(),
                        stride,
                        Store::Set,
                    );
                    let log_sums = &mut log_sums[first..first + n];
                    exponentials(
                        &mut scores[..n * stride],
                        stride,
                        n_keys,
                        first,
                        &mut inverse_sums,
                        log_sums,
                    );
                    let weights = Matrix::strided(scores, n, n_keys, stride);
                    let at = offset + first * c;
                    product_columns(weights, &values, 0, d, mixed.at(at), c, Store::Set);
                    for (row, &inverse) in inverse_sums[..n].iter().enumerate() {
                        rows::scale(mixed.slice(at + row * c, d), inverse);
                    }
                }
            }
        });
    }

    /// Gradients, given that with respect to y. `saved` is used up.
    pub fn backward(&self, x: &[f32], saved: Saved, y_grad: &[f32]) -> Grads {
        let c = self.width();
        let n = self.n_rows(x);
        assert_eq!(y_grad.len(), x.len(), "a gradient has the shape of its result");
        let t = self.rotary.context_len;
        let Saved { inverse, qkv, mixed, log_sums } = saved;
        let square = |weight| Matrix::new(weight, c, c);

        let o_back = Packed::of(&[square(self.o).transposed()], self.precision);
        let mut mixed_grad = Box::new_uninit_slice(n * c);
        mixed_grad.par_chunks_mut(ROWS * c).zip(y_grad.par_chunks(ROWS * c)).for_each(
            |(mixed_grad, y_grad)| {
                product_into(Matrix::new(y_grad, y_grad.len() / c, c), &o_back, mixed_grad);
            },
        );
        // SAFETY: each part was written by its product.
        let mixed_grad = unsafe { mixed_grad.assume_init() };

        let mut qkv_grad = Box::new_uninit_slice(n * 3 * c);
        let place = Shared::new(&mut qkv_grad);
        (0..n / t * (c / self.rotary.d_head)).into_par_iter().for_each(|head| {
            self.mix_head_backward(&qkv, &mixed, &mixed_grad, &log_sums[head * t..][..t], place, head);
        });
        // SAFETY: each head of each sequence has written its columns of q, k and v in every row.
        let qkv_grad = unsafe { qkv_grad.assume_init() };
        drop(qkv);

        let back =
            [self.q, self.k, self.v].map(|weight| Packed::of(&[square(weight).transposed()], self.precision));
        let (mut dx, mut h) = (Box::new_uninit_slice(n * c), Box::new_uninit_slice(n * c));
        let mut gain_parts = vec![0.0; n.div_ceil(ROWS) * c];
        dx.par_chunks_mut(ROWS * c)
            .zip(h.par_chunks_mut(ROWS * c))
            .zip(gain_parts.par_chunks_mut(c))
            .enumerate()
            .for_each(|(part, ((dx, h), gain_grad))| {
                let first = part * ROWS;
                let n = dx.len() / c;
                with_scratch(n * c, |h_grad| {
                    for (which, back) in back.iter().enumerate() {
                        let grad = Matrix::strided(&qkv_grad[first * 3 * c + which * c..], n, c, 3 * c);
                        let store = if which == 0 { Store::Set } else { Store::Add };
                        product(grad, back, h_grad, c, store);
                    }
                    let here = first * c..(first + n) * c;
                    let (x, y_grad) = (&x[here.clone()], &y_grad[here]);
                    let inverse = &inverse[first..first + n];
                    rows::norm_backward(x, self.gain, inverse, h_grad, y_grad, dx, h, gain_grad);
                });
            });

        // SAFETY: the norm's backward has written every number of each part.
        let (dx, h) = unsafe { (dx.assume_init().into_vec(), h.assume_init()) };

        let h = Matrix::new(&h, n, c);
        let side = |which: usize| Matrix::strided(&qkv_grad[which * c..], n, c, 3 * c);
        let grads = [
            WeightGrad { input: h, output_grad: side(0) },
            WeightGrad { input: h, output_grad: side(1) },
            WeightGrad { input: h, output_grad: side(2) },
            WeightGrad { input: Matrix::new(&mixed, n, c), output_grad: Matrix::new(y_grad, n, c) },
        ];
        let [q, k, v, o] = weight_grads(grads, self.precision);
        Grads { x: dx, gain: sum_parts(&gain_parts, c), q, k, v, o }
    }

    fn mix_head_backward(
        &self,
        qkv: &[f32],
        mixed: &[f32],
        mixed_grad: &[f32],
        log_sums: &[f32],
        qkv_grad: Shared,
        head: usize,
    ) {
        let (c, t, d) = (self.width(), self.rotary.context_len, self.rotary.d_head);
        let [q, k, v] = self.head_views(qkv, head);
        let keys_across = Packed::of(&[k.transposed()], Precision::F32); // [D, T]
        let values_across = Packed::of(&[v.transposed()], Precision::F32); // [D, T]
        let keys = Packed::of(&[k], Precision::F32); // [T, D]
        let offset = self.head_offset(head);
        let (mixed, mixed_grad) = (&mixed[offset..], &mixed_grad[offset..]);
        // The head's columns of `qkv_grad`: its row is three times as wide.
        let n_head = c / d;
        let place = (head / n_head) * t * 3 * c + (head % n_head) * d;
        let stride = t.next_multiple_of(LANES);
        let mut packed = Packed::new(Precision::F32);
        with_scratch(2 * QUERIES * stride + (QUERIES + 2 * t) * d + t, |mut memory| {
            let scores = take(&mut memory, QUERIES * stride);
            let grads = take(&mut memory, QUERIES * stride);
            let q_grad = take(&mut memory, QUERIES * d);
            let (k_grad, v_grad) = (take(&mut memory, t * d), take(&mut memory, t * d));
            let deltas = take(&mut memory, t);
            row_dots(mixed, mixed_grad, c, d, deltas);
            k_grad.fill(0.0);
            v_grad.fill(0.0);
            for first in (0..t).step_by(QUERIES) {
                let n = QUERIES.min(t - first);
                let n_keys = first + n;
                let q = q.part(first, n);
                let out_grad = Matrix::strided(&mixed_grad[first * c..], n, d, c);
                // SAFETY: `scores` and `grads` have `stride` columns for each query.
                unsafe {
                    product_columns(q, &keys_across, 0, n_keys, scores.as_mut_ptr(), stride, Store::Set);
                    product_columns(
                        out_grad,
                        &values_across,
                        0,
                        n_keys,
                        grads.as_mut_ptr(),
                        stride,
                        Store::Set,
                    );
                }
                score_grads(
                    &mut scores[..n * stride],
                    &mut grads[..n * stride],
                    stride,
                    n_keys,
                    first,
                    &log_sums[first..],
                    &deltas[first..],
                );
                let weights = Matrix::strided(scores, n, n_keys, stride);
                let by_scores = Matrix::strided(grads, n, n_keys, stride);
                packed.fill(&[out_grad]);
                product(weights.transposed(), &packed, v_grad, d, Store::Add);
                packed.fill(&[q]);
                product(by_scores.transposed(), &packed, k_grad, d, Store::Add);
                product(by_scores, &keys, q_grad, d, Store::Set);
                rows::rotate_back(&mut q_grad[..n * d], self.rotary, first, self.rotary.score_scale);
                // SAFETY: these columns of q are within the gradient, and nobody else's.
                unsafe { copy_rows(q_grad, n, d, qkv_grad, place + first * 3 * c, 3 * c) };
            }
            rows::rotate_back(k_grad, self.rotary, 0, 1.0);
            // SAFETY: these columns of k and v are within the gradient, and nobody else's.
            unsafe {
                copy_rows(k_grad, t, d, qkv_grad, place + c, 3 * c);
                copy_rows(v_grad, t, d, qkv_grad, place + 2 * c, 3 * c);
            }
        });
    }
}

/// Copies `n` rows of d numbers to rows `stride` apart.
///
/// # Safety
/// They must lie within the slice behind `to`, and nobody else may touch them.
unsafe fn copy_rows(from: &[f32], n: usize, d: usize, to: Shared, offset: usize, stride: usize) {
    for (row, from) in from.chunks_exact(d).take(n).enumerate() {
        // SAFETY: the caller's promise; `from` has d numbers and is a slice of its own.
        unsafe { to.at(offset + row * stride).copy_from_nonoverlapping(from.as_ptr(), d) };
    }
}
