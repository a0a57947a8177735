//! Atomic replacement of a file.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::{DiskError, create_folder, list};

/// How the name of a file begins that is not complete yet.
const PARTIAL_PREFIX: &str = ".part-";

/// Replaces the content of a file: a reader finds the old content or the new one, never a part, even after a loss
/// of power. Creates the folder if needed.
///
/// # Errors
/// The file cannot be written. Unless only the last step failed, which syncs the folder, the old content is still
/// there. Nothing is left beside it.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    write_with(path, |file| file.write_all(bytes).map_err(DiskError::at("write", path)))
}

/// As [`write()`], with the content written by `fill`.
///
/// # Errors
/// As [`write()`], or what `fill` returns.
pub fn write_with<E: From<DiskError>>(
    path: &Path,
    fill: impl FnOnce(&mut File) -> Result<(), E>,
) -> Result<(), E> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_folder(folder)?;
    let failed = || DiskError::at("write", path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(PARTIAL_PREFIX);
    // Readable by others, as any new file is; the system's mask still applies.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    // A name of its own, so that two processes that write the same file do not meet. Removed when dropped.
    let mut partial = builder.tempfile_in(folder).map_err(failed())?;
    fill(partial.as_file_mut())?;
    partial.as_file().sync_all().map_err(failed())?;
    partial.persist(path).map_err(|error| failed()(error.error))?;
    Ok(sync_folder(folder).map_err(failed())?)
}

/// Removes what killed processes left of files that they were writing. Call it where nobody else writes in `folder`.
pub fn remove_partial_files(folder: &Path) {
    for path in list(folder).unwrap_or_default() {
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PARTIAL_PREFIX)) {
            // One that cannot be removed is in nobody's way.
            let _ = fs::remove_file(path);
        }
    }
}

/// Makes a rename survive a loss of power. Outside Unix a folder cannot be synchronised.
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let paths = list(folder).unwrap();
        paths.iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_content_and_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/folder/table");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        let error = write_with(&path, |file| -> Result<(), DiskError> {
            file.write_all(b"half").unwrap();
            Err(DiskError::at("write", &path)(io::Error::other("disk full")))
        });
        assert_eq!(error.unwrap_err().to_string(), format!("cannot write `{}`: disk full", path.display()));
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(path.parent().unwrap()), ["table"]);
        // A folder in the file's place: the last step, the rename, fails.
        let folder = path.parent().unwrap();
        assert!(write(folder, b"x").unwrap_err().to_string().contains("folder"));
        assert_eq!(names(folder.parent().unwrap()), ["folder"]);
    }

    #[test]
    fn partial_files_of_killed_writers_are_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".part-x1", "table", ".hidden"] {
            fs::write(dir.path().join(name), "text").unwrap();
        }
        remove_partial_files(dir.path());
        let mut found = names(dir.path());
        found.sort();
        assert_eq!(found, [".hidden", "table"]);
        remove_partial_files(&dir.path().join("missing"));
    }

    #[test]
    #[cfg(unix)]
    fn others_may_read_what_is_written_as_far_as_the_mask_allows() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let [ours, plain] = ["ours", "plain"].map(|name| dir.path().join(name));
        write(&ours, b"").unwrap();
        fs::write(&plain, "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }
}
