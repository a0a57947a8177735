//! Why a sweep cannot be planned, or may not start.

use thiserror::Error;

/// Why a sweep is refused.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PlanError {
    /// An invalid value in the sweep file. [`scalelaw_schema::source::Layers::error_at`] shows its line.
    #[error("`{path}`: {message}")]
    Sweep {
        /// Dotted path of the value, with positions as `[0]`.
        path: String,
        /// What is wrong, and a hint.
        message: String,
    },
    /// The plan needs more than a limit of the sweep allows.
    #[error(
        "over budget: `limits.{limit}` allows {allowed}, the plan needs {planned} (hint: a smaller grid, or a higher limit)"
    )]
    OverBudget {
        /// Key under `[limits]`.
        limit: &'static str,
        /// Its value, with the unit.
        allowed: String,
        /// The sum over the runs, with the unit.
        planned: String,
    },
}

impl PlanError {
    /// An error about the value at `path`.
    pub(crate) fn at(path: impl Into<String>, message: impl Into<String>) -> PlanError {
        PlanError::Sweep { path: path.into(), message: message.into() }
    }
}
