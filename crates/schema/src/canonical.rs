//! Canonical JSON, the text that hashes are taken of, and rounding that makes hashes reproducible.

use serde::Serialize;
use serde_json::Value;

/// JSON of `value` without white space and with the keys of each object in byte order.
///
/// Numbers are printed by `serde_json`: integers plainly, floats as the shortest text that reads back
/// to the same bits. The order of keys is made here, since `serde_json` may be built to keep the order
/// of insertion.
///
/// # Panics
/// If `value` cannot be JSON (a map whose keys are not strings, a NaN): specs are plain data.
pub fn to_canonical_json<T: Serialize>(value: &T) -> String {
    let value = serde_json::to_value(value).expect("a spec is plain data");
    let mut text = String::new();
    write_value(&value, &mut text);
    text
}

/// The first 12 hex digits of blake3 over the canonical JSON of `value`.
pub fn hash12<T: Serialize>(value: &T) -> String {
    blake3::hash(to_canonical_json(value).as_bytes()).to_hex()[..12].to_string()
}

/// `x` rounded to so many significant decimal digits, so that a hash does not depend on the last bits of a machine's
/// mathematical functions.
pub fn rounded(x: f64, digits: usize) -> f64 {
    let decimals = digits.saturating_sub(1);
    format!("{x:.decimals$e}").parse().unwrap_or(x)
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            out.push('{');
            for (key_idx, key) in keys.into_iter().enumerate() {
                if key_idx > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(key.clone()).to_string());
                out.push(':');
                write_value(&map[key], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (item_idx, item) in items.iter().enumerate() {
                if item_idx > 0 {
                    out.push(',');
                }
                write_value(item, out);
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}
