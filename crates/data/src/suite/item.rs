//! One item of a suite with its place, and whether it is valid.

use std::path::PathBuf;

use scalelaw_schema::skill::{Scoring, SkillItem, Target};

use crate::error::DataError;
use crate::error::suite::ItemError;

/// An item and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedItem {
    /// The item.
    pub item: SkillItem,
    /// File and line, if a user wrote it.
    pub place: Option<(PathBuf, u64)>,
}

impl From<SkillItem> for PlacedItem {
    fn from(item: SkillItem) -> PlacedItem {
        PlacedItem { item, place: None }
    }
}

impl PlacedItem {
    /// Whether the item can be scored.
    pub(crate) fn check(&self, scoring: Scoring) -> Result<(), ItemError> {
        let is_repeated = |texts: &[String], correct: usize| {
            texts.iter().enumerate().any(|(idx, text)| idx != correct && *text == texts[correct])
        };
        match (&self.item.target, scoring) {
            (Target::Answer(answer), _) if answer.is_empty() => Err(ItemError::EmptyAnswer),
            (Target::Answer(_), Scoring::Choice(_)) => Err(ItemError::NoChoices),
            (Target::Choices { texts, .. }, _) if texts.len() < 2 => Err(ItemError::TooFewChoices),
            (Target::Choices { texts, .. }, _) if texts.iter().any(String::is_empty) => {
                Err(ItemError::EmptyChoice)
            }
            (Target::Choices { texts, correct }, _) if *correct >= texts.len() => {
                Err(ItemError::CorrectBeyondChoices { correct: *correct, n_choices: texts.len() })
            }
            (Target::Choices { texts, correct }, _) if is_repeated(texts, *correct) => {
                Err(ItemError::RepeatedChoice)
            }
            (Target::Choices { .. }, Scoring::Exact) => Err(ItemError::ChoicesForExact),
            _ => Ok(()),
        }
    }

    /// The error with the item's place.
    pub(crate) fn error(&self, skill: &str, why: ItemError) -> DataError {
        let place = match &self.place {
            Some((path, line)) => format!("{}:{line}", path.display()),
            None => format!("skill `{skill}`, item `{}`", shortened(&self.item.prompt)),
        };
        DataError::BadItem { place, why }
    }
}

/// The beginning of a text, on one line.
pub(crate) fn shortened(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    let line = text.replace('\n', "\\n");
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}
