//! Text for a terminal, one file per question: plain, without colour.

pub mod data;
pub mod eval;
