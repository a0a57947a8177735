//! The scheduler: a slot per worker, a queue of runs, and what follows from each thing that a worker says.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use scalelaw_schema::event::{Command, Event};
use scalelaw_schema::record::{Failure, Outcome};
use scalelaw_schema::run::RunSpec;

use crate::attempts::{self, batch_sequences, failed_attempts, next_micro_batch};
use crate::error::RunnerError;
use crate::folder::{ending, prepare, probe, run_folders};
use crate::lease::{Holder, Lease, Leases, Take, Watch};
use crate::progress::{Counts, FailedRun, Next, Progress, Summary};
use crate::stop::Stop;
use crate::worker::{End, Heard, Message, Worker, WorkerCommand};

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
/// Until a run that another launcher holds is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Times the number of fruitless attempts: until a failed run is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How long a worker may take to leave once it has nothing to do.
const LEAVE_PATIENCE: Duration = Duration::from_secs(10);
/// Workers in a row that may end before their device is open.
const MAX_START_FAILURES: u32 = 3;

/// Runs `runs` in this order, to the end of each: here, or in the hands of another launcher on the same folder.
/// A run that fails for good is in the summary and stops no other.
///
/// Call it from a thread that is there until it returns. `stop` asked once: workers write checkpoints and leave;
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
    let folders = run_folders(launch.sweep_dir)?;
    let queue = runs.iter().map(|run| {
        let folder = folders.get(&run.id).cloned();
        Queued {
            run,
            folder: folder.unwrap_or_else(|| launch.sweep_dir.join(run.folder_name())),
            not_before: None,
            watch: None,
            is_elsewhere: false,
            farthest_step: None,
            n_fruitless: 0,
        }
    });
    let (sender, receiver) = channel();
    let mut scheduler = Scheduler {
        launch,
        queue: queue.collect(),
        slots: (0..launch.slots.clamp(1, runs.len())).map(|_| Slot::default()).collect(),
        leases: Leases::new(launch.heartbeat),
        sender,
        n_workers: 0,
        n_start_failures: 0,
        was_ever_ready: false,
        phase: Phase::Running,
        fatal: None,
        counts: Counts::default(),
        failed: Vec::new(),
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
    micro_batch: Option<usize>,
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
    n_start_failures: u32,
    was_ever_ready: bool,
    phase: Phase,
    fatal: Option<RunnerError>,
    counts: Counts,
    failed: Vec<FailedRun>,
    on_progress: &'p mut dyn FnMut(Progress),
}

impl<'a> Scheduler<'a, '_> {
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

    fn fill_slots(&mut self) {
        for slot_idx in 0..self.slots.len() {
            let slot = &self.slots[slot_idx];
            if slot.is_working || slot.busy.is_some() || slot.leaving_since.is_some() {
                continue;
            }
            match self.next_run() {
                Ok(Some((queued, lease))) => {
                    if let Err(error) = self.dispatch(slot_idx, queued, lease) {
                        self.fatal = Some(error);
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    self.fatal = Some(error);
                    return;
                }
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
                Err(error) => {
                    let why = error.to_string();
                    (self.on_progress)(Progress::Refused { run: queued.run.id.clone(), why: why.clone() });
                    self.give_up(&queued, why);
                }
            }
        }
        Ok(None)
    }

    fn lease_of(&self, queued: &mut Queued) -> Result<Look, RunnerError> {
        let (run, folder) = (queued.run, &queued.folder);
        if let Some(ending) = ending(folder, &run.id)? {
            return Ok(Look::Over(ending.outcome));
        }
        fs::create_dir_all(folder)
            .map_err(|source| RunnerError::NoFolder { path: folder.clone(), source })?;
        let lease = match self.leases.take(folder, &mut queued.watch)? {
            Take::Taken(lease) => lease,
            Take::Held(holder) => return Ok(Look::Theirs(holder)),
        };
        queued.watch = None;
        // Its last holder may have ended it just before.
        if let Some(ending) = ending(folder, &run.id)? {
            lease.finish();
            return Ok(Look::Over(ending.outcome));
        }
        prepare(folder, run)?;
        Ok(Look::Ours(lease))
    }

    fn dispatch(&mut self, slot_idx: usize, queued: Queued<'a>, lease: Lease) -> Result<(), RunnerError> {
        let micro_batch = failed_attempts(&queued.folder)
            .map(|attempts| next_micro_batch(&attempts, batch_sequences(&queued.run.train)));
        let micro_batch = match micro_batch {
            Ok(micro_batch) => micro_batch,
            Err(error) => {
                self.queue.push_front(queued);
                return Err(error);
            }
        };
        let slot = &mut self.slots[slot_idx];
        if slot.worker.is_none() {
            self.n_workers += 1;
            match Worker::spawn(&self.launch.worker, self.n_workers, self.sender.clone()) {
                Ok(worker) => {
                    *slot = Slot { worker: Some(worker), worker_idx: self.n_workers, ..Slot::default() };
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
        let is_void = worker.send(&Command::Train { folders: vec![folder], micro_batch }).is_err();
        slot.is_working = true;
        slot.busy = Some(Busy { queued, lease, micro_batch, checkpoint_step: None, is_void });
        Ok(())
    }

    fn hear(&mut self, message: Message) {
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
                self.n_start_failures = 0;
                (self.on_progress)(Progress::WorkerReady { slot, device });
            }
            Event::Started { run, step, total_steps } => {
                (self.on_progress)(Progress::Started { slot, run, step, total_steps });
            }
            Event::Step { run, step, loss, tokens_per_second } => {
                (self.on_progress)(Progress::Step { slot, run, step, loss, tokens_per_second });
            }
            Event::Checkpoint { run, step } => (self.on_progress)(Progress::Checkpoint { slot, run, step }),
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
        *slot = Slot::default();
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
            self.n_start_failures += 1;
            // One that leaves by itself, before any has been of use, would do so again.
            let is_hopeless = code.is_some() && !self.was_ever_ready;
            if is_hopeless || self.n_start_failures >= MAX_START_FAILURES {
                self.fatal = Some(RunnerError::WorkerStart { how, code, last_words });
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
        const SIGTERM: i32 = 15;
        let failure = match signal {
            Some(SIGINT | SIGTERM) => Failure::Interrupted,
            _ if self.phase != Phase::Running => Failure::Interrupted,
            _ if lacked_memory => Failure::OutOfMemory,
            _ => Failure::WorkerDied,
        };
        let said = if last_words.is_empty() { String::new() } else { format!("; it said: {last_words}") };
        self.end(slot_idx, busy, failure, &format!("the worker died ({how}){said}"));
    }

    /// Concludes a run by its record; where there is none, it failed.
    fn end(&mut self, slot: usize, busy: Busy<'a>, failure: Failure, why: &str) {
        match ending(&busy.queued.folder, &busy.queued.run.id) {
            Ok(Some(ending)) => {
                busy.lease.finish();
                self.count(&ending.outcome);
                let run = busy.queued.run.id.clone();
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
                Err(error) if error.is_fatal() => self.fatal = Some(error),
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

    fn give_up(&mut self, queued: &Queued, why: String) {
        self.counts.failed += 1;
        let folder = queued.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.failed.push(FailedRun { run: queued.run.id.clone(), folder, why });
    }

    fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Finished => self.counts.finished += 1,
            Outcome::Diverged { .. } => self.counts.diverged += 1,
        }
    }

    fn count_elsewhere(&mut self, queued: &Queued, outcome: Outcome) {
        self.count(&outcome);
        (self.on_progress)(Progress::DoneElsewhere { run: queued.run.id.clone(), outcome });
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

/// What a look at a run's folder tells.
enum Look {
    Ours(Lease),
    Theirs(Option<Holder>),
    Over(Outcome),
}

#[cfg(unix)]
fn signal_of(status: std::process::ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&status)
}

#[cfg(not(unix))]
fn signal_of(_: std::process::ExitStatus) -> Option<i32> {
    None
}
