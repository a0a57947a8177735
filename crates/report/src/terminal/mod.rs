//! What the program prints, as text for a terminal.

pub mod data;
pub mod evaluation;
