//! The text of a lease: who holds it and when its heart beat last. Reads and writes it, and takes nothing
//! ([`crate::lease`] does).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use scalelaw_schema::folder::LEASE;
use serde::{Deserialize, Serialize};

/// A lease that stood still for so many beats is given up.
pub(crate) const BEATS_UNTIL_STALE: u32 = 3;

/// Length of the file. It never changes, so a reader finds a whole text, old or new.
const LEASE_BYTES: usize = 512;

/// What is written in a lease.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Holder {
    /// Name of the machine.
    pub host: String,
    /// Process id of the launcher there.
    pub pid: u32,
    /// One boot of one machine; equal where locks of dead processes are known to be free.
    pub machine: String,
    /// This lease and no other.
    pub token: String,
    /// Seconds between two beats.
    pub heartbeat_seconds: f64,
    /// Counts the beats, so that the text changes with each.
    pub beat: u64,
    /// Time of the beat, RFC 3339, UTC, by the holder's clock: for people.
    pub at: String,
    /// The holder has left, and anyone may take the run up.
    pub released: bool,
}

/// What one sees of a lease without taking it.
#[derive(Debug, Clone, PartialEq)]
pub enum Sight {
    /// There is none, or it was given back.
    Free,
    /// It is locked, or its heart may still beat elsewhere.
    Held(Option<Holder>),
    /// Its holder is dead, or its last beat is older than three.
    Abandoned(Holder),
}

/// Looks at the lease of `folder` once. The holder's clock is believed here, since there is nothing else to go by.
pub fn look(folder: &Path) -> Sight {
    let path = folder.join(LEASE);
    let Ok(mut file) = OpenOptions::new().read(true).write(true).open(&path) else {
        // Read-only for us, or none.
        return match read_text(&path) {
            Ok(text) => sight_by_clock(parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Sight::Free,
            Err(_) => Sight::Held(None),
        };
    };
    // A shared lock, so that two who look do not take each other for a holder.
    let is_locked = match file.try_lock_shared() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => {
            return Sight::Held(read_text(&path).ok().and_then(|text| parse(&text)));
        }
        Err(TryLockError::Error(_)) => false,
    };
    let holder = read_through(&mut file).ok().and_then(|text| parse(&text));
    match holder {
        Some(holder) if !holder.released && is_dead(&holder, &machine(&holder.host), is_locked) => {
            Sight::Abandoned(holder)
        }
        holder => sight_by_clock(holder),
    }
}

fn sight_by_clock(holder: Option<Holder>) -> Sight {
    let Some(holder) = holder else { return Sight::Held(None) };
    if holder.released {
        return Sight::Free;
    }
    let age = holder
        .at
        .parse::<jiff::Timestamp>()
        .map(|at| jiff::Timestamp::now().duration_since(at).as_secs_f64());
    match age {
        Ok(age) if age < holder.heartbeat_seconds * f64::from(BEATS_UNTIL_STALE) => Sight::Held(Some(holder)),
        _ => Sight::Abandoned(holder),
    }
}

/// On the holder's own machine a free lock means that it is dead. Only where locks on directories work too
/// (Unix), since those keep its last worker from the next one ([`crate::folder::lock_for_writing`]).
pub(crate) fn is_dead(holder: &Holder, machine: &str, is_locked: bool) -> bool {
    cfg!(unix) && is_locked && holder.machine == machine
}

/// One boot of one machine, and where the system does not tell, the machine and when it was started.
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

/// Through a fresh open, since a network file system may show an old text through an old one.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    read_through(&mut File::open(path)?)
}

/// The text of a lease whose lock is ours; `None` where the file is gone. Where a locked file can be read
/// only by its locker (Windows), through the locked one.
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
