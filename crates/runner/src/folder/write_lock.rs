//! Which process may write in a run's folder, and whether the disk lets it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use scalelaw_disk::{DiskError, FolderLock, Lock, try_lock_folder};

/// The right of this process to write in a run's folder, given back when dropped.
#[derive(Debug)]
pub struct WriteLock {
    _lock: Option<Lock>,
}

/// Takes the right to write in `folder`; `None` if another process still has it after `patience`.
///
/// It complements the launcher's lease: where a launcher was killed, its worker may live a moment longer than
/// the lease. It is a lock on the folder itself, which leaves no file. Where folders cannot be locked (Windows,
/// some network file systems) the lease's heartbeat alone decides.
pub fn lock_for_writing(folder: &Path, patience: Duration) -> Option<WriteLock> {
    match try_lock_folder(folder, patience) {
        FolderLock::Locked(lock) => Some(WriteLock { _lock: Some(lock) }),
        FolderLock::Unsupported => Some(WriteLock { _lock: None }),
        FolderLock::Held => None,
    }
}

/// Writes in `folder` as much as any small file needs, and removes it again.
///
/// # Errors
/// It cannot be written.
pub fn check_writable(folder: &Path) -> Result<(), DiskError> {
    let path = folder.join(".probe");
    let written = fs::write(&path, [0u8; 65536]);
    // A file that stays behind does no harm, and the write's own error is the one to report.
    let _ = fs::remove_file(&path);
    written.map_err(DiskError::at("write in", folder))
}
