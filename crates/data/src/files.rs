//! Files that a person names: plainly, by folder or by glob.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::DataError;
use crate::document::Place;

/// A longer file is many documents: a part of it can be held out, and it need not fit into memory.
const MAX_WHOLE_BYTES: u64 = 1 << 20;

/// A piece ends with the first line that reaches this length.
const PIECE_BYTES: u64 = 1 << 16;

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

/// The documents in a file: itself, or where it is long its pieces, cut at the ends of lines.
///
/// # Errors
/// `Io`.
pub(crate) fn places_of(path: PathBuf) -> Result<Vec<Place>, DataError> {
    let total = fs::metadata(&path).map_err(DataError::io("look at", &path))?.len();
    if total <= MAX_WHOLE_BYTES {
        return Ok(vec![Place::File(path)]);
    }
    let ends = piece_ends(&path, total).map_err(DataError::io("read", &path))?;
    let path: Arc<Path> = path.into();
    let offsets = std::iter::once(0).chain(ends.iter().copied());
    let piece = |(offset, &end)| Place::Piece { path: path.clone(), offset, bytes: end - offset };
    Ok(offsets.zip(&ends).map(piece).collect())
}

fn piece_ends(path: &Path, total: u64) -> io::Result<Vec<u64>> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut ends = Vec::new();
    let mut end = 0;
    while end < total {
        end = (end + PIECE_BYTES).min(total);
        reader.seek(SeekFrom::Start(end))?;
        end += reader.skip_until(b'\n')? as u64;
        ends.push(end);
    }
    Ok(ends)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{documents, folder, open_files, text};

    #[test]
    fn a_long_file_is_cut_into_pieces_that_are_the_file() {
        let whole = text(1, 3 << 20);
        let base =
            folder(&[("long.txt", &whole), ("no_lines.txt", &"x".repeat(3 << 20)), ("short.txt", "short")]);
        let places = |name: &str| places_of(base.path().join(name)).unwrap();
        assert_eq!((places("short.txt").len(), places("no_lines.txt").len()), (1, 1));
        let pieces: Vec<String> =
            places("long.txt").iter().map(|place| place.read().unwrap().unwrap().text).collect();
        assert!(pieces.len() > 40 && pieces[..pieces.len() - 1].iter().all(|piece| piece.ends_with('\n')));
        assert!(pieces.concat() == whole);
        assert!(open_files(base.path(), &["long.txt"]).is_ok());
    }

    #[test]
    fn folders_are_walked_without_what_is_hidden_and_files_are_named_once() {
        let base = documents(0, 3, 10);
        fs::create_dir(base.path().join(".git")).unwrap();
        fs::write(base.path().join(".git/config"), "x").unwrap();
        let entries = ["0.txt", "*.txt", "."].map(String::from);
        let listed = list("mine", &entries, base.path()).unwrap();
        let names: Vec<_> = listed.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["0.txt", "1.txt", "2.txt"]);
    }
}
