//! Refits a law to resampled rows.

use rayon::prelude::*;

use crate::search::Problem;
use crate::stats::{Units, stream};

/// Theta of every resample, each refitted to its own minimum; resamples without one are dropped.
///
/// Starts from the whole table's minimum: that the refits arrive where a search from nothing does is a
/// test (`refits_from_the_minimum_equal_searches_from_nothing`).
pub fn refits(problem: &Problem, theta: &[f64], units: &Units, n: usize, seed: u64) -> Vec<Vec<f64>> {
    (0..n)
        .into_par_iter()
        .map(|resample| {
            let mut rng = stream(seed, resample as u64);
            let rows = problem.rows.counted(&units.draw(&mut rng));
            let refit = problem.on(&rows).minimise(theta);
            refit.value.is_finite().then_some(refit.theta)
        })
        .flatten()
        .collect()
}
