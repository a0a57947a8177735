//! Downloads the files of a Debian package and unpacks them into the cache folder. Needs no root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use scalelaw_schema::corpus::{CorpusSpec, DebianPackage};

use crate::disk;
use crate::error::DataError;
use crate::error::sources::PackageError;
use crate::hash;

/// Where the files come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From<'a> {
    /// The installed package, or else Debian's archive.
    Debian,
    /// A folder that holds the files under their names or their paths within the package; or the file itself.
    Path(&'a Path),
}

/// Which content is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// Only the content whose hashes the manifest pins.
    Pinned,
    /// Any content: a different corpus, whose losses are not comparable.
    Any,
}

/// The folder with the files, and whether anything had to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Downloaded {
    /// All files were in the folder already.
    Before(PathBuf),
    /// They were copied into it.
    Now(PathBuf),
}

/// The folder of a corpus' files in the cache.
pub fn folder_of(cache: &Path, corpus: &str) -> PathBuf {
    cache.join("obtained").join(corpus)
}

/// The folder that a corpus' relative paths start at: in the cache if a package holds its files, else `base`.
pub fn base_of(cache: &Path, corpus: &str, spec: &CorpusSpec, base: &Path) -> PathBuf {
    match spec.obtain {
        Some(_) => folder_of(cache, corpus),
        None => base.to_path_buf(),
    }
}

/// Copies the files of `package` into the cache, each under its bare name, after checking its hash.
///
/// # Errors
/// `DebianFailed` if `apt-get` or `dpkg-deb` is missing or fails; `OtherEdition`; `NoSuchPath` if a file is not below
/// the given path; `Io`.
pub fn download(
    corpus: &str,
    package: &DebianPackage,
    cache: &Path,
    from: From,
    edition: Edition,
) -> Result<Downloaded, DataError> {
    let folder = folder_of(cache, corpus);
    let is_there = |path: &str, hash: &str| {
        fs::read(folder.join(bare_name(path)))
            .is_ok_and(|bytes| edition == Edition::Any || hash::of_bytes(&bytes) == hash)
    };
    if from == From::Debian && package.files.iter().all(|(path, hash)| is_there(path, hash)) {
        return Ok(Downloaded::Before(folder));
    }
    let installed = Path::new("/");
    let unpacked;
    let root = match from {
        From::Path(path) => path,
        From::Debian if package.files.keys().all(|path| installed.join(path).is_file()) => installed,
        From::Debian => {
            fs::create_dir_all(cache).map_err(DataError::io("create", cache))?;
            unpacked = tempfile::tempdir_in(cache).map_err(DataError::io("write in", cache))?;
            unpack(corpus, package, unpacked.path())?;
            unpacked.path()
        }
    };
    for (path, hash) in &package.files {
        let found = find(corpus, root, path)?;
        let bytes = fs::read(&found).map_err(DataError::io("read", &found))?;
        let found_hash = hash::of_bytes(&bytes);
        if edition == Edition::Pinned && found_hash != *hash {
            let (expected, version) = (hash.clone(), package.version.clone());
            let path = PathBuf::from(path);
            return Err(DataError::OtherEdition { path, found: found_hash, expected, version });
        }
        disk::write(&folder.join(bare_name(path)), &bytes)?;
    }
    Ok(Downloaded::Now(folder))
}

fn bare_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A file of the package below `root`, which may also be the file itself.
fn find(corpus: &str, root: &Path, path: &str) -> Result<PathBuf, DataError> {
    let is_itself = root.is_file() && root.file_name().is_some_and(|name| name == bare_name(path));
    let places = [root.join(path), root.join(bare_name(path))];
    let found =
        if is_itself { Some(root.to_path_buf()) } else { places.into_iter().find(|place| place.is_file()) };
    found
        .ok_or_else(|| DataError::NoSuchPath { corpus: corpus.to_string(), path: root.join(bare_name(path)) })
}

/// Downloads the package into `folder` and unpacks it there.
fn unpack(corpus: &str, package: &DebianPackage, folder: &Path) -> Result<(), DataError> {
    let run = |program: &'static str, arguments: &[&str]| -> Result<(), PackageError> {
        let output = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .output()
            .map_err(|source| PackageError::CannotRun { program, source })?;
        match output.status.success() {
            true => Ok(()),
            false => Err(PackageError::Failed {
                command: format!("{program} {}", arguments.join(" ")),
                stderr: String::from_utf8_lossy(&output.stderr).trim().to_string(),
            }),
        }
    };
    let failed = |why| DataError::DebianFailed {
        corpus: corpus.to_string(),
        package: package.package.clone(),
        why,
        elsewhere: package.elsewhere.clone(),
    };
    // This downloads whatever version the machine's release has; the hashes tell whether it is the pinned one.
    run("apt-get", &["download", &package.package]).map_err(failed)?;
    let listed = fs::read_dir(folder).map_err(DataError::io("list", folder))?;
    let deb =
        listed.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "deb"));
    let deb = deb.ok_or_else(|| failed(PackageError::NoPackage))?;
    run("dpkg-deb", &["-x", &deb.to_string_lossy(), "."]).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::testing::folder;

    fn package(files: &[(&str, &str)]) -> DebianPackage {
        let hash = |text: &str| hash::of_bytes(text.as_bytes());
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
    fn files_from_a_path_must_have_the_hashes_of_the_manifest() {
        let package = package(&[("usr/share/words/a.txt", "alpha"), ("usr/share/words/b.txt", "beta")]);
        let get = |root: &Path, edition| {
            let cache = folder(&[]);
            let done = download("words", &package, cache.path(), From::Path(root), edition)?;
            let texts = ["a.txt", "b.txt"]
                .map(|name| fs::read_to_string(folder_of(cache.path(), "words").join(name)).unwrap());
            let again = download("words", &package, cache.path(), From::Debian, edition).unwrap();
            assert!(matches!(again, Downloaded::Before(_)), "{again:?}");
            Ok::<_, DataError>((done, texts))
        };
        let flat = folder(&[("a.txt", "alpha"), ("b.txt", "beta")]);
        let deep = folder(&[("usr/share/words/a.txt", "alpha"), ("usr/share/words/b.txt", "beta")]);
        for root in [&flat, &deep] {
            let (done, texts) = get(root.path(), Edition::Pinned).unwrap();
            assert!(matches!(done, Downloaded::Now(_)));
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
    fn a_failed_download_says_where_else_the_files_are() {
        let cache = folder(&[]);
        let package = package(&[("usr/share/no-such-file-of-scalelaw", "")]);
        let error =
            download("words", &package, cache.path(), From::Debian, Edition::Pinned).unwrap_err().to_string();
        assert!(["words", "apt-get", "from its author"].iter().all(|part| error.contains(part)), "{error}");
        // No partial download is left.
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
    }
}
