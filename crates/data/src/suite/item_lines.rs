//! Items that a user wrote, one JSON object per line.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use scalelaw_schema::skill::{SkillItem, Target};
use serde::Deserialize;

use crate::error::DataError;
use crate::error::suite::ItemError;
use crate::sources::line;
use crate::suite::item::PlacedItem;

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

/// The items of a file, in its order; empty lines are skipped.
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
        let bad = |why| DataError::BadItem { place: format!("{}:{line}", path.display()), why };
        let item = item_of(&bytes).map_err(bad)?;
        items.push(PlacedItem { item, place: Some((path.to_path_buf(), line)) });
    }
    Ok(items)
}

fn item_of(bytes: &[u8]) -> Result<SkillItem, ItemError> {
    let line: ItemLine = line::parse(bytes)?;
    let (target, chance) = match (line.answer, line.choices, line.correct) {
        (Some(answer), None, None) => (Target::Answer(answer), None),
        (None, Some(texts), Some(correct)) => {
            let n_choices = texts.len();
            if correct >= n_choices {
                return Err(ItemError::CorrectBeyondChoices { correct, n_choices });
            }
            (Target::Choices { texts, correct }, Some(1.0 / n_choices as f64))
        }
        (None, Some(_), None) => return Err(ItemError::NoCorrect),
        (None, None, _) => return Err(ItemError::NoTarget),
        (Some(_), _, _) => return Err(ItemError::TwoTargets),
    };
    Ok(SkillItem { prompt: line.prompt, target, group: line.group, chance, spans: Vec::new() })
}
