//! Text for a terminal, one file per question: plain, without colour, no line longer than the width given.

pub mod findings;

pub mod scaling;

pub mod curve_health;
pub mod learning_rate;
pub mod skills;

pub mod comparison;
pub mod power;

pub mod data;
pub mod doctor;
pub mod eval;
pub mod plan;
pub mod status;
