//! The scheduler: a slot per worker, a queue of runs, and the loop that ends when all are over.

mod conclude;
mod dispatch;

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use scalelaw_schema::run::RunSpec;
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::train_spec::Start;

use crate::early_stop::Peers;
use crate::error::RunnerError;
use crate::folder::run_folders;
use crate::lease::{Lease, Leases, Watch};
use crate::progress::{Counts, FailedRun, Progress, Summary};
use crate::stop::Stop;
use crate::worker::{Message, Worker, WorkerCommand};

/// How to run a sweep.
#[derive(Debug, Clone)]
pub struct Launch<'a> {
    /// The sweep's folder, `runs/<sweep>`.
    pub sweep_dir: &'a Path,
    /// Workers at once, at least 1.
    pub slots: usize,
    /// How to start a worker.
    pub worker: WorkerCommand,
    /// A worker with more resident memory than this is replaced before its next run.
    pub memory_limit_bytes: Option<u64>,
    /// A run is given up after so many attempts in a row that did not get beyond the checkpoint they began at.
    /// Attempts that end for want of memory do not count while the micro-batch can still be halved.
    pub max_attempts: u32,
    /// Between two beats of a lease; [`crate::lease::HEARTBEAT`] is a good one.
    pub heartbeat: Duration,
}

/// Attempts that [`Launch::max_attempts`] should hold where nobody says otherwise.
pub const MAX_ATTEMPTS: u32 = 3;

/// How long the scheduler sleeps where no worker speaks; so late is a Ctrl-C heard.
const TICK: Duration = Duration::from_millis(200);
/// How long a worker may take to leave once it has nothing to do.
const LEAVE_PATIENCE: Duration = Duration::from_secs(10);

/// Runs `runs` in this order, to the end of each: here, or in the hands of another launcher on the same folder.
/// A run that fails for good is in the summary and stops no other.
///
/// `stop` asked once: workers write checkpoints and leave;
/// twice: they are killed. `on_progress` is called in this thread and should be quick.
///
/// # Errors
/// What every further run would meet too: a disk that is full or read-only, a worker that cannot be started. The
/// workers have written their checkpoints by then.
pub fn run_all(
    runs: &[&RunSpec],
    launch: &Launch,
    stop: &Stop,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<Summary, RunnerError> {
    if runs.is_empty() {
        return Ok(Summary::default());
    }
    let mut folders = run_folders(launch.sweep_dir)?;
    for run in runs {
        folders.entry(run.id.clone()).or_insert_with(|| launch.sweep_dir.join(run.folder_name()));
    }
    let peers = match runs.iter().any(|run| run.early_stop.is_some()) {
        true => Peers::of(launch.sweep_dir)?,
        false => Peers::default(),
    };
    let queue = runs.iter().map(|run| Queued {
        run,
        folder: folders[&run.id].clone(),
        trunk: match &run.train.start {
            Start::Init => None,
            Start::Branch { parent, .. } => folders.get(parent).cloned(),
        },
        not_before: None,
        watch: None,
        is_elsewhere: false,
        farthest_step: None,
        n_fruitless: 0,
    });
    let (sender, receiver) = channel();
    let mut scheduler = Scheduler {
        launch,
        queue: queue.collect(),
        slots: (0..launch.slots.clamp(1, runs.len())).map(|_| Slot::default()).collect(),
        leases: Leases::new(launch.heartbeat),
        sender,
        n_workers: 0,
        was_ever_ready: false,
        phase: Phase::Running,
        fatal: None,
        counts: Counts::default(),
        failed: Vec::new(),
        given: runs.iter().map(|run| run.id.clone()).collect(),
        peers,
        on_progress,
    };
    scheduler.work(&receiver, stop);
    let is_left = !scheduler.queue.is_empty();
    let Scheduler { counts, failed, fatal, .. } = scheduler;
    match fatal {
        Some(error) => Err(error),
        None => Ok(Summary { counts, failed, interrupted: is_left }),
    }
}

/// A run that is not in a worker.
#[derive(Debug)]
struct Queued<'a> {
    run: &'a RunSpec,
    folder: PathBuf,
    /// The folder of its trunk, where it has one that is or will be there.
    trunk: Option<PathBuf>,
    not_before: Option<Instant>,
    watch: Option<Watch>,
    is_elsewhere: bool,
    /// The farthest checkpoint of the attempts so far.
    farthest_step: Option<u64>,
    /// Attempts in a row that did not get beyond it.
    n_fruitless: u32,
}

/// A run in a worker.
#[derive(Debug)]
struct Busy<'a> {
    queued: Queued<'a>,
    lease: Lease,
    micro_batch_tokens: Option<u64>,
    /// The last checkpoint that was heard of.
    checkpoint_step: Option<u64>,
    /// The worker was killed because the lease is lost, or never got the command.
    is_void: bool,
}

#[derive(Debug, Default)]
struct Slot<'a> {
    worker: Option<Worker>,
    worker_idx: u64,
    is_ready: bool,
    /// Its command is not answered by `Idle` yet.
    is_working: bool,
    leaving_since: Option<Instant>,
    busy: Option<Busy<'a>>,
    /// Workers in a row that ended before their device was open.
    n_start_failures: u32,
    /// No further worker is started here.
    is_given_up: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// The workers were asked to leave.
    Stopping,
    /// They were killed.
    Killed,
}

struct Scheduler<'a, 'p> {
    launch: &'a Launch<'a>,
    queue: VecDeque<Queued<'a>>,
    slots: Vec<Slot<'a>>,
    leases: Leases,
    sender: Sender<Message>,
    n_workers: u64,
    was_ever_ready: bool,
    phase: Phase,
    fatal: Option<RunnerError>,
    counts: Counts,
    failed: Vec<FailedRun>,
    /// Every run of this launch.
    given: BTreeSet<RunId>,
    /// Finished runs that others are held against.
    peers: Peers,
    on_progress: &'p mut dyn FnMut(Progress),
}

impl Scheduler<'_, '_> {
    fn work(&mut self, receiver: &Receiver<Message>, stop: &Stop) {
        loop {
            if stop.is_asked() || self.fatal.is_some() {
                self.ask_all_to_leave();
            }
            if stop.is_urgent() {
                self.kill_all();
            }
            self.stop_where_the_lease_is_lost();
            self.kill_who_does_not_leave();
            if self.phase == Phase::Running {
                self.fill_slots();
            }
            self.tell_counts();
            let is_idle = self.slots.iter().all(|slot| slot.busy.is_none());
            if is_idle && (self.phase != Phase::Running || self.queue.is_empty()) {
                self.dismiss_all();
                if self.slots.iter().all(|slot| slot.worker.is_none()) {
                    return;
                }
            }
            if let Ok(message) = receiver.recv_timeout(TICK) {
                self.hear(message);
                // What else is there already, before the next look at the slots.
                while let Ok(message) = receiver.try_recv() {
                    self.hear(message);
                }
            }
        }
    }

    fn tell_counts(&mut self) {
        let running = self.slots.iter().filter(|slot| slot.busy.is_some()).count();
        let elsewhere = self.queue.iter().filter(|queued| queued.is_elsewhere).count();
        let counts = Counts { running, elsewhere, waiting: self.queue.len() - elsewhere, ..self.counts };
        if counts != self.counts {
            self.counts = counts;
            (self.on_progress)(Progress::Counts(counts));
        }
    }

    /// The workers are asked to leave next. The first of several reasons is the one to tell.
    fn end_by(&mut self, error: RunnerError) {
        self.fatal.get_or_insert(error);
    }

    fn stop_where_the_lease_is_lost(&mut self) {
        for slot in &mut self.slots {
            if let (Some(busy), Some(worker)) = (&mut slot.busy, &mut slot.worker)
                && busy.lease.is_lost()
                && !busy.is_void
            {
                busy.is_void = true;
                worker.kill();
                let text = format!(
                    "run {} was taken over by another launcher, or its folder is gone; it is left to the other",
                    busy.queued.run.id
                );
                (self.on_progress)(Progress::Warning { text });
            }
        }
    }

    /// One that still trains has all the time it needs for its checkpoint.
    fn kill_who_does_not_leave(&mut self) {
        for slot in &mut self.slots {
            if let (Some(since), Some(worker)) = (slot.leaving_since, &mut slot.worker)
                && slot.busy.is_none()
                && since.elapsed() > LEAVE_PATIENCE
            {
                worker.kill();
            }
        }
    }

    fn ask_to_leave(&mut self, slot_idx: usize) {
        let slot = &mut self.slots[slot_idx];
        if let Some(worker) = &mut slot.worker {
            worker.close();
            slot.leaving_since.get_or_insert_with(Instant::now);
        }
    }

    fn ask_all_to_leave(&mut self) {
        if self.phase != Phase::Running {
            return;
        }
        self.phase = Phase::Stopping;
        if self.slots.iter().any(|slot| slot.busy.is_some()) {
            (self.on_progress)(Progress::Stopping);
        }
        (0..self.slots.len()).for_each(|slot_idx| self.ask_to_leave(slot_idx));
    }

    fn kill_all(&mut self) {
        if self.phase != Phase::Killed {
            self.phase = Phase::Killed;
            self.slots.iter_mut().filter_map(|slot| slot.worker.as_mut()).for_each(Worker::kill);
        }
    }

    /// There is nothing left to do for them.
    fn dismiss_all(&mut self) {
        for slot_idx in 0..self.slots.len() {
            self.ask_to_leave(slot_idx);
        }
    }
}
