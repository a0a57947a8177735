//! What is asked about a skill, and how answers are scored.
//!
//! In reading order: [`items`] gathers the items of a skill; [`overlap`] drops those that occur in the training text;
//! [`tokens`] writes them as the token sequences that a model is asked, and scores its answers.

mod item;

mod cloze;
mod item_lines;
pub mod items;
mod pieces;

pub mod overlap;

mod scoring;
mod sequence;
pub mod tokens;

pub use crate::error::suite::{ItemError, SuiteError};
pub use item::PlacedItem;
pub use items::Suite;
pub use sequence::{Sequence, SequenceLosses};
pub use tokens::TokenSuite;

#[cfg(test)]
mod tests;
