//! What it takes to reach a target: the least model, data and compute ([`Viable`]), their price ([`Rates`]), and the
//! loss at which a skill reaches an accuracy ([`link`]).

mod answer;
pub mod link;
mod price;
mod viable;

pub use answer::SkillViable;
pub(crate) use answer::answer;
pub use price::{Price, Rates};
pub use viable::{Investment, Target, Viable};
