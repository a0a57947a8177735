//! What the file system refused.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// A call of the file system that failed, with its path and a hint.
#[derive(Debug, Error)]
#[error("cannot {action} `{}`: {source}{}", path.display(), self.hint())]
pub struct DiskError {
    /// What was tried, as a verb.
    pub action: &'static str,
    /// Where.
    pub path: PathBuf,
    /// The answer of the system.
    pub source: io::Error,
}

impl DiskError {
    /// For `map_err`: the system refused to `action` the `path`.
    pub fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
        move |source| DiskError { action, path: path.to_path_buf(), source }
    }

    /// Whether the disk accepts nothing more, whatever the file.
    pub fn is_full_or_read_only(&self) -> bool {
        matches!(
            self.source.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem
        )
    }

    fn hint(&self) -> &'static str {
        match self.source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                " (hint: free some space and run again; finished work is kept)"
            }
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
                " (hint: make the folder writable, or choose another one)"
            }
            _ => "",
        }
    }
}
