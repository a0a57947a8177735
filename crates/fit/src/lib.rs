//! Fits scaling laws to tables of losses, with honest intervals. Pure `f64`: no files, no clock, no
//! random state but the seeds it is given.
//!
//! [`fit`] is the main function. Reading order: what is asked ([`FitSpec`], [`Objective`]) and how it is refused
//! ([`FitError`]); the rows as a law sees them ([`Rows`], [`Point`]); the [`laws`] and their frontier
//! ([`ComputeModel`]); [`stats`]; the [`search`]; the fit of a law with its intervals, predictions and the choice among
//! laws ([`law_fit`]); IsoFLOP minima ([`isoflop`]); the power of a design ([`power`]); several ways of counting
//! ([`exponents_by_count`]); and what is concluded ([`conclusion`]).
//! How exact, fast and calibrated all this is: `README.md`.

#![warn(missing_docs)]
// Matrices are indexed as in their formulas.
#![allow(clippy::needless_range_loop)]

mod error;
mod objective;
mod row;
mod spec;

pub mod stats;

pub mod laws;

mod frontier;

pub mod search;

pub mod conclusion;

pub mod isoflop;

pub mod law_fit;

mod counting;
mod design;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod testing;

pub use counting::{CountedExponent, exponents_by_count};
pub use design::{Expected, KnownLaw, Power, loss_name, parse_law_with_params, power};
pub use error::FitError;
pub use frontier::ComputeModel;
pub use law_fit::fit;
pub use laws::{ScalingLaw, law};
pub use objective::{Objective, UnknownObjective};
pub use row::{Point, Rows, finite_rows};
pub use spec::{FitSpec, LawChoice, PredictAt};
