//! Exit codes, and which error has which.

use scalelaw_data::DataError;
use scalelaw_fit::FitError;
use scalelaw_plan::PlanError;
use scalelaw_schema::SchemaError;
use scalelaw_train::TrainError;

/// Everything went well.
pub const OK: u8 = 0;
/// Something failed that has no code of its own.
pub const FAILURE: u8 = 1;
/// The command line or a configuration is wrong.
pub const USAGE: u8 = 2;
/// Some runs of a sweep failed.
pub const SOME_RUNS_FAILED: u8 = 3;
/// Refused before launch: the sweep would exceed one of its limits.
pub const OVER_BUDGET: u8 = 5;
/// The data does not determine what the fit was asked for.
pub const FIT_REFUSED: u8 = 6;
/// The requested device is missing.
pub const DEVICE_MISSING: u8 = 7;
/// Ctrl-C or another request to stop.
pub const INTERRUPTED: u8 = 130;

/// A mistake on the command line that no library checks.
#[derive(Debug)]
pub struct UsageError(pub String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// The exit code of an error: that of the first cause that has one.
pub fn code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if cause.is::<UsageError>() || cause.is::<SchemaError>() {
            return USAGE;
        }
        if cause.downcast_ref().is_some_and(DataError::is_bad_name) {
            return USAGE;
        }
        if let Some(plan) = cause.downcast_ref::<PlanError>() {
            return if matches!(plan, PlanError::OverBudget { .. }) { OVER_BUDGET } else { USAGE };
        }
        if let Some(FitError::Refused { .. }) = cause.downcast_ref::<FitError>() {
            return FIT_REFUSED;
        }
        if let Some(TrainError::MissingDevice { .. }) = cause.downcast_ref::<TrainError>() {
            return DEVICE_MISSING;
        }
    }
    FAILURE
}
