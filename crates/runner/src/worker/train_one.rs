//! One run in this process, for other launchers (a batch system, a shell loop): the contract of a worker, with an exit
//! code as the answer.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use scalelaw_schema::event::Event;
use scalelaw_schema::record::{Failure, Outcome};
use scalelaw_schema::train_spec::Start;

use super::attempt::{Attempted, Task, TrainFailure, attempt};
use crate::error::RunnerError;
use crate::folder::attempts::{self, failed_attempts, next_micro_batch_tokens};
use crate::folder::early_stop::Peers;
use crate::folder::holder::Holder;
use crate::folder::lease::{Leases, Take};
use crate::folder::trunk::{TrunkState, inspect_trunk};
use crate::folder::{is_ended, read_ending, read_run, reopen_if_stopped, run_folders};

/// Result of one attempt.
#[derive(Debug, Clone, PartialEq)]
pub enum OneRun {
    /// It was trained to its end.
    Trained(Outcome),
    /// It had ended before.
    AlreadyEnded(Outcome),
    /// Another process trains it; `None` if its lease cannot be read.
    Held(Option<Holder>),
    /// Its trunk has not reached the step at which it branches off.
    TrunkPending,
    /// The attempt failed, and is recorded in `attempts.jsonl` unless it was interrupted.
    Failed(TrainFailure),
}

impl OneRun {
    /// 0: ended; 75: try again (out of memory, device lost, interrupted, trained by another process, its trunk
    /// pending); 76: diverged, trying again is useless; 1: another failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            OneRun::Trained(outcome) | OneRun::AlreadyEnded(outcome) => match outcome {
                Outcome::Finished | Outcome::Stopped { .. } => 0,
                Outcome::Diverged { .. } => 76,
            },
            OneRun::Held(_) | OneRun::TrunkPending => 75,
            OneRun::Failed(failed) => match failed.failure {
                Failure::OutOfMemory | Failure::DeviceLost | Failure::Interrupted => 75,
                Failure::WorkerDied | Failure::Error => 1,
            },
        }
    }
}

/// Makes one attempt at the run in `folder`, which has its `run.toml`, under its lease. After an attempt that
/// ran out of memory the next one computes half as many tokens at once.
///
/// `stop` asks the training to write a checkpoint and return; it is also set here if the lease is lost.
/// `train` is what [`super::serve::serve`] takes.
///
/// # Errors
/// `Disk`, `ForeignRun`, `CorruptRecord`; nothing was trained then.
pub fn train_one(
    folder: &Path,
    heartbeat: Duration,
    stop: &AtomicBool,
    emit: &mut dyn FnMut(Event),
    mut train: impl FnMut(&Task, &mut dyn FnMut(Event)) -> Result<Outcome, TrainFailure>,
) -> Result<OneRun, RunnerError> {
    let run = read_run(folder)?;
    if let Some(ending) = read_ending(folder, &run.id)?
        && is_ended(&run, &ending.outcome)
    {
        return Ok(OneRun::AlreadyEnded(ending.outcome));
    }
    let sweep_dir = folder.parent().unwrap_or(Path::new("."));
    let trunk = match &run.train.start {
        Start::Init => None,
        Start::Branch { parent, .. } => run_folders(sweep_dir)?.remove(parent),
    };
    let trunk = inspect_trunk(&run, folder, trunk.as_deref())?;
    if trunk == TrunkState::Pending {
        return Ok(OneRun::TrunkPending);
    }
    let threshold = match run.early_stop {
        Some(_) => Peers::of(sweep_dir)?.threshold(&run),
        None => None,
    };
    let leases = Leases::new(heartbeat);
    let lease = match take_patiently(&leases, folder, stop)? {
        Take::Taken(lease) => lease,
        Take::Held(holder) => return Ok(OneRun::Held(holder)),
    };
    reopen_if_stopped(folder, &run)?;
    if let TrunkState::Lost { why } = trunk {
        attempts::append(folder, &attempts::failed_now(Failure::Error, why.clone(), None, None))?;
        return Ok(OneRun::Failed(TrainFailure { failure: Failure::Error, why }));
    }
    let micro_batch_tokens = next_micro_batch_tokens(&failed_attempts(folder)?, &run.train);
    let mut checkpoint_step = None;
    let mut watch = |event: Event| {
        if lease.is_lost() {
            stop.store(true, Ordering::Relaxed);
        }
        if let Event::Started { step, .. } | Event::Checkpoint { step, .. } = event {
            checkpoint_step = Some(step);
        }
        emit(event);
    };
    let task = Task { folder, micro_batch_tokens, threshold: threshold.as_ref(), stop };
    let failed = match attempt(&task, &run.id, &mut watch, &mut train) {
        Attempted::Ended(outcome) => {
            lease.finish();
            return Ok(OneRun::Trained(outcome));
        }
        Attempted::Failed(failed) => failed,
        Attempted::Panicked { why } => TrainFailure::from_panic(&why),
    };
    if failed.failure != Failure::Interrupted {
        let attempt =
            attempts::failed_now(failed.failure, failed.why.clone(), micro_batch_tokens, checkpoint_step);
        attempts::append(folder, &attempt)?;
    }
    Ok(OneRun::Failed(failed))
}

/// Waits if the holder may be dead, until that is certain.
fn take_patiently(leases: &Leases, folder: &Path, stop: &AtomicBool) -> Result<Take, RunnerError> {
    let clock = Instant::now();
    let mut watch = None;
    loop {
        match leases.take(folder, &mut watch)? {
            Take::Held(holder) if watch.is_some() && !stop.load(Ordering::Relaxed) => {
                let theirs = holder.as_ref().map_or(0.0, |holder| holder.heartbeat_seconds);
                if clock.elapsed().as_secs_f64() > 4.0 * theirs.max(leases.heartbeat().as_secs_f64()) {
                    return Ok(Take::Held(holder));
                }
                std::thread::sleep(leases.heartbeat().min(Duration::from_millis(500)));
            }
            take => return Ok(take),
        }
    }
}
