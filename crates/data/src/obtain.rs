//! Files of a Debian package for machines that lack them: downloaded and unpacked into the cache folder, which
//! needs no root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use scalelaw_schema::corpus::{CorpusSpec, DebianPackage};

use crate::DataError;
use crate::disk;

/// Where files may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From<'a> {
    /// This machine, where the package is installed; otherwise Debian.
    Debian,
    /// A folder that holds the files, by their names or by their paths within the package; or the file itself.
    Path(&'a Path),
}

/// Which content is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// Only the one that the manifest's hashes are of.
    Pinned,
    /// Any: it makes another corpus, with which losses cannot be compared.
    Any,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obtained {
    /// All files lay in the folder already.
    WasThere(PathBuf),
    /// They were put there.
    Now(PathBuf),
}

/// The folder that holds a corpus' files in the cache.
pub fn folder_of(cache: &Path, corpus: &str) -> PathBuf {
    cache.join("obtained").join(corpus)
}

/// The folder that a corpus' relative paths start at: the cache's for one of a package, else `base`.
pub fn base_of(cache: &Path, corpus: &str, spec: &CorpusSpec, base: &Path) -> PathBuf {
    match spec.obtain {
        Some(_) => folder_of(cache, corpus),
        None => base.to_path_buf(),
    }
}

/// Puts the files of `package` into the cache, each under its bare name, after comparing its hash.
///
/// # Errors
/// `DebianFailed` where `apt-get` or `dpkg-deb` is missing or fails, with what it said; `OtherEdition`;
/// `NoSuchPath` for a path that lacks a file; `Io`.
pub fn obtain(
    corpus: &str,
    package: &DebianPackage,
    cache: &Path,
    from: From,
    edition: Edition,
) -> Result<Obtained, DataError> {
    let folder = folder_of(cache, corpus);
    let is_there = |path: &str, hash: &str| {
        fs::read(folder.join(bare_name(path)))
            .is_ok_and(|bytes| edition == Edition::Any || hash_of(&bytes) == hash)
    };
    if from == From::Debian && package.files.iter().all(|(path, hash)| is_there(path, hash)) {
        return Ok(Obtained::WasThere(folder));
    }
    let installed = Path::new("/");
    let unpacked;
    let root = match from {
        From::Path(path) => path,
        From::Debian if package.files.keys().all(|path| installed.join(path).is_file()) => installed,
        From::Debian => {
            fs::create_dir_all(cache).map_err(DataError::io("create", cache))?;
            unpacked = tempfile::tempdir_in(cache).map_err(DataError::io("write in", cache))?;
            download(corpus, package, unpacked.path())?;
            unpacked.path()
        }
    };
    for (path, hash) in &package.files {
        let found = find(corpus, root, path)?;
        let bytes = fs::read(&found).map_err(DataError::io("read", &found))?;
        let found_hash = hash_of(&bytes);
        if edition == Edition::Pinned && found_hash != *hash {
            let (expected, version) = (hash.clone(), package.version.clone());
            let path = PathBuf::from(path);
            return Err(DataError::OtherEdition { path, found: found_hash, expected, version });
        }
        disk::write(&folder.join(bare_name(path)), &bytes)?;
    }
    Ok(Obtained::Now(folder))
}

fn hash_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn bare_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A file of the package below `root`, which may also be that file.
fn find(corpus: &str, root: &Path, path: &str) -> Result<PathBuf, DataError> {
    let is_itself = root.is_file() && root.file_name().is_some_and(|name| name == bare_name(path));
    let places = [root.join(path), root.join(bare_name(path))];
    let found =
        if is_itself { Some(root.to_path_buf()) } else { places.into_iter().find(|place| place.is_file()) };
    found
        .ok_or_else(|| DataError::NoSuchPath { corpus: corpus.to_string(), path: root.join(bare_name(path)) })
}

/// Downloads the package into `folder` and unpacks it there.
fn download(corpus: &str, package: &DebianPackage, folder: &Path) -> Result<(), DataError> {
    let run = |program: &'static str, arguments: &[&str]| -> Result<(), String> {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .output()
            .map_err(|error| format!("`{program}` cannot be run: {error}"))?;
        match output.status.success() {
            true => Ok(()),
            false => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(format!("`{program} {}` failed: {}", arguments.join(" "), said.trim()))
            }
        }
    };
    let failed = |why: String| DataError::DebianFailed {
        corpus: corpus.to_string(),
        package: package.package.clone(),
        why,
        elsewhere: package.elsewhere.clone(),
    };
    // The version that a machine's release has; whether it is the pinned one, the hashes tell.
    run("apt-get", &["download", &package.package]).map_err(failed)?;
    let listed = fs::read_dir(folder).map_err(DataError::io("list", folder))?;
    let deb =
        listed.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "deb"));
    let deb = deb.ok_or_else(|| failed("`apt-get download` left no package".to_string()))?;
    run("dpkg-deb", &["-x", &deb.to_string_lossy(), "."]).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::testing::folder;

    fn package(files: &[(&str, &str)]) -> DebianPackage {
        let hash = |text: &str| hash_of(text.as_bytes());
        DebianPackage {
            package: "no-such-package-of-scalelaw".to_string(),
            version: "1.0".to_string(),
            elsewhere: "from its author".to_string(),
            files: files
                .iter()
                .map(|(path, text)| (path.to_string(), hash(text)))
                .collect::<BTreeMap<_, _>>(),
        }
    }

    #[test]
    fn files_are_taken_from_a_path_where_they_are_what_the_manifest_says() {
        let package = package(&[("usr/share/words/a.txt", "alpha"), ("usr/share/words/b.txt", "beta")]);
        let get = |root: &Path, edition| {
            let cache = folder(&[]);
            let done = obtain("words", &package, cache.path(), From::Path(root), edition)?;
            let texts = ["a.txt", "b.txt"]
                .map(|name| fs::read_to_string(folder_of(cache.path(), "words").join(name)).unwrap());
            let again = obtain("words", &package, cache.path(), From::Debian, edition).unwrap();
            assert!(matches!(again, Obtained::WasThere(_)), "{again:?}");
            Ok::<_, DataError>((done, texts))
        };
        let flat = folder(&[("a.txt", "alpha"), ("b.txt", "beta")]);
        let deep = folder(&[("usr/share/words/a.txt", "alpha"), ("usr/share/words/b.txt", "beta")]);
        for root in [&flat, &deep] {
            let (done, texts) = get(root.path(), Edition::Pinned).unwrap();
            assert!(matches!(done, Obtained::Now(_)));
            assert_eq!(texts, ["alpha", "beta"]);
        }
        let other = folder(&[("a.txt", "alpha"), ("b.txt", "gamma")]);
        let error = get(other.path(), Edition::Pinned).unwrap_err().to_string();
        assert!(["b.txt", "1.0", "--any-edition"].iter().all(|part| error.contains(part)), "{error}");
        assert_eq!(get(other.path(), Edition::Any).unwrap().1, ["alpha", "gamma"]);
        let lacking = folder(&[("a.txt", "alpha")]);
        assert!(get(lacking.path(), Edition::Pinned).unwrap_err().to_string().contains("b.txt"));
    }

    #[test]
    fn what_cannot_be_downloaded_is_said_with_where_else_it_is() {
        let cache = folder(&[]);
        let package = package(&[("usr/share/no-such-file-of-scalelaw", "")]);
        let error =
            obtain("words", &package, cache.path(), From::Debian, Edition::Pinned).unwrap_err().to_string();
        assert!(["words", "apt-get", "from its author"].iter().all(|part| error.contains(part)), "{error}");
        // Nothing half-made stays behind.
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
    }
}
