//! Answers the questions that a sweep can answer: what is best at a budget, where to look next, what each skill wants
//! more of, which mixture, which learning rate, and the least that reaches a target. Pure: no files, no clock.

// Matrices are indexed as in their formulas.
#![allow(clippy::needless_range_loop)]

pub mod surface;

pub mod optimum;

pub mod center;

pub mod skills;

pub mod mixture;

pub mod capacity;

pub mod critical_batch;
pub mod learning_rate;

pub mod viable;

pub mod price;

pub use center::center_of_next_budget;
pub use optimum::{Estimate, Optimum};
pub use price::{Price, Rates};
pub use surface::Surface;
pub use viable::{Investment, Target, Viable};
