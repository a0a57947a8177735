//! What is wrong with a question. What the rows cannot tell is an answer and no error.

use scalelaw_fit::FitError;

/// Why a sweep could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum FindingsError {
    /// A setting of a fit is wrong.
    #[error("{0}")]
    Fit(#[from] FitError),
    /// A target names a skill that no run was evaluated on.
    #[error("no run was evaluated on a skill `{skill}` (known: `{known}`)")]
    UnknownSkill {
        /// As asked.
        skill: String,
        /// Those that there are.
        known: String,
    },
}
