//! Mixtures of training data: N* against the fraction of a skill's data ([`fraction`]), the loss of every text as
//! a law of the mixture ([`mixing_law`]), and the mixture that is best for a weighted set of texts ([`best`]).

pub(crate) mod answer;
pub mod best;
pub mod fraction;
mod mixing_fit;
pub mod mixing_law;

#[cfg(test)]
mod tests;

pub use answer::UseMixture;
pub(crate) use answer::{MixtureAnswer, answer};
