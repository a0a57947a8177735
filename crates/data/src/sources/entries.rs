//! Files whose entries are documents: a dictionary, a database of proofs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use crate::error::DataError;
use crate::error::sources::BadEntry;
use crate::sources::document::{DocumentSource, Hashed, text_of_bytes};

/// Reads the entries of some files, each a document.
///
/// # Errors
/// `Io`, `BadEntry`.
pub(crate) fn read(
    files: &[PathBuf],
    parse: fn(&str) -> Result<Vec<String>, BadEntry>,
) -> Result<Vec<Hashed>, DataError> {
    let mut hashed = Vec::new();
    for path in files {
        let bytes = fs::read(path).map_err(DataError::io("read", path))?;
        let entries = parse(&String::from_utf8_lossy(&bytes))
            .map_err(|BadEntry { line, why }| DataError::BadEntry { path: path.clone(), line, why })?;
        let path: Arc<Path> = path.as_path().into();
        hashed.par_extend(entries.into_par_iter().map(|text| {
            let content = text_of_bytes(text.as_bytes().to_vec());
            Hashed::new(DocumentSource::Entry { path: path.clone(), text: text.into() }, content)
        }));
    }
    Ok(hashed)
}
