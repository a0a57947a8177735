//! What the scheduler knows: queued runs, slots with their workers, and how far the launch is.

use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use scalelaw_schema::record::Outcome;
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::train_spec::Start;

use super::launch::Launch;
use super::process::{Message, Worker};
use super::progress::{Counts, FailedRun, Progress};
use crate::error::RunnerError;
use crate::folder::early_stop::Peers;
use crate::folder::lease::{Lease, Leases, Watch};

/// Time until an idle worker that was asked to exit is killed.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// A run that is not in a worker.
#[derive(Debug)]
pub(super) struct QueuedRun<'a> {
    pub run: &'a RunSpec,
    pub folder: PathBuf,
    /// The folder of its trunk, if it exists or will.
    pub trunk: Option<PathBuf>,
    pub not_before: Option<Instant>,
    pub watch: Option<Watch>,
    pub held_by_other_launcher: bool,
    /// The farthest checkpoint of the attempts so far.
    pub farthest_step: Option<u64>,
    /// Attempts in a row that did not get beyond it.
    pub attempts_without_progress: u32,
}

/// A run in a worker.
#[derive(Debug)]
pub(super) struct ActiveRun<'a> {
    pub queued: QueuedRun<'a>,
    pub lease: Lease,
    pub micro_batch_tokens: Option<u64>,
    /// The last checkpoint that was reported.
    pub checkpoint_step: Option<u64>,
    /// The worker was killed because the lease is lost, or never got the command.
    pub is_cancelled: bool,
}

/// The place of one worker.
#[derive(Debug, Default)]
pub(super) struct Slot<'a> {
    pub worker: Option<Worker>,
    pub worker_idx: u64,
    /// Its device is open.
    pub is_ready: bool,
    /// It has not answered its last command with `Idle` yet.
    pub is_working: bool,
    /// Since when it has been asked to exit.
    pub exit_requested_at: Option<Instant>,
    pub active: Option<ActiveRun<'a>>,
    /// Workers in a row that exited before their device was open.
    pub n_start_failures: u32,
    /// No further worker is started here.
    pub is_disabled: bool,
}

/// Phase of the launch. It never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// The workers were asked to exit after a checkpoint.
    Stopping,
    /// They were killed.
    Killed,
}

pub(super) struct Scheduler<'a, 'p> {
    pub launch: &'a Launch<'a>,
    pub queue: VecDeque<QueuedRun<'a>>,
    pub slots: Vec<Slot<'a>>,
    pub leases: Leases,
    pub sender: Sender<Message>,
    /// Workers started so far.
    pub n_workers: u64,
    pub was_ever_ready: bool,
    pub phase: Phase,
    /// What ends the launch.
    pub fatal: Option<RunnerError>,
    pub counts: Counts,
    pub failed: Vec<FailedRun>,
    /// Every run of this launch.
    pub given: BTreeSet<RunId>,
    /// Finished runs that others are compared with.
    pub peers: Peers,
    pub on_progress: &'p mut dyn FnMut(Progress),
}

impl<'a> Slot<'a> {
    /// Whether it can take a run.
    pub fn is_free(&self) -> bool {
        !self.is_disabled && !self.is_working && self.active.is_none() && self.exit_requested_at.is_none()
    }

    /// Removes the worker and its run. Only the record of failed starts stays.
    pub fn clear(&mut self) -> Slot<'a> {
        let (n_start_failures, is_disabled) = (self.n_start_failures, self.is_disabled);
        std::mem::replace(self, Slot { n_start_failures, is_disabled, ..Slot::default() })
    }
}

impl Scheduler<'_, '_> {
    pub fn tell(&mut self, progress: Progress) {
        (self.on_progress)(progress);
    }

    pub fn tell_counts(&mut self) {
        let running = self.slots.iter().filter(|slot| slot.active.is_some()).count();
        let elsewhere = self.queue.iter().filter(|queued| queued.held_by_other_launcher).count();
        let counts = Counts { running, elsewhere, waiting: self.queue.len() - elsewhere, ..self.counts };
        if counts != self.counts {
            self.counts = counts;
            self.tell(Progress::Counts(counts));
        }
    }

    /// Whether no run is in a worker and none can get into one.
    pub fn is_done(&self) -> bool {
        let is_idle = self.slots.iter().all(|slot| slot.active.is_none());
        is_idle && (self.phase != Phase::Running || self.queue.is_empty())
    }

    /// Ends the launch: the workers are asked to exit next. The first of several errors is the one to report.
    pub fn abort(&mut self, error: RunnerError) {
        self.fatal.get_or_insert(error);
    }

    /// Asks the worker of a slot to exit, after a checkpoint if it trains.
    pub fn request_exit(&mut self, slot_idx: usize) {
        let slot = &mut self.slots[slot_idx];
        if let Some(worker) = &mut slot.worker {
            worker.close();
            slot.exit_requested_at.get_or_insert_with(Instant::now);
        }
    }

    /// Asks all workers to exit. Returns whether none is left.
    pub fn shut_down_all(&mut self) -> bool {
        (0..self.slots.len()).for_each(|slot_idx| self.request_exit(slot_idx));
        self.slots.iter().all(|slot| slot.worker.is_none())
    }

    /// Asks all workers to exit and dispatches no further run.
    pub fn stop_all(&mut self) {
        if self.phase != Phase::Running {
            return;
        }
        self.phase = Phase::Stopping;
        if self.slots.iter().any(|slot| slot.active.is_some()) {
            self.tell(Progress::Stopping);
        }
        self.shut_down_all();
    }

    pub fn kill_all(&mut self) {
        if self.phase != Phase::Killed {
            self.phase = Phase::Killed;
            self.slots.iter_mut().filter_map(|slot| slot.worker.as_mut()).for_each(Worker::kill);
        }
    }

    /// Kills idle workers that do not exit. One that still trains has all the time it needs for its checkpoint.
    pub fn kill_overdue(&mut self) {
        for slot in &mut self.slots {
            if let (Some(since), Some(worker)) = (slot.exit_requested_at, &mut slot.worker)
                && slot.active.is_none()
                && since.elapsed() > SHUTDOWN_PATIENCE
            {
                worker.kill();
            }
        }
    }

    /// Kills the workers of runs whose lease is lost.
    pub fn kill_where_lease_is_lost(&mut self) {
        for slot in &mut self.slots {
            if let (Some(active), Some(worker)) = (&mut slot.active, &mut slot.worker)
                && active.lease.is_lost()
                && !active.is_cancelled
            {
                active.is_cancelled = true;
                worker.kill();
                let text = format!(
                    "run {} was taken over by another launcher, or its folder is gone; it is left to the other",
                    active.queued.run.id
                );
                (self.on_progress)(Progress::Warning { text });
            }
        }
    }

    /// The run is not tried again in this launch.
    pub fn fail_for_good(&mut self, queued: &QueuedRun, why: String, is_blocked: bool) {
        self.counts.failed += 1;
        let folder = queued.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.failed.push(FailedRun { run: queued.run.id.clone(), folder, why, is_blocked });
    }

    /// The run has a record.
    pub fn count_ended(&mut self, queued: &QueuedRun, outcome: &Outcome) {
        match outcome {
            Outcome::Finished => self.counts.finished += 1,
            Outcome::Diverged { .. } => self.counts.diverged += 1,
            Outcome::Stopped { .. } => self.counts.stopped += 1,
        }
        self.peers.add(queued.run, &queued.folder, outcome);
        self.wake_branches(&queued.run.id);
    }

    /// Lets the branches of a trunk be tried at once, except those that failed by themselves.
    pub fn wake_branches(&mut self, trunk: &RunId) {
        for queued in &mut self.queue {
            if let Start::Branch { parent, .. } = &queued.run.train.start
                && parent == trunk
                && queued.attempts_without_progress == 0
                && !queued.held_by_other_launcher
            {
                queued.not_before = None;
            }
        }
    }
}
