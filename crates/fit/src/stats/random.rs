//! Random numbers from named seeds.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// An independent stream of random numbers for each draw, so that the order of threads does not matter.
pub fn stream(seed: u64, idx: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(idx);
    rng
}

/// One draw of the standard normal, by Box and Muller.
pub fn standard_normal(rng: &mut impl Rng) -> f64 {
    // 1 − u is in (0, 1], where the logarithm is finite.
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}
