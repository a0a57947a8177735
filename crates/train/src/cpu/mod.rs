//! The compute of a training step on the processor: loops and products on slices of `f32`, forward and backward,
//! without burn and without an own idea of the model: [`crate::fused`] makes operations of them.
//!
//! Reading order: instruction sets ([`simd`]), matrix products ([`product`]), loops over rows ([`rows`]), then the
//! parts of a model ([`embedding`], [`attention`], [`mlp`], [`head`]) and the optimizer ([`adamw`]).
//!
//! Work is cut into parts of fixed size and their sums are taken in order, so the bits of a result do not depend
//! on the number of threads. Letters in shapes are those of [`crate::model`].

pub mod adamw;
pub mod attention;
pub mod embedding;
pub mod head;
pub mod mlp;
pub mod product;
pub mod rows;
pub mod simd;

use std::cell::RefCell;

use product::{K_BLOCK, Matrix, PANEL, Packed, Store, product_columns};
use rayon::prelude::*;
use scalelaw_schema::recipe::Precision;

/// Rows that one thread works on at a time: their intermediate results stay in its caches.
pub const ROWS: usize = 64;

/// Memory for `n` numbers that are all written before any is read.
pub fn unwritten(n: usize) -> Vec<f32> {
    let mut values = Vec::with_capacity(n);
    // SAFETY: the capacity is there, any bits are an `f32`, and callers write before they read.
    #[allow(clippy::uninit_vec)]
    unsafe {
        values.set_len(n);
    }
    values
}

/// Lends this thread's working memory: `n` numbers of any value.
pub fn with_scratch<T>(n: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    thread_local! {
        static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    // Taken out while it is lent: a nested call gets memory of its own.
    let mut memory = SCRATCH.with(|scratch| std::mem::take(&mut *scratch.borrow_mut()));
    if memory.len() < n {
        memory = vec![0.0; n];
    }
    let result = work(&mut memory[..n]);
    SCRATCH.with(|scratch| *scratch.borrow_mut() = memory);
    result
}

/// Cuts `n` numbers off the front of `memory`.
pub(crate) fn take<'a>(memory: &mut &'a mut [f32], n: usize) -> &'a mut [f32] {
    let (front, rest) = std::mem::take(memory).split_at_mut(n);
    *memory = rest;
    front
}

/// A place that several threads write to, each to numbers of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shared(*mut f32);

// SAFETY: whoever writes through it promises that nobody else touches the same numbers.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub fn new(values: &mut [f32]) -> Shared {
        Shared(values.as_mut_ptr())
    }

    /// # Safety
    /// `offset` must lie within the slice.
    pub unsafe fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(offset) }
    }

    /// # Safety
    /// The numbers must lie within the slice, and nobody else may touch them while they are borrowed.
    pub unsafe fn slice<'a>(self, offset: usize, n: usize) -> &'a mut [f32] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(offset), n) }
    }
}

/// The gradient of a weight: `out (+)= inputᵀ · output_grad`.
pub(crate) struct WeightGrad<'a> {
    /// What the weight was multiplied with, `[N, in]`.
    pub input: Matrix<'a>,
    /// Gradient by what came out, `[N, out]`.
    pub output_grad: Matrix<'a>,
    /// `[in, out]`
    pub out: &'a mut [f32],
    pub store: Store,
}

/// Rows of a weight's gradient that one thread computes at a time: whole tiles whatever the panel's width.
const GRAD_ROWS: usize = 192;

/// Computes gradients of weights, cut into parts of [`GRAD_ROWS`] by [`PANEL`] among the threads.
pub(crate) fn weight_grads(grads: Vec<WeightGrad>, precision: Precision) {
    let mut parts = Vec::new();
    for grad in grads {
        let WeightGrad { input, output_grad, out, store } = grad;
        let ((n, rows), (n_too, cols)) = (input.dims(), output_grad.dims());
        assert!(n == n_too && out.len() == rows * cols, "the gradient of a weight has its shape");
        let out = Shared::new(out);
        for row in (0..rows).step_by(GRAD_ROWS) {
            let input = input.columns(row, GRAD_ROWS.min(rows - row));
            let cols = (0..cols).step_by(PANEL);
            parts.extend(cols.map(|col| (input, output_grad, out, store, row, col)));
        }
    }
    parts.into_par_iter().for_each_init(
        || Packed::new(precision),
        |packed, (input, output_grad, out, store, row, col)| {
            let (n, cols) = output_grad.dims();
            let right = output_grad.columns(col, PANEL.min(cols - col));
            for first in (0..n).step_by(K_BLOCK) {
                let n_rows = K_BLOCK.min(n - first);
                packed.fill(&[right.part(first, n_rows)]);
                let store = if first == 0 { store } else { Store::Add };
                let left = input.part(first, n_rows).transposed();
                // SAFETY: `out` has a row for each column of the whole input and `cols` columns, and this part of it
                // is nobody else's.
                unsafe {
                    product_columns(left, packed, 0, packed.n(), out.at(row * cols + col), cols, store)
                };
            }
        },
    );
}

/// Sums partial gradients `[parts, n]` in their order.
pub(crate) fn sum_parts(parts: &[f32], n: usize) -> Vec<f32> {
    let mut sum = vec![0.0; n];
    for part in parts.chunks_exact(n) {
        for (sum, part) in sum.iter_mut().zip(part) {
            *sum += part;
        }
    }
    sum
}
