//! What follows from each thing that a worker says, its death included.

use std::time::{Duration, Instant};

use scalelaw_schema::event::Event;
use scalelaw_schema::record::{Failure, Outcome};
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::train_spec::Start;

use super::{Busy, Phase, Queued, Scheduler, Slot};
use crate::attempts::{self, batch_sequences};
use crate::error::RunnerError;
use crate::folder::{ending, probe};
use crate::progress::{FailedRun, Next, Progress};
use crate::worker::{End, Heard, Message};

/// Times the number of fruitless attempts: until a failed run is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Workers in a row that may end before their device is open, until their slot is given up.
const MAX_START_FAILURES: u32 = 3;

impl<'a> Scheduler<'a, '_> {
    pub(super) fn hear(&mut self, message: Message) {
        let is_its = |slot: &Slot| slot.worker.is_some() && slot.worker_idx == message.worker_idx;
        let Some(slot_idx) = self.slots.iter().position(is_its) else { return };
        match message.heard {
            Heard::Gone => self.bury(slot_idx),
            Heard::Event(event) => self.hear_event(slot_idx, event),
        }
    }

    fn hear_event(&mut self, slot: usize, event: Event) {
        if let Event::Started { step, .. } | Event::Checkpoint { step, .. } = event
            && let Some(busy) = &mut self.slots[slot].busy
        {
            busy.checkpoint_step = Some(step);
            // An attempt is measured from where its run stood when it was taken up first.
            busy.queued.farthest_step.get_or_insert(step);
        }
        match event {
            Event::Ready { device } => {
                self.slots[slot].is_ready = true;
                self.was_ever_ready = true;
                self.slots[slot].n_start_failures = 0;
                (self.on_progress)(Progress::WorkerReady { slot, device });
            }
            Event::Started { run, step, total_steps } => {
                (self.on_progress)(Progress::Started { slot, run, step, total_steps });
            }
            Event::Step { run, step, loss, tokens_per_second } => {
                (self.on_progress)(Progress::Step { slot, run, step, loss, tokens_per_second });
            }
            Event::Checkpoint { run, step } => {
                self.wake_branches(&run);
                (self.on_progress)(Progress::Checkpoint { slot, run, step });
            }
            Event::Skipped { run, n_steps } => (self.on_progress)(Progress::Skipped { run, n_steps }),
            Event::Warning { text } => (self.on_progress)(Progress::Warning { text }),
            Event::Done { .. } => {
                if let Some(busy) = self.slots[slot].busy.take() {
                    self.end(slot, busy, Failure::Error, "the worker reported an end but left no record");
                }
            }
            Event::Failed { failure, why, .. } => {
                if let Some(busy) = self.slots[slot].busy.take() {
                    self.fail(slot, busy, failure, why);
                }
                // What a failure leaves in a process or on a device is unknown; the next run gets a fresh one.
                self.ask_to_leave(slot);
            }
            Event::Idle { resident_bytes } => {
                self.slots[slot].is_working = false;
                if let (Some(bytes), Some(limit)) = (resident_bytes, self.launch.memory_limit_bytes)
                    && bytes > limit
                    && self.slots[slot].leaving_since.is_none()
                {
                    self.ask_to_leave(slot);
                    let why = format!(
                        "{} MiB resident, above the limit of {} MiB",
                        bytes.div_ceil(1 << 20),
                        limit >> 20
                    );
                    (self.on_progress)(Progress::WorkerLeft { slot, why });
                }
            }
        }
    }

    /// A worker's process has ended.
    fn bury(&mut self, slot_idx: usize) {
        let slot = &mut self.slots[slot_idx];
        let (is_ready, was_asked) = (slot.is_ready, slot.leaving_since.is_some());
        let busy = slot.busy.take();
        let end = slot.worker.take().map(|mut worker| worker.reap());
        let (n_start_failures, is_given_up) = (slot.n_start_failures, slot.is_given_up);
        *slot = Slot { n_start_failures, is_given_up, ..Slot::default() };
        let (how, code, signal, last_words, lacked_memory) = match end {
            Some(Ok(End { status, last_words, lacked_memory })) => {
                (status.to_string(), status.code(), signal_of(status), last_words, lacked_memory)
            }
            _ => ("in an unknown way".to_string(), None, None, String::new(), false),
        };
        if !was_asked && self.phase == Phase::Running {
            (self.on_progress)(Progress::WorkerLeft { slot: slot_idx, why: how.clone() });
        }
        if !is_ready && !was_asked && self.phase == Phase::Running {
            slot.n_start_failures += 1;
            // One that leaves by itself, before any has been of use, would do so again.
            let is_hopeless = code.is_some() && !self.was_ever_ready;
            slot.is_given_up = is_hopeless || slot.n_start_failures >= MAX_START_FAILURES;
            let is_given_up = slot.is_given_up;
            let error = RunnerError::WorkerStart { how, code, last_words };
            if self.slots.iter().all(|slot| slot.is_given_up) {
                self.end_by(error);
            } else if is_given_up {
                let text = format!("slot {slot_idx} is given up: {error}");
                (self.on_progress)(Progress::Warning { text });
            }
            if let Some(busy) = busy {
                self.queue.push_front(busy.queued);
            }
            return;
        }
        let Some(busy) = busy else { return };
        if busy.is_void {
            self.queue.push_front(busy.queued);
            return;
        }
        const SIGINT: i32 = 2;
        const SIGKILL: i32 = 9;
        const SIGTERM: i32 = 15;
        let failure = match signal {
            Some(SIGINT | SIGTERM) => Failure::Interrupted,
            _ if self.phase != Phase::Running => Failure::Interrupted,
            _ if lacked_memory => Failure::OutOfMemory,
            _ => Failure::WorkerDied,
        };
        let said = if last_words.is_empty() { String::new() } else { format!("; it said: {last_words}") };
        // Not taken for want of memory: other micro-batches give other bits, and a person kills with 9 too.
        let hint = if signal == Some(SIGKILL) {
            "; the system kills so where memory runs out (hint: fewer slots)"
        } else {
            ""
        };
        self.end(slot_idx, busy, failure, &format!("the worker died ({how}){said}{hint}"));
    }

    /// Concludes a run by its record; where there is none, it failed.
    fn end(&mut self, slot: usize, busy: Busy<'a>, failure: Failure, why: &str) {
        match ending(&busy.queued.folder, &busy.queued.run.id) {
            Ok(Some(ending)) => {
                busy.lease.finish();
                let run = busy.queued.run.id.clone();
                self.over(&busy.queued, &ending.outcome);
                (self.on_progress)(Progress::Done { slot, run, outcome: ending.outcome });
            }
            Ok(None) => self.fail(slot, busy, failure, why.to_string()),
            Err(error) => self.fail(slot, busy, Failure::Error, error.to_string()),
        }
    }

    /// Concludes an attempt without a record.
    fn fail(&mut self, slot: usize, busy: Busy<'a>, failure: Failure, why: String) {
        let Busy { mut queued, lease, micro_batch, checkpoint_step, .. } = busy;
        let run = queued.run.id.clone();
        if failure == Failure::Interrupted && self.phase != Phase::Running {
            (self.on_progress)(Progress::Interrupted { slot, run });
            self.queue.push_front(queued);
            return;
        }
        let whole = batch_sequences(&queued.run.train);
        let can_halve = failure == Failure::OutOfMemory && micro_batch.unwrap_or(whole) > 1;
        if checkpoint_step > queued.farthest_step {
            queued.farthest_step = checkpoint_step;
            queued.n_fruitless = 0;
        }
        if !can_halve {
            queued.n_fruitless += 1;
        }
        if failure != Failure::Interrupted {
            let attempt = attempts::now(failure, why.clone(), micro_batch, checkpoint_step);
            let written = attempts::append(&queued.folder, &attempt).and_then(|()| probe(&queued.folder));
            match written {
                Err(error) if error.is_fatal() => self.end_by(error),
                Err(error) => (self.on_progress)(Progress::Warning { text: error.to_string() }),
                Ok(()) => {}
            }
        }
        drop(lease);
        if queued.n_fruitless >= self.launch.max_attempts && self.fatal.is_none() {
            let next = Next::GiveUp;
            (self.on_progress)(Progress::Failed { slot, run, failure, why: why.clone(), next });
            self.give_up(&queued, why);
            return;
        }
        let halved = can_halve.then(|| micro_batch.unwrap_or(whole) / 2);
        let next = Next::Retry { micro_batch: halved.or(micro_batch) };
        (self.on_progress)(Progress::Failed { slot, run, failure, why, next });
        if can_halve {
            self.queue.push_front(queued);
        } else {
            // The others first: what ails this one may pass.
            queued.not_before = Some(Instant::now() + RETRY_PAUSE * queued.n_fruitless);
            self.queue.push_back(queued);
        }
    }

    pub(super) fn give_up(&mut self, queued: &Queued, why: String) {
        self.counts.failed += 1;
        let folder = queued.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.failed.push(FailedRun { run: queued.run.id.clone(), folder, why });
    }

    fn over(&mut self, queued: &Queued, outcome: &Outcome) {
        match outcome {
            Outcome::Finished => self.counts.finished += 1,
            Outcome::Diverged { .. } => self.counts.diverged += 1,
            Outcome::Stopped { .. } => self.counts.stopped += 1,
        }
        self.peers.add(queued.run, &queued.folder, outcome);
        self.wake_branches(&queued.run.id);
    }

    /// Lets the branches of a trunk be looked at before their time, but for those that failed by themselves.
    fn wake_branches(&mut self, trunk: &RunId) {
        for queued in &mut self.queue {
            if let Start::Branch { parent, .. } = &queued.run.train.start
                && parent == trunk
                && queued.n_fruitless == 0
                && !queued.is_elsewhere
            {
                queued.not_before = None;
            }
        }
    }

    pub(super) fn count_elsewhere(&mut self, queued: &Queued, outcome: Outcome) {
        self.over(queued, &outcome);
        (self.on_progress)(Progress::DoneElsewhere { run: queued.run.id.clone(), outcome });
    }
}

#[cfg(unix)]
fn signal_of(status: std::process::ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal_of(_: std::process::ExitStatus) -> Option<i32> {
    None
}
