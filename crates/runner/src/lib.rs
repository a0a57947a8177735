//! Runs what a plan still lacks: worker processes that take run after run, can die at any moment and are
//! replaced, under leases that let several launchers share one folder. Knows nothing of burn: training comes in
//! as a child process (launcher) or as a closure (worker).
//!
//! Launcher: [`outstanding`], [`launch`] ([`worker`], [`progress`], [`stop`]), what a run waits for or is held against
//! ([`trunk`], [`early_stop`]), [`lease`] ([`holder`]). Worker: [`serve`], [`train_one`]. Both read and write the run's folder through [`folder`] and [`attempts`]; [`status`] reads a
//! sweep from its folders alone.

pub mod outstanding;

pub mod launch;
pub mod progress;
pub mod stop;
pub mod worker;

pub mod early_stop;
pub mod trunk;

pub mod holder;
pub mod lease;

pub mod serve;
pub mod train_one;

pub mod attempts;
pub mod folder;
pub mod status;

mod error;

pub use error::RunnerError;
