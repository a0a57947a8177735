//! Invented words: pronounceable, short, and different from each other.

use crate::permutation::permuted;

const ONSETS: [&str; 16] = ["b", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z"];
const VOWELS: [&str; 5] = ["a", "e", "i", "o", "u"];
const SYLLABLES: u64 = (ONSETS.len() * VOWELS.len()) as u64;

/// Number of words, each of two syllables.
pub(crate) const N_WORDS: u64 = SYLLABLES * SYLLABLES;

/// Word `idx` of the list with this key; the first [`N_WORDS`] all differ.
pub(crate) fn word(idx: u64, key: u64) -> String {
    let at = permuted(idx, N_WORDS, key);
    [at / SYLLABLES, at % SYLLABLES]
        .iter()
        .flat_map(|&syllable| {
            let (onset, vowel) = (syllable as usize / VOWELS.len(), syllable as usize % VOWELS.len());
            [ONSETS[onset], VOWELS[vowel]]
        })
        .collect()
}

/// The same word with a capital.
pub(crate) fn name(idx: u64, key: u64) -> String {
    let mut word = word(idx, key);
    word[..1].make_ascii_uppercase();
    word
}
