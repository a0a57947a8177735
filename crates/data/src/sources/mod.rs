//! Where the text of a corpus comes from: files, JSONL, cargo's registry, the toolchain's documentation, dictionaries,
//! proofs, or a generator. Knows nothing of how text is split or tokenised.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use scalelaw_schema::corpus::{CorpusSource, CorpusSpec};
use scalelaw_schema::generator::GeneratedSpec;

use crate::error::DataError;
use crate::skills::Generated;
use document::{DocumentSource, Hashed, hash_all};
use registry::PinnedCrates;

pub mod download;

pub(crate) mod document;
mod entries;
pub(crate) mod files;
mod html;
mod jsonl;
pub(crate) mod line;
mod metamath;
pub(crate) mod registry;
pub(crate) mod rust_docs;
mod wordnet;

pub use crate::error::sources::{EntryError, JsonError, LineError, PackageError};

/// The folders of this machine that corpora come from.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    /// Cargo's registry.
    pub registry: PathBuf,
    /// Finds the toolchain's documentation. Called only if needed, since it starts a process.
    pub rust_docs: fn() -> Option<PathBuf>,
}

impl Folders {
    /// Those of this machine.
    pub(crate) fn of_machine() -> Folders {
        Folders { registry: registry::source_folder(), rust_docs: rust_docs::find }
    }
}

/// The text of a corpus, found on this machine.
pub(crate) enum Found {
    /// A generator.
    Generated {
        /// Returns any document.
        generated: Generated,
        /// Its settings.
        spec: GeneratedSpec,
    },
    /// Crates, whose files are listed later.
    Crates {
        /// Their folders, and which of their files are documents.
        found: PinnedCrates,
        /// Crate to version.
        pins: BTreeMap<String, String>,
    },
    /// Documents, read once for their hashes.
    Documents {
        /// In the order in which they were found.
        hashed: Vec<Hashed>,
        /// What a person should know before using them.
        note: Option<String>,
    },
}

/// Finds the text of a corpus.
///
/// # Errors
/// Any reason why the text cannot be found or read.
pub(crate) fn find(
    name: &str,
    spec: &CorpusSpec,
    base: &Path,
    folders: &Folders,
) -> Result<Found, DataError> {
    let hashed = match &spec.source {
        CorpusSource::Generated(spec) => {
            let generated =
                Generated::new(spec).map_err(|why| DataError::BadTask { corpus: name.to_string(), why })?;
            return Ok(Found::Generated { generated, spec: spec.clone() });
        }
        CorpusSource::Registry { extensions, crates } => {
            let Some(found) = registry::find(name, &folders.registry, crates)? else {
                return rust_docs_instead(name, extensions, folders);
            };
            let found = PinnedCrates {
                folders: found,
                extensions: extensions.clone(),
                max_document_bytes: spec.max_document_bytes,
            };
            return Ok(Found::Crates { found, pins: crates.clone() });
        }
        CorpusSource::RustDocs { folders: pages } => {
            let root =
                (folders.rust_docs)().ok_or_else(|| DataError::NoRustDocs { corpus: name.to_string() })?;
            pages_of(name, &root, pages)?
        }
        CorpusSource::Wordnet(patterns) => {
            entries::read(&packaged_files(name, spec, patterns, base)?, wordnet::entries)?
        }
        CorpusSource::Metamath(patterns) => {
            entries::read(&packaged_files(name, spec, patterns, base)?, metamath::entries)?
        }
        CorpusSource::Files(patterns) => {
            let sources: Result<Vec<_>, _> =
                files::list(name, patterns, base)?.into_par_iter().map(files::documents_of).collect();
            hash_all(sources?.into_iter().flatten().collect())?
        }
        CorpusSource::Jsonl { files: patterns, field } => {
            let field = field.as_str().into();
            let files = files::list(name, patterns, base)?;
            let hashed: Result<Vec<_>, _> =
                files.iter().map(|path| jsonl::documents_of(path, &field)).collect();
            hashed?.into_iter().flatten().collect()
        }
    };
    Ok(Found::Documents { hashed, note: None })
}

/// The toolchain's documentation in place of crates, for a machine without cargo's registry.
fn rust_docs_instead(name: &str, extensions: &[String], folders: &Folders) -> Result<Found, DataError> {
    let pages = rust_docs::replacement_for(extensions);
    let root = match (folders.rust_docs)() {
        Some(root) if !pages.is_empty() => root,
        _ => {
            let folder = folders.registry.clone();
            return Err(DataError::NoRegistry { corpus: name.to_string(), folder });
        }
    };
    let note = format!(
        "corpus `{name}`: `{}` holds none of its crates, so the toolchain's documentation is used instead; its losses \
         are not comparable with losses on the crates",
        folders.registry.display()
    );
    Ok(Found::Documents { hashed: pages_of(name, &root, &pages)?, note: Some(note) })
}

fn pages_of(name: &str, root: &Path, folders: &[String]) -> Result<Vec<Hashed>, DataError> {
    let pages = rust_docs::pages(name, root, folders)?;
    hash_all(pages.into_iter().map(DocumentSource::Html).collect())
}

/// The files of a corpus that a package may hold: if they are missing, the error says how to download them.
fn packaged_files(
    name: &str,
    spec: &CorpusSpec,
    patterns: &[String],
    base: &Path,
) -> Result<Vec<PathBuf>, DataError> {
    files::list(name, patterns, base).map_err(|error| match (error, &spec.obtain) {
        (DataError::NoSuchPath { .. } | DataError::NoMatch { .. }, Some(package)) => {
            DataError::NotDownloaded { corpus: name.to_string(), elsewhere: package.elsewhere.clone() }
        }
        (error, _) => error,
    })
}
