//! The step loop. Knows nothing of files: text comes in and rows go out through closures.
//!
//! [`run_steps`] is the loop; one step of it is in [`gradient`], where a run stands in [`progress`].

mod clock;
mod gradient;
mod progress;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Tensor;
use scalelaw_data::Batch;
use scalelaw_schema::metrics::{self, MetricsRow};
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run::Cadence;
use scalelaw_schema::train_spec::{Phase, tail_steps};

use crate::error::TrainError;
use crate::memory;
use crate::models::transformer::Backend;
use crate::models::{self, Model};
use clock::Clock;

pub use gradient::{Step, Unread};
pub use progress::{LossSum, Progress, TrainState};

/// A run is given up after so many skipped steps in a row. One gradient that is not finite can be an
/// accident of one batch; since the weights stay, ten batches in a row mean that the weights are at fault.
const MAX_SKIPPED_IN_A_ROW: u32 = 10;
/// A loss this far above that of guessing evenly, `ln V`, is high, nats per token. An untrained model
/// starts at `ln V`; three nats more mean that the right token gets a twentieth of its even share.
const HIGH_LOSS_ABOVE_UNIFORM: f64 = 3.0;
/// A run is given up after so many steps in a row with a high loss, counted after the warm-up. Spikes of
/// healthy runs are over within a few tens of steps.
const MAX_HIGH_IN_A_ROW: u32 = 50;
/// Losses are read from the device at least this often, in steps: so many small tensors wait there.
const MAX_UNREAD_STEPS: usize = 64;

/// What the loop needs to know and does not change.
#[derive(Debug, Clone, Copy)]
pub struct StepSetup<'a> {
    /// What a step needs.
    pub step: Step<'a>,
    /// How often things are written.
    pub cadence: &'a Cadence,
    /// Steps with a checkpoint beside those of the cadence.
    pub keep_steps: &'a [u64],
    /// The device's best rate of matrix products, FLOP/s, where it was measured: for MFU.
    pub matmul_peak: Option<f64>,
}

/// Measurements by name.
pub type Values = BTreeMap<String, f64>;

/// Takes what the loop emits, and says whether it goes on.
pub type Sink<'a> = dyn FnMut(&TrainState, Output) -> Result<ControlFlow<Outcome>, TrainError> + 'a;

/// What the loop asks for and emits.
pub struct Hooks<'a> {
    /// The batch at a cursor.
    pub batch: &'a mut dyn FnMut(u64, &Phase) -> Result<Batch, TrainError>,
    /// Metrics of an evaluation by name; the flag says whether it is the last.
    pub evaluate: &'a mut dyn FnMut(&Model, bool) -> Result<Values, TrainError>,
    /// Takes what the loop emits, and says whether it goes on.
    pub sink: &'a mut Sink<'a>,
}

/// What the loop emits.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// A row of the metrics.
    Row(MetricsRow),
    /// The state is to be saved.
    Checkpoint,
    /// A step (from 0) was skipped.
    Skipped(u64),
}

/// What is to be done after a step.
#[derive(Debug, Clone, Copy)]
struct Due {
    is_last: bool,
    row: bool,
    evaluation: bool,
    checkpoint: bool,
}

impl Due {
    /// After `step` steps have been taken.
    fn after(step: u64, setup: &StepSetup) -> Due {
        let is_due = |every: u64| every > 0 && step.is_multiple_of(every);
        let cadence = setup.cadence;
        let is_last = step == setup.step.train.total_steps();
        let evaluation = is_last || is_due(cadence.eval_steps);
        let is_kept = setup.keep_steps.contains(&step);
        Due {
            is_last,
            row: evaluation || is_due(cadence.log_steps),
            evaluation,
            checkpoint: is_last || is_kept || is_due(cadence.checkpoint_steps),
        }
    }
}

/// Takes steps until the run ends.
///
/// # Errors
/// `Interrupted` after a checkpoint where `stop` became true; those of the device and of the hooks.
pub fn run_steps(
    setup: StepSetup,
    state: &mut TrainState,
    hooks: Hooks,
    stop: &AtomicBool,
) -> Result<Outcome, TrainError> {
    let clock = Clock::new(state.progress.wall_seconds);
    let mut steps = StepLoop { setup, hooks, clock, backend: None, unread: Vec::new() };
    let total_steps = setup.step.train.total_steps();
    while state.progress.step < total_steps {
        let flow = match stop.load(Ordering::Relaxed) {
            true => steps.interrupt(state)?,
            false => steps.next(state)?,
        };
        if let ControlFlow::Break(outcome) = flow {
            return Ok(outcome);
        }
    }
    Ok(Outcome::Finished)
}

/// The loop's own state: nothing of it is in a checkpoint.
struct StepLoop<'a, 'h> {
    setup: StepSetup<'a>,
    hooks: Hooks<'h>,
    clock: Clock,
    /// For sequences of so many tokens.
    backend: Option<(usize, Backend)>,
    /// Of the last steps, in their order.
    unread: Vec<Unread>,
}

impl StepLoop<'_, '_> {
    /// Takes one step and does what is due after it.
    fn next(&mut self, state: &mut TrainState) -> Result<ControlFlow<Outcome>, TrainError> {
        self.take_step(state)?;
        let due = Due::after(state.progress.step, &self.setup);
        if !due.row && !due.checkpoint && self.unread.len() < MAX_UNREAD_STEPS {
            return Ok(ControlFlow::Continue(()));
        }
        let norm = self.unread.last().map(|step| step.norm.clone());
        if let diverged @ ControlFlow::Break(_) = self.drain_losses(state)? {
            return Ok(diverged);
        }
        self.clock.pause();
        state.progress.wall_seconds = self.clock.wall_seconds();
        if due.row {
            let row = self.row(state, norm, due)?;
            if let stopped @ ControlFlow::Break(_) = (self.hooks.sink)(state, Output::Row(row))? {
                return Ok(stopped);
            }
        }
        if due.checkpoint
            && let stopped @ ControlFlow::Break(_) = (self.hooks.sink)(state, Output::Checkpoint)?
        {
            return Ok(stopped);
        }
        self.clock.resume();
        Ok(ControlFlow::Continue(()))
    }

    /// Saves the state and ends.
    fn interrupt(&mut self, state: &mut TrainState) -> Result<ControlFlow<Outcome>, TrainError> {
        if let diverged @ ControlFlow::Break(_) = self.drain_losses(state)? {
            return Ok(diverged);
        }
        state.progress.wall_seconds = self.clock.wall_seconds();
        match (self.hooks.sink)(state, Output::Checkpoint)? {
            ControlFlow::Continue(()) => Err(TrainError::Interrupted { step: state.progress.step }),
            stopped => Ok(stopped),
        }
    }

    fn take_step(&mut self, state: &mut TrainState) -> Result<(), TrainError> {
        let train = self.setup.step.train;
        let step = state.progress.step;
        let phase = train.phase_at(step);
        let (_, backend) = match self.backend.take() {
            Some(held) if held.0 == phase.context_len => self.backend.insert(held),
            _ => self.backend.insert((phase.context_len, state.model.backend(phase.context_len))),
        };
        let batch = (self.hooks.batch)(state.progress.cursor, phase)?;
        self.unread.push(self.setup.step.take(state, &batch, backend));
        state.progress.step = step + 1;
        state.progress.cursor += phase.batch_tokens();
        self.clock.count(phase.batch_tokens(), train.flops_until(step + 1) - train.flops_until(step));
        Ok(())
    }

    /// The row after the step that was just taken, and a new window of the clock.
    fn row(
        &mut self,
        state: &mut TrainState,
        norm: Option<Tensor<1>>,
        due: Due,
    ) -> Result<MetricsRow, TrainError> {
        let train = self.setup.step.train;
        let step = state.progress.step;
        let mut values = self.clock.values(self.setup.matmul_peak);
        let loss = std::mem::take(&mut state.progress.row).mean();
        let norm = norm.map(models::read).transpose()?.map(|norm| f64::from(norm[0]));
        values.extend(loss.map(|loss| (metrics::TRAIN_LOSS.to_string(), loss)));
        values.extend(norm.map(|norm| (metrics::TRAIN_GRAD_NORM.to_string(), norm)));
        values.insert(metrics::TRAIN_LR.to_string(), train.recipe.lr(step - 1, train.total_steps()));
        if due.evaluation {
            values.extend((self.hooks.evaluate)(&state.model, due.is_last)?);
        }
        values.extend(memory::peak_bytes().map(|bytes| (metrics::PEAK_BYTES.to_string(), bytes as f64)));
        values.retain(|_, value| value.is_finite());
        // The evaluation took time of the run, though not of its throughput.
        state.progress.wall_seconds = self.clock.wall_seconds();
        self.clock.reset();
        Ok(MetricsRow {
            step,
            tokens: train.tokens_until(step),
            flops: train.flops_until(step),
            wall_seconds: state.progress.wall_seconds,
            values,
        })
    }

    /// Reads the losses that are still on the device into the progress. Where the run is to be given up, it breaks at
    /// that step: this depends on the losses alone, not on when they are read.
    fn drain_losses(&mut self, state: &mut TrainState) -> Result<ControlFlow<Outcome>, TrainError> {
        let n = self.unread.len();
        if n == 0 {
            return Ok(ControlFlow::Continue(()));
        }
        let (losses, norms): (Vec<_>, Vec<_>) =
            self.unread.drain(..).map(|step| (step.loss, step.norm)).unzip();
        let values = models::read(Tensor::cat(vec![Tensor::cat(losses, 0), Tensor::cat(norms, 0)], 0))?;
        let (losses, norms) = values.split_at(n);
        let first = state.progress.step - n as u64;
        for (step, (&loss, &norm)) in (first..).zip(losses.iter().zip(norms)) {
            if norm.is_finite() {
                self.count_loss(&mut state.progress, step, f64::from(loss));
            } else {
                state.progress.skipped_steps.push(step);
                state.progress.skipped_in_a_row += 1;
                if let stopped @ ControlFlow::Break(_) = (self.hooks.sink)(state, Output::Skipped(step))? {
                    return Ok(stopped);
                }
            }
            let progress = &mut state.progress;
            if progress.skipped_in_a_row >= MAX_SKIPPED_IN_A_ROW
                || progress.high_in_a_row >= MAX_HIGH_IN_A_ROW
            {
                progress.step = step + 1;
                return Ok(ControlFlow::Break(Outcome::Diverged { step: step + 1 }));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Counts the loss of a step (from 0) that was not skipped.
    fn count_loss(&self, progress: &mut Progress, step: u64, loss: f64) {
        let train = self.setup.step.train;
        let total = train.total_steps();
        progress.skipped_in_a_row = 0;
        if loss.is_finite() {
            progress.row.add(loss);
            if total - step <= tail_steps(total) {
                progress.tail.add(loss);
            }
        }
        let uniform = (train.model.vocab_size() as f64).ln();
        let is_high = loss.is_nan() || loss > uniform + HIGH_LOSS_ABOVE_UNIFORM;
        progress.high_in_a_row = match is_high && step >= train.recipe.warmup_steps {
            true => progress.high_in_a_row + 1,
            false => 0,
        };
    }
}
