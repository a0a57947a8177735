//! Reads a value from layered TOML: includes below, the file above them, overrides on top. An error shows
//! the file, the line, a caret and, for a misspelt name, the nearest known one.

use serde::de::DeserializeOwned;
use toml::Table;

use crate::SchemaError;
pub use crate::place::TomlText;
use crate::place::{find_span, is_inline_table, render_at};

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
    /// `Toml` if the text is not TOML, or `include` is not a list of strings.
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
    /// `Toml` if the text is not TOML.
    pub fn push(&mut self, text: TomlText) -> Result<(), SchemaError> {
        let mut table = parse_table(&text)?;
        table.remove("include");
        merge(&mut self.merged, table, "", &|path| is_inline_table(&text.text, path));
        self.texts.push(text);
        Ok(())
    }

    /// Replaces the value at `key.path` by that of `key.path=value`, read as TOML, or as a string if it is not TOML.
    ///
    /// # Errors
    /// `Toml` if there is no `=` or the key is empty.
    pub fn push_override(&mut self, assignment: &str) -> Result<(), SchemaError> {
        let bad = || SchemaError::Toml {
            rendered: format!("`--set {assignment}` is not a valid assignment (hint: `--set train.lr=3e-4`)"),
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
            let message = in_words(&path, message);
            self.error_at(&path, message)
        })
    }

    /// An error about the value at a dotted path, shown in the layer that set it last.
    pub fn error_at(&self, path: &str, message: String) -> SchemaError {
        let message = match hint(path, &message) {
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

/// Reads a table. The error is a dotted path and a message.
fn read<T: DeserializeOwned>(table: Table) -> Result<T, (String, String)> {
    serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        (path, error.into_inner().message().to_string())
    })
}

/// The path of the value that an error is about, at `path` or below.
///
/// serde reads a table that is tagged by its `kind` as a whole before it reads the fields, so the error then names only
/// the table. The culprit is the one key without which the message changes.
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
            // Without its tag nothing can be read, so the tag is the culprit only if no field is.
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

/// The key that holds the last one of `path`; empty if there is none.
fn owner(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(above, _)| last_part(above))
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

/// What to write, by key, if the names of the choices do not show it.
const EXAMPLES: [(&str, &str); 6] = [
    ("tokenizer", "write `\"bytes\"` or `{ bpe = 1024 }`"),
    (
        "schedule",
        "write `\"constant\"`, `{ cosine = { final-fraction = 0.1 } }` or `{ wsd = { cooldown = { fraction = 0.2 } } }`",
    ),
    ("cooldown", "write `{ fraction = 0.2 }` or `{ steps = 100 }`"),
    ("warmup", "write `{ fraction = 0.1 }` or `{ steps = 100 }`"),
    ("parametrisation", "write `\"standard\"` or `{ mup = { base-width = 256 } }`"),
    (
        "horizon",
        "write `{ steps = 1000 }`, `{ tokens = 1e6 }`, `{ flops = 1e12 }` or `{ tokens-per-param = 20 }`",
    ),
];

/// The message of serde about the value at `path`, in the words of the file.
fn in_words(path: &str, message: String) -> String {
    let key = last_part(path);
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        // The path of a choice that is written as a table ends with its name.
        let owner = if rest.starts_with(&format!("`{key}`")) { owner(path) } else { key };
        return format!("unknown {} {rest}", owner.split('[').next().unwrap_or(owner));
    }
    let subject = if key.is_empty() { "the value".to_string() } else { format!("`{key}`") };
    if let Some(rest) = message.strip_prefix("invalid length ") {
        let Some((found, expected)) = rest.split_once(", expected ") else { return message };
        return format!(
            "{subject} must be {}, got {found}",
            expected.replace("an array of length", "a list of length")
        );
    }
    let described =
        ["invalid type: ", "invalid value: "].iter().find_map(|start| message.strip_prefix(start));
    let Some((found, expected)) = described.and_then(|rest| rest.split_once(", expected ")) else {
        return message;
    };
    let (expected, is_bare) = match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => ("a whole number", true),
        "f32" | "f64" => ("a number", true),
        "a boolean" => ("`true` or `false`", true),
        "a string" => ("text in quotes", false),
        "a sequence" => ("a list", false),
        "a map" => ("a table", false),
        // A choice that is neither a name nor a table.
        "string only" => return format!("{subject} must be a name in quotes, or a table with one key"),
        "struct variant" | "newtype variant" => return format!("{subject} needs a value"),
        other if other.starts_with("struct ") => ("a table", false),
        other => (other, other.starts_with("a number")),
    };
    let without_quotes = if is_bare && found.starts_with("string ") { " without quotes" } else { "" };
    // serde names what it found: `string "x"`, "floating point `0.5`", "map".
    let found = match found {
        "sequence" => "a list",
        "map" => "a table",
        other => ["string ", "floating point ", "integer ", "boolean "]
            .iter()
            .find_map(|kind| other.strip_prefix(kind))
            .unwrap_or(other),
    };
    format!("{subject} must be {expected}{without_quotes}, got {found}")
}

/// What else to say about the value at `path`: the name that was probably meant, or how to write the value.
fn hint(path: &str, message: &str) -> Option<String> {
    if message.contains("hint: ") {
        return None;
    }
    if message.contains("must be a whole number, got `-") {
        return Some("it cannot be negative".to_string());
    }
    if message.contains("must be a whole number, got `") {
        return Some("write it without point and exponent".to_string());
    }
    let is_form = ["unknown ", " must be ", " needs a value"].iter().any(|part| message.contains(part));
    let example = || {
        let keys = [last_part(path), owner(path)].map(|key| key.split('[').next().unwrap_or(key));
        EXAMPLES.iter().find(|(of, _)| is_form && keys.contains(of)).map(|(_, example)| example.to_string())
    };
    nearest_name(message).map(|known| format!("did you mean `{known}`?")).or_else(example)
}

/// The known name that is most like the unknown one in "unknown field `x`, expected one of `y`, `z`", and the same for
/// a kind, a corpus, ...
fn nearest_name(message: &str) -> Option<&str> {
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
        .map(|(_, known)| known)
}
