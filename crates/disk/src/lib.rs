//! Files that survive crashes: [`write()`] replaces a file whole or not at all, [`read`], [`list`] and [`remove`]
//! treat a missing file as an answer and not as an error, [`lock()`] keeps other processes out of a folder. Knows
//! nothing of what the files hold.

#![warn(missing_docs)]

mod error;
mod lock;
mod write;

pub use error::DiskError;
pub use lock::{FolderLock, Lock, lock, try_lock_folder};
pub use write::{remove_partial_files, write, write_with};

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The bytes of a file; `None` if there is no such file.
///
/// # Errors
/// The file exists and cannot be read.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    if_there(fs::read(path)).map_err(DiskError::at("read", path))
}

/// Paths of the entries of a folder, in no particular order; empty if there is no such folder.
///
/// # Errors
/// The folder exists and cannot be listed.
pub fn list(folder: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let paths = || -> std::io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    };
    Ok(if_there(paths()).map_err(DiskError::at("list", folder))?.unwrap_or_default())
}

/// Removes a file. Returns whether it was there.
///
/// # Errors
/// The file exists and cannot be removed.
pub fn remove(path: &Path) -> Result<bool, DiskError> {
    Ok(if_there(fs::remove_file(path)).map_err(DiskError::at("remove", path))?.is_some())
}

/// Creates a folder and its parents; does nothing if it exists.
///
/// # Errors
/// It cannot be created.
pub fn create_folder(folder: &Path) -> Result<(), DiskError> {
    fs::create_dir_all(folder).map_err(DiskError::at("create", folder))
}

fn if_there<T>(result: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_an_answer_and_what_cannot_be_read_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        assert_eq!(read(&file).unwrap(), None);
        assert_eq!(list(&file).unwrap(), Vec::<PathBuf>::new());
        assert!(!remove(&file).unwrap());
        write(&file, b"text").unwrap();
        assert_eq!(read(&file).unwrap().unwrap(), b"text");
        assert_eq!(list(dir.path()).unwrap(), std::slice::from_ref(&file));
        for error in
            [read(dir.path()).unwrap_err(), list(&file).unwrap_err(), remove(dir.path()).unwrap_err()]
        {
            let text = error.to_string();
            assert!(text.contains(&error.path.display().to_string()), "{text}");
        }
        assert!(remove(&file).unwrap());
        assert_eq!(list(dir.path()).unwrap(), Vec::<PathBuf>::new());
    }
}
