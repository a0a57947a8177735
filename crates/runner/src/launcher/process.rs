//! A worker's process as the launcher holds it. Knows the protocol's lines, and nothing of runs to come.
//!
//! A worker's end is learnt from the process and never from a pipe: a pipe closes late where a grandchild holds it,
//! and early where the process takes its time to exit. Then all that it wrote must have been read, however slowly the
//! reading threads are scheduled. So the launcher keeps the write end of both pipes, and writes an end mark into them
//! when the process has exited: what comes before the mark is complete, and no timer decides anything.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, PipeReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use scalelaw_schema::event::{Command, Event, LAUNCHER_PID};
use scalelaw_schema::folder::LOG_TXT;

use crate::error::RunnerError;

/// How to start a worker: a program that calls [`crate::worker::serve::serve`] on its standard input and output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerCommand {
    /// The program, usually this one.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Added to the environment of this process.
    pub env: Vec<(OsString, OsString)>,
}

/// Something from a worker.
#[derive(Debug)]
pub(crate) struct Message {
    /// Number of the worker among all that were ever started.
    pub worker_idx: u64,
    pub content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    Event(Event),
    /// The last message: its process has exited, and all that it wrote has been read.
    Exited(Exit),
}

/// How a worker exited.
#[derive(Debug)]
pub(crate) struct Exit {
    /// `None` if the system does not tell.
    pub status: Option<ExitStatus>,
    /// The last lines of standard error since its run began, or of all where it exited before; without backtraces.
    pub stderr_tail: String,
    /// The allocator found no memory; it says so and aborts.
    pub is_out_of_memory: bool,
}

/// A running worker. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Arc<Mutex<Child>>,
    stdin: Option<ChildStdin>,
    log: Arc<Mutex<Log>>,
}

/// Where its standard error goes.
#[derive(Debug, Default)]
struct Log {
    file: Option<File>,
    tail: Vec<u8>,
    /// Length of the part of `tail` from before the last command.
    n_before_command: usize,
    /// The worker has begun the run of that command.
    has_begun: bool,
}

/// Kept for the message about an exit; longer than a backtrace.
const TAIL_BYTES: usize = 1 << 15;
/// Quoted in it.
const N_TAIL_LINES: usize = 5;
/// How each line of the protocol begins.
const EVENT_START: &[u8] = b"{\"event\":";
/// Upper bound on the time until an exit is noticed.
const EXIT_POLL: Duration = Duration::from_millis(10);

impl Worker {
    /// Starts one; all messages go to `to` under `worker_idx`. From its first byte on its standard error belongs to
    /// the run in `folder`.
    ///
    /// It gets a process group of its own: Ctrl-C in a terminal is for the launcher, which then asks its
    /// workers to write their checkpoints.
    pub fn spawn(
        command: &WorkerCommand,
        folder: &Path,
        worker_idx: u64,
        to: Sender<Message>,
    ) -> Result<Worker, RunnerError> {
        let failed = |source| RunnerError::Spawn { program: command.program.clone(), source };
        let (stdout, mut stdout_end) = io::pipe().map_err(failed)?;
        let (stderr, mut stderr_end) = io::pipe().map_err(failed)?;
        let mut process = std::process::Command::new(&command.program);
        process
            .args(&command.args)
            .envs(command.env.iter().map(|(name, value)| (name, value)))
            .env(LAUNCHER_PID, std::process::id().to_string())
            .stdin(Stdio::piped())
            .stdout(stdout_end.try_clone().map_err(failed)?)
            .stderr(stderr_end.try_clone().map_err(failed)?);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut process, 0);
        #[cfg(windows)]
        {
            const CREATE_NEW_PROCESS_GROUP: u32 = 0x200;
            std::os::windows::process::CommandExt::creation_flags(&mut process, CREATE_NEW_PROCESS_GROUP);
        }
        let mut child = process.spawn().map_err(failed)?;
        let stdin = child.stdin.take();
        let child = Arc::new(Mutex::new(child));
        let log = Arc::new(Mutex::new(Log { file: open_log(folder), ..Log::default() }));
        // No library prints this by chance.
        let end_mark = format!("\0worker {worker_idx} of {} has exited\0\n", std::process::id()).into_bytes();
        let stderr_reader = std::thread::spawn({
            let (log, end_mark) = (Arc::clone(&log), end_mark.clone());
            move || read_until_mark(stderr, &end_mark, |line| lock(&log).add(line))
        });
        let stdout_reader = std::thread::spawn({
            let (log, end_mark, to) = (Arc::clone(&log), end_mark.clone(), to.clone());
            move || {
                read_until_mark(stdout, &end_mark, |line| {
                    if let Some(event) = lock(&log).take_event(line) {
                        // Where nobody listens any more, the rest is read in vain.
                        let _ = to.send(Message { worker_idx, content: Content::Event(event) });
                    }
                });
            }
        });
        std::thread::spawn({
            let (child, log) = (Arc::clone(&child), Arc::clone(&log));
            move || {
                let status = wait(&child);
                for end in [&mut stdout_end, &mut stderr_end] {
                    // Where its reader has ended there is nobody to tell.
                    let _ = end.write_all(&end_mark);
                }
                for reader in [stdout_reader, stderr_reader] {
                    let _ = reader.join();
                }
                let exit = lock(&log).on_exit(status);
                let _ = to.send(Message { worker_idx, content: Content::Exited(exit) });
            }
        });
        Ok(Worker { child, stdin, log })
    }

    /// From now on its standard error belongs to the run in `folder`.
    pub fn log_to(&self, folder: &Path) {
        let file = open_log(folder);
        let mut log = lock(&self.log);
        // The tail stays: what it wrote between two runs may be the reason of its exit.
        log.n_before_command = log.tail.len();
        (log.file, log.has_begun) = (file, false);
    }

    /// Sends a command.
    ///
    /// # Errors
    /// The worker has exited or was asked to.
    pub fn send(&mut self, command: &Command) -> io::Result<()> {
        let line = serde_json::to_string(command).map_err(io::Error::other)? + "\n";
        match &mut self.stdin {
            Some(stdin) => stdin.write_all(line.as_bytes()).and_then(|()| stdin.flush()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Asks it to exit, after a checkpoint if it trains.
    pub fn close(&mut self) {
        self.stdin = None;
    }

    /// Kills it.
    pub fn kill(&mut self) {
        let _ = lock(&self.child).kill();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let mut child = lock(&self.child);
        let _ = child.kill();
        let _ = child.wait();
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
        self.n_before_command = self.n_before_command.saturating_sub(excess);
    }

    /// The event of a line of standard output. What stands beside it was printed by some library, perhaps without a
    /// line feed: it belongs to the log.
    fn take_event(&mut self, line: &[u8]) -> Option<Event> {
        let start = line.windows(EVENT_START.len()).position(|bytes| bytes == EVENT_START).unwrap_or(0);
        let (printed, event) = line.split_at(start);
        self.add(printed);
        match serde_json::from_slice(event) {
            Ok(event) => {
                if !printed.is_empty() {
                    self.add(b"\n");
                }
                self.has_begun |= matches!(event, Event::Started { .. });
                Some(event)
            }
            Err(_) => {
                self.add(event);
                None
            }
        }
    }

    fn on_exit(&mut self, status: Option<ExitStatus>) -> Exit {
        let has_failed = !status.is_some_and(|status| status.success());
        if let (true, Some(status), Some(file)) = (has_failed, status, &mut self.file) {
            // The worker itself could not say it.
            let _ = writeln!(file, "the worker died ({status})");
        }
        let start = if self.has_begun { self.n_before_command } else { 0 };
        let text = String::from_utf8_lossy(&self.tail[start..]);
        Exit {
            status,
            stderr_tail: last_lines(&text),
            is_out_of_memory: has_failed && text.contains("memory allocation of "),
        }
    }
}

/// A log that cannot be written is no reason to lose a run.
fn open_log(folder: &Path) -> Option<File> {
    OpenOptions::new().create(true).append(true).open(folder.join(LOG_TXT)).ok()
}

/// Polls, since a thread that blocks in `wait` would keep the others from killing.
fn wait(child: &Mutex<Child>) -> Option<ExitStatus> {
    loop {
        match lock(child).try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) => {}
            Err(_) => return None,
        }
        std::thread::sleep(EXIT_POLL);
    }
}

/// Passes on every line before the mark; the last one may lack its line feed.
fn read_until_mark(pipe: PipeReader, end_mark: &[u8], mut take: impl FnMut(&[u8])) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while matches!(pipe.read_until(b'\n', &mut line), Ok(n) if n > 0) {
        if let Some(rest) = line.strip_suffix(end_mark) {
            return take(rest);
        }
        take(&line);
        line.clear();
    }
}

fn last_lines(text: &str) -> String {
    let text = text.find("stack backtrace:").map_or(text, |end| &text[..end]);
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(N_TAIL_LINES)..].join(" | ")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, unix))]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Instant;

    use super::*;

    fn shell(script: &str, folder: &Path) -> (Worker, Receiver<Message>) {
        let command =
            WorkerCommand { program: "sh".into(), args: vec!["-c".into(), script.into()], env: vec![] };
        let (sender, receiver) = channel();
        (Worker::spawn(&command, folder, 0, sender).unwrap(), receiver)
    }

    /// The events before the exit, and the exit.
    fn drain(messages: &Receiver<Message>) -> (Vec<Event>, Exit) {
        let mut events = Vec::new();
        loop {
            match messages.recv_timeout(Duration::from_secs(20)).expect("the exit is told").content {
                Content::Event(event) => events.push(event),
                Content::Exited(exit) => return (events, exit),
            }
        }
    }

    #[test]
    fn the_exit_code_and_the_stderr_tail_arrive_however_the_process_and_its_pipes_end() {
        let cases = [
            // Both threads that read have long read all before anybody asks.
            ("echo 'device is missing' >&2; exit 7", 7, "device is missing"),
            ("printf 'no line feed' >&2; exit 7", 7, "no line feed"),
            // More than a pipe holds.
            ("yes | head -c 1000000 >&2; echo 'the end' >&2; exit 3", 3, "the end"),
            // The pipes are closed long before the process exits.
            ("echo words >&2; exec >&- 2>&-; sleep 0.5; exit 9", 9, "words"),
            // A grandchild writes, and holds the pipes long after.
            ("(echo words >&2; sleep 9) & sleep 0.2; exit 4", 4, "words"),
            // A grandchild writes on and on.
            ("echo words >&2; (while sleep 0.01; do echo noise >&2; done) & exit 5", 5, ""),
        ];
        for (script, code, words) in cases {
            let dir = tempfile::tempdir().unwrap();
            let clock = Instant::now();
            let (worker, messages) = shell(script, dir.path());
            std::thread::sleep(Duration::from_millis(100));
            let (_, exit) = drain(&messages);
            assert_eq!(exit.status.and_then(|status| status.code()), Some(code), "{script}");
            assert!(exit.stderr_tail.contains(words), "{script}: {}", exit.stderr_tail);
            assert!(clock.elapsed() < Duration::from_secs(8), "{script}: {:?}", clock.elapsed());
            let log = std::fs::read_to_string(dir.path().join(LOG_TXT)).unwrap();
            let status = format!("the worker died (exit status: {code})\n");
            assert!(log.contains(words) && log.ends_with(&status), "{script}: {log}");
            drop(worker);
        }
    }

    #[test]
    fn events_come_before_the_exit_and_words_between_two_runs_are_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
        for folder in [&first, &second] {
            std::fs::create_dir(folder).unwrap();
        }
        // What a library prints without a line feed stands before the event.
        let idle = r#"printf 'printed{"event":"idle"}\n'; echo old >&2"#;
        let started = r#"echo '{"event":"started","run":"0123456789ab","step":0,"total_steps":9}'"#;
        // It dies between two runs, in the second, or silently in the second.
        for (script, words) in [
            (format!("{idle}; read line; exit 1"), &["printed", "old"][..]),
            (format!("{idle}; read line; {started}; echo new >&2; exit 1"), &["new"]),
            (format!("{idle}; read line; {started}; exit 1"), &[]),
        ] {
            let (mut worker, messages) = shell(&script, &first);
            let tail = || String::from_utf8_lossy(&lock(&worker.log).tail).into_owned();
            while !["printed\n", "old\n"].iter().all(|words| tail().contains(words)) {
                std::thread::sleep(EXIT_POLL);
            }
            worker.log_to(&second);
            worker
                .send(&Command::Train { folders: vec![], micro_batch_tokens: None, threshold: None })
                .unwrap();
            let (events, exit) = drain(&messages);
            assert_eq!(events[0], Event::Idle { resident_bytes: None }, "{script}");
            // The two pipes have no order between them.
            let mut found: Vec<&str> =
                exit.stderr_tail.split(" | ").filter(|line| !line.is_empty()).collect();
            found.sort_by_key(|line| *line != "printed");
            assert_eq!(found, words, "{script}");
        }
    }
}
