//! A run's identity.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::SchemaError;

/// Twelve hex digits: the hash of a [`crate::train_spec::TrainSpec`]. Equal ids are never trained twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// From a hash that is known to be one.
    pub(crate) fn from_hash(hash: String) -> RunId {
        RunId(hash)
    }

    /// The twelve digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RunId {
    type Err = SchemaError;

    fn from_str(text: &str) -> Result<Self, SchemaError> {
        if text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            Ok(RunId(text.to_string()))
        } else {
            Err(SchemaError::BadRunId { text: text.to_string() })
        }
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_twelve_lower_case_hex_digits_are_an_id() {
        assert!("0123456789ab".parse::<RunId>().is_ok());
        for text in ["", "0123456789a", "0123456789abc", "0123456789aB", "0123456789ag"] {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
    }
}
