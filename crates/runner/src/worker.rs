//! A worker's process as the launcher holds it. Knows the protocol's lines, and nothing of runs to come.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use scalelaw_schema::event::{Command, Event};
use scalelaw_schema::folder::LOG_TXT;

use crate::error::RunnerError;
use crate::serve::LAUNCHER_PID;

/// How to start a worker: a program that calls [`crate::serve::serve`] on its standard input and output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerCommand {
    /// The program, as a rule this one.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Added to this process' environment.
    pub env: Vec<(OsString, OsString)>,
}

/// Something from a worker.
#[derive(Debug)]
pub(crate) struct Message {
    /// Which one, of all that were ever started.
    pub worker_idx: u64,
    pub heard: Heard,
}

#[derive(Debug)]
pub(crate) enum Heard {
    Event(Event),
    /// Its standard output is closed.
    Gone,
}

/// A running worker. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    stdin: Option<ChildStdin>,
    log: Arc<Mutex<Log>>,
    stderr_end: Receiver<()>,
}

/// How a worker ended.
#[derive(Debug)]
pub(crate) struct End {
    pub status: ExitStatus,
    /// The last lines that it wrote, backtraces left out.
    pub last_words: String,
    /// The allocator found no memory; it says so and aborts.
    pub lacked_memory: bool,
}

/// Where its standard error goes.
#[derive(Debug, Default)]
struct Log {
    file: Option<File>,
    tail: Vec<u8>,
}

/// Kept for the message about a death; more than a backtrace.
const TAIL_BYTES: usize = 1 << 15;
/// Quoted in it.
const N_LAST_LINES: usize = 5;
/// How each line of the protocol begins.
const EVENT_START: &[u8] = b"{\"event\":";
/// How long a process may take to end after it has closed its output.
const END_PATIENCE: Duration = Duration::from_secs(2);

impl Worker {
    /// Starts one; all that it says goes to `to` under `worker_idx`.
    ///
    /// It gets a process group of its own: Ctrl-C in a terminal is for the launcher, which then asks its
    /// workers to write their checkpoints.
    pub fn spawn(
        command: &WorkerCommand,
        worker_idx: u64,
        to: Sender<Message>,
    ) -> Result<Worker, RunnerError> {
        let mut process = std::process::Command::new(&command.program);
        process
            .args(&command.args)
            .envs(command.env.iter().map(|(name, value)| (name, value)))
            .env(LAUNCHER_PID, std::process::id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut process, 0);
        #[cfg(windows)]
        {
            const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
            std::os::windows::process::CommandExt::creation_flags(&mut process, CREATE_NEW_PROCESS_GROUP);
        }
        let mut child = process
            .spawn()
            .map_err(|source| RunnerError::Spawn { program: command.program.clone(), source })?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("it was asked for a pipe");
        let stderr = child.stderr.take().expect("it was asked for a pipe");
        let log = Arc::new(Mutex::new(Log::default()));
        let (end_sender, stderr_end) = channel();
        std::thread::spawn({
            let log = Arc::clone(&log);
            move || {
                copy_to_log(stderr, &log);
                drop(end_sender);
            }
        });
        std::thread::spawn({
            let log = Arc::clone(&log);
            move || read_events(stdout, &log, worker_idx, &to)
        });
        Ok(Worker { child, stdin, log, stderr_end })
    }

    /// Sends a command.
    ///
    /// # Errors
    /// Where the worker has gone.
    pub fn send(&mut self, command: &Command) -> io::Result<()> {
        let line = serde_json::to_string(command).map_err(io::Error::other)? + "\n";
        match &mut self.stdin {
            Some(stdin) => stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// From now on its standard error belongs to the run in `folder`. A log that cannot be written is no reason
    /// to lose a run.
    pub fn log_to(&self, folder: &Path) {
        let file = OpenOptions::new().create(true).append(true).open(folder.join(LOG_TXT)).ok();
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        *log = Log { file, tail: Vec::new() };
    }

    /// Asks it to leave, after a checkpoint where it trains.
    pub fn close(&mut self) {
        self.stdin = None;
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
    }

    /// Waits for the end of a process that has closed its output.
    pub fn reap(&mut self) -> io::Result<End> {
        let deadline = Instant::now() + END_PATIENCE;
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break status,
                None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(10)),
                None => {
                    self.child.kill()?;
                    break self.child.wait()?;
                }
            }
        };
        // A grandchild may keep standard error open; what is there by then will do.
        let _ = self.stderr_end.recv_timeout(Duration::from_secs(1));
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if let (false, Some(file)) = (status.success(), &mut log.file) {
            // What it said itself is there; that it died it could not say.
            let _ = writeln!(file, "the worker died ({status})");
        }
        let tail = String::from_utf8_lossy(&log.tail);
        let lacked_memory = !status.success() && tail.contains("memory allocation of ");
        Ok(End { status, last_words: last_lines(&tail), lacked_memory })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Log {
    fn add(&mut self, bytes: &[u8]) {
        if let Some(file) = &mut self.file {
            let _ = file.write_all(bytes);
        }
        self.tail.extend_from_slice(bytes);
        let excess = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..excess);
    }
}

fn copy_to_log(mut stderr: impl Read, log: &Mutex<Log>) {
    let mut bytes = [0; 4096];
    loop {
        match stderr.read(&mut bytes) {
            Ok(0) => return,
            Ok(n) => log.lock().unwrap_or_else(PoisonError::into_inner).add(&bytes[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// What stands beside an event was printed by some library, perhaps without a line feed: it belongs to the log.
fn read_events(stdout: impl Read, log: &Mutex<Log>, worker_idx: u64, to: &Sender<Message>) {
    let mut stdout = BufReader::new(stdout);
    let mut line = Vec::new();
    while matches!(stdout.read_until(b'\n', &mut line), Ok(n) if n > 0) {
        let start = line.windows(EVENT_START.len()).position(|bytes| bytes == EVENT_START).unwrap_or(0);
        let (printed, event) = line.split_at(start);
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.add(printed);
        match serde_json::from_slice(event) {
            Ok(event) => {
                if to.send(Message { worker_idx, heard: Heard::Event(event) }).is_err() {
                    return;
                }
            }
            Err(_) => log.add(event),
        }
        drop(log);
        line.clear();
    }
    let _ = to.send(Message { worker_idx, heard: Heard::Gone });
}

fn last_lines(tail: &str) -> String {
    let text = tail.find("stack backtrace:").map_or(tail, |end| &tail[..end]);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(N_LAST_LINES)..].join(" | ")
}
