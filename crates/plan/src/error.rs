//! Why a sweep cannot be planned, or must not be started.

use thiserror::Error;

/// What is wrong with a sweep.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PlanError {
    /// A value of the sweep file that cannot be. The path is dotted, with positions as `[0]`, so that the line
    /// can be shown by [`scalelaw_schema::source::Layers::error_at`].
    #[error("`{path}`: {message}")]
    Sweep { path: String, message: String },
    /// The plan needs more than a limit of the sweep allows.
    #[error(
        "over budget: `limits.{limit}` allows {allowed}, the plan needs {planned} (hint: a smaller grid, or a higher limit)"
    )]
    OverBudget { limit: &'static str, allowed: String, planned: String },
}

impl PlanError {
    /// An error about the value at `path`.
    pub(crate) fn at(path: impl Into<String>, message: impl Into<String>) -> PlanError {
        PlanError::Sweep { path: path.into(), message: message.into() }
    }
}
