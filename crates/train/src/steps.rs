//! The step loop. Knows nothing of files: text comes in and rows go out through closures.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};
use scalelaw_data::Batch;
use scalelaw_schema::metrics::{self, MetricsRow};
use scalelaw_schema::recipe::Precision;
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run::Cadence;
use scalelaw_schema::train_spec::{Phase, TrainSpec, tail_steps};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::memory;
use crate::model::{self, Model, Positions, TokenBatch};
use crate::optimizer::{self, Moments, Update};
use crate::scaling::tensor_scales;

/// A run is given up after so many skipped steps in a row. One gradient that is not finite can be an
/// accident of one batch; since the weights stay, ten batches in a row mean that the weights are at fault.
pub const MAX_SKIPPED_IN_A_ROW: u32 = 10;
/// A loss this far above that of guessing evenly, `ln V`, is high, nats per token. An untrained model
/// starts at `ln V`; three nats more mean that the right token gets a twentieth of its even share.
pub const HIGH_LOSS_ABOVE_UNIFORM: f64 = 3.0;
/// A run is given up after so many steps in a row with a high loss, counted after the warm-up. Spikes of
/// healthy runs are over within a few tens of steps.
pub const MAX_HIGH_IN_A_ROW: u32 = 50;
/// Losses are read from the device at least this often, in steps: so many small tensors wait there.
const MAX_UNREAD_STEPS: usize = 64;

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

/// A sum of losses of steps that were not skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossSum {
    sum: f64,
    n: u64,
}

impl LossSum {
    fn add(&mut self, loss: f64) {
        self.sum += loss;
        self.n += 1;
    }

    /// The mean, absent where there is nothing in it.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0).then(|| self.sum / self.n as f64)
    }
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

/// What the loop needs to know and does not change.
#[derive(Debug, Clone, Copy)]
pub struct StepSetup<'a> {
    /// The run.
    pub train: &'a TrainSpec,
    /// How often things are written.
    pub cadence: &'a Cadence,
    /// Steps with a checkpoint beside those of the cadence.
    pub keep_steps: &'a [u64],
    /// Sequences computed at once.
    pub micro_batch: usize,
    /// The device's best rate of matrix products, FLOP/s, where it was measured: for MFU.
    pub matmul_peak: Option<f64>,
    /// Where the weights are.
    pub device: &'a Device,
}

/// Measurements by name.
pub type Values = BTreeMap<String, f64>;

/// What the loop asks for and tells.
pub struct Hooks<'a> {
    /// The batch at a cursor.
    pub batch: &'a mut dyn FnMut(u64, &Phase) -> Result<Batch, TrainError>,
    /// Metrics of an evaluation by name; told whether it is the last.
    pub evaluate: &'a mut dyn FnMut(&Model, bool) -> Result<Values, TrainError>,
    /// Takes what the loop puts out.
    pub sink: &'a mut dyn FnMut(&TrainState, Output) -> Result<(), TrainError>,
}

/// What the loop puts out.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// A row of the metrics.
    Row(MetricsRow),
    /// The state is to be saved.
    Checkpoint,
    /// A step (from 0) was skipped.
    Skipped(u64),
}

/// Takes steps until the run is over.
///
/// # Errors
/// `Interrupted` after a checkpoint where `stop` became true; those of the device and of the hooks.
pub fn run_steps(
    setup: StepSetup,
    state: &mut TrainState,
    mut hooks: Hooks,
    stop: &AtomicBool,
) -> Result<Outcome, TrainError> {
    let (train, cadence) = (setup.train, setup.cadence);
    let total = train.total_steps();
    let is_due = |step: u64, every: u64| every > 0 && step.is_multiple_of(every);
    let mut clock = Clock::new(state.progress.wall_seconds);
    let mut positions: Option<(usize, Positions)> = None;
    let mut unread = Vec::new();
    while state.progress.step < total {
        if stop.load(Ordering::Relaxed) {
            if let Some(step) = take_in(&setup, state, &mut unread, &mut hooks)? {
                return Ok(Outcome::Diverged { step });
            }
            clock.stop(state);
            (hooks.sink)(state, Output::Checkpoint)?;
            return Err(TrainError::Interrupted { step: state.progress.step });
        }
        let step = state.progress.step;
        let phase = train.phase_at(step);
        let tables = match positions.take() {
            Some((context_len, tables)) if context_len == phase.context_len => tables,
            _ => state.model.positions(phase.context_len),
        };
        let batch = (hooks.batch)(state.progress.cursor, phase)?;
        unread.push(take_step(&setup, state, &batch, &tables));
        positions = Some((phase.context_len, tables));

        let progress = &mut state.progress;
        progress.step = step + 1;
        progress.cursor += phase.batch_tokens();
        clock.tokens += phase.batch_tokens();
        clock.flops += train.flops_until(step + 1) - train.flops_until(step);

        let step = step + 1;
        let is_last = step == total;
        let is_row = is_last || is_due(step, cadence.log_steps) || is_due(step, cadence.eval_steps);
        let is_checkpoint =
            is_last || is_due(step, cadence.checkpoint_steps) || setup.keep_steps.contains(&step);
        if is_row || is_checkpoint || unread.len() >= MAX_UNREAD_STEPS {
            let norm = unread.last().map(|(_, norm)| norm.clone());
            if let Some(step) = take_in(&setup, state, &mut unread, &mut hooks)? {
                return Ok(Outcome::Diverged { step });
            }
            clock.stop(state);
            if is_row {
                let mut values = clock.values(setup.matmul_peak);
                let loss = std::mem::take(&mut state.progress.row).mean();
                let norm = norm.map(model::read).transpose()?.map(|norm| f64::from(norm[0]));
                values.extend(loss.map(|loss| (metrics::TRAIN_LOSS.to_string(), loss)));
                values.extend(norm.map(|norm| (metrics::TRAIN_GRAD_NORM.to_string(), norm)));
                values.insert(metrics::TRAIN_LR.to_string(), train.recipe.lr(step - 1, total));
                if is_last || is_due(step, cadence.eval_steps) {
                    values.extend((hooks.evaluate)(&state.model, is_last)?);
                }
                values.extend(
                    memory::peak_bytes().map(|bytes| (metrics::PEAK_BYTES.to_string(), bytes as f64)),
                );
                values.retain(|_, value| value.is_finite());
                // The evaluation took time of the run, though not of its throughput.
                state.progress.wall_seconds = clock.wall_seconds();
                let row = MetricsRow {
                    step,
                    tokens: train.tokens_until(step),
                    flops: train.flops_until(step),
                    wall_seconds: state.progress.wall_seconds,
                    values,
                };
                clock.reset();
                (hooks.sink)(state, Output::Row(row))?;
            }
            if is_checkpoint {
                (hooks.sink)(state, Output::Checkpoint)?;
            }
            clock.start();
        }
    }
    Ok(Outcome::Finished)
}

/// Gradient and update of one step. Returns the loss of the batch and the norm of its gradient, `[1]` each,
/// still on the device.
pub(crate) fn take_step(
    setup: &StepSetup,
    state: &mut TrainState,
    batch: &Batch,
    positions: &Positions,
) -> (Tensor<1>, Tensor<1>) {
    let train = setup.train;
    let (step, total) = (state.progress.step, train.total_steps());
    let parts = Parts {
        context_len: train.phase_at(step).context_len,
        micro_batch: setup.micro_batch,
        precision: train.recipe.precision,
    };
    let (loss, grads) = gradient(&state.model, batch, parts, positions, setup.device);
    let scales = tensor_scales(state.model.specs(), train.model.shape(), &train.recipe.parametrisation);
    let update = Update {
        optimizer: &train.recipe.optimizer,
        scales: &scales,
        lr: train.recipe.lr(step, total),
        step,
        clip_norm: train.recipe.grad_clip_norm,
    };
    let norm = optimizer::apply(&mut state.model, &mut state.moments, grads, update);
    (loss, norm)
}

/// How a batch is cut and computed.
#[derive(Debug, Clone, Copy)]
pub struct Parts {
    /// Tokens of a sequence.
    pub context_len: usize,
    /// Sequences computed at once.
    pub micro_batch: usize,
    /// Of the products with weights.
    pub precision: Precision,
}

/// Mean loss of a batch, `[1]`, and its gradient by each tensor, computed for some sequences at
/// once: the sum of the parts' gradients, each weighted by its share of the tokens.
pub fn gradient(
    model: &Model,
    batch: &Batch,
    parts: Parts,
    positions: &Positions,
    device: &Device,
) -> (Tensor<1>, Vec<Tensor<2>>) {
    let Parts { context_len, micro_batch, precision } = parts;
    let part_len = micro_batch.max(1) * context_len;
    let mut sum: Option<(Tensor<1>, Vec<Tensor<2>>)> = None;
    for (inputs, targets) in batch.inputs.chunks(part_len).zip(batch.targets.chunks(part_len)) {
        let tracked = model.tracked();
        let tokens = TokenBatch::new(inputs, targets, context_len, device);
        let mut loss = tracked.mean_loss(&tokens, positions, precision);
        if inputs.len() < batch.inputs.len() {
            loss = loss.mul_scalar(inputs.len() as f64 / batch.inputs.len() as f64);
        }
        let mut grads = loss.backward();
        let grads = tracked.weights().iter().map(|weight| {
            weight.grad_remove(&mut grads).expect("the loss depends on every tensor of the model")
        });
        let loss = loss.without_autodiff();
        sum = Some(match sum {
            None => (loss, grads.collect()),
            Some((loss_sum, grad_sum)) => {
                (loss_sum + loss, grad_sum.into_iter().zip(grads).map(|(sum, grad)| sum + grad).collect())
            }
        });
    }
    sum.expect("a batch has at least one sequence")
}

/// Reads the steps that are still on the device into the progress. Returns the step at which the run is to
/// be given up, where it is: it depends on the losses alone, not on when they are read.
fn take_in(
    setup: &StepSetup,
    state: &mut TrainState,
    unread: &mut Vec<(Tensor<1>, Tensor<1>)>,
    hooks: &mut Hooks,
) -> Result<Option<u64>, TrainError> {
    let (losses, norms): (Vec<_>, Vec<_>) = std::mem::take(unread).into_iter().unzip();
    if losses.is_empty() {
        return Ok(None);
    }
    let n = losses.len() as u64;
    let values = model::read(Tensor::cat(vec![Tensor::cat(losses, 0), Tensor::cat(norms, 0)], 0))?;
    let (losses, norms) = values.split_at(n as usize);
    let train = setup.train;
    let total = train.total_steps();
    let uniform = (train.model.shape().vocab_size as f64).ln();
    let first = state.progress.step - n;
    for (step, (&loss, &norm)) in (first..).zip(losses.iter().zip(norms)) {
        let loss = f64::from(loss);
        let progress = &mut state.progress;
        if norm.is_finite() {
            progress.skipped_in_a_row = 0;
            if loss.is_finite() {
                progress.row.add(loss);
                if total - step <= tail_steps(total) {
                    progress.tail.add(loss);
                }
            }
            let is_high = loss.is_nan() || loss > uniform + HIGH_LOSS_ABOVE_UNIFORM;
            progress.high_in_a_row = match is_high && step >= train.recipe.warmup_steps {
                true => progress.high_in_a_row + 1,
                false => 0,
            };
        } else {
            progress.skipped_steps.push(step);
            progress.skipped_in_a_row += 1;
            (hooks.sink)(state, Output::Skipped(step))?;
        }
        let progress = &mut state.progress;
        if progress.skipped_in_a_row >= MAX_SKIPPED_IN_A_ROW || progress.high_in_a_row >= MAX_HIGH_IN_A_ROW {
            progress.step = step + 1;
            return Ok(Some(step + 1));
        }
    }
    Ok(None)
}

/// Measures the time of steps apart from that of checkpoints and evaluations.
struct Clock {
    before: f64,
    began: Instant,
    window_began: Instant,
    window: Duration,
    tokens: u64,
    flops: f64,
}

impl Clock {
    fn new(before: f64) -> Clock {
        let now = Instant::now();
        Clock { before, began: now, window_began: now, window: Duration::ZERO, tokens: 0, flops: 0.0 }
    }

    fn wall_seconds(&self) -> f64 {
        self.before + self.began.elapsed().as_secs_f64()
    }

    fn stop(&mut self, state: &mut TrainState) {
        self.window += self.window_began.elapsed();
        state.progress.wall_seconds = self.wall_seconds();
    }

    fn start(&mut self) {
        self.window_began = Instant::now();
    }

    fn reset(&mut self) {
        self.window = Duration::ZERO;
        self.tokens = 0;
        self.flops = 0.0;
    }

    fn values(&self, matmul_peak: Option<f64>) -> Values {
        let seconds = self.window.as_secs_f64();
        let mut values = Values::new();
        values.insert(metrics::TOKENS_PER_SECOND.to_string(), self.tokens as f64 / seconds);
        if let Some(peak) = matmul_peak {
            values.insert(metrics::MFU.to_string(), self.flops / seconds / peak);
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, train_in_memory, train_spec};
    use scalelaw_schema::recipe::InitRule;
    use scalelaw_schema::shape::Head;

    #[test]
    fn gradients_agree_with_finite_differences() {
        let device = Device::flex();
        for head in [Head::Tied, Head::Untied] {
            let shape = testing::shape(head);
            let phase = Phase { context_len: 8, batch_sequences: 2, steps: 1 };
            let batch = testing::batch(0, &phase).unwrap();
            let model = Model::new(&shape, InitRule::ScaledNormal { std: 0.2 }, 2, &device);
            let positions = model.positions(8);
            let parts = Parts { context_len: 8, micro_batch: 2, precision: Precision::F32 };
            let (_, grads) = gradient(&model, &batch, parts, &positions, &device);
            let loss_at = |tensor_idx: usize, move_by: &[f32]| -> f64 {
                let mut moved = 0;
                let model = Model::build(&shape, &device, |spec| {
                    let values = testing::weights(&model)[moved].clone();
                    moved += 1;
                    Ok(if spec.name == model.specs()[tensor_idx].name {
                        values.iter().zip(move_by).map(|(a, b)| a + b).collect()
                    } else {
                        values
                    })
                })
                .unwrap();
                let tokens = TokenBatch::new(&batch.inputs, &batch.targets, 8, &device);
                let losses = model::read(model.token_losses(&tokens, &positions)).unwrap();
                losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len() as f64
            };
            for (tensor_idx, spec) in model.specs().iter().enumerate() {
                // Along the gradient itself, where the difference is largest against the rounding of f32.
                let grad = model::to_host(&grads[tensor_idx], spec).unwrap();
                let norm = grad.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
                let h = 3e-3;
                let direction = |sign: f64| -> Vec<f32> {
                    grad.iter().map(|&g| (sign * h * f64::from(g) / norm) as f32).collect()
                };
                let slope = (loss_at(tensor_idx, &direction(1.0)) - loss_at(tensor_idx, &direction(-1.0)))
                    / (2.0 * h);
                // Losses of about 3 carry some 4e-7 of rounding, which 2h makes 7e-5 of slope; the third
                // derivative adds about 3e-4 of it.
                assert!(
                    (slope - norm).abs() < 1e-4 + 1e-3 * norm,
                    "{head:?} {}: slope {slope}, norm {norm}",
                    spec.name
                );
            }
        }
    }

    #[test]
    fn the_loss_falls_on_a_text_that_can_be_learnt_and_the_schedule_is_applied() {
        let train = train_spec(60);
        let (outcome, state, rows) = train_in_memory(&train, 6, &Device::flex(), &mut testing::batch);
        assert_eq!(outcome, Outcome::Finished);
        let loss = |row: &MetricsRow| row.values[metrics::TRAIN_LOSS];
        assert!((loss(&rows[0]) - 29f64.ln()).abs() < 0.1, "{}", loss(&rows[0]));
        assert!(loss(&rows[59]) < 1.5, "{}", loss(&rows[59]));
        for (step, row) in rows.iter().enumerate() {
            assert_eq!(row.values[metrics::TRAIN_LR], train.recipe.lr(step as u64, 60), "step {step}");
        }
        let last = &rows[59];
        assert_eq!((last.step, last.tokens, last.flops), (60, 60 * 96, train.flops().total()));
        let tail: f64 = rows[57..].iter().map(loss).sum::<f64>() / 3.0;
        assert!((state.progress.tail.mean().unwrap() - tail).abs() < 1e-12);
    }

    #[test]
    fn a_run_has_the_same_bits_each_time_and_for_any_number_of_threads() {
        let train = train_spec(12);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (_, state, _) = train_in_memory(&train, 6, &Device::flex(), &mut testing::batch);
                testing::weights(&state.model)
            })
        };
        let one = run(1);
        assert_eq!(one, run(1));
        assert_eq!(one, run(2));
    }

    #[test]
    fn micro_batches_change_the_rounding_alone() {
        let train = train_spec(10);
        let losses = |micro_batch: usize| -> Vec<f64> {
            let (_, _, rows) = train_in_memory(&train, micro_batch, &Device::flex(), &mut testing::batch);
            rows.iter().map(|row| row.values[metrics::TRAIN_LOSS]).collect()
        };
        let whole = losses(6);
        // 4 leaves a smaller part of 2; 99 is more than there is.
        for micro_batch in [1, 2, 4, 99] {
            for (a, b) in whole.iter().zip(losses(micro_batch)) {
                // The rounding of f32 sums grows a little from step to step.
                assert!((a - b).abs() < 1e-4, "micro-batch {micro_batch}: {a} {b}");
            }
        }
    }

    #[test]
    fn phases_may_change_context_and_batch() {
        let mut train = train_spec(0);
        train.phases = vec![
            Phase { context_len: 8, batch_sequences: 4, steps: 3 },
            Phase { context_len: 16, batch_sequences: 2, steps: 5 },
        ];
        let mut cursors = Vec::new();
        let (outcome, state, rows) = train_in_memory(&train, 9, &Device::flex(), &mut |cursor, phase| {
            cursors.push(cursor);
            testing::batch(cursor, phase)
        });
        assert_eq!(outcome, Outcome::Finished);
        assert_eq!(cursors, [0, 32, 64, 96, 128, 160, 192, 224]);
        assert_eq!((state.progress.cursor, rows[7].tokens), (256, 256));
    }

    #[test]
    fn a_learning_rate_beyond_reason_ends_as_diverged_at_the_same_step_however_often_it_is_logged() {
        let mut train = train_spec(300);
        train.recipe.lr_peak = 1e4;
        let (outcome, state, rows) = train_in_memory(&train, 6, &Device::flex(), &mut testing::batch);
        let Outcome::Diverged { step } = outcome else { panic!("{outcome:?}") };
        assert_eq!((state.progress.step, rows.len() as u64), (step, step - 1));
        assert!(step < 300);
        let cadence = Cadence { log_steps: 1000, checkpoint_steps: 0, eval_steps: 0, eval_items: None };
        let device = Device::flex();
        let setup = StepSetup {
            train: &train,
            cadence: &cadence,
            keep_steps: &[],
            micro_batch: 6,
            matmul_peak: None,
            device: &device,
        };
        let hooks = Hooks {
            batch: &mut testing::batch,
            evaluate: &mut |_, _| Ok(Values::new()),
            sink: &mut |_, _| Ok(()),
        };
        let again = run_steps(setup, &mut testing::fresh(&train, &device), hooks, &AtomicBool::new(false));
        assert_eq!(again.unwrap(), Outcome::Diverged { step });
    }
}
