//! Which part of a corpus is held out: the first units in the order of a hash. A unit is what shares text
//! with itself only: a document, or for crates the crate.

use crate::document::Digest;

/// Held-out share of the units where the manifest names none.
pub(crate) const DEFAULT_SHARE: f64 = 0.05;

/// The held-out part grows beyond its share until it has this much text: 2^16 tokens at 8 bytes each, more
/// than any vocabulary here reaches. Bytes and not tokens, so that one split serves all tokenizers.
const MIN_BYTES: u64 = 1 << 19;

/// But it does not grow beyond this share of the text, so that a small corpus can still be trained on.
const MAX_GROWTH: f64 = 0.25;

/// Rank of a unit by its name: the held-out ones come first.
pub(crate) fn rank_of(unit: &[u8]) -> Digest {
    blake3::derive_key("scalelaw data v1: what is held out", unit)
}

/// How many of the units, given by their bytes in the order of their rank, are held out: at least `share`
/// of them, then more until [`MIN_BYTES`] or [`MAX_GROWTH`] is reached; at least one, never all.
///
/// A larger share only adds units, and nothing here depends on how much is read for training.
pub(crate) fn n_held_out(unit_bytes: &[u64], share: f64) -> usize {
    let total: u64 = unit_bytes.iter().sum();
    let wanted = MIN_BYTES.min((total as f64 * MAX_GROWTH) as u64);
    let by_share = (unit_bytes.len() as f64 * share).ceil() as usize;
    let mut bytes = 0;
    let by_bytes = unit_bytes
        .iter()
        .take_while(|&&unit| {
            let goes_on = bytes < wanted;
            bytes += unit;
            goes_on
        })
        .count();
    by_share.max(by_bytes).max(1).min(unit_bytes.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_reached_then_the_bytes_and_one_unit_always_stays() {
        let check = |units: &[u64], share: f64, expected: usize| {
            assert_eq!(n_held_out(units, share), expected, "{units:?} {share}");
        };
        check(&[1 << 20; 100], 0.05, 5);
        check(&[1 << 20; 101], 0.05, 6);
        // 5 of 100 units are 500 kB, but 2^19 bytes are wanted.
        check(&[100_000; 100], 0.05, 6);
        // A quarter of the text is as far as it grows.
        check(&[1_000; 100], 0.05, 25);
        check(&[1_000; 100], 0.4, 40);
        check(&[10, 10], 0.05, 1);
        check(&[10, 10], 0.99, 1);
        check(&[10], 0.5, 0);
        check(&[], 0.5, 0);
    }
}
