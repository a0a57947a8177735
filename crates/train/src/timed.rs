//! Steps on given weights and batches, timed one by one: for comparison with another trainer.

use std::path::PathBuf;
use std::time::Instant;

use scalelaw_data::Batch;
use scalelaw_schema::run::Cadence;
use scalelaw_schema::train_spec::TrainSpec;
use serde::{Deserialize, Serialize};

use crate::checkpoint::load_weights;
use crate::device::OpenDevice;
use crate::error::TrainError;
use crate::memory;
use crate::model;
use crate::optimizer::Moments;
use crate::steps::{Progress, StepSetup, TrainState, take_step};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimedSpec {
    /// Model, recipe and steps; its mixture and seed are not used.
    pub train: TrainSpec,
    /// Folder with the initial `weights.safetensors`.
    pub weights: PathBuf,
    /// Text as little-endian `u16`.
    pub tokens: PathBuf,
    /// Where each sequence begins in the text, as little-endian `u32`, the batches one after the other.
    pub offsets: PathBuf,
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
/// `File` or `Corrupt` where an input cannot be read, and those of the device.
pub fn time_steps(device: &OpenDevice, spec: &TimedSpec) -> Result<TimedSteps, TrainError> {
    let read = |path: &PathBuf| std::fs::read(path).map_err(|e| TrainError::file("read", path, e));
    let tokens: Vec<u16> =
        read(&spec.tokens)?.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)).collect();
    let offsets: Vec<usize> =
        read(&spec.offsets)?.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b) as usize).collect();
    let corrupt = |why: &str| TrainError::Corrupt {
        path: spec.offsets.clone(),
        why: why.to_string(),
        hint: "give an offset within the text for each sequence of each step",
    };
    device.run(|| {
        let train = &spec.train;
        train.check()?;
        device.check_precision(train.recipe.precision)?;
        let model = load_weights(&spec.weights, train.model.shape(), &device.device)?;
        let moments = Moments::zeros(&model);
        let mut state = TrainState { model, moments, progress: Progress::new(0, 0) };
        let mut steps = TimedSteps { losses: Vec::new(), seconds: Vec::new(), peak_bytes: None };
        let mut offsets = offsets.iter().copied();
        for step in 0..train.total_steps() {
            let phase = train.phase_at(step);
            let positions = state.model.positions(phase.context_len);
            let setup = StepSetup {
                train,
                cadence: &Cadence { log_steps: 0, checkpoint_steps: 0, eval_steps: 0 },
                keep_steps: &[],
                micro_batch: phase.batch_sequences,
                matmul_peak: None,
                device: &device.device,
            };
            let began = Instant::now();
            let mut batch = Batch { inputs: Vec::new(), targets: Vec::new() };
            for offset in offsets.by_ref().take(phase.batch_sequences) {
                let sequence = tokens.get(offset..=offset + phase.context_len);
                let sequence = sequence.ok_or_else(|| corrupt("has an offset beyond the text"))?;
                batch.inputs.extend_from_slice(&sequence[..phase.context_len]);
                batch.targets.extend_from_slice(&sequence[1..]);
            }
            if batch.inputs.len() as u64 != phase.batch_tokens() {
                return Err(corrupt("has too few offsets"));
            }
            state.progress.step = step;
            let (loss, norm) = take_step(&setup, &mut state, &batch, &positions);
            // The norm is known once the gradient is; on a GPU reading a weight waits for the update too.
            steps.losses.push(f64::from(model::read(loss)?[0]));
            model::read(norm)?;
            model::read(state.model.weights()[0].clone().narrow(0, 0, 1).narrow(1, 0, 1))?;
            steps.seconds.push(began.elapsed().as_secs_f64());
        }
        steps.peak_bytes = memory::peak_bytes();
        Ok(steps)
    })
}
