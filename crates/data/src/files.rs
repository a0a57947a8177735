//! Files that a person names: plainly, by folder or by glob.

use std::fs;
use std::path::{Path, PathBuf};

use crate::DataError;

/// All files that `entries` name, sorted. A folder stands for all files below it, hidden ones (a leading
/// dot) left out, links to folders not followed.
///
/// # Errors
/// `NoSuchPath`, `NoMatch`, `BadGlob`, `Io`.
pub(crate) fn list(corpus: &str, entries: &[String], base: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    for entry in entries {
        let path = base.join(entry);
        if path.exists() {
            add(&path, &mut files)?;
        } else if entry.contains(['*', '?', '[']) {
            let bad =
                |why: String| DataError::BadGlob { corpus: corpus.to_string(), pattern: entry.clone(), why };
            // Whatever the base is called, only the entry is a pattern.
            let pattern = Path::new(&glob::Pattern::escape(&base.to_string_lossy())).join(entry);
            let matches =
                glob::glob(&pattern.to_string_lossy()).map_err(|error| bad(error.msg.to_string()))?;
            let n_before = files.len();
            for found in matches {
                let found = found.map_err(|error| DataError::Io {
                    action: "read",
                    path: error.path().to_path_buf(),
                    source: error.into(),
                })?;
                add(&found, &mut files)?;
            }
            if files.len() == n_before {
                return Err(DataError::NoMatch { corpus: corpus.to_string(), pattern: entry.clone() });
            }
        } else {
            return Err(DataError::NoSuchPath { corpus: corpus.to_string(), path });
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn add(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), DataError> {
    if path.is_dir() {
        files.extend(below(path, &|name| !name.starts_with('.'))?);
    } else {
        files.push(path.to_path_buf());
    }
    Ok(())
}

/// The files below a folder whose names, and those of the folders on the way, are wanted. Links to folders
/// are not followed.
///
/// # Errors
/// `Io`.
pub(crate) fn below(folder: &Path, is_wanted: &dyn Fn(&str) -> bool) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(DataError::io("list", &folder))? {
            let entry = entry.map_err(DataError::io("list", &folder))?;
            if !is_wanted(&entry.file_name().to_string_lossy()) {
                continue;
            }
            let path = entry.path();
            let kind = entry.file_type().map_err(DataError::io("look at", &path))?;
            if kind.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
