//! Commands in, events out, one run after the other. The training comes in as a closure.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use scalelaw_schema::event::{Command, Event};
use scalelaw_schema::record::Outcome;

use super::attempt::{Attempted, Task, TrainFailure, attempt};
use super::this_process::{Launcher, kill_this_process, resident_bytes};
use crate::error::RunnerError;
use crate::folder::id_in_name;

/// Pause between two looks at the launcher once the input has ended.
const WATCH_PAUSE: Duration = Duration::from_millis(100);

/// Serves one launcher until it closes `stdin`: trains what it commands, and reports events on `stdout`.
/// Call it with the device open; `device` is its name.
///
/// `train` emits `Started`, `Step`, `Checkpoint`, `Skipped` and `Warning`; the rest is emitted here. It writes
/// `record.json` before it returns an outcome. Meanwhile a thread waits for the end of `stdin`. A launcher that wants to stop closes
/// it: then [`Task::stop`] turns true. If the launcher was killed, this process kills itself at once, since the folder
/// may already belong to another launcher.
///
/// # Errors
/// `BadCommand`; `Panicked`, after which the process should exit.
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
        // If nobody listens any more, `stdin` has ended too, and the thread sees that.
        let _ = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
    };
    emit(Event::Ready { device: device.to_string() });
    for line in commands {
        let bad_command = |why: String| RunnerError::BadCommand { line: line.clone(), why };
        let command = serde_json::from_str(&line).map_err(|error| bad_command(error.to_string()))?;
        let Command::Train { folders, micro_batch_tokens, threshold } = command;
        for folder in &folders {
            let run = id_in_name(folder).ok_or_else(|| {
                bad_command(format!("`{}` is not the name of a run folder", folder.display()))
            })?;
            let task = Task { folder, micro_batch_tokens, threshold: threshold.as_ref(), stop: &stop };
            match attempt(&task, &run, &mut emit, &mut train) {
                Attempted::Ended(outcome) => emit(Event::Done { run, outcome }),
                Attempted::Failed(TrainFailure { failure, why }) => emit(Event::Failed { run, failure, why }),
                Attempted::Panicked { why } => {
                    let TrainFailure { failure, why: message } = TrainFailure::from_panic(&why);
                    emit(Event::Failed { run, failure, why: message });
                    return Err(RunnerError::Panicked { why });
                }
            }
        }
        emit(Event::Idle { resident_bytes: resident_bytes() });
    }
    Ok(())
}

/// Reads commands in a thread, so that the end of the input is noticed in the middle of a step.
fn listen(mut stdin: impl BufRead + Send + 'static, stop: &Arc<AtomicBool>) -> Receiver<String> {
    let (sender, commands) = channel();
    // Held weakly: when `serve` has returned, there is nothing left to watch.
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
            std::thread::sleep(WATCH_PAUSE);
        }
    });
    commands
}
