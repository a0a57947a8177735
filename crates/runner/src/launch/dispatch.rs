//! Finds the next run that can be begun, and gives it to a worker.

use std::fs;
use std::time::{Duration, Instant};

use scalelaw_schema::event::Command;
use scalelaw_schema::record::{Failure, Outcome};
use scalelaw_schema::train_spec::Start;

use super::{Busy, Queued, Scheduler};
use crate::attempts::{self, failed_attempts, next_micro_batch_tokens};
use crate::error::RunnerError;
use crate::folder::{ending, go_on_where_stopped, is_over, prepare};
use crate::holder::Holder;
use crate::lease::{Lease, Take};
use crate::progress::Progress;
use crate::trunk::{self, Trunk};
use crate::worker::Worker;

/// Until a run that another launcher holds is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What a look at a run's folder tells.
enum Look {
    Ours(Lease),
    Theirs(Option<Holder>),
    Over(Outcome),
}

impl<'a> Scheduler<'a, '_> {
    pub(super) fn fill_slots(&mut self) {
        for slot_idx in 0..self.slots.len() {
            let slot = &self.slots[slot_idx];
            if slot.is_given_up || slot.is_working || slot.busy.is_some() || slot.leaving_since.is_some() {
                continue;
            }
            match self.next_run() {
                Ok(Some((queued, lease))) => {
                    if let Err(error) = self.dispatch(slot_idx, queued, lease) {
                        return self.end_by(error);
                    }
                }
                Ok(None) => return,
                Err(error) => return self.end_by(error),
            }
        }
    }

    /// The first run of the queue that can be begun now, with its lease. Runs that are found to be over, or that
    /// cannot be tried, leave the queue on the way.
    fn next_run(&mut self) -> Result<Option<(Queued<'a>, Lease)>, RunnerError> {
        let mut idx = 0;
        while idx < self.queue.len() {
            if self.queue[idx].not_before.is_some_and(|at| Instant::now() < at) {
                idx += 1;
                continue;
            }
            let mut queued = self.queue.remove(idx).expect("the index is below the length");
            match self.trunk_of(&queued) {
                Ok(Trunk::Ready) => {}
                Ok(Trunk::Waiting) => {
                    queued.not_before = Some(Instant::now() + LOOK_AGAIN.min(self.launch.heartbeat));
                    self.queue.insert(idx, queued);
                    idx += 1;
                    continue;
                }
                Ok(Trunk::Lost { why }) => {
                    if let Err(error) = self.note_loss(&mut queued, &why)
                        && error.is_fatal()
                    {
                        self.queue.insert(idx, queued);
                        return Err(error);
                    }
                    self.refuse(&queued, why);
                    continue;
                }
                Err(error) => {
                    self.refuse(&queued, error.to_string());
                    continue;
                }
            }
            match self.lease_of(&mut queued) {
                Ok(Look::Ours(lease)) => {
                    queued.is_elsewhere = false;
                    return Ok(Some((queued, lease)));
                }
                Ok(Look::Over(outcome)) => self.count_elsewhere(&queued, outcome),
                Ok(Look::Theirs(holder)) => {
                    if !queued.is_elsewhere {
                        let holder = holder.map(|holder| format!("{} pid {}", holder.host, holder.pid));
                        (self.on_progress)(Progress::Elsewhere { run: queued.run.id.clone(), holder });
                    }
                    queued.is_elsewhere = true;
                    queued.not_before = Some(Instant::now() + LOOK_AGAIN.min(self.launch.heartbeat));
                    self.queue.insert(idx, queued);
                    idx += 1;
                }
                Err(error) if error.is_fatal() => {
                    self.queue.insert(idx, queued);
                    return Err(error);
                }
                Err(error) => self.refuse(&queued, error.to_string()),
            }
        }
        Ok(None)
    }

    fn refuse(&mut self, queued: &Queued, why: String) {
        (self.on_progress)(Progress::Refused { run: queued.run.id.clone(), why: why.clone() });
        self.give_up(queued, why);
    }

    /// What a branch may expect, as far as this launch knows.
    fn trunk_of(&self, queued: &Queued) -> Result<Trunk, RunnerError> {
        let found = trunk::look(queued.run, &queued.folder, queued.trunk.as_deref())?;
        let Start::Branch { parent, .. } = &queued.run.train.start else { return Ok(found) };
        if found != Trunk::Waiting {
            return Ok(found);
        }
        if let Some(failed) = self.failed.iter().find(|failed| &failed.run == parent) {
            // The first of a row of runs is the one to name.
            let is_told = failed.why.starts_with(trunk::REASON);
            let why = match is_told {
                true => failed.why.clone(),
                false => format!("{} {} failed: {}", trunk::REASON, failed.folder, failed.why),
            };
            return Ok(Trunk::Lost { why });
        }
        if !self.given.contains(parent) {
            let why = format!(
                "{} {parent} is neither trained nor among the runs to train (hint: `scalelaw run` plans it)",
                trunk::REASON
            );
            return Ok(Trunk::Lost { why });
        }
        Ok(Trunk::Waiting)
    }

    /// Writes down why a branch cannot begin, so that whoever reads the folders finds it; once for each reason.
    fn note_loss(&self, queued: &mut Queued, why: &str) -> Result<(), RunnerError> {
        let Look::Ours(_lease) = self.lease_of(queued)? else { return Ok(()) };
        match failed_attempts(&queued.folder)?.last() {
            Some(last) if last.why == why => Ok(()),
            _ => {
                attempts::append(&queued.folder, &attempts::now(Failure::Error, why.to_string(), None, None))
            }
        }
    }

    fn lease_of(&self, queued: &mut Queued) -> Result<Look, RunnerError> {
        let (run, folder) = (queued.run, &queued.folder);
        if let Some(ending) = ending(folder, &run.id)?
            && is_over(run, &ending.outcome)
        {
            return Ok(Look::Over(ending.outcome));
        }
        fs::create_dir_all(folder)
            .map_err(|source| RunnerError::NoFolder { path: folder.clone(), source })?;
        let lease = match self.leases.take(folder, &mut queued.watch)? {
            Take::Taken(lease) => lease,
            Take::Held(holder) => return Ok(Look::Theirs(holder)),
        };
        queued.watch = None;
        go_on_where_stopped(folder, run)?;
        // Its last holder may have ended it just before.
        if let Some(ending) = ending(folder, &run.id)? {
            lease.finish();
            return Ok(Look::Over(ending.outcome));
        }
        prepare(folder, run)?;
        Ok(Look::Ours(lease))
    }

    fn dispatch(&mut self, slot_idx: usize, queued: Queued<'a>, lease: Lease) -> Result<(), RunnerError> {
        let micro_batch_tokens = match failed_attempts(&queued.folder) {
            Ok(attempts) => next_micro_batch_tokens(&attempts, &queued.run.train),
            Err(error) => {
                self.queue.push_front(queued);
                return Err(error);
            }
        };
        let bar = self.peers.bar(queued.run);
        let slot = &mut self.slots[slot_idx];
        if slot.worker.is_none() {
            self.n_workers += 1;
            match Worker::spawn(&self.launch.worker, self.n_workers, self.sender.clone()) {
                Ok(worker) => {
                    slot.worker = Some(worker);
                    slot.worker_idx = self.n_workers;
                }
                Err(error) => {
                    self.queue.push_front(queued);
                    return Err(error);
                }
            }
        }
        let worker = slot.worker.as_mut().expect("it was spawned above");
        worker.log_to(&queued.folder);
        // A worker is a process of its own, perhaps in another folder.
        let folder = std::path::absolute(&queued.folder).unwrap_or_else(|_| queued.folder.clone());
        let is_void =
            worker.send(&Command::Train { folders: vec![folder], micro_batch_tokens, bar }).is_err();
        slot.is_working = true;
        slot.busy = Some(Busy { queued, lease, micro_batch_tokens, checkpoint_step: None, is_void });
        Ok(())
    }
}
