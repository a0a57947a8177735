//! The text of a lease: who holds it, and its last heartbeat. Reads and writes it; [`super::lease`] takes leases.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use scalelaw_schema::folder::LEASE;
use serde::{Deserialize, Serialize};

/// A lease whose text has not changed for so many beats is abandoned.
pub(crate) const BEATS_UNTIL_STALE: u32 = 3;

/// Length of the file. It never changes, so a reader finds a complete text, old or new.
const LEASE_BYTES: usize = 512;

/// The content of a lease.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Holder {
    /// Name of the machine.
    pub host: String,
    /// Process id of the launcher there.
    pub pid: u32,
    /// One boot of one machine: where it is the same, the lock of a dead process is known to be free.
    pub machine: String,
    /// Identifies this lease.
    pub token: String,
    /// Seconds between two beats.
    pub heartbeat_seconds: f64,
    /// Counts the beats, so that the text changes with each.
    pub beat: u64,
    /// Time of the beat by the holder's clock, RFC 3339, UTC, for the reader.
    pub at: String,
    /// The holder has given it back: anyone may resume the run.
    pub released: bool,
}

/// State of a lease, as seen without taking it.
#[derive(Debug, Clone, PartialEq)]
pub enum LeaseState {
    /// There is none, or it was given back.
    Free,
    /// It is locked, or its heartbeat on another machine is recent. The holder is `None` if the text cannot be read.
    Held(Option<Holder>),
    /// Its holder is dead, or its last heartbeat is more than three beats old.
    Abandoned(Holder),
}

/// Reads the state of the lease of `folder`. Trusts the holder's clock, since one look has nothing else to go by.
pub fn inspect(folder: &Path) -> LeaseState {
    let path = folder.join(LEASE);
    let Ok(mut file) = OpenOptions::new().read(true).write(true).open(&path) else {
        // Read-only for us, or missing.
        return match read_text(&path) {
            Ok(text) => state_by_clock(parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => LeaseState::Free,
            Err(_) => LeaseState::Held(None),
        };
    };
    // A shared lock, so that two processes that inspect it do not mistake each other for a holder.
    let is_locked = match file.try_lock_shared() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => {
            return LeaseState::Held(read_text(&path).ok().and_then(|text| parse(&text)));
        }
        Err(TryLockError::Error(_)) => false,
    };
    let holder = read_through(&mut file).ok().and_then(|text| parse(&text));
    match holder {
        Some(holder) if !holder.released && is_dead(&holder, &machine(&holder.host), is_locked) => {
            LeaseState::Abandoned(holder)
        }
        holder => state_by_clock(holder),
    }
}

fn state_by_clock(holder: Option<Holder>) -> LeaseState {
    let Some(holder) = holder else { return LeaseState::Held(None) };
    if holder.released {
        return LeaseState::Free;
    }
    let age = holder
        .at
        .parse::<jiff::Timestamp>()
        .map(|at| jiff::Timestamp::now().duration_since(at).as_secs_f64());
    match age {
        Ok(age) if age < holder.heartbeat_seconds * f64::from(BEATS_UNTIL_STALE) => {
            LeaseState::Held(Some(holder))
        }
        _ => LeaseState::Abandoned(holder),
    }
}

/// On the holder's own machine a free lock means that it is dead. Only where locks on directories work too
/// (Unix), since those keep its last worker from the next one ([`super::lock_for_writing`]).
pub(crate) fn is_dead(holder: &Holder, machine: &str, is_locked: bool) -> bool {
    cfg!(unix) && is_locked && holder.machine == machine
}

/// Identifies one boot of one machine; by its name and start time if the system does not tell.
pub(crate) fn machine(host: &str) -> String {
    match fs::read_to_string("/proc/sys/kernel/random/boot_id") {
        Ok(id) => id.trim().to_string(),
        Err(_) => format!("{}@{}", host.chars().take(64).collect::<String>(), sysinfo::System::boot_time()),
    }
}

pub(crate) fn write_text(file: &mut File, holder: &Holder) -> io::Result<()> {
    let text = serde_json::to_string(holder).expect("a holder is plain data");
    file.seek(SeekFrom::Start(0))?;
    file.write_all(format!("{text:<width$}\n", width = LEASE_BYTES - 1).as_bytes())
}

pub(crate) fn read_through(file: &mut File) -> io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let mut text = Vec::new();
    file.take(LEASE_BYTES as u64).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Opens the file anew, since a network file system may show an old text through an old handle.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    read_through(&mut File::open(path)?)
}

/// The text of a lease whose lock is ours; `None` if the file is gone. Where a locked file can be read
/// only by its locker (Windows), through the locked handle.
pub(crate) fn read_own(path: &Path, file: &File) -> Option<String> {
    match read_text(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(_) => Some(file.try_clone().and_then(|mut file| read_through(&mut file)).unwrap_or_default()),
    }
}

pub(crate) fn parse(text: &str) -> Option<Holder> {
    serde_json::from_str(text.trim_end()).ok()
}
