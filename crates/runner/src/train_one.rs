//! One run in this process, for other launchers (a batch system, a shell loop): the same contract as a worker's,
//! told by an exit code.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use scalelaw_schema::event::Event;
use scalelaw_schema::record::{Failure, Outcome};
use scalelaw_schema::train_spec::Start;

use crate::attempts::{self, failed_attempts, next_micro_batch_tokens};
use crate::early_stop::Peers;
use crate::error::RunnerError;
use crate::folder::{ending, go_on_where_stopped, is_over, read_run, run_folders};
use crate::holder::Holder;
use crate::lease::{Leases, Take};
use crate::serve::{Task, TrainFailure, failure_in, train_guarded};
use crate::trunk::{self, Trunk};

/// What came of one run.
#[derive(Debug, Clone, PartialEq)]
pub enum OneRun {
    /// It was trained to its end.
    Trained(Outcome),
    /// It was over before.
    AlreadyOver(Outcome),
    /// Someone else trains it.
    Taken(Option<Holder>),
    /// It branches off where its trunk has not come yet.
    Waiting,
    /// The attempt failed, and is written down in `attempts.jsonl` unless it was interrupted.
    Failed(TrainFailure),
}

impl OneRun {
    /// 0 over, 75 try again (out of memory, device lost, interrupted, trained by someone else, its trunk not so far),
    /// 76 diverged (trying again is useless), 1 another failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            OneRun::Trained(outcome) | OneRun::AlreadyOver(outcome) => match outcome {
                Outcome::Finished | Outcome::Stopped { .. } => 0,
                Outcome::Diverged { .. } => 76,
            },
            OneRun::Taken(_) | OneRun::Waiting => 75,
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
    if let Some(ending) = ending(folder, &run.id)?
        && is_over(&run, &ending.outcome)
    {
        return Ok(OneRun::AlreadyOver(ending.outcome));
    }
    let sweep_dir = folder.parent().unwrap_or(Path::new("."));
    let trunk = match &run.train.start {
        Start::Init => None,
        Start::Branch { parent, .. } => run_folders(sweep_dir)?.remove(parent),
    };
    let trunk = trunk::look(&run, folder, trunk.as_deref())?;
    if trunk == Trunk::Waiting {
        return Ok(OneRun::Waiting);
    }
    let bar = match run.early_stop {
        Some(_) => Peers::of(sweep_dir)?.bar(&run),
        None => None,
    };
    let leases = Leases::new(heartbeat);
    let lease = match take_patiently(&leases, folder, stop)? {
        Take::Taken(lease) => lease,
        Take::Held(holder) => return Ok(OneRun::Taken(holder)),
    };
    go_on_where_stopped(folder, &run)?;
    if let Trunk::Lost { why } = trunk {
        attempts::append(folder, &attempts::now(Failure::Error, why.clone(), None, None))?;
        return Ok(OneRun::Failed(TrainFailure { failure: Failure::Error, why }));
    }
    let micro_batch_tokens = next_micro_batch_tokens(&failed_attempts(folder)?, &run.train);
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
    let task = Task { folder, micro_batch_tokens, bar: bar.as_ref(), stop };
    let failed = match train_guarded(&task, &run.id, &mut hear, &mut train) {
        Ok(Ok(outcome)) => {
            lease.finish();
            return Ok(OneRun::Trained(outcome));
        }
        Ok(Err(failed)) => failed,
        Err(why) => TrainFailure { failure: failure_in(&why), why: format!("panicked: {why}") },
    };
    if failed.failure != Failure::Interrupted {
        let attempt = attempts::now(failed.failure, failed.why.clone(), micro_batch_tokens, checkpoint_step);
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
