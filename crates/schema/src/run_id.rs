//! A run's identity.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::SchemaError;
use crate::canonical::hash12;
use crate::count;
use crate::train_spec::{Start, TrainSpec};

/// Twelve hex digits: the hash of a [`TrainSpec`]. Equal ids are never trained twice.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// The id of `spec`: the first 12 hex digits of blake3 over its canonical JSON.
    pub fn of(spec: &TrainSpec) -> RunId {
        RunId(hash12(spec))
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

/// The readable part of a run's folder: size, shape, horizon and seed, such as
/// `n1.20M-L4-d128-t30.0M-s0`. It helps a person and identifies nothing.
pub fn readable(spec: &TrainSpec) -> String {
    let shape = spec.model.shape();
    let branch = match spec.start {
        Start::Init => "",
        Start::Branch { .. } => "-branch",
    };
    format!(
        "n{}-L{}-d{}-t{}-s{}{branch}",
        si(count::params(shape).total() as f64),
        shape.n_layer,
        shape.d_model,
        si(spec.tokens() as f64),
        spec.seed
    )
}

/// Name of the run's folder: `readable-hash12`.
pub fn folder_name(spec: &TrainSpec) -> String {
    format!("{}-{}", readable(spec), RunId::of(spec))
}

/// Three digits with K, M, B or T: `si(1_234_567.0)` is `1.23M`.
pub fn si(x: f64) -> String {
    let (scaled, unit) = [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")]
        .into_iter()
        .find(|(size, _)| x.abs() >= *size)
        .map_or((x, ""), |(size, unit)| (x / size, unit));
    let digits = match scaled.abs() {
        s if s >= 100.0 || unit.is_empty() && s.fract() == 0.0 => 0,
        s if s >= 10.0 => 1,
        _ => 2,
    };
    format!("{scaled:.digits$}{unit}")
}
