//! The scheduler: a slot per worker, a queue of runs, and the loop that ends when all of them have ended.

mod launch;
pub mod outstanding;
pub mod progress;
pub mod stop;

mod process;
mod state;

mod conclude;
mod dispatch;
mod messages;

pub use launch::{Launch, MAX_ATTEMPTS};
pub use process::WorkerCommand;

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use scalelaw_schema::run::RunSpec;
use scalelaw_schema::train_spec::Start;

use crate::error::RunnerError;
use crate::folder::early_stop::Peers;
use crate::folder::lease::Leases;
use crate::folder::run_folders;
use process::Message;
use progress::{Counts, Progress, Summary};
use state::{Phase, QueuedRun, Scheduler, Slot};
use stop::Stop;

/// How long the scheduler waits for a message: an upper bound on Ctrl-C latency.
const TICK: Duration = Duration::from_millis(200);

/// Runs `runs` in this order until each has ended: here, or in another launcher on the same folder.
/// A run that fails for good is listed in the summary and stops no other.
///
/// If `stop` is requested once, the workers write checkpoints and exit; if twice, they are killed. `on_progress` is
/// called in this thread and should be quick.
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
    let (sender, receiver) = channel();
    let mut scheduler = Scheduler {
        launch,
        queue: queue(runs, launch)?.into(),
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
        peers: match runs.iter().any(|run| run.early_stop.is_some()) {
            true => Peers::of(launch.sweep_dir)?,
            false => Peers::default(),
        },
        on_progress,
    };
    scheduler.work(&receiver, stop);
    let interrupted = !scheduler.queue.is_empty();
    let Scheduler { counts, failed, fatal, .. } = scheduler;
    match fatal {
        Some(error) => Err(error),
        None => Ok(Summary { counts, failed, interrupted }),
    }
}

fn queue<'a>(runs: &[&'a RunSpec], launch: &Launch) -> Result<Vec<QueuedRun<'a>>, RunnerError> {
    let mut folders = run_folders(launch.sweep_dir)?;
    for run in runs {
        folders.entry(run.id.clone()).or_insert_with(|| launch.sweep_dir.join(run.folder_name()));
    }
    let queued = runs.iter().map(|run| QueuedRun {
        run,
        folder: folders[&run.id].clone(),
        trunk: match &run.train.start {
            Start::Init => None,
            Start::Branch { parent, .. } => folders.get(parent).cloned(),
        },
        not_before: None,
        watch: None,
        held_by_other_launcher: false,
        farthest_step: None,
        attempts_without_progress: 0,
    });
    Ok(queued.collect())
}

impl Scheduler<'_, '_> {
    /// Returns when every run has ended or failed, or the launch was stopped, and all workers have exited.
    fn work(&mut self, messages: &Receiver<Message>, stop: &Stop) {
        loop {
            if stop.is_requested() || self.fatal.is_some() {
                self.stop_all();
            }
            if stop.is_forced() {
                self.kill_all();
            }
            self.kill_where_lease_is_lost();
            self.kill_overdue();
            if self.phase == Phase::Running {
                self.fill_slots();
            }
            self.tell_counts();
            if self.is_done() && self.shut_down_all() {
                return;
            }
            if let Ok(message) = messages.recv_timeout(TICK) {
                self.handle_message(message);
                // All that has arrived by now, before the slots are filled again.
                while let Ok(message) = messages.try_recv() {
                    self.handle_message(message);
                }
            }
        }
    }
}
