//! The compute of a training step on the processor: loops and products on slices of `f32`, forward and backward,
//! without burn and without an own idea of the model: [`crate::models::fused`] makes operations of them.
//!
//! Reading order: instruction sets ([`simd`]), matrix products ([`product`]), loops over rows ([`rows`]), then the
//! parts of a model ([`embedding`], [`attention`], [`mlp`], [`head`]) and the optimizer ([`adamw`]).
//!
//! Memory for a result is not cleared: it is [`MaybeUninit`] until each part of it has been written.
//!
//! Work is cut into parts of fixed size and their sums are taken in order, so the bits of a result do not depend
//! on the number of threads. Letters in shapes are those of [`crate::models::transformer`].

pub mod adamw;
pub mod attention;
pub mod embedding;
pub mod head;
pub mod mlp;
pub mod product;
pub mod rows;
pub mod simd;

use std::cell::RefCell;
use std::mem::MaybeUninit;

use product::{K_BLOCK, Matrix, PANEL, Packed, Store, product_columns};
use rayon::prelude::*;
use scalelaw_schema::recipe::Precision;

/// Rows that one thread works on at a time: their intermediate results stay in its caches.
pub const ROWS: usize = 64;

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

// SAFETY: it is a pointer, and whoever goes through it promises that nobody else touches the same numbers.
unsafe impl Send for Shared {}
// SAFETY: a shared one can only be copied; the promise is the same.
unsafe impl Sync for Shared {}

impl Shared {
    pub fn new(values: &mut [MaybeUninit<f32>]) -> Shared {
        Shared(values.as_mut_ptr().cast())
    }

    /// # Safety
    /// `offset` must lie within the slice, which must still be there.
    pub unsafe fn at(self, offset: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(offset) }
    }

    /// # Safety
    /// The numbers must lie within the slice and have been written, and nobody else may touch them while they are
    /// borrowed.
    pub unsafe fn slice<'a>(self, offset: usize, n: usize) -> &'a mut [f32] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(offset), n) }
    }
}

/// The factors of a weight's gradient, `inputᵀ · output_grad`, `[in, out]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WeightGrad<'a> {
    /// What the weight was multiplied with, `[N, in]`.
    pub input: Matrix<'a>,
    /// Gradient with respect to what came out, `[N, out]`.
    pub output_grad: Matrix<'a>,
}

impl WeightGrad<'_> {
    /// Numbers of the gradient.
    fn len(&self) -> usize {
        self.input.dims().1 * self.output_grad.dims().1
    }
}

/// Rows of a weight's gradient that one thread computes at a time: whole tiles for every width of a panel.
const GRAD_ROWS: usize = 192;

/// Computes gradients of weights.
pub(crate) fn weight_grads<const W: usize>(grads: [WeightGrad; W], precision: Precision) -> [Vec<f32>; W] {
    let mut outs = grads.map(|grad| Box::new_uninit_slice(grad.len()));
    let places: Vec<_> =
        grads.into_iter().zip(&mut outs).map(|(grad, out)| (grad, Shared::new(out))).collect();
    // SAFETY: each place holds its gradient, is nobody else's, and with `Set` needs no numbers in it; afterwards all
    // of it is written.
    unsafe {
        product_parts(&places, Store::Set, precision);
        outs.map(|out| out.assume_init().into_vec())
    }
}

/// Adds the gradient of a weight to `sum`, that of earlier rows.
pub(crate) fn add_weight_grad(grad: WeightGrad, sum: &mut [f32], precision: Precision) {
    assert_eq!(sum.len(), grad.len(), "the gradient of a weight has its shape");
    // SAFETY: the place holds the gradient, has numbers in it, and is nobody else's.
    unsafe { product_parts(&[(grad, Shared(sum.as_mut_ptr()))], Store::Add, precision) }
}

/// Products cut into parts of [`GRAD_ROWS`] by [`PANEL`] among the threads. With [`Store::Set`] every number of each
/// place is written.
///
/// # Safety
/// Each place must be good for writes of its gradient and be nobody else's; with [`Store::Add`] it must have been
/// written.
unsafe fn product_parts(grads: &[(WeightGrad, Shared)], store: Store, precision: Precision) {
    let mut parts = Vec::new();
    for (WeightGrad { input, output_grad }, out) in grads {
        let ((n, rows), (n_too, cols)) = (input.dims(), output_grad.dims());
        assert!(n == n_too && n > 0, "both factors of a gradient have a row for each token");
        for row in (0..rows).step_by(GRAD_ROWS) {
            let input = input.columns(row, GRAD_ROWS.min(rows - row));
            let cols = (0..cols).step_by(PANEL);
            parts.extend(cols.map(|col| (input, output_grad, *out, row, col)));
        }
    }
    parts.into_par_iter().for_each_init(
        || Packed::new(precision),
        |packed, (input, output_grad, out, row, col)| {
            let (n, cols) = output_grad.dims();
            let right = output_grad.columns(col, PANEL.min(cols - col));
            for first in (0..n).step_by(K_BLOCK) {
                let n_rows = K_BLOCK.min(n - first);
                packed.fill(&[right.part(first, n_rows)]);
                let store = if first == 0 { store } else { Store::Add };
                let left = input.part(first, n_rows).transposed();
                // SAFETY: `out` has a row for each column of the whole input and `cols` columns, and this part of it
                // is nobody else's; from the second block on, the first has written it.
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
