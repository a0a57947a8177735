//! One run's folder as a row and a learning curve.

pub(crate) mod curve;
pub(crate) mod folder;
mod metrics;
mod row_scan;
