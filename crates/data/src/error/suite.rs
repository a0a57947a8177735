//! Why an item or a suite is not valid.

use thiserror::Error;

use crate::error::sources::JsonError;

/// What is wrong with an item.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ItemError {
    /// Its line is not an item in JSON.
    #[error(transparent)]
    NotJson(#[from] JsonError),
    /// `correct` is too large.
    #[error("`correct` is {correct}, but it has {n_choices} choices, counted from 0")]
    CorrectBeyondChoices {
        /// Index of the right choice, as written.
        correct: usize,
        /// Number of choices.
        n_choices: usize,
    },
    /// Choices without `correct`.
    #[error("it has choices, but none of them is `correct`")]
    NoCorrect,
    /// Nothing is asked.
    #[error("it has neither `answer` nor `choices`")]
    NoTarget,
    /// Two kinds of target at once.
    #[error("it has both an `answer` and `choices`")]
    TwoTargets,
    /// An answer without text.
    #[error("its answer is empty")]
    EmptyAnswer,
    /// A suite of choices needs choices.
    #[error("it has no choices, but the suite is scored by `choice`")]
    NoChoices,
    /// Nothing to choose from.
    #[error("it has fewer than two choices")]
    TooFewChoices,
    /// A choice without text.
    #[error("one of its choices is empty")]
    EmptyChoice,
    /// The right choice is also a wrong one.
    #[error("its right choice is listed twice")]
    RepeatedChoice,
    /// A suite of exact answers cannot have choices.
    #[error("it has choices, but the suite is scored by `exact`")]
    ChoicesForExact,
    /// The tokenizer joins the end of the prompt with the beginning of the answer.
    #[error(
        "its answer `{answer}` cannot be tokenised by itself: the token `{token}` also holds the end of the prompt \
         (hint: begin the answer where a word begins, with its space)"
    )]
    JoinedToken {
        /// The beginning of the answer.
        answer: String,
        /// Text of the token.
        token: String,
    },
    /// The answer has no tokens.
    #[error("its answer has no tokens")]
    NoToken,
}

/// Why a suite cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SuiteError {
    /// Its source needs a corpus.
    #[error("it has no corpus (hint: give it a `[corpus]`)")]
    NoCorpus,
    /// Its source needs a generated corpus.
    #[error("no generator makes its corpus (hint: `source = \"held-out\"`)")]
    NotGenerated,
    /// No items are wanted.
    #[error("`items = 0` asks nothing (hint: 1 or more)")]
    NoItems,
    /// Too few choices per item.
    #[error("`choices = {choices}` leaves nothing to choose (hint: 4)")]
    TooFewChoices {
        /// Choices per item.
        choices: u64,
    },
    /// Pieces of text that are too short to be items.
    #[error("pieces of {bytes} bytes are too short (hint: {least} or more)")]
    ShortPieces {
        /// Length of a piece, bytes.
        bytes: u64,
        /// Shortest possible length, bytes.
        least: u64,
    },
    /// A corpus that is not a dictionary.
    #[error(
        "its corpus has fewer than {choices} entries `headword (part of speech): definition` of at most {bytes} bytes"
    )]
    NoEntries {
        /// Choices per item.
        choices: u64,
        /// Longest entry, bytes.
        bytes: u64,
    },
}
