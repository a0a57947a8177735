//! Random numbers that are a pure function of a key, a purpose and a position.

use crate::permutation::mix;
use crate::skills::task::Part;

/// A stream of random numbers: SplitMix64 (Steele, Lea and Flood 2014), seeded by key, purpose and position.
#[derive(Debug, Clone)]
pub(crate) struct Draws {
    state: u64,
}

/// What random numbers are for: streams of different purposes are independent.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub(crate) enum Purpose {
    Train = 1,
    HeldOut = 2,
    Questions = 3,
    Facts = 4,
    Names = 5,
}

impl From<Part> for Purpose {
    fn from(part: Part) -> Purpose {
        match part {
            Part::Train => Purpose::Train,
            Part::HeldOut => Purpose::HeldOut,
        }
    }
}

impl Draws {
    pub(crate) fn new(key: u64, purpose: Purpose, position: u64) -> Draws {
        Draws { state: mix(sub_key(key, purpose) ^ mix(position.wrapping_add(GOLDEN))) }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// Uniform over `0..n`, up to a bias of `n · 2^-64`.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// Uniform over `[0, 1)`, 53 bits.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Shuffles the items; all orders are equally likely (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// 2^64 over the golden ratio: the step of SplitMix64.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The key of a corpus with this seed.
pub(crate) fn key_of(seed: u64) -> u64 {
    mix(seed.wrapping_add(GOLDEN))
}

/// The key of one purpose.
pub(crate) fn sub_key(key: u64, purpose: Purpose) -> u64 {
    mix(key.wrapping_add((purpose as u64).wrapping_mul(GOLDEN)))
}

/// A hash that is the same on every machine.
pub(crate) fn hash_of_bytes(bytes: &[u8]) -> u64 {
    mix(bytes.iter().fold(GOLDEN, |hash, &byte| mix(hash ^ u64::from(byte)).wrapping_add(GOLDEN)))
}
