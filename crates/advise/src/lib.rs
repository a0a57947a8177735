//! Turns fits into decisions: today, what is best at a budget. Pure: no files, no clock.

pub mod surface;

pub mod optimum;

pub use optimum::{Estimate, Optimum};
pub use surface::Surface;
