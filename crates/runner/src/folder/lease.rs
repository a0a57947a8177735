//! Who may write in a run's folder: the file `lease`, locked by its holder and holding its heartbeat.
//!
//! There are two rules, and where one fails the other holds. The **lock** (`File::lock`) ends with its process, so
//! on one machine a free lock means a dead holder, at once. Between machines (network file systems) a lock may not be
//! visible, so there the **heartbeat** decides: the text of the lease changes with every beat, and a lease whose text
//! has not changed for three beats, by the observer's own clock, is abandoned. No two machines' clocks are compared.
//!
//! A new lease is made by exclusive creation, which is atomic everywhere. An old one is claimed by writing to it and
//! checking after a moment that one's own text is still there. If two claim it at once all the same, the loser notices
//! at its next beat and stops ([`Lease::is_lost`]).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use scalelaw_disk::DiskError;
use scalelaw_schema::folder::LEASE;

use super::holder::{
    BEATS_UNTIL_STALE, Holder, is_dead, machine, parse, read_own, read_text, read_through, write_text,
};

/// Default time between two beats.
pub const HEARTBEAT: Duration = Duration::from_secs(5);

/// Time between writing a claim and reading it back: longer than a write takes until another machine of the same
/// server sees it, and negligible beside the length of a run.
const SETTLE: Duration = Duration::from_millis(100);

/// Result of an attempt to take a lease.
#[derive(Debug)]
pub enum Take {
    /// It is ours.
    Taken(Lease),
    /// Another process has it; `None` if the text that says which cannot be read.
    Held(Option<Holder>),
}

/// What an observer remembers of a lease that it could not take.
#[derive(Debug, Clone)]
pub struct Watch {
    text: String,
    since: Instant,
}

/// A lease that this process holds. Dropped, it is given back.
#[derive(Debug)]
pub struct Lease {
    held: Arc<Held>,
    all: Arc<Shared>,
}

/// All leases of this process, kept alive by one thread.
#[derive(Debug)]
pub struct Leases {
    shared: Arc<Shared>,
    heartbeat: Duration,
    host: String,
    machine: String,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Held {
    path: PathBuf,
    /// `None` once the lease is given back: a beat must never overwrite the text of a new holder.
    file: Mutex<Option<File>>,
    holder: Holder,
    is_lost: AtomicBool,
}

#[derive(Debug, Default)]
struct Shared {
    held: Mutex<Kept>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Kept {
    leases: Vec<Arc<Held>>,
    is_closed: bool,
}

impl Leases {
    /// Starts the heartbeat thread.
    pub fn new(heartbeat: Duration) -> Leases {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || beat_until_closed(&shared, heartbeat)
        });
        let host = sysinfo::System::host_name().unwrap_or_else(|| "unknown".to_string());
        Leases { shared, heartbeat, machine: machine(&host), host, thread: Some(thread) }
    }

    /// Time between two beats.
    pub fn heartbeat(&self) -> Duration {
        self.heartbeat
    }

    /// Takes the lease of `folder`, which must exist, or says who has it. `watch` is what earlier calls for the same
    /// folder remember: only who has watched a holder on another machine for three beats may take its lease.
    ///
    /// # Errors
    /// The file cannot be created or written.
    pub fn take(&self, folder: &Path, watch: &mut Option<Watch>) -> Result<Take, DiskError> {
        let path = folder.join(LEASE);
        let taking = |source| DiskError::at("take the lease", &path)(source);
        let holder = self.new_holder();
        match OpenOptions::new().read(true).write(true).create_new(true).open(&path) {
            Ok(mut file) => {
                // Others lock it only to look: it is still empty.
                if !lock_patiently(&file) {
                    return Ok(Take::Held(None));
                }
                write_text(&mut file, &holder).map_err(taking)?;
                return Ok(Take::Taken(self.keep(path, file, holder)));
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(taking(error)),
        }
        let mut file = match OpenOptions::new().read(true).write(true).open(&path) {
            // Its holder has just finished and removed it; the caller tries again.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Take::Held(None)),
            file => file.map_err(taking)?,
        };
        let is_locked = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => {
                *watch = None;
                return Ok(Take::Held(read_text(&path).ok().and_then(|text| parse(&text))));
            }
            Err(TryLockError::Error(_)) => false,
        };
        let text = read_through(&mut file).map_err(taking)?;
        let old = parse(&text);
        if !self.is_free(old.as_ref(), is_locked) && !self.has_not_changed(&text, old.as_ref(), watch) {
            return Ok(Take::Held(old));
        }
        write_text(&mut file, &holder).map_err(taking)?;
        std::thread::sleep(SETTLE);
        match read_own(&path, &file) {
            Some(text) if parse(&text).is_some_and(|now| now.token == holder.token) => {
                Ok(Take::Taken(self.keep(path, file, holder)))
            }
            other => Ok(Take::Held(other.and_then(|text| parse(&text)))),
        }
    }

    fn is_free(&self, old: Option<&Holder>, is_locked: bool) -> bool {
        old.is_some_and(|old| old.released || is_dead(old, &self.machine, is_locked))
    }

    /// Whether the text has been the same for three beats, as far as `watch` remembers.
    fn has_not_changed(&self, text: &str, old: Option<&Holder>, watch: &mut Option<Watch>) -> bool {
        let theirs = old.map_or(0.0, |old| old.heartbeat_seconds);
        let beat = self.heartbeat.max(Duration::try_from_secs_f64(theirs).unwrap_or_default());
        match watch {
            Some(watch) if watch.text == text => watch.since.elapsed() >= beat * BEATS_UNTIL_STALE,
            _ => {
                *watch = Some(Watch { text: text.to_string(), since: Instant::now() });
                false
            }
        }
    }

    fn new_holder(&self) -> Holder {
        static N_TAKEN: AtomicU64 = AtomicU64::new(0);
        let pid = std::process::id();
        let now = jiff::Timestamp::now();
        let n_taken = N_TAKEN.fetch_add(1, Ordering::Relaxed);
        Holder {
            host: self.host.chars().take(64).collect(),
            pid,
            machine: self.machine.clone(),
            token: format!("{pid}-{n_taken}-{}", now.as_nanosecond()),
            heartbeat_seconds: self.heartbeat.as_secs_f64(),
            beat: 0,
            at: now.to_string(),
            released: false,
        }
    }

    fn keep(&self, path: PathBuf, file: File, holder: Holder) -> Lease {
        let held =
            Arc::new(Held { path, file: Mutex::new(Some(file)), holder, is_lost: AtomicBool::new(false) });
        lock(&self.shared.held).leases.push(Arc::clone(&held));
        Lease { held, all: Arc::clone(&self.shared) }
    }
}

impl Drop for Leases {
    fn drop(&mut self) {
        lock(&self.shared.held).is_closed = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Lease {
    /// Another process has taken it over, or the folder is gone: the worker that writes there must stop.
    pub fn is_lost(&self) -> bool {
        self.held.is_lost.load(Ordering::Relaxed)
    }

    /// Removes the file: the run has its record, so nobody needs a lease any more.
    pub fn finish(self) {
        let held = Arc::clone(&self.held);
        drop(self);
        if !held.is_lost.load(Ordering::Relaxed) {
            // A file that stays behind does no harm.
            let _ = fs::remove_file(&held.path);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        lock(&self.all.held).leases.retain(|held| !Arc::ptr_eq(held, &self.held));
        self.held.write(Beat::Last);
        // Closing the file releases the lock.
        lock(&self.held.file).take();
    }
}

enum Beat {
    Next(u64),
    Last,
}

impl Held {
    /// Writes a beat if the lease is still ours, and marks it lost if not. A beat that cannot be written is skipped;
    /// after three, others may take the run.
    fn write(&self, beat: Beat) {
        let mut file = lock(&self.file);
        let Some(file) = file.as_mut() else { return };
        let is_ours = read_own(&self.path, file)
            .is_some_and(|text| parse(&text).is_none_or(|holder| holder.token == self.holder.token));
        if !is_ours || self.is_lost.load(Ordering::Relaxed) {
            self.is_lost.store(true, Ordering::Relaxed);
            return;
        }
        let at = jiff::Timestamp::now().to_string();
        let (beat, released) = match beat {
            Beat::Next(beat) => (beat, false),
            Beat::Last => (self.holder.beat, true),
        };
        let _ = write_text(file, &Holder { beat, at, released, ..self.holder.clone() });
    }
}

fn beat_until_closed(shared: &Shared, heartbeat: Duration) {
    let mut beat = 0;
    let mut kept = lock(&shared.held);
    while !kept.is_closed {
        let (guard, _) = shared.changed.wait_timeout(kept, heartbeat).unwrap_or_else(PoisonError::into_inner);
        kept = guard;
        if kept.is_closed {
            return;
        }
        let leases = kept.leases.clone();
        // Written without holding the lock of the list: a slow file system must not stop the scheduler.
        drop(kept);
        beat += 1;
        for held in leases {
            held.write(Beat::Next(beat));
        }
        kept = lock(&shared.held);
    }
}

/// Locks a file that was created just now; others hold its lock only for an instant, to inspect it.
fn lock_patiently(file: &File) -> bool {
    for _ in 0..20 {
        match file.try_lock() {
            // No locks here: the heartbeat alone decides.
            Ok(()) | Err(TryLockError::Error(_)) => return true,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    false
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::holder::{LeaseState, inspect};

    const BEAT: Duration = Duration::from_millis(50);

    fn taken(take: Take) -> Option<Lease> {
        match take {
            Take::Taken(lease) => Some(lease),
            Take::Held(_) => None,
        }
    }

    #[test]
    fn of_many_who_reach_for_a_new_lease_at_once_one_gets_it() {
        for _ in 0..20 {
            let dir = tempfile::tempdir().unwrap();
            let all: Vec<Leases> = (0..4).map(|_| Leases::new(BEAT)).collect();
            let got: Vec<Option<Lease>> = std::thread::scope(|scope| {
                let reach = |leases: &Leases| taken(leases.take(dir.path(), &mut None).unwrap());
                let threads: Vec<_> = all.iter().map(|leases| scope.spawn(move || reach(leases))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(got.iter().flatten().count(), 1);
        }
    }

    #[test]
    fn a_lease_beats_while_it_is_held_and_is_free_once_dropped_or_finished() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, theirs) = (Leases::new(BEAT), Leases::new(BEAT));
        assert_eq!(inspect(dir.path()), LeaseState::Free);
        let lease = taken(ours.take(dir.path(), &mut None).unwrap()).unwrap();
        let path = dir.path().join(LEASE);
        let first = read_text(&path).unwrap();
        std::thread::sleep(3 * BEAT);
        assert_ne!(read_text(&path).unwrap(), first, "it does not beat");
        assert!(
            matches!(inspect(dir.path()), LeaseState::Held(Some(holder)) if holder.pid == std::process::id())
        );
        assert!(taken(theirs.take(dir.path(), &mut None).unwrap()).is_none());
        drop(lease);
        assert_eq!(inspect(dir.path()), LeaseState::Free);
        let lease = taken(theirs.take(dir.path(), &mut None).unwrap()).expect("it was given back");
        assert!(taken(ours.take(dir.path(), &mut None).unwrap()).is_none());
        lease.finish();
        assert!(!path.exists());
    }

    #[test]
    fn a_lease_whose_holder_died_on_this_machine_is_taken_at_once_and_an_empty_one_after_three_beats() {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::new(BEAT);
        let dead = Holder { pid: 1, ..leases.new_holder() };
        write_text(&mut File::create(dir.path().join(LEASE)).unwrap(), &dead).unwrap();
        if cfg!(unix) {
            assert_eq!(inspect(dir.path()), LeaseState::Abandoned(dead));
            drop(taken(leases.take(dir.path(), &mut None).unwrap()).expect("its lock is free"));
        }
        File::create(dir.path().join(LEASE)).unwrap();
        let (clock, mut watch) = (Instant::now(), None);
        let lease = loop {
            match leases.take(dir.path(), &mut watch).unwrap() {
                Take::Taken(lease) => break lease,
                Take::Held(_) => std::thread::sleep(BEAT / 5),
            }
        };
        assert!(clock.elapsed() >= 3 * BEAT, "{:?}", clock.elapsed());
        assert!(!lease.is_lost());
    }

    #[test]
    fn a_lease_that_another_has_overwritten_is_lost_and_leaves_the_others_text_alone() {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::new(BEAT);
        let lease = taken(leases.take(dir.path(), &mut None).unwrap()).unwrap();
        let other = Holder { token: "another".to_string(), ..leases.new_holder() };
        let path = dir.path().join(LEASE);
        write_text(&mut OpenOptions::new().write(true).open(&path).unwrap(), &other).unwrap();
        std::thread::sleep(4 * BEAT);
        assert!(lease.is_lost());
        lease.finish();
        assert_eq!(parse(&read_text(&path).unwrap()), Some(other));
    }
}
