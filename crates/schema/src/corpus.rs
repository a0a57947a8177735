//! Where text comes from: the content of a manifest under `datasets/`, or of `[corpus.NAME]` in a sweep.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::generator::GeneratedSpec;

/// A corpus as written in its manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CorpusSpec {
    /// One line that says what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Licence of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
    /// How to get the files by hand, shown on a machine that lacks them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub how_to_obtain: Option<String>,
    /// The package that holds its files, for a machine that lacks them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obtain: Option<DebianPackage>,
    /// Put before each document as `<tag>` if a sweep tags its sources. Defaults to the name of the corpus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Where the documents are.
    pub source: CorpusSource,
    /// Longest document, bytes; longer ones are left out. Defaults to no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_document_bytes: Option<u64>,
    /// Number of documents taken, the first in the order of a hash. Defaults to all. Not for crates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_documents: Option<u64>,
    /// Share of the documents (of the crates, for a registry) that is held out. Defaults to 0.05.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out: Option<f64>,
}

/// Where documents are. Relative paths are relative to the file that names them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum CorpusSource {
    /// Files of pinned crates in cargo's registry folder, split by crate name.
    Registry {
        /// Extensions of the files taken, without the dot.
        extensions: Vec<String>,
        /// Crate to version, as in the lock file.
        crates: BTreeMap<String, String>,
    },
    /// The HTML pages of the toolchain's documentation, as text.
    RustDocs {
        /// Folders below `share/doc/rust/html`.
        folders: Vec<String>,
    },
    /// Plain text: files, folders (all files below) and globs; one document each (a file above 1 MiB is cut at
    /// line ends into many), split by document hash.
    Files(Vec<String>),
    /// One JSON object per line, the text in a named field; one document per line, split by document hash.
    Jsonl {
        /// Files and globs.
        files: Vec<String>,
        /// Name of the field.
        field: String,
    },
    /// Entries of WordNet's `data.*` files, one document each: `headwords (part of speech): definition`. Split by
    /// document hash.
    Wordnet(Vec<String>),
    /// Theorems of a Metamath database with the steps of their proofs; one document each, split by document hash.
    Metamath(Vec<String>),
    /// Made by a generator; instances are held out, not documents.
    Generated(GeneratedSpec),
}

/// A Debian package that holds a corpus' files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DebianPackage {
    /// Its name.
    pub package: String,
    /// The version that the hashes are of.
    pub version: String,
    /// Where else to find the files, shown on a machine without Debian's tools.
    pub elsewhere: String,
    /// Path within the package, to the blake3 hash of the content, 64 hex digits.
    pub files: BTreeMap<String, String>,
}
