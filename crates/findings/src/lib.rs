//! Answers the questions that a sweep can answer: what is best at a budget, where to look next, what each skill wants
//! more of, which mixture, which learning rate, and the least that reaches a target. Pure: no files, no clock.

#![warn(missing_docs)]
// Matrices are indexed as in their formulas.
#![allow(clippy::needless_range_loop)]

mod error;
pub mod evidence;
mod texts;

pub mod scaling;

pub mod learning_rate;

pub mod curve_health;

pub mod skills;

pub mod mixture;

pub mod validation;

pub mod capacity;

pub mod target;

pub mod skill_findings;

mod findings;

#[cfg(test)]
mod tests;

pub use curve_health::CurveHealth;
pub use error::FindingsError;
pub use evidence::Evidence;
pub use findings::{Ask, Findings, Origin, Question, conclude, plan_hash};
pub use scaling::{Estimate, Optimum, Surface, Verdict, center_of_next_budget, fit_table};
pub use skill_findings::{SkillAsk, SkillFindings};
pub use target::{Investment, Price, Rates, Target, Viable};
pub use texts::Absent;
