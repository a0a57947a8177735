//! Files that a user names: by path, by folder or by glob.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::DataError;
use crate::sources::document::DocumentSource;

/// A longer file, in bytes, becomes many documents, so that a part of it can be held out and it need not fit into
/// memory.
const MAX_WHOLE_BYTES: u64 = 1 << 20;

/// A piece ends with the first line that reaches this length, bytes.
const PIECE_BYTES: u64 = 1 << 16;

/// All files that `patterns` name, sorted. A folder stands for all files below it, except hidden ones (with a leading
/// dot); links to folders are not followed.
///
/// # Errors
/// `NoSuchPath`, `NoMatch`, `BadGlob`, `Io`.
pub(crate) fn list(corpus: &str, patterns: &[String], base: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut files = Vec::new();
    for pattern in patterns {
        let path = base.join(pattern);
        if path.exists() {
            add(&path, &mut files)?;
        } else if pattern.contains(['*', '?', '[']) {
            // The base is a plain path, whatever characters its name has.
            let escaped = Path::new(&glob::Pattern::escape(&base.to_string_lossy())).join(pattern);
            let matches = glob::glob(&escaped.to_string_lossy()).map_err(|error| DataError::BadGlob {
                corpus: corpus.to_string(),
                pattern: pattern.clone(),
                why: error.msg,
            })?;
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
                return Err(DataError::NoMatch { corpus: corpus.to_string(), pattern: pattern.clone() });
            }
        } else {
            return Err(DataError::NoSuchPath { corpus: corpus.to_string(), path });
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}

/// The documents in a file: the file itself, or if it is long its pieces, cut at line ends.
///
/// # Errors
/// `Io`.
pub(crate) fn documents_of(path: PathBuf) -> Result<Vec<DocumentSource>, DataError> {
    let total = fs::metadata(&path).map_err(DataError::io("inspect", &path))?.len();
    if total <= MAX_WHOLE_BYTES {
        return Ok(vec![DocumentSource::File(path)]);
    }
    let ends = piece_ends(&path, total).map_err(DataError::io("read", &path))?;
    let path: Arc<Path> = path.into();
    let offsets = std::iter::once(0).chain(ends.iter().copied());
    let piece = |(offset, &end)| DocumentSource::Piece { path: path.clone(), offset, bytes: end - offset };
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

/// The files below a folder, sorted; only those whose own name and folder names `is_wanted` accepts. Links to folders
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
            let kind = entry.file_type().map_err(DataError::io("inspect", &path))?;
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
    fn the_pieces_of_a_long_file_join_to_the_file() {
        let whole = text(1, 3 << 20);
        let base =
            folder(&[("long.txt", &whole), ("no_lines.txt", &"x".repeat(3 << 20)), ("short.txt", "short")]);
        let documents = |name: &str| documents_of(base.path().join(name)).unwrap();
        assert_eq!((documents("short.txt").len(), documents("no_lines.txt").len()), (1, 1));
        let pieces: Vec<String> =
            documents("long.txt").iter().map(|source| source.read().unwrap().unwrap().text).collect();
        assert!(pieces.len() > 40 && pieces[..pieces.len() - 1].iter().all(|piece| piece.ends_with('\n')));
        assert!(pieces.concat() == whole);
        assert!(open_files(base.path(), &["long.txt"]).is_ok());
    }

    #[test]
    fn folders_are_walked_without_hidden_files_and_each_file_is_listed_once() {
        let base = documents(0, 3, 10);
        fs::create_dir(base.path().join(".git")).unwrap();
        fs::write(base.path().join(".git/config"), "x").unwrap();
        let patterns = ["0.txt", "*.txt", "."].map(String::from);
        let listed = list("mine", &patterns, base.path()).unwrap();
        let names: Vec<_> = listed.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["0.txt", "1.txt", "2.txt"]);
    }
}
