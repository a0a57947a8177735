//! One run from its folder to its record: the step loop with files around it.

mod record;
mod resume;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use scalelaw_schema::eval::{EvalRequest, EvalSpec};
use scalelaw_schema::event::{EarlyStopThreshold, Event};
use scalelaw_schema::metrics::{self, MetricsRow};
use scalelaw_schema::record::{Outcome, RunRecord};
use scalelaw_schema::run::{EarlyStop, Keep, RunSpec};
use scalelaw_schema::score::Score;
use scalelaw_schema::train_spec::Phase;
use tracing::{Span, debug, error_span, info, warn};

use crate::checkpoint::{self, Checkpoints};
use crate::device::{OpenDevice, Program};
use crate::error::TrainError;
use crate::eval::{self, EvalJob, Evaluated};
use crate::folder;
use crate::memory;
use crate::models::Model;
use crate::prefetch::{Mode, Source};
use crate::skipped;
use crate::steps::{self, Hooks, Output, Step, StepSetup, Values};
use crate::text::Text;
use crate::time::now;
use record::Facts;

/// What [`train`] needs.
#[derive(Debug, Clone, Copy)]
pub struct TrainJob<'a> {
    /// The run.
    pub run: &'a RunSpec,
    /// Its folder, on which the caller holds the lease.
    pub folder: &'a Path,
    /// Where token sets are cached; those of the run are there.
    pub cache: &'a Path,
    /// What to compute on.
    pub device: &'a OpenDevice,
    /// Tokens computed at once, in whole sequences; defaults to the whole batch.
    pub micro_batch_tokens: Option<u64>,
    /// The device's measured rate of matrix products, FLOP/s; without it there is no MFU.
    pub matmul_peak: Option<f64>,
    /// The loss that the run's rule of early stop compares with; without it the run is never stopped early.
    pub threshold: Option<&'a EarlyStopThreshold>,
    /// For the provenance.
    pub program: &'a Program,
}

/// Trains a run from where its folder stands to its record, and evaluates it. A run with a record is not trained
/// again.
///
/// `stop` may become true at any moment: the run is then saved and ends as `Interrupted`. Events tell how far
/// it is; how it ended is in the return value alone.
///
/// # Errors
/// Anything that keeps the run from going on; the folder is as its last checkpoint left it.
pub fn train(
    job: &TrainJob,
    stop: &AtomicBool,
    on_event: &mut (dyn FnMut(Event) + Send),
) -> Result<Outcome, TrainError> {
    let run = job.run;
    run.train.check()?;
    job.device.check_precision(run.train.recipe.precision)?;
    let checkpoints = Checkpoints::of(job.folder, &run.id).keeping(&run.keep_steps);
    let outcome = match folder::read_record(job.folder)? {
        Some(record) => record.outcome,
        None => {
            // The device has threads of its own, which know nothing of the caller's span.
            let span = Span::current();
            let (outcome, record) =
                job.device.run(|| span.in_scope(|| train_to_record(job, &checkpoints, stop, on_event)))?;
            folder::write_record(job.folder, &record)?;
            outcome
        }
    };
    // From here on nothing may fail: the run has ended. Only one that was stopped early may ever go on.
    if !matches!(outcome, Outcome::Stopped { .. })
        && let Err(error) = checkpoints.remove_unkept()
    {
        warn!("{error}");
        on_event(Event::Warning { text: error.to_string() });
    }
    Ok(outcome)
}

/// Everything but writing the record.
fn train_to_record(
    job: &TrainJob,
    checkpoints: &Checkpoints,
    stop: &AtomicBool,
    on_event: &mut (dyn FnMut(Event) + Send),
) -> Result<(Outcome, RunRecord), TrainError> {
    let run = job.run;
    let text = Text::of_run(job.cache, run)?;
    let batches = text.batches(run)?;
    memory::reset_peak_bytes();

    let mut state = resume::resume_or_init(job, checkpoints, on_event)?;
    let (mut metrics_file, attempts) = resume::begin_attempt(job, &mut state)?;
    let total_steps = run.train.total_steps();
    let _attempt = error_span!("attempt", attempt = attempts.n).entered();
    match state.progress.step {
        0 => info!("started: {total_steps} steps"),
        step => info!("started from the checkpoint at step {step} of {total_steps}"),
    }
    on_event(Event::Started { run: run.id.clone(), step: state.progress.step, total_steps });

    let micro_batch_tokens = micro_batch_tokens(job);
    let setup = StepSetup {
        step: Step { train: &run.train, micro_batch_tokens, device: &job.device.device },
        cadence: &run.cadence,
        keep_steps: &run.keep_steps,
        matmul_peak: job.matmul_peak,
    };
    let mode = if job.device.backend() == "cpu" { Mode::Inline } else { Mode::Prefetch };
    let batch_at = {
        let batches = batches.clone();
        move |cursor, phase: &Phase| Ok(batches.at(cursor, phase)?)
    };
    let mut source = Source::new(mode, &run.train, &state.progress, batch_at);
    let mut evals = Evals { job, text: &text, last: BTreeMap::new() };
    let mut early_stop = EarlyStopCheck::new(job, state.progress.step);
    let hooks = Hooks {
        batch: &mut |cursor, phase| source.at(cursor, phase),
        evaluate: &mut |model, is_last| evals.measure(model, is_last),
        sink: &mut |state, output| {
            match output {
                Output::Row(row) => {
                    metrics_file.append(&row)?;
                    log_row(&row);
                    if let Some(event) = step_event(run, &row) {
                        on_event(event);
                    }
                    if early_stop.is_due(row.step) {
                        return Ok(early_stop.check(&metrics_file.rows()?, row.step));
                    }
                }
                Output::Checkpoint => {
                    // The rows first: a checkpoint promises that they are there up to its step.
                    metrics_file.sync()?;
                    checkpoints.save(state)?;
                    info!("checkpoint at step {}", state.progress.step);
                    on_event(Event::Checkpoint { run: run.id.clone(), step: state.progress.step });
                }
                Output::Skipped(step) => debug!("step {step} is skipped, its gradient is not finite"),
            }
            Ok(ControlFlow::Continue(()))
        },
    };
    let outcome = steps::run_steps(setup, &mut state, hooks, stop)?;
    if let Some(text) = skipped::text(&state.progress.skipped_steps) {
        warn!("{text}");
        let n_steps = state.progress.skipped_steps.len() as u64;
        on_event(Event::Skipped { run: run.id.clone(), n_steps });
    }
    if outcome == Outcome::Finished {
        evals.write_all(&state.model)?;
        if run.keep == Keep::Weights {
            checkpoint::save_weights(job.folder, &state.model)?;
        }
    }
    metrics_file.sync()?;
    let rows = metrics_file.rows()?;
    let epochs =
        batches.epochs(state.progress.cursor, run.train.phase_at(state.progress.step.saturating_sub(1)));
    let epochs = epochs.iter().map(|(hash, n)| (run.corpus_name(hash).to_string(), *n)).collect();
    let facts = Facts { rows: &rows, epochs, micro_batch_tokens, attempts };
    let record = record::record(job, &outcome, &state, facts);
    Ok((outcome, record))
}

/// Tokens that the job computes at once: at least one sequence and at most the largest batch.
fn micro_batch_tokens(job: &TrainJob) -> u64 {
    let (one, whole) = (job.run.train.longest_context(), job.run.train.largest_batch_tokens());
    job.micro_batch_tokens.unwrap_or(whole).clamp(one, whole)
}

/// Evaluations are for whoever reads the log; the loss of each row stands in the metrics.
fn log_row(row: &MetricsRow) {
    let is_score = |name: &str| name.starts_with("eval/") || name.starts_with("skill/");
    let scores: Vec<String> = row
        .values
        .iter()
        .filter(|(name, _)| is_score(name))
        .map(|(name, value)| format!("{name} {value:.4}"))
        .collect();
    if !scores.is_empty() {
        info!("evaluation at step {}: {}", row.step, scores.join(", "));
    }
    if let Some(loss) = row.values.get(metrics::TRAIN_LOSS) {
        debug!("step {}: loss {loss:.4}", row.step);
    }
}

/// `None` where every step of the row was skipped.
fn step_event(run: &RunSpec, row: &MetricsRow) -> Option<Event> {
    let value = |name: &str| row.values.get(name).copied();
    Some(Event::Step {
        run: run.id.clone(),
        step: row.step,
        loss: value(metrics::TRAIN_LOSS)?,
        tokens_per_second: value(metrics::TOKENS_PER_SECOND)?,
    })
}

/// The run's evaluations: some during training, all at its end.
struct Evals<'a> {
    job: &'a TrainJob<'a>,
    text: &'a Text,
    /// The last one of each request in full, by the hash of what was asked.
    last: BTreeMap<String, Timed>,
}

/// An evaluation and when it began.
struct Timed {
    evaluated: Evaluated,
    started: String,
}

impl Evals<'_> {
    /// Makes all of them, skills on fewer items before the last step, and returns what they add to a row of the
    /// metrics.
    fn measure(&mut self, model: &Model, is_last: bool) -> Result<Values, TrainError> {
        let run = self.job.run;
        let mut values = Values::new();
        for request in &run.evals {
            let spec = match is_last {
                true => request.spec.clone(),
                false => request.spec.at_most(run.cadence.eval_items),
            };
            let timed = self.evaluate(&spec, model)?;
            values.extend(values_of(&request.name, &timed.evaluated));
            if spec == request.spec {
                self.last.insert(request.spec.hash(), timed);
            }
        }
        Ok(values)
    }

    /// Writes those of the final weights.
    fn write_all(&mut self, model: &Model) -> Result<(), TrainError> {
        for request in &self.job.run.evals {
            // The last step has an evaluation, unless it was taken by an earlier attempt.
            let timed = match self.last.remove(&request.spec.hash()) {
                Some(timed) => timed,
                None => self.evaluate(&request.spec, model)?,
            };
            self.write(request, timed)?;
        }
        Ok(())
    }

    fn evaluate(&self, spec: &EvalSpec, model: &Model) -> Result<Timed, TrainError> {
        let started = now();
        let evaluated = eval::evaluate_model(model, spec, self.text, &self.job.device.device)?;
        Ok(Timed { evaluated, started })
    }

    fn write(&self, request: &EvalRequest, timed: Timed) -> Result<(), TrainError> {
        let TrainJob { run, folder, cache, device, program, .. } = *self.job;
        let job = EvalJob { run, folder, cache, device, program };
        folder::write_eval(folder, &eval::record(&job, request, timed.evaluated, &timed.started))
    }
}

/// What an evaluation adds to a row of the metrics.
fn values_of(name: &str, evaluated: &Evaluated) -> Values {
    let score = match &evaluated.score {
        Score::Items(score) => score,
        Score::Text { loss, bpb, .. } => {
            return [(metrics::eval_loss(name), *loss), (metrics::eval_bpb(name), *bpb)].into();
        }
    };
    let accuracy = score.accuracy.map(|accuracy| (metrics::skill_accuracy(name), accuracy.value));
    std::iter::once((metrics::skill_nll(name), score.nll.value)).chain(accuracy).collect()
}

/// The check of the run's rule of early stop. It is made once, at the first row from its step on; a run that is
/// resumed behind it passed before.
struct EarlyStopCheck<'a> {
    job: &'a TrainJob<'a>,
    pending: Option<(u64, EarlyStop)>,
}

impl<'a> EarlyStopCheck<'a> {
    fn new(job: &'a TrainJob, step: u64) -> EarlyStopCheck<'a> {
        let total_steps = job.run.train.total_steps();
        let at_step = job.run.early_stop.map(|rule| (rule.step(total_steps), rule));
        EarlyStopCheck { job, pending: at_step.filter(|(at_step, _)| step < *at_step) }
    }

    fn is_due(&self, step: u64) -> bool {
        self.pending.is_some_and(|(at_step, _)| step >= at_step)
    }

    /// Breaks where the loss is above that of the other run and the margin.
    fn check(&mut self, rows: &[MetricsRow], step: u64) -> ControlFlow<Outcome> {
        let (Some((_, rule)), Some(threshold)) = (self.pending.take(), self.job.threshold) else {
            return ControlFlow::Continue(());
        };
        match rule.loss(rows, self.job.run.train.total_steps()) {
            Some(loss) if loss > threshold.loss + rule.margin => {
                let why = format!(
                    "after {:.0} % of its steps its training loss was {loss:.4}, that of run {} {:.4}; `train.early-stop` stops a run that is more than {} above",
                    100.0 * rule.at,
                    threshold.peer,
                    threshold.loss,
                    rule.margin
                );
                ControlFlow::Break(Outcome::Stopped { step, why })
            }
            _ => ControlFlow::Continue(()),
        }
    }
}
