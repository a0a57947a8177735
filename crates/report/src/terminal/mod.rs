//! Text for a terminal, one file per question: plain, without colour.

pub mod data;
pub mod doctor;
pub mod eval;
pub mod plan;
pub mod status;
mod wrap;
