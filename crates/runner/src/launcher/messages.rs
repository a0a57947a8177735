//! What follows from each message of a worker, its exit included.

use scalelaw_schema::event::Event;
use scalelaw_schema::record::Failure;

use super::process::{Content, Exit, Message};
use super::progress::Progress;
use super::state::{ActiveRun, Phase, Scheduler, Slot};
use crate::error::{RunnerError, quoted};

/// Workers in a row that may exit before their device is open, until their slot is disabled.
const MAX_START_FAILURES: u32 = 3;

const SIGINT: i32 = 2;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

impl<'a> Scheduler<'a, '_> {
    pub fn handle_message(&mut self, message: Message) {
        let is_its = |slot: &Slot| slot.worker.is_some() && slot.worker_idx == message.worker_idx;
        let Some(slot_idx) = self.slots.iter().position(is_its) else { return };
        match message.content {
            Content::Event(event) => self.handle_event(slot_idx, event),
            Content::Exited(exit) => self.on_worker_exit(slot_idx, exit),
        }
    }

    fn handle_event(&mut self, slot: usize, event: Event) {
        if let Event::Started { step, .. } | Event::Checkpoint { step, .. } = event
            && let Some(active) = &mut self.slots[slot].active
        {
            active.checkpoint_step = Some(step);
            // Progress is measured from where the first attempt of this launch started.
            active.queued.farthest_step.get_or_insert(step);
        }
        match event {
            Event::Ready { device } => {
                self.slots[slot].is_ready = true;
                self.was_ever_ready = true;
                self.slots[slot].n_start_failures = 0;
                self.tell(Progress::WorkerReady { slot, device });
            }
            Event::Started { run, step, total_steps } => {
                self.tell(Progress::Started { slot, run, step, total_steps });
            }
            Event::Step { run, step, loss, tokens_per_second } => {
                self.tell(Progress::Step { slot, run, step, loss, tokens_per_second });
            }
            Event::Checkpoint { run, step } => {
                self.wake_branches(&run);
                self.tell(Progress::Checkpoint { slot, run, step });
            }
            Event::Skipped { run, n_steps } => self.tell(Progress::Skipped { run, n_steps }),
            Event::Warning { text } => self.tell(Progress::Warning { text }),
            Event::Done { .. } => {
                if let Some(active) = self.slots[slot].active.take() {
                    let why = "the worker reported an end but left no record";
                    self.conclude(slot, active, Failure::Error, why.to_string());
                }
            }
            Event::Failed { failure, why, .. } => {
                if let Some(active) = self.slots[slot].active.take() {
                    self.fail_attempt(slot, active, failure, why);
                }
                // The state that a failure leaves in a process or on a device is unknown; the next run gets a fresh one.
                self.request_exit(slot);
            }
            Event::Idle { resident_bytes } => {
                self.slots[slot].is_working = false;
                if let (Some(bytes), Some(limit)) = (resident_bytes, self.launch.memory_limit_bytes)
                    && bytes > limit
                    && self.slots[slot].exit_requested_at.is_none()
                {
                    self.request_exit(slot);
                    let why = format!(
                        "{} MiB resident, above the limit of {} MiB",
                        bytes.div_ceil(1 << 20),
                        limit >> 20
                    );
                    self.tell(Progress::WorkerLeft { slot, why });
                }
            }
        }
    }

    fn on_worker_exit(&mut self, slot_idx: usize, exit: Exit) {
        let Slot { is_ready, exit_requested_at, active, .. } = self.slots[slot_idx].clear();
        let how = exit.status.map_or_else(|| "in an unknown way".to_string(), |status| status.to_string());
        let is_expected = exit_requested_at.is_some() || self.phase != Phase::Running;
        if !is_expected {
            let why = format!("{how}{}", quoted(&exit.stderr_tail));
            self.tell(Progress::WorkerLeft { slot: slot_idx, why });
        }
        if !is_expected && !is_ready {
            self.count_start_failure(slot_idx, how, exit);
            if let Some(active) = active {
                self.queue.push_front(active.queued);
            }
            return;
        }
        match active {
            None => {}
            Some(ActiveRun { is_cancelled: true, queued, .. }) => self.queue.push_front(queued),
            Some(active) => {
                let (failure, why) = self.failure_of(&how, &exit);
                self.conclude(slot_idx, active, failure, why);
            }
        }
    }

    /// A worker that exits by itself before any has been of use would do so again.
    fn count_start_failure(&mut self, slot_idx: usize, how: String, exit: Exit) {
        let code = exit.status.and_then(|status| status.code());
        let is_permanent = code.is_some() && !self.was_ever_ready;
        let slot = &mut self.slots[slot_idx];
        slot.n_start_failures += 1;
        slot.is_disabled = is_permanent || slot.n_start_failures >= MAX_START_FAILURES;
        let is_disabled = slot.is_disabled;
        let error = RunnerError::WorkerStart { how, code, stderr_tail: exit.stderr_tail };
        if self.slots.iter().all(|slot| slot.is_disabled) {
            self.abort(error);
        } else if is_disabled {
            self.tell(Progress::Warning { text: format!("slot {slot_idx} is no longer used: {error}") });
        }
    }

    /// What the exit of a worker means for its run.
    fn failure_of(&self, how: &str, exit: &Exit) -> (Failure, String) {
        let signal = exit.status.and_then(signal_of);
        let failure = match signal {
            Some(SIGINT | SIGTERM) => Failure::Interrupted,
            _ if self.phase != Phase::Running => Failure::Interrupted,
            _ if exit.is_out_of_memory => Failure::OutOfMemory,
            _ => Failure::WorkerDied,
        };
        // Not taken for lack of memory: other micro-batches give other bits, and a person kills with 9 too.
        let hint = match signal {
            Some(SIGKILL) => "; the system does this when memory runs out (hint: fewer slots)",
            _ => "",
        };
        (failure, format!("the worker died ({how}){}{hint}", quoted(&exit.stderr_tail)))
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
