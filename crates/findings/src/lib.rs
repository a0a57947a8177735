//! Answers the questions that a sweep can answer: what is best at a budget, where to look next, what each skill wants
//! more of, which mixture, which learning rate, and the least that reaches a target. Pure: no files, no clock.

#![warn(missing_docs)]
// Matrices are indexed as in their formulas.
#![allow(clippy::needless_range_loop)]

mod error;
pub mod evidence;

pub mod answers;
mod findings;

mod scaling;

pub mod skills;

pub mod mixture;

pub mod validation;

pub mod capacity;

pub mod learning_rate;

pub mod target;

pub use answers::learning_rate::rule;
pub use answers::scaling::{Verdict, fit_table};
pub use answers::skills::{Absent, SkillAsk, SkillCapacity, SkillFindings, SkillViable, UseMixture};
pub use error::FindingsError;
pub use evidence::Evidence;
pub use findings::{Ask, Findings, Origin, Question, conclude, plan_hash};
pub use scaling::{Estimate, Optimum, Surface, center_of_next_budget};
pub use target::{Investment, Price, Rates, Target, Viable};
