//! Trains and evaluates language models, on the processor, through WGPU or through CUDA: the only crate that names
//! burn. Knows nothing of sweeps: it is given one run and that run's folder.
//!
//! Reading order: what is computed (`models`, with the kernels of the processor in `cpu`, and `optimizer`), on what
//! (`device`), how often (`steps`, `prefetch`), and what is left on the disk (`run`, `eval`, with their neighbours
//! `text`, `skipped`, `folder` and `checkpoint`). `speed` and `timed` measure how fast all of it is.
//!
//! [`train`] trains a run from where its folder stands to its record.

#![warn(missing_docs)]

mod cpu;
mod models;
mod optimizer;

mod device;

mod prefetch;
mod steps;

mod checkpoint;
mod eval;
mod folder;
mod run;
mod skipped;
mod text;

mod speed;
mod timed;

mod error;
mod memory;
mod time;

#[cfg(test)]
mod coordinate_test;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod wgpu_test;

pub use device::{
    BURN_FEATURES, BURN_VERSION, OpenDevice, Program, check_precision, find_device, list_devices, open_device,
};
pub use error::{CheckpointError, TensorMismatch, TrainError};
pub use eval::{EvalJob, evaluate};
pub use run::{TrainJob, train};
pub use speed::measure_speed;
pub use timed::{TimedSpec, TimedSteps, time_steps};
