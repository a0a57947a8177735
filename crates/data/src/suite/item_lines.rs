//! Items that a person wrote, one JSON object per line.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use scalelaw_schema::skill::{SkillItem, Target};
use serde::Deserialize;

use crate::DataError;
use crate::suite::PlacedItem;

/// A line as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemLine {
    prompt: String,
    answer: Option<String>,
    choices: Option<Vec<String>>,
    correct: Option<usize>,
    group: Option<String>,
}

/// The items of a file, in its order; empty lines are none.
///
/// # Errors
/// `Io`; `BadItem` with file and line.
pub(crate) fn items_of(path: &Path) -> Result<Vec<PlacedItem>, DataError> {
    let reader = BufReader::new(File::open(path).map_err(DataError::io("open", path))?);
    let mut items = Vec::new();
    for (line_idx, bytes) in reader.split(b'\n').enumerate() {
        let bytes = bytes.map_err(DataError::io("read", path))?;
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let line = line_idx as u64 + 1;
        let item = item_of(&bytes).map_err(|why| {
            let place = format!("{}:{line}", path.display());
            DataError::BadItem { place, why }
        })?;
        items.push(PlacedItem { item, place: Some((path.to_path_buf(), line)) });
    }
    Ok(items)
}

fn item_of(bytes: &[u8]) -> Result<SkillItem, String> {
    let line: ItemLine = serde_json::from_slice(bytes).map_err(|error| {
        // The error counts lines within the item, which has one.
        let why = error.to_string();
        let why = why.split(" at line ").next().unwrap_or(&why).to_string();
        format!("{why}, at column {}", error.column())
    })?;
    let (target, chance) = match (line.answer, line.choices, line.correct) {
        (Some(answer), None, None) => (Target::Answer(answer), None),
        (None, Some(texts), Some(correct)) => {
            if correct >= texts.len() {
                return Err(format!("`correct` is {correct}, but its {} choices count from 0", texts.len()));
            }
            let chance = 1.0 / texts.len() as f64;
            (Target::Choices { texts, correct }, Some(chance))
        }
        (None, Some(_), None) => return Err("it has choices, but none of them is `correct`".to_string()),
        (None, None, _) => return Err("it has neither `answer` nor `choices`".to_string()),
        (Some(_), _, _) => return Err("it has an `answer`, and choices beside it".to_string()),
    };
    Ok(SkillItem { prompt: line.prompt, target, group: line.group, chance, spans: Vec::new() })
}
