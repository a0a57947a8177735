//! Fits scaling laws to tables of losses, with honest intervals. Pure `f64`: no files, no clock.

pub mod conclusion;
