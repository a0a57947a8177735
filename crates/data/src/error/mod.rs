//! What can go wrong between text and batches. Each step has a file of reasons of its own.

pub(crate) mod sources;

pub(crate) mod skills;

pub(crate) mod corpus;

pub(crate) mod tokens;

pub(crate) mod suite;

use std::io;
use std::path::{Path, PathBuf};

use scalelaw_disk::DiskError;
use scalelaw_schema::SchemaError;
use thiserror::Error;

use corpus::{NoDocuments, Unit};
use skills::TaskError;
use sources::{EntryError, LineError, PackageError};
use suite::{ItemError, SuiteError};
use tokens::{Damage, VocabularyError};

/// Says which thing is wrong, what is wrong with it, and, as a hint, what to do.
#[derive(Debug, Error)]
pub enum DataError {
    /// A file operation failed.
    #[error("cannot {action} `{path}`: {source}{}", hint_for(source))]
    Io {
        /// What was attempted, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A manifest cannot be read.
    #[error(transparent)]
    Manifest(#[from] SchemaError),
    /// A manifest that the user named is not there, or cannot be read.
    #[error("cannot read the manifest `{path}`: {source}")]
    UnreadableManifest {
        /// The manifest.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// No corpus has this name.
    #[error(
        "no corpus `{name}` (known: {known}; hint: `[corpus.{name}]` in the sweep, or `datasets/{name}.toml`)"
    )]
    UnknownCorpus {
        /// The name as written.
        name: String,
        /// Names that are known.
        known: String,
    },
    /// No skill has this name.
    #[error(
        "no skill `{name}` (known: {known}; hint: `[skill.{name}]` in the sweep, or `datasets/skills/{name}.toml`)"
    )]
    UnknownSkill {
        /// The name as written.
        name: String,
        /// Names that are known.
        known: String,
    },
    /// The manifest of a skill is used as a corpus, but has none.
    #[error("the skill `{name}` has no corpus (hint: give it a `[corpus]`)")]
    SkillWithoutCorpus {
        /// The name as written.
        name: String,
    },
    /// No package holds the files of this corpus or skill.
    #[error(
        "there is nothing to download for `{name}` (hint: {known} come from packages; `scalelaw data list` shows what \
         is missing)"
    )]
    NothingToDownload {
        /// The name as written.
        name: String,
        /// Names of those that a package holds.
        known: String,
    },
    /// A path of a corpus does not exist.
    #[error(
        "corpus `{corpus}`: there is no file or folder `{path}` (hint: relative paths start at the file that names them)"
    )]
    NoSuchPath {
        /// Name of the corpus.
        corpus: String,
        /// The path, resolved.
        path: PathBuf,
    },
    /// A glob matches nothing.
    #[error(
        "corpus `{corpus}`: no file matches `{pattern}` (hint: relative patterns start at the file that names them)"
    )]
    NoMatch {
        /// Name of the corpus.
        corpus: String,
        /// The glob as written.
        pattern: String,
    },
    /// A glob cannot be parsed.
    #[error(
        "corpus `{corpus}`: `{pattern}` is not a valid glob: {why} (hint: `[` must be closed, `**` is a whole folder)"
    )]
    BadGlob {
        /// Name of the corpus.
        corpus: String,
        /// The glob as written.
        pattern: String,
        /// What the glob parser says.
        why: &'static str,
    },
    /// A corpus without documents.
    #[error("corpus `{corpus}` has no documents: {why} (hint: name files that hold text)")]
    EmptyCorpus {
        /// Name of the corpus.
        corpus: String,
        /// Why there is none.
        why: NoDocuments,
    },
    /// A corpus that is too small to be split.
    #[error(
        "corpus `{corpus}` has only one {unit}, but needs one to train on and one to hold out (hint: {})",
        unit.hint()
    )]
    OneUnit {
        /// Name of the corpus.
        corpus: String,
        /// What is held out as a whole.
        unit: Unit,
    },
    /// A share that is not between 0 and 1.
    #[error("corpus `{corpus}`: `held-out` must be strictly between 0 and 1, got {share} (hint: 0.05)")]
    BadShare {
        /// Name of the corpus.
        corpus: String,
        /// The share as written.
        share: f64,
    },
    /// Settings of a generator that are out of range.
    #[error("corpus `{corpus}` cannot be generated: {why}")]
    BadTask {
        /// Name of the corpus.
        corpus: String,
        /// Which setting, and its range.
        why: TaskError,
    },
    /// A limit on documents where there is no list of them.
    #[error(
        "corpus `{corpus}`: `max-documents` applies to files only (hint: a generated corpus is limited by `pool`)"
    )]
    NoMaxDocuments {
        /// Name of the corpus.
        corpus: String,
    },
    /// Files of a package that are not downloaded yet.
    #[error(
        "corpus `{corpus}` is not on this machine (hint: `scalelaw data get {corpus}` downloads it from Debian; \
         otherwise {elsewhere}, then `scalelaw data get {corpus} --path FOLDER`)"
    )]
    NotDownloaded {
        /// Name of the corpus.
        corpus: String,
        /// Where else the files can be found.
        elsewhere: String,
    },
    /// An invalid entry of a dictionary or a database.
    #[error("{path}:{line}: {why} (hint: the file may be truncated or in another format)", path = path.display())]
    BadEntry {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong.
        why: EntryError,
    },
    /// A package that could not be downloaded.
    #[error(
        "corpus `{corpus}`: cannot download the Debian package `{package}`: {why} (hint: the files are also \
         {elsewhere}; then `scalelaw data get {corpus} --path FOLDER`)"
    )]
    DebianFailed {
        /// Name of the corpus.
        corpus: String,
        /// Name of the package.
        package: String,
        /// Which step failed.
        why: PackageError,
        /// Where else the files can be found.
        elsewhere: String,
    },
    /// A file that is not the pinned one.
    #[error(
        "`{path}` is not the file of version {version}: its blake3 is {found}, expected {expected} (hint: \
         `--any-edition` takes it as a different corpus, whose losses are not comparable)"
    )]
    OtherEdition {
        /// The file's path within the package.
        path: PathBuf,
        /// Hash of the file that was found, 64 hex digits.
        found: String,
        /// Hash in the manifest, 64 hex digits.
        expected: String,
        /// Version that the manifest pins.
        version: String,
    },
    /// An invalid item of a suite.
    #[error(
        "{place}: {why} (hint: an item has `prompt` with `answer`, or with `choices` and `correct`, the index of the \
         right choice from 0)"
    )]
    BadItem {
        /// File and line, or skill and prompt.
        place: String,
        /// What is wrong.
        why: ItemError,
    },
    /// A suite that cannot be built.
    #[error("cannot build the suite of skill `{skill}`: {why}")]
    NoSuite {
        /// Name of the skill.
        skill: String,
        /// What is missing or out of range.
        why: SuiteError,
    },
    /// A suite without items.
    #[error("skill `{skill}` has no items (hint: name files that hold some)")]
    EmptySuite {
        /// Name of the skill.
        skill: String,
    },
    /// A suite of which every item occurs in the training text.
    #[error(
        "skill `{skill}`: every item occurs in the training text (hint: use other items, or `overlap = \"meant\"` if \
         the skill is to recall what was trained on)"
    )]
    AllOverlap {
        /// Name of the skill.
        skill: String,
    },
    /// A suite that was never tokenised.
    #[error("suite {hash} is not at `{path}` (hint: `scalelaw data prepare SWEEP.toml` makes it)")]
    NoTokenSuite {
        /// Content hash.
        hash: String,
        /// The file that should hold it.
        path: PathBuf,
    },
    /// Losses that do not match the suite's sequences.
    #[error("suite {suite}: expected one loss per target of its sequences")]
    BadLosses {
        /// Content hash.
        suite: String,
    },
    /// A line of a JSONL file that is not a document.
    #[error(
        "{path}:{line}: {why} (hint: each line is a JSON object whose text is a string in the field that the corpus \
         names)",
        path = path.display()
    )]
    BadLine {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong.
        why: LineError,
    },
    /// Some pinned crates are missing.
    #[error(
        "corpus `{corpus}`: {n_missing} of its {n_crates} pinned crates (the first is `{first}`) are not in cargo's \
         registry folder `{folder}` (hint: run `cargo fetch --locked` in the source folder of Scalelaw)"
    )]
    CrateMissing {
        /// Name of the corpus.
        corpus: String,
        /// Name and version of the first missing crate.
        first: String,
        /// Number of missing crates.
        n_missing: usize,
        /// Number of pinned crates.
        n_crates: usize,
        /// Cargo's registry folder.
        folder: PathBuf,
    },
    /// Neither cargo's registry nor the toolchain's documentation is there.
    #[error(
        "corpus `{corpus}` is made of crates that cargo downloaded, but `{folder}` holds none of them, and the \
         toolchain has no documentation to use instead (hint: run `cargo fetch --locked` in the source folder of \
         Scalelaw, or `rustup component add rust-docs`, or name your own text in `[corpus.NAME]`)"
    )]
    NoRegistry {
        /// Name of the corpus.
        corpus: String,
        /// Cargo's registry folder.
        folder: PathBuf,
    },
    /// The toolchain's documentation is not installed.
    #[error(
        "corpus `{corpus}`: the toolchain has no documentation (hint: run `rustup component add rust-docs`)"
    )]
    NoRustDocs {
        /// Name of the corpus.
        corpus: String,
    },
    /// A document that changed since the corpus was opened.
    #[error("`{path}` changed while it was being read (hint: run again)")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// Less held-out text than an evaluation needs.
    #[error(
        "corpus `{corpus}` has {have} held-out tokens, but {need} are needed (hint: add text, or raise its `held-out`)"
    )]
    TooFewHeldOut {
        /// Name of the corpus.
        corpus: String,
        /// Held-out tokens that it has.
        have: u64,
        /// Held-out tokens that were asked for.
        need: u64,
    },
    /// A vocabulary size that is not possible.
    #[error("a BPE vocabulary of {vocab_size} is not possible: {why}")]
    BadVocabulary {
        /// The size that was asked for.
        vocab_size: u32,
        /// Why it is not.
        why: VocabularyError,
    },
    /// A file of the cache that is not as it was written.
    #[error("`{path}` is damaged: {why} (hint: delete it; it will be made again)")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How that shows.
        why: Damage,
    },
    /// A token set that was never made.
    #[error("token set {hash} is not in `{folder}` (hint: `scalelaw data prepare SWEEP.toml` makes it)")]
    NoTokenSet {
        /// Content hash.
        hash: String,
        /// The folder that should hold it.
        folder: PathBuf,
    },
    /// A source of a mixture whose token set was not opened.
    #[error("token set {hash} of the mixture was not opened")]
    NotOpened {
        /// Content hash.
        hash: String,
    },
    /// Batches reach beyond the tokenised part of a corpus.
    #[error(
        "token set {hash}: block {block} is not tokenised yet, there are only {available} (hint: `scalelaw data \
         prepare SWEEP.toml`)"
    )]
    NotTokenised {
        /// Content hash.
        hash: String,
        /// The block that is needed, from 0.
        block: u64,
        /// Number of tokenised blocks.
        available: u64,
    },
    /// A source shorter than one window.
    #[error(
        "token set {hash} has {tokens} training tokens, fewer than one sequence of {context_len} (hint: add text, or \
         lower `context-len`)"
    )]
    ContextTooLong {
        /// Content hash.
        hash: String,
        /// Its training tokens.
        tokens: u64,
        /// Tokens of a sequence.
        context_len: usize,
    },
    /// A weight that rounds to no sequence at all.
    #[error("weight {weight} of token set {hash} is too small: the smallest possible is {smallest}")]
    WeightTooSmall {
        /// Content hash.
        hash: String,
        /// Its share of the mixture.
        weight: f64,
        /// One sequence per round.
        smallest: f64,
    },
    /// Token sets with different vocabularies in one mixture.
    #[error("the token sets of one mixture have different vocabularies: {first} and {second} tokens")]
    MixedVocabularies {
        /// Vocabulary of the first source.
        first: u32,
        /// Vocabulary of another one.
        second: u32,
    },
}

impl DataError {
    /// Whether a name that the user gave is wrong.
    pub fn is_bad_name(&self) -> bool {
        matches!(
            self,
            DataError::UnreadableManifest { .. }
                | DataError::UnknownCorpus { .. }
                | DataError::UnknownSkill { .. }
                | DataError::SkillWithoutCorpus { .. }
                | DataError::NothingToDownload { .. }
        )
    }

    /// For `map_err`: names the attempted action and the file.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataError {
        move |source| DataError::Io { action, path: path.to_path_buf(), source }
    }
}

impl From<DiskError> for DataError {
    fn from(DiskError { action, path, source }: DiskError) -> DataError {
        DataError::Io { action, path, source }
    }
}

fn hint_for(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => " (hint: the disk is full; make room)",
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            " (hint: check the permissions, or choose another folder)"
        }
        _ => "",
    }
}
