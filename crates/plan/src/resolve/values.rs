//! Checks of values in a sweep file; an error names the path.

use scalelaw_schema::axis::Axis;

use crate::error::PlanError;

/// Most runs of a sweep. More than this is a mistake in an axis, found before it fills the memory.
const RUNS_MAX: usize = 100_000;

/// Whole numbers, each at least `least`.
pub(crate) fn counts(
    axis: Option<&Axis>,
    default: f64,
    path: &str,
    least: u64,
) -> Result<Vec<u64>, PlanError> {
    let values = axis.map_or_else(|| Axis::one(default).counts(), Axis::counts);
    let values = values.map_err(|x| PlanError::at(path, format!("`{x}` is not a whole number")))?;
    match values.iter().find(|value| **value < least) {
        Some(value) => Err(PlanError::at(path, format!("`{value}` must be at least {least}"))),
        None => Ok(values),
    }
}

/// Numbers that all satisfy `is_good`; `bound` says the same in words.
pub(crate) fn numbers(
    axis: Option<&Axis>,
    default: f64,
    path: &str,
    bound: &str,
    is_good: impl Fn(f64) -> bool,
) -> Result<Vec<f64>, PlanError> {
    let values = axis.map_or_else(|| vec![default], |axis| axis.values().to_vec());
    match values.iter().find(|x| !is_good(**x)) {
        Some(x) => Err(PlanError::at(path, format!("`{x}` must be {bound}"))),
        None => Ok(values),
    }
}

/// Refuses swept values that multiply to more than the most runs of a sweep.
pub(crate) fn check_product(path: &str, lengths: &[usize]) -> Result<(), PlanError> {
    let product = lengths.iter().fold(1usize, |product, length| product.saturating_mul(*length));
    if product > RUNS_MAX {
        return Err(PlanError::at(
            path,
            format!("the swept values multiply to {product} combinations; at most {RUNS_MAX} are allowed"),
        ));
    }
    Ok(())
}

/// One positive number.
pub(crate) fn positive(value: Option<f64>, default: f64, path: &str) -> Result<f64, PlanError> {
    match value {
        Some(x) if !(x.is_finite() && x > 0.0) => Err(PlanError::at(path, format!("`{x}` must be positive"))),
        Some(x) => Ok(x),
        None => Ok(default),
    }
}
