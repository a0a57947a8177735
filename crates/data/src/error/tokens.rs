//! Why a vocabulary is not possible, and how a damaged file of the cache shows.

use thiserror::Error;

/// Why a vocabulary size is not possible.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum VocabularyError {
    /// More ids than fit into 16 bits.
    #[error("token ids have 16 bits (hint: at most {most})")]
    TooLarge {
        /// The largest vocabulary.
        most: u32,
    },
    /// No room for a merge.
    #[error("{least} tokens need no merges (hint: use `bytes`)")]
    TooSmall {
        /// The vocabulary of single bytes.
        least: u32,
    },
    /// The text runs out of pairs to merge.
    #[error(
        "the text has repeated pairs for {reached} tokens only (hint: a smaller vocabulary, or more text)"
    )]
    TooLittleText {
        /// The vocabulary that was reached.
        reached: usize,
    },
}

/// How a damaged file of the cache shows.
#[derive(Debug, Error)]
pub enum Damage {
    /// It was cut off, or continued.
    #[error("it has {found} bytes instead of {expected}")]
    Length {
        /// Bytes of the file.
        found: u64,
        /// Bytes that its record says.
        expected: u64,
    },
    /// It does not begin as such a file does.
    #[error("its header does not match")]
    Header,
    /// Its bytes changed.
    #[error("its checksum does not match")]
    Checksum,
    /// Its checksum file is gone.
    #[error("its checksum file is missing")]
    NoChecksum,
    /// It is not valid JSON of its kind.
    #[error("it cannot be parsed: {0}")]
    Json(serde_json::Error),
    /// It is whole, but holds something else than its name says.
    #[error("it holds {0} other than its name says")]
    OtherContent(&'static str),
}
