//! One document: where it is, how it is read, and its rank among the others.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::error::DataError;
use crate::hash::Digest;
use crate::sources::html::html_to_text;
use crate::sources::line::text_of_line;

/// One document of a corpus.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub source: DocumentSource,
    /// Its rank among the documents of its part: a hash, so that the first documents are a fair sample.
    pub order: Digest,
    /// Size on disk, bytes.
    pub bytes: u64,
    /// Hash of its text, if it was read before.
    pub content: Option<Digest>,
}

/// Where the text of a document is.
#[derive(Debug, Clone)]
pub(crate) enum DocumentSource {
    /// A whole file.
    File(PathBuf),
    /// A part of a long file.
    Piece { path: Arc<Path>, offset: u64, bytes: u64 },
    /// The text of an HTML page.
    Html(PathBuf),
    /// A field in a line of a JSONL file.
    Line { path: Arc<Path>, field: Arc<str>, offset: u64, bytes: u64, line: u64 },
    /// An entry of a file, rewritten as text. The text is kept, since it may depend on earlier entries.
    Entry { path: Arc<Path>, text: Arc<str> },
}

/// A text with its hash.
pub(crate) struct Text {
    pub text: String,
    pub content: Digest,
}

/// A document that was read once, for its hash.
pub(crate) struct Hashed {
    pub source: DocumentSource,
    /// Hash and length in bytes of its text, if it is text.
    pub text: Option<(Digest, u64)>,
}

impl Hashed {
    pub(crate) fn new(source: DocumentSource, text: Option<Text>) -> Hashed {
        Hashed { source, text: text.map(|text| (text.content, text.text.len() as u64)) }
    }
}

impl DocumentSource {
    /// The text; `None` if it is binary, not UTF-8, or only white space.
    ///
    /// # Errors
    /// `Io`; `BadLine` for a line that is not, or no longer, a document.
    pub(crate) fn read(&self) -> Result<Option<Text>, DataError> {
        let bytes = match self {
            DocumentSource::Entry { text, .. } => Ok(text.as_bytes().to_vec()),
            DocumentSource::File(path) | DocumentSource::Html(path) => fs::read(path),
            DocumentSource::Piece { path, offset, bytes }
            | DocumentSource::Line { path, offset, bytes, .. } => {
                let mut buffer = vec![0; *bytes as usize];
                File::open(path).and_then(|mut file| {
                    file.seek(SeekFrom::Start(*offset))?;
                    file.read_exact(&mut buffer)?;
                    Ok(buffer)
                })
            }
        };
        self.text_of(bytes.map_err(DataError::io("read", self.path()))?)
    }

    /// The text in the bytes that were read from this source.
    ///
    /// # Errors
    /// `BadLine`.
    pub(crate) fn text_of(&self, bytes: Vec<u8>) -> Result<Option<Text>, DataError> {
        Ok(match self {
            DocumentSource::File(_) | DocumentSource::Piece { .. } | DocumentSource::Entry { .. } => {
                text_of_bytes(bytes)
            }
            DocumentSource::Html(_) => html_to_text(&String::from_utf8_lossy(&bytes))
                .and_then(|text| text_of_bytes(text.into_bytes())),
            DocumentSource::Line { path, field, line, .. } => {
                let text = text_of_line(&bytes, field);
                let bad = |why| DataError::BadLine { path: path.to_path_buf(), line: *line, why };
                text_of_bytes(text.map_err(bad)?.into_bytes())
            }
        })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        match self {
            DocumentSource::File(path) | DocumentSource::Html(path) => path,
            DocumentSource::Piece { path, .. }
            | DocumentSource::Line { path, .. }
            | DocumentSource::Entry { path, .. } => path,
        }
    }
}

impl Document {
    /// The text, as in [`DocumentSource::read`].
    ///
    /// # Errors
    /// `Changed` if its hash is another than before; those of [`DocumentSource::read`].
    pub(crate) fn read(&self) -> Result<Option<Text>, DataError> {
        let text = self.source.read()?;
        match (&text, self.content) {
            (Some(text), Some(content)) if text.content == content => {}
            (_, None) => return Ok(text),
            _ => return Err(DataError::Changed { path: self.source.path().to_path_buf() }),
        }
        Ok(text)
    }
}

/// Reads every source once, for its hash.
///
/// # Errors
/// `Io`, `BadLine`.
pub(crate) fn hash_all(sources: Vec<DocumentSource>) -> Result<Vec<Hashed>, DataError> {
    sources
        .into_par_iter()
        .map(|source| {
            let text = source.read()?;
            Ok(Hashed::new(source, text))
        })
        .collect()
}

/// The bytes as text; `None` if they are not UTF-8, hold a NUL or are only white space.
pub(crate) fn text_of_bytes(bytes: Vec<u8>) -> Option<Text> {
    if bytes.contains(&0) {
        return None;
    }
    let text = String::from_utf8(bytes).ok()?;
    if text.trim().is_empty() {
        return None;
    }
    let content = *blake3::hash(text.as_bytes()).as_bytes();
    Some(Text { text, content })
}

/// Rank of a document, from whatever identifies it.
pub(crate) fn order_of(identity: &[u8]) -> Digest {
    blake3::derive_key("scalelaw data v1: order of the documents", identity)
}
