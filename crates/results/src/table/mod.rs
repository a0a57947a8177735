//! Tables as columns and as files. Knows neither sweeps nor fits.

pub(crate) mod cell;
pub(crate) mod columns;
mod csv;
pub(crate) mod file;
pub(crate) mod filter;
pub(crate) mod frame;
