//! Turns fits into decisions: what is best at a budget, where to look next, and the least that
//! reaches a target. Pure: no files, no clock.

pub mod surface;

pub mod optimum;

pub mod center;

pub mod viable;

pub mod price;

pub use center::center_of_next_budget;
pub use optimum::{Estimate, Optimum};
pub use price::{Price, Rates};
pub use surface::Surface;
pub use viable::{Investment, Target, Viable};
