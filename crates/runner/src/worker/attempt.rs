//! One attempt at a run: the training closure, guarded against a second writer and against panics.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use scalelaw_schema::event::{EarlyStopThreshold, Event};
use scalelaw_schema::record::{Failure, Outcome};
use scalelaw_schema::run_id::RunId;

use crate::folder::{lock_for_writing, read_ending, read_run};

/// How long the worker of a killed launcher may take to exit, before its successor gives up waiting.
const WRITER_PATIENCE: Duration = Duration::from_secs(20);

/// What a training closure is asked to do.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// The run's folder, with its `run.toml`.
    pub folder: &'a Path,
    /// Tokens to compute at once, in whole sequences. Defaults to the whole batch.
    pub micro_batch_tokens: Option<u64>,
    /// The loss to compare the run's with, if it may be stopped early.
    pub threshold: Option<&'a EarlyStopThreshold>,
    /// Once true: write a checkpoint after this step and return `Failure::Interrupted`.
    pub stop: &'a AtomicBool,
}

/// A training closure: trains the task's run from its last checkpoint and emits events.
pub(super) type Train<'a> = dyn FnMut(&Task, &mut dyn FnMut(Event)) -> Result<Outcome, TrainFailure> + 'a;

/// Why an attempt did not bring its run to an end. Its checkpoints stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainFailure {
    /// What the launcher should do.
    pub failure: Failure,
    /// The message.
    pub why: String,
}

/// How an attempt ended.
pub(super) enum Attempted {
    /// The run has its record.
    Ended(Outcome),
    /// It has not.
    Failed(TrainFailure),
    /// The training panicked; the state that it left in memory and on the device is unknown.
    Panicked { why: String },
}

impl TrainFailure {
    /// A failure reported by the device or a library, classified by its message ([`failure_in`]).
    pub fn from_message(why: String) -> TrainFailure {
        TrainFailure { failure: failure_in(&why), why }
    }

    /// The failure that a panic with this message is.
    pub(super) fn from_panic(why: &str) -> TrainFailure {
        TrainFailure { failure: failure_in(why), why: format!("panicked: {why}") }
    }
}

/// Classifies the message of a device, a library or an allocator by what another attempt has to change.
pub fn failure_in(message: &str) -> Failure {
    let message = message.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if has(&["out of memory", "outofmemory", "out_of_memory", "out_of_device_memory", "memory allocation of"])
    {
        Failure::OutOfMemory
    } else if has(&["device lost", "device is lost", "device was lost", "devicelost", "device_lost"]) {
        Failure::DeviceLost
    } else {
        Failure::Error
    }
}

/// Trains one run, unless it has ended by now or another process may write in its folder.
pub(super) fn attempt(task: &Task, run: &RunId, emit: &mut dyn FnMut(Event), train: &mut Train) -> Attempted {
    let failed = |failure, why| Attempted::Failed(TrainFailure { failure, why });
    if task.stop.load(Ordering::Relaxed) {
        return failed(Failure::Interrupted, "asked to stop before it began".to_string());
    }
    let Some(_lock) = lock_for_writing(task.folder, WRITER_PATIENCE) else {
        let why = "another process still writes in the run's folder, although its lease is free".to_string();
        return failed(Failure::Error, why);
    };
    match read_ending(task.folder, run) {
        // Its last writer finished it, but nobody was left to be told.
        Ok(Some(ending)) => return Attempted::Ended(ending.outcome),
        Ok(None) => {}
        Err(error) => return failed(Failure::Error, error.to_string()),
    }
    match read_run(task.folder) {
        Ok(spec) if &spec.id == run => {}
        Ok(spec) => return failed(Failure::Error, format!("the folder of run {run} is for run {}", spec.id)),
        Err(error) => return failed(Failure::Error, error.to_string()),
    }
    match catch_unwind(AssertUnwindSafe(|| train(task, emit))) {
        Ok(Ok(outcome)) => Attempted::Ended(outcome),
        Ok(Err(failure)) => Attempted::Failed(failure),
        Err(panic) => Attempted::Panicked { why: panic_message(panic.as_ref()) },
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| text.to_string())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_string())
}
