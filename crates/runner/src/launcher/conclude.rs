//! How an attempt ends: with the run's record, with another attempt, or with a run that fails for this launch.

use std::time::{Duration, Instant};

use scalelaw_schema::record::Failure;

use super::progress::{Next, Progress};
use super::state::{ActiveRun, Phase, Scheduler};
use crate::error::RunnerError;
use crate::folder::attempts::{self, half};
use crate::folder::{check_writable, read_ending};

/// Pause until a failed run is tried again, times its attempts without progress.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

impl<'a> Scheduler<'a, '_> {
    /// Ends an attempt by the run's record; without one it has failed.
    pub fn conclude(&mut self, slot: usize, active: ActiveRun<'a>, failure: Failure, why: String) {
        match read_ending(&active.queued.folder, &active.queued.run.id) {
            Ok(Some(ending)) => {
                active.lease.finish();
                let run = active.queued.run.id.clone();
                self.count_ended(&active.queued, &ending.outcome);
                self.tell(Progress::Done { slot, run, outcome: ending.outcome });
            }
            Ok(None) => self.fail_attempt(slot, active, failure, why),
            Err(error) => self.fail_attempt(slot, active, Failure::Error, error.to_string()),
        }
    }

    /// Ends an attempt without a record.
    pub fn fail_attempt(&mut self, slot: usize, active: ActiveRun<'a>, failure: Failure, why: String) {
        let ActiveRun { mut queued, lease, micro_batch_tokens, checkpoint_step, .. } = active;
        let run = queued.run.id.clone();
        if failure == Failure::Interrupted && self.phase != Phase::Running {
            self.tell(Progress::Interrupted { slot, run });
            self.queue.push_front(queued);
            return;
        }
        let halved = half(micro_batch_tokens, &queued.run.train).filter(|_| failure == Failure::OutOfMemory);
        let can_halve = halved.is_some();
        if checkpoint_step > queued.farthest_step {
            queued.farthest_step = checkpoint_step;
            queued.attempts_without_progress = 0;
        }
        if !can_halve {
            queued.attempts_without_progress += 1;
        }
        if failure != Failure::Interrupted {
            let attempt = attempts::failed_now(failure, why.clone(), micro_batch_tokens, checkpoint_step);
            let written = attempts::append(&queued.folder, &attempt);
            if let Err(error) = written.and_then(|()| check_writable(&queued.folder)) {
                match RunnerError::from(error) {
                    error if error.is_fatal() => self.abort(error),
                    error => self.tell(Progress::Warning { text: error.to_string() }),
                }
            }
        }
        drop(lease);
        if queued.attempts_without_progress >= self.launch.max_attempts && self.fatal.is_none() {
            let next = Next::GiveUp;
            self.tell(Progress::Failed { slot, run, failure, why: why.clone(), next });
            self.fail_for_good(&queued, why, false);
            return;
        }
        let next = Next::Retry { micro_batch_tokens: halved.or(micro_batch_tokens) };
        self.tell(Progress::Failed { slot, run, failure, why, next });
        if can_halve {
            self.queue.push_front(queued);
        } else {
            // The others first: the cause may pass.
            queued.not_before = Some(Instant::now() + RETRY_PAUSE * queued.attempts_without_progress);
            self.queue.push_back(queued);
        }
    }
}
