//! The embedding: rows of a table by token.

use rayon::prelude::*;

use crate::cpu::{ROWS, rows};

/// Columns that one thread sums at a time.
const COLUMNS: usize = 64;

/// `[N, C]`: the row of each token; table `[V, C]`.
///
/// # Panics
/// Where a token has no row.
pub fn forward(table: &[f32], tokens: &[i32], c: usize) -> Vec<f32> {
    let mut x = Box::new_uninit_slice(tokens.len() * c);
    x.par_chunks_mut(ROWS * c).zip(tokens.par_chunks(ROWS)).for_each(|(x, tokens)| {
        for (x, &token) in x.chunks_exact_mut(c).zip(tokens) {
            x.write_copy_of_slice(&table[token as usize * c..][..c]);
        }
    });
    // SAFETY: each token has written its row.
    unsafe { x.assume_init() }.into_vec()
}

/// Gradient of the table `[V, C]`: for each token the sum over its places, in their order.
pub fn backward(tokens: &[i32], x_grad: &[f32], v: usize, c: usize) -> Vec<f32> {
    // Threads take columns, so that each number is one sum in the order of the text.
    let mut parts: Vec<(usize, Vec<f32>)> = (0..c.div_ceil(COLUMNS))
        .into_par_iter()
        .map(|part| {
            let first = part * COLUMNS;
            let n = COLUMNS.min(c - first);
            let mut sums = vec![0.0; v * n];
            for (&token, grad) in tokens.iter().zip(x_grad.chunks_exact(c)) {
                rows::add(&mut sums[token as usize * n..][..n], &grad[first..][..n]);
            }
            (first, sums)
        })
        .collect();
    if parts.len() == 1 {
        return parts.remove(0).1;
    }
    let mut grad = Box::new_uninit_slice(v * c);
    grad.par_chunks_mut(c).enumerate().for_each(|(token, grad)| {
        for (first, sums) in &parts {
            let n = COLUMNS.min(c - first);
            grad[*first..][..n].write_copy_of_slice(&sums[token * n..][..n]);
        }
    });
    // SAFETY: the parts together have every column, and each row took all of them.
    unsafe { grad.assume_init() }.into_vec()
}
