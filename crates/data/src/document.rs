//! One document: where it is, how it is read, and what order it has among the others.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::DataError;
use crate::html::html_to_text;
use crate::jsonl::text_of_line;

/// 32 bytes of blake3.
pub(crate) type Digest = [u8; 32];

/// One document of a corpus.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub place: Place,
    /// Its rank among the documents of its part: a hash, so that any first part is a fair sample.
    pub order: Digest,
    /// Its size on the disk, bytes.
    pub bytes: u64,
    /// Hash of its text, where it was read before.
    pub content: Option<Digest>,
}

/// Where a document is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// A file, which is the document.
    File(PathBuf),
    /// A part of a long file.
    Piece { path: Arc<Path>, offset: u64, bytes: u64 },
    /// A page, whose text is the document.
    Html(PathBuf),
    /// A line of a JSONL file, whose field is the document.
    Line { path: Arc<Path>, field: Arc<str>, offset: u64, bytes: u64, line: u64 },
    /// What an entry of a file was turned into; kept, since an entry alone may not tell it again.
    Entry { path: Arc<Path>, text: Arc<str> },
}

/// A text with its hash.
pub(crate) struct Text {
    pub text: String,
    pub content: Digest,
}

/// A place that was looked at.
pub(crate) struct Listed {
    pub place: Place,
    /// Hash and length in bytes of the text there, where there is one.
    pub text: Option<(Digest, u64)>,
}

impl Listed {
    pub(crate) fn new(place: Place, text: Option<Text>) -> Listed {
        Listed { place, text: text.map(|text| (text.content, text.text.len() as u64)) }
    }
}

impl Place {
    /// The text; nothing where there is none: a binary file, not UTF-8, or white space alone.
    ///
    /// # Errors
    /// `Io`; `BadLine` for a line that is no document (any longer).
    pub(crate) fn read(&self) -> Result<Option<Text>, DataError> {
        let bytes = match self {
            Place::Entry { text, .. } => Ok(text.as_bytes().to_vec()),
            Place::File(path) | Place::Html(path) => fs::read(path),
            Place::Piece { path, offset, bytes } | Place::Line { path, offset, bytes, .. } => {
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

    /// The text that the bytes at this place are.
    ///
    /// # Errors
    /// `BadLine`.
    pub(crate) fn text_of(&self, bytes: Vec<u8>) -> Result<Option<Text>, DataError> {
        Ok(match self {
            Place::File(_) | Place::Piece { .. } | Place::Entry { .. } => text_of_bytes(bytes),
            Place::Html(_) => html_to_text(&String::from_utf8_lossy(&bytes))
                .and_then(|text| text_of_bytes(text.into_bytes())),
            Place::Line { path, field, line, .. } => {
                let text = text_of_line(&bytes, field);
                let bad = |why| DataError::BadLine { path: path.to_path_buf(), line: *line, why };
                text_of_bytes(text.map_err(bad)?.into_bytes())
            }
        })
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Place::File(path) | Place::Html(path) => path,
            Place::Piece { path, .. } | Place::Line { path, .. } | Place::Entry { path, .. } => path,
        }
    }
}

impl Document {
    /// The text, as in [`Place::read`].
    ///
    /// # Errors
    /// `Changed` where it is not the text that was listed.
    pub(crate) fn read(&self) -> Result<Option<Text>, DataError> {
        let text = self.place.read()?;
        match (&text, self.content) {
            (Some(text), Some(content)) if text.content == content => {}
            (_, None) => return Ok(text),
            _ => return Err(DataError::Changed { path: self.place.path().to_path_buf() }),
        }
        Ok(text)
    }
}

/// The text that bytes are; nothing where they are not UTF-8, hold a NUL or are white space alone.
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

/// Rank of a document by what identifies it.
pub(crate) fn order_of(identity: &[u8]) -> Digest {
    blake3::derive_key("scalelaw data v1: order of the documents", identity)
}
