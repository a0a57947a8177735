//! Finds the next run that can start, and gives it to a worker.

use std::time::{Duration, Instant};

use scalelaw_schema::event::Command;
use scalelaw_schema::record::{Failure, Outcome};
use scalelaw_schema::train_spec::Start;

use super::process::Worker;
use super::progress::Progress;
use super::state::{ActiveRun, QueuedRun, Scheduler};
use crate::error::RunnerError;
use crate::folder::attempts::{self, failed_attempts, next_micro_batch_tokens};
use crate::folder::holder::Holder;
use crate::folder::lease::{Lease, Take};
use crate::folder::trunk::{TrunkState, inspect_trunk};
use crate::folder::{is_ended, prepare, read_ending, reopen_if_stopped};

/// Until a run that another launcher holds, or whose trunk is pending, is inspected again.
const RECHECK_PAUSE: Duration = Duration::from_secs(1);

/// Whether a run can start here and now.
enum Claim {
    Ours(Lease),
    Held(Option<Holder>),
    Ended(Outcome),
}

impl<'a> Scheduler<'a, '_> {
    /// Gives runs to free slots, as long as there are both.
    pub fn fill_slots(&mut self) {
        for slot_idx in 0..self.slots.len() {
            if !self.slots[slot_idx].is_free() {
                continue;
            }
            let dispatched = match self.next_run() {
                Ok(Some((queued, lease))) => self.dispatch(slot_idx, queued, lease),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            if let Err(error) = dispatched {
                return self.abort(error);
            }
        }
    }

    /// The first run of the queue that can start now, with its lease. Runs that have ended, or that cannot be tried,
    /// leave the queue on the way.
    ///
    /// # Errors
    /// What every other run would meet too. The run stays in the queue.
    fn next_run(&mut self) -> Result<Option<(QueuedRun<'a>, Lease)>, RunnerError> {
        let mut idx = 0;
        while idx < self.queue.len() {
            if self.queue[idx].not_before.is_some_and(|at| Instant::now() < at) {
                idx += 1;
                continue;
            }
            let mut queued = self.queue.remove(idx).expect("the index is below the length");
            let refused = match self.trunk_of(&queued) {
                Ok(TrunkState::Ready) => match self.claim(&mut queued) {
                    Ok(Claim::Ours(lease)) => {
                        queued.held_by_other_launcher = false;
                        return Ok(Some((queued, lease)));
                    }
                    Ok(Claim::Ended(outcome)) => {
                        self.count_ended(&queued, &outcome);
                        self.tell(Progress::DoneElsewhere { run: queued.run.id.clone(), outcome });
                        continue;
                    }
                    Ok(Claim::Held(holder)) => {
                        if !queued.held_by_other_launcher {
                            let holder = holder.map(|holder| format!("{} pid {}", holder.host, holder.pid));
                            self.tell(Progress::Elsewhere { run: queued.run.id.clone(), holder });
                        }
                        queued.held_by_other_launcher = true;
                        None
                    }
                    Err(error) if error.is_fatal() => {
                        self.queue.insert(idx, queued);
                        return Err(error);
                    }
                    Err(error) => Some((error.to_string(), false)),
                },
                Ok(TrunkState::Pending) => None,
                Ok(TrunkState::Lost { why }) => match self.record_lost_trunk(&mut queued, &why) {
                    Err(error) if error.is_fatal() => {
                        self.queue.insert(idx, queued);
                        return Err(error);
                    }
                    _ => Some((why, true)),
                },
                Err(error) => Some((error.to_string(), false)),
            };
            match refused {
                Some((why, is_blocked)) => {
                    self.tell(Progress::Refused { run: queued.run.id.clone(), why: why.clone() });
                    self.fail_for_good(&queued, why, is_blocked);
                }
                None => {
                    queued.not_before = Some(Instant::now() + RECHECK_PAUSE.min(self.launch.heartbeat));
                    self.queue.insert(idx, queued);
                    idx += 1;
                }
            }
        }
        Ok(None)
    }

    /// Whether a branch can start, as far as this launch knows.
    fn trunk_of(&self, queued: &QueuedRun) -> Result<TrunkState, RunnerError> {
        let found = inspect_trunk(queued.run, &queued.folder, queued.trunk.as_deref())?;
        let Start::Branch { parent, .. } = &queued.run.train.start else { return Ok(found) };
        if found != TrunkState::Pending {
            return Ok(found);
        }
        if let Some(failed) = self.failed.iter().find(|failed| &failed.run == parent) {
            // Of a chain of runs the first that failed is the one to name.
            let why = match failed.is_blocked {
                true => failed.why.clone(),
                false => format!("its trunk {} failed: {}", failed.folder, failed.why),
            };
            return Ok(TrunkState::Lost { why });
        }
        if !self.given.contains(parent) {
            let why = format!(
                "its trunk {parent} is neither trained nor among the runs to train (hint: `scalelaw run` plans it)"
            );
            return Ok(TrunkState::Lost { why });
        }
        Ok(TrunkState::Pending)
    }

    /// Records why a branch cannot start, so that whoever reads its folder finds it; each reason once.
    fn record_lost_trunk(&self, queued: &mut QueuedRun, why: &str) -> Result<(), RunnerError> {
        let Claim::Ours(_lease) = self.claim(queued)? else { return Ok(()) };
        match failed_attempts(&queued.folder)?.last() {
            Some(last) if last.why == why => {}
            _ => {
                let attempt = attempts::failed_now(Failure::Error, why.to_string(), None, None);
                attempts::append(&queued.folder, &attempt)?;
            }
        }
        Ok(())
    }

    /// Takes the lease of a run that has not ended, and makes its folder ready.
    fn claim(&self, queued: &mut QueuedRun) -> Result<Claim, RunnerError> {
        let (run, folder) = (queued.run, &queued.folder);
        if let Some(ending) = read_ending(folder, &run.id)?
            && is_ended(run, &ending.outcome)
        {
            return Ok(Claim::Ended(ending.outcome));
        }
        scalelaw_disk::create_folder(folder).map_err(RunnerError::NoFolder)?;
        let lease = match self.leases.take(folder, &mut queued.watch)? {
            Take::Taken(lease) => lease,
            Take::Held(holder) => return Ok(Claim::Held(holder)),
        };
        queued.watch = None;
        reopen_if_stopped(folder, run)?;
        // Its last holder may have ended it just before.
        if let Some(ending) = read_ending(folder, &run.id)? {
            lease.finish();
            return Ok(Claim::Ended(ending.outcome));
        }
        prepare(folder, run)?;
        Ok(Claim::Ours(lease))
    }

    /// Gives a run to the worker of a slot, starting one if there is none.
    ///
    /// # Errors
    /// What ends the launch. The run is back in the queue.
    fn dispatch(&mut self, slot_idx: usize, queued: QueuedRun<'a>, lease: Lease) -> Result<(), RunnerError> {
        let micro_batch_tokens = match failed_attempts(&queued.folder) {
            Ok(attempts) => next_micro_batch_tokens(&attempts, &queued.run.train),
            Err(error) => {
                self.queue.push_front(queued);
                return Err(error.into());
            }
        };
        if let Err(error) = self.ready_worker(slot_idx, &queued) {
            self.queue.push_front(queued);
            return Err(error);
        }
        let threshold = self.peers.threshold(queued.run);
        // A worker is a process of its own, perhaps in another folder.
        let folder = std::path::absolute(&queued.folder).unwrap_or_else(|_| queued.folder.clone());
        let command = Command::Train { folders: vec![folder], micro_batch_tokens, threshold };
        let slot = &mut self.slots[slot_idx];
        let worker = slot.worker.as_mut().expect("it is running by now");
        let is_cancelled = worker.send(&command).is_err();
        slot.is_working = true;
        slot.active =
            Some(ActiveRun { queued, lease, micro_batch_tokens, checkpoint_step: None, is_cancelled });
        Ok(())
    }

    /// Points the worker's log to the run's folder, starting a worker if there is none.
    fn ready_worker(&mut self, slot_idx: usize, queued: &QueuedRun) -> Result<(), RunnerError> {
        let slot = &mut self.slots[slot_idx];
        if let Some(worker) = &slot.worker {
            worker.log_to(&queued.folder);
            return Ok(());
        }
        self.n_workers += 1;
        let (command, sender) = (&self.launch.worker, self.sender.clone());
        slot.worker = Some(Worker::spawn(command, &queued.folder, self.n_workers, sender)?);
        slot.worker_idx = self.n_workers;
        Ok(())
    }
}
