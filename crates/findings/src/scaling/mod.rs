//! Scaling: the fitted law as a surface over N and D, the best model at a budget, and where to centre the next budget.

mod answer;
mod center;
mod optimum;
mod surface;

#[cfg(test)]
pub(crate) mod testing;

pub(crate) use answer::LR;
pub use answer::{Verdict, answer, fit_table};
pub use center::center_of_next_budget;
pub use optimum::{Estimate, Optimum};
pub use surface::Surface;
