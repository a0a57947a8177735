//! A corpus on this machine: its identity, its documents in their order, and which of them are held out.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use scalelaw_schema::corpus::{CorpusSource, CorpusSpec};
use serde_json::json;

use crate::error::DataError;
use crate::error::corpus::{NoDocuments, Unit};
use crate::hash::{self, Digest};
use crate::skills::task::Part;
use crate::skills::{Generated, SkillEntropy};
use crate::sources::document::{Document, Hashed, order_of};
use crate::sources::registry::PinnedCrates;
use crate::sources::{self, Folders, Found};
use split::{DEFAULT_SHARE, Documents, HeldOutUnit, Split, hold_out, rank_of};

pub(crate) mod reader;
pub(crate) mod split;

pub use split::DroppedDocuments;

/// Version of the generators: part of the identity of what they make.
const GENERATED_FORMAT: u32 = 1;

/// A corpus, found on this machine and identified. Its documents are read later.
#[derive(Debug, Clone)]
pub struct Corpus {
    name: String,
    identity: String,
    share: f64,
    content: Content,
    dropped: DroppedDocuments,
    note: Option<String>,
    /// The tag that its documents have if a sweep tags its sources.
    manifest_tag: String,
    /// What precedes every document.
    tag: Option<String>,
}

#[derive(Debug, Clone)]
enum Content {
    /// Split by crate.
    Crates(PinnedCrates),
    /// Split by document, each text once.
    Documents(Vec<Document>),
    /// Split by instance.
    Generated(Generated),
}

impl Corpus {
    /// Finds the text that `spec` describes; relative paths start at `base`, the folder of the file that holds the
    /// spec. Crates are only looked up; a user's own files are read once, for their hashes.
    ///
    /// # Errors
    /// Any reason why the text cannot be found and split; every error carries a hint, see [`DataError`].
    pub fn open(name: &str, spec: &CorpusSpec, base: &Path) -> Result<Corpus, DataError> {
        Corpus::open_in(name, spec, base, &Folders::of_machine())
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
        if spec.max_documents.is_some()
            && matches!(spec.source, CorpusSource::Registry { .. } | CorpusSource::Generated(_))
        {
            return Err(DataError::NoMaxDocuments { corpus: name.to_string() });
        }
        let mut dropped = DroppedDocuments::default();
        let mut note = None;
        let (content, identity) = match sources::find(name, spec, base, folders)? {
            Found::Generated { generated, spec } => {
                let identity = json!({ "generated": spec, "format": GENERATED_FORMAT });
                (Content::Generated(generated), identity)
            }
            Found::Crates { found, pins } => {
                // A published version never changes, so names and versions identify the text.
                let identity = json!({
                    "crates": pins,
                    "extensions": found.extensions,
                    "max_document_bytes": spec.max_document_bytes,
                    "held_out": share,
                });
                (Content::Crates(found), identity)
            }
            Found::Documents { hashed, note: of_source } => {
                note = of_source;
                let documents = distinct(name, spec, hashed, &mut dropped)?;
                let identity = json!({ "documents": contents_hash(&documents), "held_out": share });
                (Content::Documents(documents), identity)
            }
        };
        Ok(Corpus {
            name: name.to_string(),
            identity: hash::of_json(&identity),
            share,
            content,
            dropped,
            note,
            manifest_tag: spec.tag.clone().unwrap_or_else(|| name.to_string()),
            tag: None,
        })
    }

    /// The same corpus with `<tag>` before every document: other text, so another identity.
    #[must_use]
    pub fn tagged(self, tag: &str) -> Corpus {
        let identity = hash::of_json(&json!({ "corpus": self.identity, "tag": tag }));
        Corpus { identity, tag: Some(format!("<{tag}>")), ..self }
    }

    /// The same corpus with the tag of its manifest, or with its name if the manifest has no tag.
    #[must_use]
    pub fn with_its_tag(self) -> Corpus {
        let tag = self.manifest_tag.clone();
        self.tagged(&tag)
    }

    /// What precedes every document; empty if the corpus is not tagged.
    pub fn tag(&self) -> &str {
        self.tag.as_deref().unwrap_or_default()
    }

    /// Its exact entropies, if a generator makes it.
    pub fn entropy(&self) -> Option<SkillEntropy> {
        self.generated().map(|generated| generated.task.entropy())
    }

    /// Mean length of a training document, bytes, if a generator makes it.
    pub fn mean_document_bytes(&self) -> Option<f64> {
        self.generated().map(Generated::mean_bytes)
    }

    pub(crate) fn generated(&self) -> Option<&Generated> {
        match &self.content {
            Content::Generated(generated) => Some(generated),
            Content::Crates(_) | Content::Documents(_) => None,
        }
    }

    /// The name by which it was opened; not part of its identity.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// 64 hex digits: the hash of its documents and of the way in which they are split.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// A warning for the user, such as that other text is used instead of the requested one.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Lists the documents of both parts.
    ///
    /// # Errors
    /// `Io`, `EmptyCorpus`, `OneUnit`.
    pub(crate) fn split(&self) -> Result<Split, DataError> {
        let mut dropped = self.dropped;
        let units: Vec<HeldOutUnit> = match &self.content {
            Content::Crates(crates) => crates
                .documents()?
                .into_iter()
                .map(|of_crate| {
                    dropped.too_long += of_crate.n_too_long;
                    HeldOutUnit { rank: rank_of(of_crate.name.as_bytes()), documents: of_crate.documents }
                })
                .collect(),
            Content::Documents(documents) => documents
                .iter()
                .map(|document| HeldOutUnit {
                    rank: rank_of(&document.content.unwrap_or_default()),
                    documents: vec![document.clone()],
                })
                .collect(),
            Content::Generated(generated) => {
                return Ok(Split {
                    train: Documents::Generated(generated.clone(), Part::Train),
                    held_out: Documents::Generated(generated.clone(), Part::HeldOut),
                    dropped,
                    tag: self.tag.clone(),
                });
            }
        };
        match units.len() {
            0 => Err(DataError::EmptyCorpus { corpus: self.name.clone(), why: NoDocuments::NoExtension }),
            1 => Err(DataError::OneUnit { corpus: self.name.clone(), unit: Unit::Crate }),
            _ => {
                let (train, held_out) = hold_out(units, self.share);
                Ok(Split { train, held_out, dropped, tag: self.tag.clone() })
            }
        }
    }
}

/// Each text once, in the order of a hash, at most `max-documents` of them.
fn distinct(
    corpus: &str,
    spec: &CorpusSpec,
    hashed: Vec<Hashed>,
    dropped: &mut DroppedDocuments,
) -> Result<Vec<Document>, DataError> {
    let first: Option<PathBuf> = hashed.first().map(|first| first.source.path().to_path_buf());
    let mut documents = Vec::new();
    let mut seen: HashSet<Digest> = HashSet::new();
    for Hashed { source, text } in hashed {
        match text {
            None => dropped.not_text += 1,
            Some((_, bytes)) if spec.max_document_bytes.is_some_and(|most| bytes > most) => {
                dropped.too_long += 1;
            }
            Some((content, _)) if !seen.insert(content) => dropped.duplicates += 1,
            Some((content, bytes)) => {
                documents.push(Document { source, order: order_of(&content), bytes, content: Some(content) });
            }
        }
    }
    let empty = |why| Err(DataError::EmptyCorpus { corpus: corpus.to_string(), why });
    match (documents.len(), first) {
        (_, None) => return empty(NoDocuments::NoFile),
        (0, _) if dropped.too_long > 0 => return empty(NoDocuments::TooLong { n: dropped.too_long }),
        (0, Some(first)) => return empty(NoDocuments::NotText { first }),
        (1, _) => return Err(DataError::OneUnit { corpus: corpus.to_string(), unit: Unit::Document }),
        _ => documents.sort_by_key(|document| document.order),
    }
    if let Some(most) = spec.max_documents {
        documents.truncate(most.max(2) as usize);
    }
    Ok(documents)
}

/// Hash of all texts, whatever their names and order.
fn contents_hash(documents: &[Document]) -> String {
    let mut contents: Vec<Digest> = documents.iter().filter_map(|document| document.content).collect();
    contents.sort_unstable();
    hash::of_bytes(&contents.concat())
}

#[cfg(test)]
mod tests;
