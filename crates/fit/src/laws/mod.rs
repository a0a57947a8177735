//! The laws, one file each. A new law is a file and a name in [`ALL`].

mod law;

mod jet;

mod chinchilla;
mod critical_batch;
mod kaplan;
mod learning_curve;
mod over_training;
mod power;
mod repeats;
mod six;

pub use chinchilla::{Chinchilla, ChinchillaNoFloor, ChinchillaTied};
pub use critical_batch::CriticalBatch;
pub use kaplan::{Kaplan, KaplanFloor, KaplanSteps};
pub use law::{Axis, Link, ScalingLaw, TradeOff, Variable};
pub use learning_curve::LearningCurve;
pub use over_training::OverTraining;
pub use power::{Power, PowerFloor};
pub use repeats::Repeats;
pub use six::Six;

use crate::error::FitError;

/// The laws of a loss in N, D or C, in the order in which `--law all` prints them.
pub static ALL: &[&dyn ScalingLaw] = &[
    &Chinchilla,
    &ChinchillaTied,
    &ChinchillaNoFloor,
    &Kaplan,
    &KaplanFloor,
    &Six,
    &OverTraining,
    &Repeats,
    &power::POWER_N,
    &power::POWER_N_FLOOR,
    &power::POWER_D,
    &power::POWER_D_FLOOR,
    &power::POWER_C,
    &power::POWER_C_FLOOR,
];

/// Laws for tables whose columns mean something else, or for one run's curve: only by name.
pub static BY_NAME: &[&dyn ScalingLaw] =
    &[&LearningCurve, &KaplanSteps, &CriticalBatch, &power::POWER_T, &power::POWER_T_FLOOR];

/// The law of that name.
pub fn law(name: &str) -> Option<&'static dyn ScalingLaw> {
    ALL.iter().chain(BY_NAME).copied().find(|law| law.name() == name)
}

/// The law of that name, or the error that lists them.
pub fn find(name: &str) -> Result<&'static dyn ScalingLaw, FitError> {
    law(name).ok_or_else(|| FitError::UnknownLaw {
        name: name.into(),
        known: ALL
            .iter()
            .chain(BY_NAME)
            .map(|law| format!("`{}`", law.name()))
            .collect::<Vec<_>>()
            .join(", "),
    })
}

#[cfg(test)]
mod tests;
