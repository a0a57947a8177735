//! Documents in JSONL files, one per line.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use crate::error::DataError;
use crate::sources::document::{DocumentSource, Hashed};

/// Text that is read before all cores parse it at once, bytes.
const GROUP_BYTES: u64 = 8 << 20;

/// The documents of one file, one per line; empty lines are skipped.
///
/// # Errors
/// `Io`, `BadLine`.
pub(crate) fn documents_of(path: &Path, field: &Arc<str>) -> Result<Vec<Hashed>, DataError> {
    let mut reader = BufReader::new(File::open(path).map_err(DataError::io("open", path))?);
    let path: Arc<Path> = path.into();
    let mut documents = Vec::new();
    let (mut offset, mut line) = (0, 0);
    loop {
        let group_end = offset + GROUP_BYTES;
        let mut group = Vec::new();
        while offset < group_end {
            let mut content = Vec::new();
            let bytes = reader.read_until(b'\n', &mut content).map_err(DataError::io("read", &path))? as u64;
            if bytes == 0 {
                break;
            }
            line += 1;
            if !content.trim_ascii().is_empty() {
                let source =
                    DocumentSource::Line { path: path.clone(), field: field.clone(), offset, bytes, line };
                group.push((source, content));
            }
            offset += bytes;
        }
        let is_last = offset < group_end;
        let hashed: Result<Vec<Hashed>, DataError> = group
            .into_par_iter()
            .map(|(source, content)| {
                let text = source.text_of(content)?;
                Ok(Hashed::new(source, text))
            })
            .collect();
        documents.extend(hashed?);
        if is_last {
            return Ok(documents);
        }
    }
}
