//! Reads a value from layered TOML: includes below, the file above them, overrides on top. An error shows
//! the file, the line, a caret and, for a misspelt name, the nearest known one.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::Table;

use crate::SchemaError;

/// One TOML text with the name that errors show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TomlText {
    /// Usually the path as the person gave it.
    pub name: String,
    /// The content.
    pub text: String,
}

/// Texts and overrides, weakest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layers {
    texts: Vec<TomlText>,
    overrides: Vec<(String, toml::Value)>,
    merged: Table,
}

impl Layers {
    /// Files named by `include` in this text, as written.
    ///
    /// # Errors
    /// `Toml` where the text is not TOML or `include` is no list of strings.
    pub fn includes(text: &TomlText) -> Result<Vec<String>, SchemaError> {
        let table = parse_table(text)?;
        match table.get("include") {
            None => Ok(Vec::new()),
            Some(value) => value.clone().try_into().map_err(|_| {
                render_at(
                    text,
                    find_span(&text.text, "include"),
                    "`include` must be a list of file names".to_string(),
                )
            }),
        }
    }

    /// Lays `text` over what is there. Tables merge, everything else is replaced.
    ///
    /// # Errors
    /// `Toml` where the text is not TOML.
    pub fn push(&mut self, text: TomlText) -> Result<(), SchemaError> {
        let mut table = parse_table(&text)?;
        table.remove("include");
        merge(&mut self.merged, table);
        self.texts.push(text);
        Ok(())
    }

    /// Lays `key.path=value` over what is there. The value is TOML; where it is not, it is a string.
    ///
    /// # Errors
    /// `Toml` where there is no `=` or the key is empty.
    pub fn push_override(&mut self, assignment: &str) -> Result<(), SchemaError> {
        let bad = || SchemaError::Toml {
            rendered: format!("`--set {assignment}` is no assignment (hint: `--set train.lr=3e-4`)"),
        };
        let (key, value) = assignment.split_once('=').ok_or_else(bad)?;
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() || key.split('.').any(str::is_empty) {
            return Err(bad());
        }
        let value = match format!("x = {value}").parse::<Table>() {
            Ok(mut table) => table.remove("x").expect("the text assigns x"),
            Err(_) => toml::Value::String(value.to_string()),
        };
        let mut nested = value.clone();
        for part in key.rsplit('.') {
            nested = toml::Value::Table(Table::from_iter([(part.to_string(), nested)]));
        }
        if let toml::Value::Table(table) = nested {
            merge(&mut self.merged, table);
        }
        self.overrides.push((key.to_string(), value));
        Ok(())
    }

    /// Everything merged, as TOML text.
    pub fn to_toml(&self) -> String {
        self.merged.to_string()
    }

    /// Reads the merged layers.
    ///
    /// # Errors
    /// `Toml` with place, line and suggestion.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, SchemaError> {
        let value = toml::Value::Table(self.merged.clone());
        serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            let message = error.into_inner().to_string();
            let message = message.trim_end().to_string();
            // Where the parser names an unknown key, point at the key rather than at its table.
            let path = match quoted_after(&message, "unknown field `") {
                Some(key) if !path.ends_with(key) && path == "." => key.to_string(),
                Some(key) if !path.ends_with(key) => format!("{path}.{key}"),
                _ => path,
            };
            self.error_at(&path, message)
        })
    }

    /// An error about the value at a dotted path, shown where it was written last.
    pub fn error_at(&self, path: &str, message: String) -> SchemaError {
        let message = match suggestion(&message) {
            Some(hint) => format!("{message}\n  hint: did you mean `{hint}`?"),
            None => message,
        };
        // A path below an override (`train.lr` for `train`) is an error of the override too.
        if let Some((key, value)) = self.overrides.iter().rev().find(|(key, _)| {
            path == key || path.starts_with(&format!("{key}.")) || key.starts_with(&format!("{path}."))
        }) {
            return SchemaError::Toml { rendered: format!("--set {key}={value}: {message}") };
        }
        let mut shorter = path;
        loop {
            for text in self.texts.iter().rev() {
                if let Some(span) = find_span(&text.text, shorter) {
                    return render_at(text, Some(span), message);
                }
            }
            match shorter.rsplit_once('.') {
                Some((parent, _)) => shorter = parent,
                None => break,
            }
        }
        match self.texts.last() {
            Some(text) => render_at(text, None, message),
            None => SchemaError::Toml { rendered: message },
        }
    }
}

fn parse_table(text: &TomlText) -> Result<Table, SchemaError> {
    text.text.parse::<Table>().map_err(|error| render_at(text, error.span(), error.message().to_string()))
}

fn merge(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

/// Bytes of the key at a dotted path (array positions as `[0]`), where the text has it.
fn find_span(text: &str, path: &str) -> Option<Range<usize>> {
    use toml::de::{DeTable, DeValue};
    let document = DeTable::parse(text).ok()?;
    let mut table = document.get_ref().clone();
    let mut span = None;
    let parts: Vec<&str> = path.split('.').filter(|part| !part.is_empty()).collect();
    for (part_idx, part) in parts.iter().enumerate() {
        let (name, positions) = match part.split_once('[') {
            Some((name, rest)) => (name, rest.trim_end_matches(']').split("][").collect::<Vec<_>>()),
            None => (*part, Vec::new()),
        };
        let (key, value) = table.iter().find(|(key, _)| key.get_ref().as_ref() == name)?;
        span = Some(key.span());
        let mut value = value.clone();
        for position in positions {
            let item = match value.get_ref() {
                DeValue::Array(items) => items.get(position.parse::<usize>().ok()?)?.clone(),
                _ => return span,
            };
            span = Some(item.span());
            value = item;
        }
        match value.into_inner() {
            DeValue::Table(inner) => table = inner,
            _ if part_idx + 1 == parts.len() => return span,
            _ => return span,
        }
    }
    span
}

/// The message under a header with file, line and column, and the line itself with a caret.
fn render_at(text: &TomlText, span: Option<Range<usize>>, message: String) -> SchemaError {
    let Some(span) = span else {
        return SchemaError::Toml { rendered: format!("{}: {message}", text.name) };
    };
    let before = &text.text[..span.start.min(text.text.len())];
    let line_idx = before.matches('\n').count();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before[line_start..].chars().count();
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
            column + 1,
            " ".repeat(column),
            "^".repeat(width)
        ),
    }
}

fn quoted_after<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    let rest = &message[message.find(start)? + start.len()..];
    rest.split('`').next()
}

/// The known name nearest to an unknown one, from serde's own message.
fn suggestion(message: &str) -> Option<String> {
    let name =
        quoted_after(message, "unknown field `").or_else(|| quoted_after(message, "unknown variant `"))?;
    let expected = &message[message.find("expected")?..];
    expected
        .split('`')
        .skip(1)
        .step_by(2)
        .map(|known| (strsim::jaro_winkler(name, known), known))
        // 0.75 keeps one or two slips in a short word and refuses a mere likeness.
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known.to_string())
}
