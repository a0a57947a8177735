//! The worker's side: commands in, events out, one run after the other. The training comes in as a closure.

use std::any::Any;
use std::io::{BufRead, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use scalelaw_schema::event::{Bar, Command, Event};
use scalelaw_schema::record::{Failure, Outcome};
use scalelaw_schema::run_id::RunId;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

use crate::error::RunnerError;
use crate::folder::{ending, lock_for_writing, read_run};

/// Environment variable with the launcher's process id, so that a worker knows when it is orphaned.
pub const LAUNCHER_PID: &str = "SCALELAW_LAUNCHER_PID";

/// How long the worker of a launcher that was killed may take to end, before its successor complains.
const WRITER_PATIENCE: Duration = Duration::from_secs(20);

/// What a training closure is asked to do.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// The run's folder, with its `run.toml`.
    pub folder: &'a Path,
    /// Sequences to compute at once; the whole batch where absent.
    pub micro_batch: Option<usize>,
    /// The loss to hold the run against, where it may be stopped early.
    pub bar: Option<&'a Bar>,
    /// Once true: write a checkpoint after this step and return `Failure::Interrupted`.
    pub stop: &'a AtomicBool,
}

/// A training closure: trains the task's run from its last checkpoint and tells what happens.
type Train<'a> = dyn FnMut(&Task, &mut dyn FnMut(Event)) -> Result<Outcome, TrainFailure> + 'a;

/// Why a closure has not brought its run to an end. What was checkpointed stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainFailure {
    /// What the launcher should do.
    pub failure: Failure,
    /// The message.
    pub why: String,
}

impl TrainFailure {
    /// An error told by the device or a library, sorted by its words ([`failure_in`]).
    pub fn told(why: String) -> TrainFailure {
        TrainFailure { failure: failure_in(&why), why }
    }
}

/// Sorts the message of a device, a library or an allocator by what another attempt has to change.
pub fn failure_in(message: &str) -> Failure {
    let message = message.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if has(&["out of memory", "outofmemory", "out_of_memory", "out_of_device_memory", "memory allocation of"])
    {
        Failure::OutOfMemory
    } else if has(&["device lost", "device is lost", "device was lost", "devicelost", "device_lost"]) {
        Failure::DeviceLost
    } else {
        Failure::Error
    }
}

/// Serves one launcher until it closes `stdin`: trains what it commands, and tells it on `stdout` what happens.
/// Call it with the device open; `device` is its name.
///
/// `train` emits `Started`, `Step`, `Checkpoint`, `Skipped` and `Warning`; the rest is told here. It writes `record.json`
/// before it returns an outcome. While it trains, a thread waits for the end of `stdin`: a launcher that wants
/// to stop closes it, and then [`Task::stop`] turns true; one that was killed closes it too, and then this
/// process kills itself at once, since the folder may already belong to another launcher.
///
/// # Errors
/// `BadCommand`; `Panicked`, after which the process should end.
pub fn serve(
    stdin: impl BufRead + Send + 'static,
    mut stdout: impl Write,
    device: &str,
    mut train: impl FnMut(&Task, &mut dyn FnMut(Event)) -> Result<Outcome, TrainFailure>,
) -> Result<(), RunnerError> {
    let stop = Arc::new(AtomicBool::new(false));
    let commands = listen(stdin, &stop);
    let mut emit = |event: Event| {
        let line = serde_json::to_string(&event).expect("an event is plain data") + "\n";
        // Where nobody listens any more, `stdin` has ended too, and that is seen to.
        let _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
    };
    emit(Event::Ready { device: device.to_string() });
    for line in commands {
        let command = serde_json::from_str(&line)
            .map_err(|error| RunnerError::BadCommand { line: line.clone(), why: error.to_string() })?;
        let Command::Train { folders, micro_batch, bar } = command;
        for folder in &folders {
            let Some(run) = id_in_name(folder) else {
                let why = format!("`{}` is no run folder's name", folder.display());
                return Err(RunnerError::BadCommand { line, why });
            };
            let task = Task { folder, micro_batch, bar: bar.as_ref(), stop: &stop };
            match train_guarded(&task, &run, &mut emit, &mut train) {
                Ok(Ok(outcome)) => emit(Event::Done { run, outcome }),
                Ok(Err(TrainFailure { failure, why })) => emit(Event::Failed { run, failure, why }),
                Err(why) => {
                    emit(Event::Failed { run, failure: failure_in(&why), why: format!("panicked: {why}") });
                    return Err(RunnerError::Panicked { why });
                }
            }
        }
        emit(Event::Idle { resident_bytes: resident_bytes() });
    }
    Ok(())
}

/// Trains one run where this process alone may write in its folder and the run is not over by then. The outer
/// error is a panic's message.
pub(crate) fn train_guarded(
    task: &Task,
    run: &RunId,
    emit: &mut dyn FnMut(Event),
    train: &mut Train,
) -> Result<Result<Outcome, TrainFailure>, String> {
    let failed = |failure, why| Ok(Err(TrainFailure { failure, why }));
    if task.stop.load(Ordering::Relaxed) {
        return failed(Failure::Interrupted, "asked to stop before it began".to_string());
    }
    let Some(_lock) = lock_for_writing(task.folder, WRITER_PATIENCE) else {
        let why = "another process still writes in the run's folder, although its lease is free".to_string();
        return failed(Failure::Error, why);
    };
    match ending(task.folder, run) {
        // Its last writer finished it, but nobody was left to hear.
        Ok(Some(ending)) => return Ok(Ok(ending.outcome)),
        Ok(None) => {}
        Err(error) => return failed(Failure::Error, error.to_string()),
    }
    match read_run(task.folder) {
        Ok(spec) if &spec.id == run => {}
        Ok(spec) => return failed(Failure::Error, format!("the folder of run {run} is for run {}", spec.id)),
        Err(error) => return failed(Failure::Error, error.to_string()),
    }
    catch_unwind(AssertUnwindSafe(|| train(task, emit))).map_err(|panic| panic_message(panic.as_ref()))
}

/// Reads commands in a thread, so that the end of the input is noticed in the midst of a step.
fn listen(mut stdin: impl BufRead + Send + 'static, stop: &Arc<AtomicBool>) -> Receiver<String> {
    let (sender, commands) = channel();
    // Held weakly: where the service is over, the thread has nothing left to watch for.
    let stop = Arc::downgrade(stop);
    let launcher = Launcher::of_this_process();
    std::thread::spawn(move || {
        let mut line = String::new();
        while matches!(stdin.read_line(&mut line), Ok(n) if n > 0) {
            if sender.send(std::mem::take(&mut line)).is_err() {
                return;
            }
        }
        drop(sender);
        while let Some(stop) = stop.upgrade() {
            stop.store(true, Ordering::Relaxed);
            if launcher.is_dead() {
                kill_this_process();
            }
            drop(stop);
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    commands
}

/// Who started this process.
struct Launcher {
    pid: Option<u32>,
    parent: Option<u32>,
}

impl Launcher {
    fn of_this_process() -> Launcher {
        let pid = std::env::var(LAUNCHER_PID).ok().and_then(|pid| pid.parse().ok());
        Launcher { pid, parent: parent_pid() }
    }

    /// A child of a dead process gets another parent; where there is a wrapper between the two, or the launcher
    /// died before this process could look, the launcher's own process is missing.
    fn is_dead(&self) -> bool {
        self.parent != parent_pid() || self.pid.is_some_and(|pid| !is_alive(pid))
    }
}

#[cfg(unix)]
fn parent_pid() -> Option<u32> {
    Some(std::os::unix::process::parent_id())
}

/// Elsewhere the id of a parent stays when it dies, so it tells nothing.
#[cfg(not(unix))]
fn parent_pid() -> Option<u32> {
    None
}

fn is_alive(pid: u32) -> bool {
    let mut system = System::new();
    let pid = Pid::from_u32(pid);
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, ProcessRefreshKind::nothing());
    system.process(pid).is_some_and(|process| {
        !matches!(process.status(), sysinfo::ProcessStatus::Zombie | sysinfo::ProcessStatus::Dead)
    })
}

/// As `kill -9` does: no destructor, no exit handler of a driver, no further byte written.
fn kill_this_process() -> ! {
    let mut system = System::new();
    if let Ok(pid) = sysinfo::get_current_pid() {
        system.refresh_processes_specifics(
            ProcessesToUpdate::Some(&[pid]),
            true,
            ProcessRefreshKind::nothing(),
        );
        if system.process(pid).is_some_and(sysinfo::Process::kill) {
            // The signal arrives before this is over.
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    std::process::abort()
}

/// Memory of this process now, bytes.
fn resident_bytes() -> Option<u64> {
    let pid = sysinfo::get_current_pid().ok()?;
    let mut system = System::new();
    let kind = ProcessRefreshKind::nothing().with_memory();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, kind);
    system.process(pid).map(sysinfo::Process::memory)
}

pub(crate) fn id_in_name(folder: &Path) -> Option<RunId> {
    folder.file_name()?.to_str()?.rsplit_once('-')?.1.parse().ok()
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| text.to_string())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_string())
}
