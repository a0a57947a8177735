//! Where a run stands: all that a checkpoint holds.

use serde::{Deserialize, Serialize};

use crate::models::Model;
use crate::optimizer::Moments;

/// Everything that a checkpoint holds.
#[derive(Debug, Clone)]
pub struct TrainState {
    /// Weights.
    pub model: Model,
    /// The optimizer's moments.
    pub moments: Moments,
    /// The rest.
    pub progress: Progress,
}

impl TrainState {
    /// Before the first step, with moments of zero.
    pub fn new(model: Model) -> TrainState {
        let moments = Moments::zeros(&model);
        TrainState { model, moments, progress: Progress::new(0, 0) }
    }
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Optimizer steps taken, those of a trunk included.
    pub step: u64,
    /// Position in the data: training tokens seen.
    pub cursor: u64,
    /// Seconds of training over all attempts.
    pub wall_seconds: f64,
    /// Steps (from 0) whose gradient was not finite.
    pub skipped_steps: Vec<u64>,
    /// Skipped steps up to here without a good one between.
    pub skipped_in_a_row: u32,
    /// Steps with a high loss up to here without another between.
    pub high_in_a_row: u32,
    /// Losses since the last row of the metrics.
    pub row: LossSum,
    /// Losses of the last twentieth of the steps.
    pub tail: LossSum,
}

impl Progress {
    /// Before the first step of a run that starts at `step` of its schedule (0 but for a branch).
    pub fn new(step: u64, cursor: u64) -> Progress {
        Progress {
            step,
            cursor,
            wall_seconds: 0.0,
            skipped_steps: Vec::new(),
            skipped_in_a_row: 0,
            high_in_a_row: 0,
            row: LossSum::default(),
            tail: LossSum::default(),
        }
    }
}

/// A sum of losses of steps that were not skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossSum {
    sum: f64,
    n: u64,
}

impl LossSum {
    /// Adds the loss of one step.
    pub fn add(&mut self, loss: f64) {
        self.sum += loss;
        self.n += 1;
    }

    /// The mean; `None` where there is nothing in it.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / self.n as f64)
    }
}
