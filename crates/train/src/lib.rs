//! Trains and judges language models, on the processor, through WGPU or through CUDA: the only crate that names burn.
//! Knows nothing of sweeps: it is given one run and that run's folder.
//!
//! Reading order: what is computed ([`layout`], [`init`], [`scaling`], [`model`], [`optimizer`]; the parts of the
//! model as single operations of the processor in `fused` and [`cpu`], on every other device in `composed`), how often
//! and on what ([`steps`], [`device`], [`speed`], [`timed`]), and what is left on the disk ([`run`], [`eval`], with their private
//! neighbours `text`, `prefetch`, `skipped`, `folder` and `checkpoint`).

mod composed;
pub mod cpu;
mod fused;
pub mod init;
pub mod layout;
pub mod model;
pub mod optimizer;
pub mod scaling;

mod cuda;
pub mod device;
pub mod speed;
pub mod steps;
pub mod timed;

mod checkpoint;
pub mod eval;
mod folder;
mod memory;
mod prefetch;
pub mod run;
mod skipped;
mod text;
mod time;

#[cfg(test)]
mod coordinate_test;
mod error;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod wgpu_test;

pub use device::{
    BURN_FEATURES, BURN_VERSION, OpenDevice, Program, check_precision, find_device, list_devices, open_device,
};
pub use error::TrainError;
pub use eval::{EvalJob, evaluate};
pub use run::{TrainJob, train};
pub use speed::measure_speed;
pub use timed::{TimedSpec, TimedSteps, time_steps};
