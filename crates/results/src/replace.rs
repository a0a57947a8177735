//! Puts a file in the place of another in one step: a reader finds the old one or the new one, whole.

use std::fs::{self, File};
use std::path::Path;

use crate::error::ResultsError;

/// Writes a file beside `path` and renames it when it is complete and on the disk.
///
/// # Errors
/// `Io`, or what `write` returns; then `path` is as it was and nothing is left beside it.
pub(crate) fn replace_file(
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<(), ResultsError>,
) -> Result<(), ResultsError> {
    let file_name = path.file_name().unwrap_or_default().to_string_lossy();
    // The process id keeps two launchers on one sweep apart.
    let beside = path.with_file_name(format!(".{file_name}.{}.tmp", std::process::id()));
    let result = (|| {
        let mut file = File::create(&beside).map_err(ResultsError::io("write", path))?;
        write(&mut file)?;
        file.sync_all().map_err(ResultsError::io("write", path))?;
        fs::rename(&beside, path).map_err(ResultsError::io("write", path))
    })();
    if result.is_err() {
        // Best effort: the first error is the one to tell.
        let _ = fs::remove_file(&beside);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{self, Write};

    #[test]
    fn a_write_that_fails_leaves_the_older_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("table");
        let put = |text: &'static str| {
            replace_file(&path, |file| {
                file.write_all(text.as_bytes()).map_err(ResultsError::io("write", &path))
            })
        };
        put("older").unwrap();
        put("newer").unwrap();
        let result = replace_file(&path, |file| {
            file.write_all(b"half").unwrap();
            Err(ResultsError::io("write", &path)(io::Error::other("disk full")))
        });
        assert_eq!(result.unwrap_err().to_string(), format!("cannot write `{}`: disk full", path.display()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "newer");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let nowhere = dir.path().join("none/table");
        assert!(replace_file(&nowhere, |_| Ok(())).unwrap_err().to_string().contains("none/table"));
    }
}
