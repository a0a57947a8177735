//! A corpus on this machine: its identity, its documents in their order, and which of them are held out.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use scalelaw_schema::canonical::to_canonical_json;
use scalelaw_schema::corpus::{CorpusSource, CorpusSpec};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::DataError;
use crate::document::{Digest, Document, Place, order_of};
use crate::registry::{self, PinnedCrates};
use crate::split::{self, DEFAULT_SHARE};
use crate::{files, jsonl, rust_docs};

/// A corpus, found on this machine and identified, hardly read yet.
#[derive(Debug, Clone)]
pub struct Corpus {
    name: String,
    identity: String,
    share: f64,
    content: Content,
    left_out: LeftOut,
    note: Option<String>,
}

#[derive(Debug, Clone)]
enum Content {
    /// Split by crate.
    Crates(PinnedCrates),
    /// Split by document, each content once.
    Documents(Vec<Document>),
}

/// Documents that are not used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Longer than the manifest allows.
    pub too_long: u64,
    /// Binary, not UTF-8, or white space alone.
    pub not_text: u64,
    /// Equal to another document.
    pub duplicates: u64,
}

/// The two parts of a corpus, each in its fixed order.
pub(crate) struct Split {
    pub train: Vec<Document>,
    pub held_out: Vec<Document>,
    pub left_out: LeftOut,
}

/// The folders of this machine that corpora come from.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    pub registry: PathBuf,
    /// Asked only where it is needed: it starts a process.
    pub rust_docs: fn() -> Option<PathBuf>,
}

impl Corpus {
    /// Finds the text that `spec` describes; relative paths start at `base`, the folder of the file that
    /// holds the spec. Crates are only looked up; files of a person's own are read once, for their hashes.
    ///
    /// # Errors
    /// Whatever keeps the text from being found and split, each with its mend: see [`DataError`].
    pub fn open(name: &str, spec: &CorpusSpec, base: &Path) -> Result<Corpus, DataError> {
        let folders = Folders { registry: registry::source_folder(), rust_docs: rust_docs::find };
        Corpus::open_in(name, spec, base, &folders)
    }

    pub(crate) fn open_in(
        name: &str,
        spec: &CorpusSpec,
        base: &Path,
        folders: &Folders,
    ) -> Result<Corpus, DataError> {
        let share = spec.held_out.unwrap_or(DEFAULT_SHARE);
        if !(share > 0.0 && share < 1.0) {
            return Err(DataError::BadShare { corpus: name.to_string(), share });
        }
        let mut note = None;
        let places: Vec<Place> = match &spec.source {
            CorpusSource::Registry { extensions, crates } => {
                if let Some(found) = registry::find(name, &folders.registry, crates)? {
                    return Ok(Corpus::of_crates(name, spec, share, (extensions, crates), found));
                }
                let stand_in = rust_docs::stand_in(extensions);
                let root = match (folders.rust_docs)() {
                    Some(root) if !stand_in.is_empty() => root,
                    _ => {
                        let folder = folders.registry.clone();
                        return Err(DataError::NoRegistry { corpus: name.to_string(), folder });
                    }
                };
                note = Some(format!(
                    "corpus `{name}`: `{}` holds none of its crates, so the toolchain's documentation stands in; \
                     losses cannot be compared with those on the crates",
                    folders.registry.display()
                ));
                rust_docs::pages(name, &root, &stand_in)?.into_iter().map(Place::Html).collect()
            }
            CorpusSource::RustDocs { folders: pages } => {
                let root = (folders.rust_docs)().ok_or(DataError::NoRustDocs { corpus: name.to_string() })?;
                rust_docs::pages(name, &root, pages)?.into_iter().map(Place::Html).collect()
            }
            CorpusSource::Files(entries) => {
                files::list(name, entries, base)?.into_iter().map(Place::File).collect()
            }
            CorpusSource::Jsonl { files: entries, field } => {
                let field = field.as_str().into();
                let files = files::list(name, entries, base)?;
                let lines: Result<Vec<_>, _> =
                    files.iter().map(|path| jsonl::lines_of(path, &field)).collect();
                lines?.into_iter().flatten().collect()
            }
        };
        Corpus::of_documents(name, spec, share, places, note)
    }

    fn of_crates(
        name: &str,
        spec: &CorpusSpec,
        share: f64,
        (extensions, pins): (&[String], &BTreeMap<String, String>),
        folders: Vec<(String, PathBuf)>,
    ) -> Corpus {
        // A published version never changes, so name and version say what the text is.
        let identity = hash_of(&json!({
            "crates": pins,
            "extensions": extensions,
            "max_document_bytes": spec.max_document_bytes,
            "held_out": share,
        }));
        let crates = PinnedCrates {
            folders,
            extensions: extensions.to_vec(),
            max_document_bytes: spec.max_document_bytes,
        };
        let (content, left_out) = (Content::Crates(crates), LeftOut::default());
        Corpus { name: name.to_string(), identity, share, content, left_out, note: None }
    }

    fn of_documents(
        name: &str,
        spec: &CorpusSpec,
        share: f64,
        places: Vec<Place>,
        note: Option<String>,
    ) -> Result<Corpus, DataError> {
        let empty = |why: String| DataError::EmptyCorpus { corpus: name.to_string(), why };
        let Some(first) = places.first().map(|place| place.path().to_path_buf()) else {
            return Err(empty("there is no file, or only empty ones".to_string()));
        };
        let read: Result<Vec<_>, DataError> = places
            .into_par_iter()
            .map(|place| {
                let found = place.read()?.map(|text| (text.content, text.text.len() as u64));
                Ok((place, found))
            })
            .collect();
        let mut left_out = LeftOut::default();
        let mut documents = Vec::new();
        let mut seen: HashSet<Digest> = HashSet::new();
        for (place, found) in read? {
            match found {
                None => left_out.not_text += 1,
                Some((_, bytes)) if spec.max_document_bytes.is_some_and(|most| bytes > most) => {
                    left_out.too_long += 1;
                }
                Some((content, _)) if !seen.insert(content) => left_out.duplicates += 1,
                Some((content, bytes)) => {
                    documents.push(Document {
                        place,
                        order: order_of(&content),
                        bytes,
                        content: Some(content),
                    });
                }
            }
        }
        match documents.len() {
            0 if left_out.too_long > 0 => {
                return Err(empty(format!("{} are longer than `max-document-bytes`", left_out.too_long)));
            }
            0 => {
                return Err(empty(format!(
                    "`{}` and all others are binary, not UTF-8 or blank",
                    first.display()
                )));
            }
            1 => {
                let hint = "split it into several files, or write it as JSONL with a document per line";
                return Err(DataError::OneUnit { corpus: name.to_string(), unit: "document", hint });
            }
            _ => {}
        }
        documents.sort_by_key(|document| document.order);
        let mut contents: Vec<Digest> = seen.into_iter().collect();
        contents.sort_unstable();
        let contents = blake3::hash(&contents.concat()).to_hex().to_string();
        let identity = hash_of(&json!({ "documents": contents, "held_out": share }));
        let content = Content::Documents(documents);
        Ok(Corpus { name: name.to_string(), identity, share, content, left_out, note })
    }

    /// The name that it was opened by; it is no part of its identity.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// 64 hex digits: the hash of its documents and of the way in which they are split.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// What a person should know before using it: that other text stands in for the one asked for.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Lists the documents of both parts.
    ///
    /// # Errors
    /// `Io`, `EmptyCorpus`, `OneUnit`.
    pub(crate) fn split(&self) -> Result<Split, DataError> {
        let mut left_out = self.left_out;
        // Units: rank, bytes, documents.
        let mut units: Vec<(Digest, u64, Vec<Document>)> = match &self.content {
            Content::Crates(crates) => crates
                .documents()?
                .into_iter()
                .map(|listed| {
                    left_out.too_long += listed.n_too_long;
                    let bytes = listed.documents.iter().map(|document| document.bytes).sum();
                    (split::rank_of(listed.name.as_bytes()), bytes, listed.documents)
                })
                .collect(),
            Content::Documents(documents) => documents
                .iter()
                .map(|document| {
                    (
                        split::rank_of(&document.content.unwrap_or_default()),
                        document.bytes,
                        vec![document.clone()],
                    )
                })
                .collect(),
        };
        match units.len() {
            0 => {
                let why = "no file of its crates has one of its extensions".to_string();
                return Err(DataError::EmptyCorpus { corpus: self.name.clone(), why });
            }
            1 => {
                let hint = "name a second crate";
                return Err(DataError::OneUnit { corpus: self.name.clone(), unit: "crate", hint });
            }
            _ => units.sort_by_key(|unit| unit.0),
        }
        let bytes: Vec<u64> = units.iter().map(|unit| unit.1).collect();
        let train = units.split_off(split::n_held_out(&bytes, self.share));
        let in_order = |units: Vec<(Digest, u64, Vec<Document>)>| {
            let mut documents: Vec<Document> = units.into_iter().flat_map(|unit| unit.2).collect();
            documents.sort_by_key(|document| document.order);
            documents
        };
        Ok(Split { train: in_order(train), held_out: in_order(units), left_out })
    }
}

/// 64 hex digits of blake3 over the canonical JSON of `value`.
pub(crate) fn hash_of(value: &serde_json::Value) -> String {
    blake3::hash(to_canonical_json(value).as_bytes()).to_hex().to_string()
}
