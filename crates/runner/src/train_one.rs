//! One run in this process, for other launchers (a batch system, a shell loop): the same contract as a worker's,
//! told by an exit code.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use scalelaw_schema::event::Event;
use scalelaw_schema::record::{Failure, Outcome};

use crate::attempts::{self, batch_sequences, failed_attempts, next_micro_batch};
use crate::error::RunnerError;
use crate::folder::{ending, read_run};
use crate::holder::Holder;
use crate::lease::{Leases, Take};
use crate::serve::{Task, TrainFailure, failure_in, train_guarded};

/// What came of one run.
#[derive(Debug, Clone, PartialEq)]
pub enum OneRun {
    /// It was trained to its end.
    Trained(Outcome),
    /// It was over before.
    AlreadyOver(Outcome),
    /// Someone else trains it.
    Taken(Option<Holder>),
    /// The attempt failed, and is written down in `attempts.jsonl` unless it was interrupted.
    Failed(TrainFailure),
}

impl OneRun {
    /// 0 over, 75 try again (out of memory, device lost, interrupted, trained by someone else), 76 diverged
    /// (trying again is useless), 1 another failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            OneRun::Trained(Outcome::Finished) | OneRun::AlreadyOver(Outcome::Finished) => 0,
            OneRun::Trained(Outcome::Diverged { .. }) | OneRun::AlreadyOver(Outcome::Diverged { .. }) => 76,
            OneRun::Taken(_) => 75,
            OneRun::Failed(failed) => match failed.failure {
                Failure::OutOfMemory | Failure::DeviceLost | Failure::Interrupted => 75,
                Failure::WorkerDied | Failure::Error => 1,
            },
        }
    }
}

/// Makes one attempt at the run in `folder`, which has its `run.toml`, under its lease. After an attempt that
/// lacked memory the next one computes half as many sequences at once.
///
/// `stop` asks the training to write a checkpoint and leave; it is also set here where the lease is lost.
/// `train` is what [`crate::serve::serve`] takes.
///
/// # Errors
/// `Io`, `ForeignRun`, `CorruptRecord`; nothing was trained then.
pub fn train_one(
    folder: &Path,
    heartbeat: Duration,
    stop: &AtomicBool,
    emit: &mut dyn FnMut(Event),
    mut train: impl FnMut(&Task, &mut dyn FnMut(Event)) -> Result<Outcome, TrainFailure>,
) -> Result<OneRun, RunnerError> {
    let run = read_run(folder)?;
    if let Some(ending) = ending(folder, &run.id)? {
        return Ok(OneRun::AlreadyOver(ending.outcome));
    }
    let leases = Leases::new(heartbeat);
    let lease = match take_patiently(&leases, folder, stop)? {
        Take::Taken(lease) => lease,
        Take::Held(holder) => return Ok(OneRun::Taken(holder)),
    };
    let micro_batch = next_micro_batch(&failed_attempts(folder)?, batch_sequences(&run.train));
    let mut checkpoint_step = None;
    let mut hear = |event: Event| {
        if lease.is_lost() {
            stop.store(true, Ordering::Relaxed);
        }
        if let Event::Started { step, .. } | Event::Checkpoint { step, .. } = event {
            checkpoint_step = Some(step);
        }
        emit(event);
    };
    let task = Task { folder, micro_batch, stop };
    let failed = match train_guarded(&task, &run.id, &mut hear, &mut train) {
        Ok(Ok(outcome)) => {
            lease.finish();
            return Ok(OneRun::Trained(outcome));
        }
        Ok(Err(failed)) => failed,
        Err(why) => TrainFailure { failure: failure_in(&why), why: format!("panicked: {why}") },
    };
    if failed.failure != Failure::Interrupted {
        let attempt = attempts::now(failed.failure, failed.why.clone(), micro_batch, checkpoint_step);
        attempts::append(folder, &attempt)?;
    }
    Ok(OneRun::Failed(failed))
}

/// Waits where the holder may be dead, until that is certain.
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
