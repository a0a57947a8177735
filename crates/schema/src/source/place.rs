//! Where a dotted path stands in a TOML text, and an error shown there.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::TomlText;
use crate::SchemaError;

/// Whether the table at a dotted path is written in braces.
pub(crate) fn is_inline_table(text: &str, path: &str) -> bool {
    find(text, path).is_some_and(|found| text[found.value.start..].starts_with('{'))
}

/// Where a key and its value are written, in bytes.
struct Place {
    key: Range<usize>,
    value: Range<usize>,
}

/// Bytes of the key at a dotted path (array positions as `[0]`), where the text has it.
pub(crate) fn find_span(text: &str, path: &str) -> Option<Range<usize>> {
    find(text, path).map(|place| place.key)
}

/// The place of a dotted path (of its end that the text has, where it leads into a plain value). An item of an
/// array is its own key.
fn find(text: &str, path: &str) -> Option<Place> {
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    let mut place = None;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let mut names = part.split('[');
        let name = names.next()?;
        let (key, mut value) = table.iter().find(|(key, _)| key.get_ref().as_ref() == name)?;
        place = Some(Place { key: key.span(), value: value.span() });
        for position in names {
            let DeValue::Array(items) = value.get_ref() else { return place };
            value = items.get(position.trim_end_matches(']').parse::<usize>().ok()?)?;
            place = Some(Place { key: value.span(), value: value.span() });
        }
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => return place,
        }
    }
    place
}

/// The message under a header with file, line and column, and the line itself with a caret.
pub(crate) fn render_at(text: &TomlText, span: Option<Range<usize>>, message: String) -> SchemaError {
    let Some(span) = span else {
        return SchemaError::Toml { rendered: format!("{}: {message}", text.name) };
    };
    let before = &text.text[..span.start.min(text.text.len())];
    let line_idx = before.matches('\n').count();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    // Tabs stay tabs, so that the caret stands below its mark however wide they are shown.
    let margin: String = before[line_start..].chars().map(|c| if c == '\t' { c } else { ' ' }).collect();
    let line = text.text.lines().nth(line_idx).unwrap_or("");
    let width = text
        .text
        .get(span.clone())
        .map_or(1, |marked| marked.lines().next().unwrap_or("").chars().count())
        .max(1);
    let number = (line_idx + 1).to_string();
    let gutter = " ".repeat(number.len());
    SchemaError::Toml {
        rendered: format!(
            "{message}\n{gutter}--> {}:{number}:{}\n{gutter} |\n{number} | {line}\n{gutter} | {}{}",
            text.name,
            margin.chars().count() + 1,
            margin,
            "^".repeat(width)
        ),
    }
}
