//! The text in one line of a JSONL file.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::sources::{JsonError, LineError};

/// Parses one line.
pub(crate) fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, JsonError> {
    serde_json::from_slice(line).map_err(|error| {
        // The parser counts lines within the value, which has one.
        let why = error.to_string();
        let why = why.split(" at line ").next().unwrap_or(&why).to_string();
        JsonError { why, column: error.column() }
    })
}

/// The text in the field `field` of a line.
pub(crate) fn text_of_line(line: &[u8], field: &str) -> Result<String, LineError> {
    let Value::Object(mut fields) = parse(line)? else { return Err(LineError::NotObject) };
    match fields.remove(field) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(LineError::NotString { field: field.to_string() }),
        None => {
            let names: Vec<String> = fields.keys().map(|name| format!("`{name}`")).collect();
            let known = match names.as_slice() {
                [] => "the object is empty".to_string(),
                names => format!("its fields are {}", names.join(", ")),
            };
            Err(LineError::NoField { field: field.to_string(), known })
        }
    }
}
