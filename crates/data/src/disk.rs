//! Files of the cache: written whole or not at all, by one process at a time.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::DataError;

/// Writes a file under a temporary name, then renames it: a reader never sees a part of it.
///
/// # Errors
/// `Io`.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), DataError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(DataError::io("create", folder))?;
    let mut file = temporary().tempfile_in(folder).map_err(DataError::io("write in", folder))?;
    let written = file.write_all(content).and_then(|()| file.as_file().sync_data());
    written.map_err(DataError::io("write", path))?;
    file.persist(path).map_err(|error| DataError::io("write", path)(error.error))?;
    Ok(())
}

/// Holds the folder, which is made where it is missing, until the lock is dropped; waits for another holder.
///
/// # Errors
/// `Io`.
pub(crate) fn lock(folder: &Path) -> Result<File, DataError> {
    fs::create_dir_all(folder).map_err(DataError::io("create", folder))?;
    let path = folder.join("lock");
    let file = File::create(&path).map_err(DataError::io("create", &path))?;
    file.lock().map_err(DataError::io("lock", &path))?;
    // What a process that was killed left behind: nobody else writes here now.
    for entry in fs::read_dir(folder).map_err(DataError::io("list", folder))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(file)
}

/// Beginning of the name of a file that is not whole yet.
const TEMPORARY: &str = ".part-";

fn temporary() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    // As other files are made, readable for others: a cache can be shared.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}
