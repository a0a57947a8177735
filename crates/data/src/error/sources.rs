//! Why an entry or a line of a file is not a document, and why a package could not be downloaded.

use std::io;

use thiserror::Error;

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EntryError {
    /// A line of a dictionary that is not an entry.
    #[error("not an entry of a WordNet `data` file")]
    NotWordnet,
    /// A Metamath comment without `$)`.
    #[error("a comment does not end")]
    OpenComment,
    /// A Metamath statement without `$.`.
    #[error("a statement does not end")]
    OpenStatement,
    /// A `$}` without its `${`.
    #[error("`$}}` closes nothing")]
    NoScope,
    /// A statement that must have a label.
    #[error("`{keyword}` has no label")]
    NoLabel {
        /// The statement's keyword.
        keyword: String,
    },
    /// A word that begins with `$` and is not a keyword.
    #[error("`{word}` is not a keyword")]
    NotKeyword {
        /// The word.
        word: String,
    },
    /// A `$f` of another form.
    #[error("`{label} $f` is not a type and a variable")]
    NotTyped {
        /// Its label.
        label: String,
    },
    /// A compressed proof without `)`.
    #[error("`{label}`: its list of labels does not end")]
    OpenLabels {
        /// The theorem.
        label: String,
    },
    /// A step that refers to a step after it.
    #[error("`{label}`: a step refers beyond its steps")]
    BeyondSteps {
        /// The theorem.
        label: String,
    },
    /// A character that a compressed proof does not use.
    #[error("`{label}`: `{letter}` is not a letter of a proof")]
    NotLetter {
        /// The theorem.
        label: String,
        /// The character.
        letter: char,
    },
}

/// An invalid entry and its line, from 1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadEntry {
    pub line: u64,
    pub why: EntryError,
}

/// Why a line is not a document.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LineError {
    /// It is not JSON.
    #[error(transparent)]
    NotJson(#[from] JsonError),
    /// It is another kind of JSON value.
    #[error("not a JSON object")]
    NotObject,
    /// The field holds another kind of value.
    #[error("the field `{field}` is not a string")]
    NotString {
        /// Name of the field.
        field: String,
    },
    /// The field is not there.
    #[error("there is no field `{field}` ({known})")]
    NoField {
        /// Name of the field.
        field: String,
        /// The fields that are there.
        known: String,
    },
}

/// Why one line cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("invalid JSON: {why}, at column {column}")]
pub struct JsonError {
    /// What the parser says.
    pub(crate) why: String,
    /// Where, from 1.
    pub(crate) column: usize,
}

/// Why a package could not be downloaded.
#[derive(Debug, Error)]
pub enum PackageError {
    /// A program is missing or could not be started.
    #[error("cannot run `{program}`: {source}")]
    CannotRun {
        /// Its name.
        program: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// A program failed.
    #[error("`{command}` failed: {stderr}")]
    Failed {
        /// The command line.
        command: String,
        /// What it wrote to standard error.
        stderr: String,
    },
    /// The download left no package.
    #[error("`apt-get download` left no package")]
    NoPackage,
}
