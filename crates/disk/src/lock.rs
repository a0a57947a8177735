//! Locks on folders, which end with their process however it ends.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::{DiskError, create_folder, remove_partial_files};

/// Name of the file that [`lock()`] locks.
const LOCK_FILE: &str = "lock";
/// Pause between two attempts of [`try_lock_folder`].
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// An exclusive lock, released when dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Result of [`try_lock_folder`].
#[derive(Debug)]
pub enum FolderLock {
    /// It is ours.
    Locked(Lock),
    /// Another process holds it.
    Held,
    /// Folders cannot be locked here (Windows, some network file systems).
    Unsupported,
}

/// Locks a folder by the file `lock` in it, creating the folder if needed, and waits for another holder. Removes what
/// killed processes left of files that they were writing there: nobody else writes there now.
///
/// # Errors
/// The folder or the lock file cannot be created or locked.
pub fn lock(folder: &Path) -> Result<Lock, DiskError> {
    create_folder(folder)?;
    let path = folder.join(LOCK_FILE);
    let file = File::create(&path).map_err(DiskError::at("create", &path))?;
    file.lock().map_err(DiskError::at("lock", &path))?;
    remove_partial_files(folder);
    Ok(Lock { _file: file })
}

/// Locks the folder itself, which leaves no file behind, and tries for at most `patience`.
pub fn try_lock_folder(folder: &Path, patience: Duration) -> FolderLock {
    let Ok(file) = File::open(folder) else { return FolderLock::Unsupported };
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return FolderLock::Locked(Lock { _file: file }),
            Err(TryLockError::Error(_)) => return FolderLock::Unsupported,
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return FolderLock::Held,
            Err(TryLockError::WouldBlock) => std::thread::sleep(RETRY_PAUSE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_keeps_the_second_out_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("new");
        let first = lock(&folder).unwrap();
        let second = std::thread::spawn({
            let folder = folder.clone();
            move || drop(lock(&folder).unwrap())
        });
        std::thread::sleep(Duration::from_millis(100));
        assert!(!second.is_finished(), "both have the lock");
        drop(first);
        second.join().unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn a_locked_folder_is_held_for_others_and_free_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let first = try_lock_folder(dir.path(), Duration::ZERO);
        assert!(matches!(first, FolderLock::Locked(_)), "{first:?}");
        assert!(matches!(try_lock_folder(dir.path(), Duration::ZERO), FolderLock::Held));
        drop(first);
        assert!(matches!(try_lock_folder(dir.path(), Duration::ZERO), FolderLock::Locked(_)));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
