//! Why a generator cannot be set up.

use thiserror::Error;

/// A setting of a generated corpus that is out of range.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum TaskError {
    /// A whole number outside of its range.
    #[error("`{key} = {value}` is not from {least} to {most}")]
    OutOfRange {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: u64,
        /// Smallest possible value.
        least: u64,
        /// Largest possible value.
        most: u64,
    },
    /// A number of bits that letters of four bits cannot hold.
    #[error("`{key} = {bits}` is not a multiple of 4 from 4 to 32")]
    BadBits {
        /// The setting.
        key: &'static str,
        /// Its value, bits.
        bits: u32,
    },
    /// Nothing to state.
    #[error("there are no facts (hint: 1 or more)")]
    NoFacts,
    /// More facts than keys.
    #[error("{facts} facts need more different keys than {key_bits} bits have (hint: a larger `key-bits`)")]
    TooManyFacts {
        /// Number of facts.
        facts: u64,
        /// Length of a key, bits.
        key_bits: u32,
    },
    /// More people than names.
    #[error("{people} people need more different names than there are (hint: at most {most})")]
    TooManyPeople {
        /// Number of people.
        people: u64,
        /// Number of names.
        most: u64,
    },
    /// An exponent that is negative or not finite.
    #[error("`zipf = {exponent}` is not a valid exponent (hint: 0.5)")]
    BadZipf {
        /// The exponent as written.
        exponent: f64,
    },
    /// A pool without documents.
    #[error("`pool = 0` has no documents (hint: 1 or more)")]
    EmptyPool,
}

/// Checks `least <= value <= most`.
pub(crate) fn check_range(key: &'static str, value: u64, least: u64, most: u64) -> Result<(), TaskError> {
    match (least..=most).contains(&value) {
        true => Ok(()),
        false => Err(TaskError::OutOfRange { key, value, least, most }),
    }
}
