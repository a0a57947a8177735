//! What can be wrong with a shared format.

use thiserror::Error;

/// A value that no later station could use.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SchemaError {
    /// A model that cannot be built.
    #[error("the model's shape cannot be: {why}")]
    BadShape { why: String },
    /// A mixture that cannot be drawn from.
    #[error("the mixture cannot be: {why}")]
    BadMixture { why: String },
    /// A run that cannot be trained.
    #[error("the run cannot be: {why}")]
    BadRun { why: String },
    /// A rule of the learning rate that no run could follow.
    #[error("the learning-rate rule cannot be: {why}")]
    BadLrRule { why: String },
    /// Not twelve hex digits.
    #[error("`{text}` is no run id (hint: twelve hex digits, the end of a run folder's name)")]
    BadRunId { text: String },
    /// A name that is not among the known ones.
    #[error("unknown {what} `{name}` (known: {known})")]
    UnknownName { what: &'static str, name: String, known: String },
    /// An error in a TOML file, with the place and the line shown.
    #[error("{rendered}")]
    Toml { rendered: String },
}
