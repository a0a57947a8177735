//! Documents in the lines of JSONL files.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::Value;

use crate::DataError;
use crate::document::{Listed, Place};

/// Lines that are read before they are parsed by all cores at once, bytes.
const GROUP_BYTES: u64 = 8 << 20;

/// The documents of one file, a line each; empty lines are none.
///
/// # Errors
/// `Io`, `BadLine`.
pub(crate) fn documents_of(path: &Path, field: &Arc<str>) -> Result<Vec<Listed>, DataError> {
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
                let place = Place::Line { path: path.clone(), field: field.clone(), offset, bytes, line };
                group.push((place, content));
            }
            offset += bytes;
        }
        let is_last = offset < group_end;
        let listed: Result<Vec<Listed>, DataError> = group
            .into_par_iter()
            .map(|(place, content)| {
                let text = place.text_of(content)?;
                Ok(Listed::new(place, text))
            })
            .collect();
        documents.extend(listed?);
        if is_last {
            return Ok(documents);
        }
    }
}

/// The text in the field `field` of a line; the reason where there is none.
pub(crate) fn text_of_line(line: &[u8], field: &str) -> Result<String, String> {
    let value: Value = serde_json::from_slice(line).map_err(|error| {
        // The error counts lines within the document, which has one.
        let why = error.to_string();
        let why = why.split(" at line ").next().unwrap_or(&why).to_string();
        format!("no JSON: {why} at column {}", error.column())
    })?;
    match value {
        Value::Object(mut fields) => match fields.remove(field) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(format!("the field `{field}` is no string")),
            None => {
                let names: Vec<String> = fields.keys().map(|name| format!("`{name}`")).collect();
                Err(format!("there is no field `{field}` (hint: there is {})", names.join(", ")))
            }
        },
        _ => Err("no JSON object".to_string()),
    }
}
