//! Documents in the lines of JSONL files.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::DataError;
use crate::document::Place;

/// The places of all lines of one file; empty lines are no documents.
///
/// # Errors
/// `Io`.
pub(crate) fn lines_of(path: &Path, field: &Arc<str>) -> Result<Vec<Place>, DataError> {
    let mut reader = BufReader::new(File::open(path).map_err(DataError::io("open", path))?);
    let path: Arc<Path> = path.into();
    let mut places = Vec::new();
    let mut buffer = Vec::new();
    let mut offset = 0;
    for line in 1.. {
        buffer.clear();
        let bytes = reader.read_until(b'\n', &mut buffer).map_err(DataError::io("read", &path))? as u64;
        if bytes == 0 {
            break;
        }
        if !buffer.trim_ascii().is_empty() {
            places.push(Place::Line { path: path.clone(), field: field.clone(), offset, bytes, line });
        }
        offset += bytes;
    }
    Ok(places)
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
