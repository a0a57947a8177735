//! Permutations that are computed one place at a time.

/// Where `place` of `n` goes under the permutation of this key: a Feistel network over the next power of four, applied
/// until its result is below `n` (Black and Rogaway 2002, "Ciphers with arbitrary finite domains", the cycle-walking
/// cipher). Not cryptographic.
///
/// A shuffle would have to be made as a whole for each batch, or kept between batches.
pub(crate) fn permuted(place: u64, n: u64, key: u64) -> u64 {
    debug_assert!(place < n);
    let half_bits = (u64::BITS - n.saturating_sub(1).leading_zeros()).div_ceil(2).max(1);
    let mask = (1 << half_bits) - 1;
    let mut at = place;
    loop {
        let (mut left, mut right) = (at >> half_bits, at & mask);
        for round in 1..=ROUNDS {
            (left, right) = (right, left ^ (mix(right.wrapping_add(key.wrapping_mul(2 * round + 1))) & mask));
        }
        at = left << half_bits | right;
        if at < n {
            return at;
        }
    }
}

/// More than the four that make a Feistel network hard to tell from a random permutation.
const ROUNDS: u64 = 6;

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_taken_once() {
        for n in [1, 2, 3, 4, 5, 16, 17, 100, 1023, 1024, 8192] {
            for key in [0, 1, 0xdead_beef_dead_beef] {
                let mut found: Vec<u64> = (0..n).map(|place| permuted(place, n, key)).collect();
                found.sort_unstable();
                assert!(found.into_iter().eq(0..n), "{n} {key}");
            }
        }
    }

    #[test]
    fn places_and_neighbours_go_anywhere() {
        // Over many keys, each place of 10 receives place 3 equally often, and the way from a place to its
        // neighbour is any way: chi-square over 10 cells, 9 degrees of freedom, 27.9 is its 99.9 % point; keys
        // are fixed, so this passes always or never.
        let n = 10;
        let (mut places, mut ways) = ([0_f64; 10], [0_f64; 10]);
        let n_keys = 10_000;
        for key in 0..n_keys {
            let key = mix(key + 1);
            let (a, b) = (permuted(3, n, key), permuted(4, n, key));
            places[a as usize] += 1.0;
            ways[((b + n - a) % n) as usize] += 1.0;
        }
        let chi_square = |cells: &[f64]| {
            let mean = n_keys as f64 / cells.len() as f64;
            cells.iter().map(|cell| (cell - mean).powi(2) / mean).sum::<f64>()
        };
        assert!(chi_square(&places) < 27.9, "{places:?}");
        // A neighbour never lands on the same place.
        assert_eq!(ways[0], 0.0);
        let mean = n_keys as f64 / 9.0;
        let chi: f64 = ways[1..].iter().map(|cell| (cell - mean).powi(2) / mean).sum();
        // 8 degrees of freedom: 26.1.
        assert!(chi < 26.1, "{ways:?}");
    }
}
