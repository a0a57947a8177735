//! What the command line prints about a plan and the devices, as plain text.

pub mod doctor;
pub mod plan;
mod wrap;
