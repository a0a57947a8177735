//! Text for a terminal, one file per question: plain, without colour, no line longer than the width given.

pub mod comparison;
pub mod eval;
pub mod learning_rate;
pub mod power;
pub mod scaling;
pub mod skills;
