//! Pinned crates in cargo's registry folder.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::error::DataError;
use crate::sources::document::{Document, DocumentSource, order_of};
use crate::sources::files;

/// The crates of a corpus, found on this machine.
#[derive(Debug, Clone)]
pub(crate) struct PinnedCrates {
    /// Name and folder of each crate, in the order of the names.
    pub folders: Vec<(String, PathBuf)>,
    /// Extensions of the files that are documents, without the dot.
    pub extensions: Vec<String>,
    /// Longer files are dropped.
    pub max_document_bytes: Option<u64>,
}

/// The folder `registry/src` of cargo's home.
pub(crate) fn source_folder() -> PathBuf {
    env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .unwrap_or_else(|| PathBuf::from(".cargo"))
        .join("registry/src")
}

/// The folders of the crates (name to version) below `registry`; `None` if none of them is there.
///
/// # Errors
/// `CrateMissing` if only some are there: the text would not be the pinned one.
pub(crate) fn find(
    corpus: &str,
    registry: &Path,
    crates: &BTreeMap<String, String>,
) -> Result<Option<Vec<(String, PathBuf)>>, DataError> {
    // One folder per index that cargo downloaded from.
    let mut indices: Vec<PathBuf> =
        fs::read_dir(registry).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    indices.sort();
    let mut found = Vec::new();
    let mut missing = Vec::new();
    for (name, version) in crates {
        let folder_name = format!("{name}-{version}");
        let folder = indices.iter().map(|index| index.join(&folder_name)).find(|folder| folder.is_dir());
        match folder {
            Some(folder) => found.push((name.clone(), folder)),
            None => missing.push(format!("{name} {version}")),
        }
    }
    match missing.first() {
        _ if found.is_empty() => Ok(None),
        None => Ok(Some(found)),
        Some(first) => Err(DataError::CrateMissing {
            corpus: corpus.to_string(),
            first: first.clone(),
            n_missing: missing.len(),
            n_crates: crates.len(),
            folder: registry.to_path_buf(),
        }),
    }
}

/// The documents of one crate.
pub(crate) struct CrateDocuments {
    pub name: String,
    pub documents: Vec<Document>,
    /// Files dropped for their length.
    pub n_too_long: u64,
}

impl PinnedCrates {
    /// The documents of each crate that has any.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn documents(&self) -> Result<Vec<CrateDocuments>, DataError> {
        let listed: Result<Vec<CrateDocuments>, DataError> =
            self.folders.par_iter().map(|(name, folder)| self.documents_of(name, folder)).collect();
        Ok(listed?.into_iter().filter(|listed| !listed.documents.is_empty()).collect())
    }

    fn documents_of(&self, name: &str, folder: &Path) -> Result<CrateDocuments, DataError> {
        let mut listed = CrateDocuments { name: name.to_string(), documents: Vec::new(), n_too_long: 0 };
        for path in files::below(folder, &|_| true)? {
            let extension = path.extension().unwrap_or_default();
            if !self.extensions.iter().any(|wanted| extension == wanted.as_str()) {
                continue;
            }
            let bytes = fs::metadata(&path).map_err(DataError::io("inspect", &path))?.len();
            if self.max_document_bytes.is_some_and(|most| bytes > most) {
                listed.n_too_long += 1;
                continue;
            }
            // Joined by hand, so that it is the same on every system.
            let parts = path.strip_prefix(folder).unwrap_or(&path).iter().map(|part| part.to_string_lossy());
            let identity = parts.fold(name.to_string(), |identity, part| format!("{identity}/{part}"));
            let order = order_of(identity.as_bytes());
            listed.documents.push(Document {
                source: DocumentSource::File(path),
                order,
                bytes,
                content: None,
            });
        }
        Ok(listed)
    }
}
