//! Why a corpus has no documents, or too few.

use std::path::PathBuf;

use thiserror::Error;

/// Why a corpus has no documents.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoDocuments {
    /// Nothing was found.
    #[error("there is no file, or all files are empty")]
    NoFile,
    /// Every document exceeds the limit.
    #[error("{n} are longer than `max-document-bytes`")]
    TooLong {
        /// Number of documents.
        n: u64,
    },
    /// No file is text.
    #[error("`{first}` and all others are binary, not UTF-8 or blank", first = first.display())]
    NotText {
        /// The first file.
        first: PathBuf,
    },
    /// No file of the crates is wanted.
    #[error("no file of its crates has one of its extensions")]
    NoExtension,
    /// All training documents are also held out.
    #[error("every training document equals a held-out one")]
    AllHeldOut,
}

/// What is held out as a whole, so that training and held-out text share nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unit {
    /// A document.
    #[error("document")]
    Document,
    /// A crate.
    #[error("crate")]
    Crate,
}

impl Unit {
    /// How to get a second one.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Unit::Document => "split it into several files, or write it as JSONL with one document per line",
            Unit::Crate => "name a second crate",
        }
    }
}
