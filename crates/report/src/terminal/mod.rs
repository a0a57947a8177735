//! What the verbs print in a terminal.

pub mod status;
