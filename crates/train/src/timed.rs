//! Steps on given weights and batches, timed one by one: for comparison with another trainer.

use std::path::PathBuf;
use std::time::Instant;

use scalelaw_data::Batch;
use scalelaw_schema::SchemaError;
use scalelaw_schema::train_spec::TrainSpec;
use serde::{Deserialize, Serialize};

use crate::checkpoint::load_weights;
use crate::device::OpenDevice;
use crate::error::TrainError;
use crate::memory;
use crate::models;
use crate::steps::{Step, TrainState};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimedSpec {
    /// Model, recipe and steps; its mixture and seed are not used.
    pub train: TrainSpec,
    /// Folder with the initial `weights.safetensors`.
    pub weights: PathBuf,
    /// The text.
    pub tokens: Vec<u16>,
    /// Where each sequence begins in the text, the batches one after the other.
    pub offsets: Vec<usize>,
}

/// What came out, step by step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimedSteps {
    /// Loss of each step's batch, nats per token.
    pub losses: Vec<f64>,
    /// Time of each step, from its batch to its updated weights.
    pub seconds: Vec<f64>,
    /// Largest resident memory of the process, where the system tells.
    pub peak_bytes: Option<u64>,
}

/// Takes the steps.
///
/// # Errors
/// `File` or `Corrupt` where the weights cannot be read, `Spec` where an offset is missing or beyond the text, and those of
/// the device.
pub fn time_steps(device: &OpenDevice, spec: &TimedSpec) -> Result<TimedSteps, TrainError> {
    let impossible = |why: &str| SchemaError::BadRun { why: why.to_string() };
    device.run(|| {
        let train = &spec.train;
        train.check()?;
        device.check_precision(train.recipe.precision)?;
        let model = load_weights(&spec.weights, &train.model, &device.device)?;
        let mut state = TrainState::new(model);
        let mut steps = TimedSteps { losses: Vec::new(), seconds: Vec::new(), peak_bytes: None };
        let mut offsets = spec.offsets.iter().copied();
        for step in 0..train.total_steps() {
            let phase = train.phase_at(step);
            let backend = state.model.backend(phase.context_len);
            let one = Step { train, micro_batch_tokens: phase.batch_tokens(), device: &device.device };
            let began = Instant::now();
            let mut batch = Batch { inputs: Vec::new(), targets: Vec::new() };
            for offset in offsets.by_ref().take(phase.batch_sequences) {
                let sequence = spec.tokens.get(offset..=offset + phase.context_len);
                let sequence = sequence.ok_or_else(|| impossible("an offset lies beyond the text"))?;
                batch.inputs.extend_from_slice(&sequence[..phase.context_len]);
                batch.targets.extend_from_slice(&sequence[1..]);
            }
            if batch.inputs.len() as u64 != phase.batch_tokens() {
                return Err(impossible("there are too few offsets").into());
            }
            state.progress.step = step;
            let unread = one.take(&mut state, &batch, &backend);
            // The norm is known once the gradient is; on a GPU reading a weight waits for the update too.
            steps.losses.push(f64::from(models::read(unread.loss)?[0]));
            models::read(unread.norm)?;
            models::read(state.model.weights()[0].clone().narrow(0, 0, 1).narrow(1, 0, 1))?;
            steps.seconds.push(began.elapsed().as_secs_f64());
        }
        steps.peak_bytes = memory::peak_bytes();
        Ok(steps)
    })
}
