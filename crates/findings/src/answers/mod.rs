//! From the rows of a sweep to its answers: which rows each question may use, and what they do not allow.

pub mod learning_rate;
pub mod scaling;
pub mod skills;

mod texts;

mod capacity;
mod mixture;
mod targets;

#[cfg(test)]
mod tests;
