//! Reads a value from layered TOML: includes below, the file above them, overrides on top. An error shows
//! the file, the line, a caret and, for a misspelt name, the nearest known one.

mod place;

use serde::de::DeserializeOwned;
use toml::Table;

use crate::SchemaError;
use place::{find_span, is_inline_table, render_at};

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

    /// Lays `text` over what is there. Tables written as sections (`[train]`) merge; everything else is replaced,
    /// inline tables (`{ log = [1, 2], steps = 3 }`) too, since they are written as one value.
    ///
    /// # Errors
    /// `Toml` where the text is not TOML.
    pub fn push(&mut self, text: TomlText) -> Result<(), SchemaError> {
        let mut table = parse_table(&text)?;
        table.remove("include");
        merge(&mut self.merged, table, "", &|path| is_inline_table(&text.text, path));
        self.texts.push(text);
        Ok(())
    }

    /// Replaces the value at `key.path` by that of `key.path=value`. It is TOML; where it is not, it is a string.
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
        let mut table = &mut self.merged;
        let mut parts: Vec<&str> = key.split('.').collect();
        let last = parts.pop().expect("a split has at least one part");
        for part in parts {
            let below = table.entry(part).or_insert_with(|| toml::Value::Table(Table::new()));
            if !below.is_table() {
                *below = toml::Value::Table(Table::new());
            }
            table = below.as_table_mut().expect("it was made a table");
        }
        table.insert(last.to_string(), value.clone());
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
        read(self.merged.clone()).map_err(|(path, message)| {
            let path = culprit::<T>(&self.merged, path, &message);
            // Where the parser names an unknown key, point at the key rather than at its table.
            let path = match quoted_after(&message, "unknown field `") {
                Some(key) if last_part(&path) != key => format!("{path}.{key}"),
                _ => path,
            };
            self.error_at(&path, message)
        })
    }

    /// An error about the value at a dotted path, shown where it was written last.
    pub fn error_at(&self, path: &str, message: String) -> SchemaError {
        let message = match hint(&message) {
            Some(hint) => format!("{message}\n  hint: {hint}"),
            None => message,
        };
        let of_override = |(key, value): &(String, toml::Value)| SchemaError::Toml {
            rendered: format!("--set {key}={value}: {message}"),
        };
        let overrides = || self.overrides.iter().rev();
        if let Some(found) = overrides().find(|(key, _)| is_at_or_below(path, key)) {
            return of_override(found);
        }
        let mut shorter = path;
        loop {
            for text in self.texts.iter().rev() {
                if let Some(span) = find_span(&text.text, shorter) {
                    return render_at(text, Some(span), message);
                }
            }
            // A table that only overrides have made.
            if let Some(found) = overrides().find(|(key, _)| is_at_or_below(key, shorter)) {
                return of_override(found);
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

/// Reads a table; an error comes as dotted path and message.
fn read<T: DeserializeOwned>(table: Table) -> Result<T, (String, String)> {
    serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        (path, error.into_inner().message().to_string())
    })
}

/// The path of the value that an error is about, at `path` or below.
///
/// serde reads a table that is tagged by its `kind` as a whole before it looks at the fields, and the error then
/// tells the table alone. The culprit is the one key without which the message changes.
fn culprit<T: DeserializeOwned>(merged: &Table, mut path: String, message: &str) -> String {
    if message.starts_with("missing field") {
        return path;
    }
    loop {
        let mut copy = merged.clone();
        let Some(table) = table_at(&mut copy, &path) else { return path };
        let keys: Vec<String> = table.keys().cloned().collect();
        let is_culprit = |key: &String| {
            let mut without = merged.clone();
            if let Some(table) = table_at(&mut without, &path) {
                table.remove(key);
            }
            read::<T>(without).err().is_none_or(|(_, other)| other != message)
        };
        let (tags, fields): (Vec<String>, Vec<String>) =
            keys.into_iter().filter(is_culprit).partition(|key| key == "kind");
        let key = match (fields.as_slice(), tags.as_slice()) {
            ([field], _) => field,
            // Without its tag nothing can be read, so the tag is it only where no field is.
            ([], [tag]) => tag,
            _ => return path,
        };
        path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
    }
}

/// The table at a dotted path with positions as `[0]`.
fn table_at<'a>(root: &'a mut Table, path: &str) -> Option<&'a mut Table> {
    let mut table = root;
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let mut names = part.split('[');
        let mut value = table.get_mut(names.next()?)?;
        for position in names {
            value = value.as_array_mut()?.get_mut(position.trim_end_matches(']').parse::<usize>().ok()?)?;
        }
        table = value.as_table_mut()?;
    }
    Some(table)
}

/// Whether `path` is `above` or lies below it.
fn is_at_or_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

fn last_part(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn parse_table(text: &TomlText) -> Result<Table, SchemaError> {
    text.text.parse::<Table>().map_err(|error| render_at(text, error.span(), error.message().to_string()))
}

/// Lays `above` over `below`; a table at a path that `is_whole` replaces what is there.
fn merge(below: &mut Table, above: Table, path: &str, is_whole: &dyn Fn(&str) -> bool) {
    for (key, value) in above {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (below.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) if !is_whole(&path) => {
                merge(old, new, &path, is_whole);
            }
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

fn quoted_after<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    let rest = &message[message.find(start)? + start.len()..];
    rest.split('`').next()
}

/// What a message that serde (or a planner) wrote in its usual form leaves to be said.
fn hint(message: &str) -> Option<String> {
    if message.starts_with("invalid type: floating point")
        && ["u64", "u32", "usize"].iter().any(|whole| message.ends_with(whole))
    {
        return Some("a whole number, written without point and exponent".to_string());
    }
    // "unknown field `x`, expected one of `y`, `z`", and the same for a variant, a corpus, ...
    let (_, rest) = message.split_once("unknown ")?;
    let name = rest.split('`').nth(1)?;
    let (_, expected) = rest.split_once("expected")?;
    expected
        .split('`')
        .skip(1)
        .step_by(2)
        .map(|known| (strsim::jaro_winkler(name, known), known))
        // 0.75 keeps one or two slips in a short word and refuses a mere likeness.
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| format!("did you mean `{known}`?"))
}
