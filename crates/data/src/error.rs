//! What can go wrong between text and batches.

use std::io;
use std::path::{Path, PathBuf};

use scalelaw_disk::DiskError;
use scalelaw_schema::SchemaError;
use thiserror::Error;

/// An error that names the thing, what is wrong with it, and the mend.
#[derive(Debug, Error)]
pub enum DataError {
    /// A file operation failed.
    #[error("cannot {action} `{path}`: {source}{}", hint_for(source))]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    /// A manifest that cannot be read.
    #[error(transparent)]
    Manifest(#[from] SchemaError),
    /// A path of the corpus that does not exist.
    #[error(
        "corpus `{corpus}`: there is no file or folder `{path}` (hint: relative paths start at the file that names them)"
    )]
    NoSuchPath { corpus: String, path: PathBuf },
    /// A glob without a match.
    #[error(
        "corpus `{corpus}`: no file matches `{pattern}` (hint: relative patterns start at the file that names them)"
    )]
    NoMatch { corpus: String, pattern: String },
    /// A glob that is none.
    #[error("corpus `{corpus}`: `{pattern}` is no glob: {why}")]
    BadGlob { corpus: String, pattern: String, why: String },
    /// A corpus without a document.
    #[error("corpus `{corpus}` has no documents: {why} (hint: name files that hold text)")]
    EmptyCorpus { corpus: String, why: String },
    /// A corpus that cannot be split.
    #[error(
        "corpus `{corpus}` has one {unit} only, and one is needed for training and one to hold out (hint: {hint})"
    )]
    OneUnit { corpus: String, unit: &'static str, hint: &'static str },
    /// A share that is none.
    #[error("corpus `{corpus}`: `held-out` is {share}, but must lie between 0 and 1, both left out")]
    BadShare { corpus: String, share: f64 },
    /// A generator's numbers that cannot be.
    #[error("corpus `{corpus}` cannot be generated: {why}")]
    BadTask { corpus: String, why: String },
    /// A limit on documents where there is no list of them.
    #[error("corpus `{corpus}`: `max-documents` is for files (hint: a generated corpus has a `pool`)")]
    NoMaxDocuments { corpus: String },
    /// Files of a package that are not there yet.
    #[error(
        "corpus `{corpus}` is not on this machine (hint: `scalelaw data get {corpus}` downloads it from Debian; \
         otherwise {elsewhere}, then `scalelaw data get {corpus} --path FOLDER`)"
    )]
    NotObtained { corpus: String, elsewhere: String },
    /// An entry of a dictionary or a database that is none.
    #[error("{path}:{line}: {why} (hint: the file may be cut off or of another kind)", path = path.display())]
    BadEntry { path: PathBuf, line: u64, why: String },
    /// A package that could not be downloaded.
    #[error(
        "corpus `{corpus}`: the Debian package `{package}` cannot be had: {why} (hint: the files are also \
         {elsewhere}; then `scalelaw data get {corpus} --path FOLDER`)"
    )]
    DebianFailed { corpus: String, package: String, why: String, elsewhere: String },
    /// A file that is not the one that the manifest pins.
    #[error(
        "`{path}` is not the file of version {version}: its blake3 is {found}, not {expected} (hint: `--any-edition` \
         takes it, as another corpus, with which losses cannot be compared)"
    )]
    OtherEdition { path: PathBuf, found: String, expected: String, version: String },
    /// An item that cannot be asked.
    #[error(
        "{place}: {why} (hint: `prompt` with `answer`, or with `choices` and `correct`, the position of the right one from 0)"
    )]
    BadItem { place: String, why: String },
    /// A suite that cannot be made.
    #[error("skill `{skill}` has no suite: {why}")]
    NoSuite { skill: String, why: String },
    /// A suite without an item.
    #[error("skill `{skill}` has no item (hint: name files that hold some)")]
    EmptySuite { skill: String },
    /// A suite of which training text holds everything.
    #[error(
        "skill `{skill}`: training text holds every one of its items (hint: other items, or `overlap = \"meant\"` \
         where the skill is to recall what was trained on)"
    )]
    AllOverlap { skill: String },
    /// A suite that was never tokenised.
    #[error("the suite {hash} is not at `{path}` (hint: `scalelaw data prepare` makes it)")]
    NoTokenSuite { hash: String, path: PathBuf },
    /// Losses that are not those of the suite's sequences.
    #[error("suite {suite}: there is not one loss for each target of its sequences")]
    BadLosses { suite: String },
    /// A line of a JSONL file that is no document.
    #[error("{path}:{line}: {why} (hint: one JSON object per line, the text a string in the field that the corpus names)", path = path.display())]
    BadLine { path: PathBuf, line: u64, why: String },
    /// A pinned crate that is not there.
    #[error(
        "corpus `{corpus}`: {n_missing} of its {n_crates} pinned crates, the first of them `{first}`, are not in \
         cargo's registry folder `{folder}` (hint: run `cargo fetch --locked` in the source folder of Scalelaw)"
    )]
    CrateMissing { corpus: String, first: String, n_missing: usize, n_crates: usize, folder: PathBuf },
    /// Neither cargo's registry nor the toolchain's documentation.
    #[error(
        "corpus `{corpus}` is made of crates that cargo downloaded, but `{folder}` holds none of them, and the \
         toolchain has no documentation to stand in (hint: run `cargo fetch --locked` in the source folder of \
         Scalelaw, or `rustup component add rust-docs`, or name text of your own in `[corpus.NAME]`)"
    )]
    NoRegistry { corpus: String, folder: PathBuf },
    /// The documentation of the toolchain is asked for and absent.
    #[error(
        "corpus `{corpus}`: the toolchain has no documentation (hint: run `rustup component add rust-docs`)"
    )]
    NoRustDocs { corpus: String },
    /// A document that is no longer what it was when the corpus was opened.
    #[error("`{path}` changed while it was read (hint: run again)")]
    Changed { path: PathBuf },
    /// Less held-out text than the evaluation needs.
    #[error(
        "corpus `{corpus}` has {have} held-out tokens, but {need} are needed (hint: add text, or raise its `held-out`)"
    )]
    TooFewHeldOut { corpus: String, have: u64, need: u64 },
    /// A vocabulary that cannot be.
    #[error("a BPE vocabulary of {vocab_size} cannot be: {why}")]
    BadVocabulary { vocab_size: u32, why: String },
    /// A file of the cache that is not what was written.
    #[error("`{path}` is damaged: {why} (hint: delete it, it is made again)")]
    Damaged { path: PathBuf, why: String },
    /// Tokens that were never made.
    #[error("the token set {hash} is not in `{folder}` (hint: `scalelaw data` makes it)")]
    NoTokenSet { hash: String, folder: PathBuf },
    /// A mixture of sets that were not opened.
    #[error("source {hash} of the mixture is not among the token sets that were opened")]
    NotOpened { hash: String },
    /// Batches reach beyond what is tokenised.
    #[error(
        "token set {hash}: block {block} is not tokenised yet, only {available} are (hint: `scalelaw data`)"
    )]
    NotTokenised { hash: String, block: u64, available: u64 },
    /// A source whose whole text is shorter than one window.
    #[error("token set {hash} has {tokens} training tokens, too few for one sequence of {context_len}")]
    ContextTooLong { hash: String, tokens: u64, context_len: usize },
    /// A weight that no round can hold.
    #[error("weight {weight} of source {hash} is below {smallest}, the smallest that can be drawn")]
    WeightTooSmall { hash: String, weight: f64, smallest: f64 },
    /// Token sets of one mixture with different vocabularies.
    #[error("the token sets of one mixture have different vocabularies: {first} and {second} tokens")]
    MixedVocabularies { first: u32, second: u32 },
}

impl DataError {
    /// For `map_err`: what was being done to which file.
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
            " (hint: choose a folder that you may use)"
        }
        _ => "",
    }
}
