//! What can be wrong with a value of a shared format.

use thiserror::Error;

/// An invalid value.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SchemaError {
    /// A model that cannot be built.
    #[error("invalid model shape: {why}")]
    BadShape {
        /// What is wrong.
        why: String,
    },
    /// A mixture that cannot be drawn from.
    #[error("invalid mixture: {why}")]
    BadMixture {
        /// What is wrong.
        why: String,
    },
    /// A run that cannot be trained.
    #[error("invalid run: {why}")]
    BadRun {
        /// What is wrong.
        why: String,
    },
    /// A learning-rate rule that no run could follow.
    #[error("invalid learning-rate rule: {why}")]
    BadLrRule {
        /// What is wrong.
        why: String,
    },
    /// Not twelve hex digits.
    #[error("`{text}` is not a valid run id (hint: twelve hex digits, the end of a run folder's name)")]
    BadRunId {
        /// The text that was given.
        text: String,
    },
    /// A name that is not among the known ones.
    #[error("unknown {what} `{name}` (known: {known})")]
    UnknownName {
        /// Kind of thing that it should name.
        what: &'static str,
        /// The name that was given.
        name: String,
        /// The known names, separated by commas.
        known: String,
    },
    /// An error in a TOML file.
    #[error("{rendered}")]
    Toml {
        /// The message, with the place and the line shown.
        rendered: String,
    },
}
