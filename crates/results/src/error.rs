//! What can be wrong with a sweep's folder or with a table.

use std::io;
use std::path::{Path, PathBuf};

use scalelaw_disk::DiskError;
use thiserror::Error;

/// An error that leaves no table at all. What is wrong with one run or one row is not an error: it is listed
/// among the excluded rows.
#[derive(Debug, Error)]
pub enum ResultsError {
    /// The sweep's folder is not there.
    #[error("there is no sweep folder `{}` (hint: `scalelaw run` makes it)", path.display())]
    NoSweep {
        /// The folder.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {what} `{}`: {source}", path.display())]
    Io {
        /// What was tried: `read`, `write`, `list`.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Output failed where there is no path, such as a closed pipe.
    #[error("cannot write the table: {source}")]
    Output {
        /// Why.
        source: io::Error,
    },
    /// A file that cannot be read as a table.
    #[error("cannot read `{}` as a table: {why} (hint: {hint})", path.display())]
    NoTable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
        /// What to do.
        hint: &'static str,
    },
    /// A column that is not there.
    #[error("{} no {what} (hint: {hint}); the columns are {columns}", has(table.as_deref()))]
    NoColumn {
        /// The file's name; none for a sweep's own results.
        table: Option<String>,
        /// The column, or what it is for.
        what: String,
        /// What to do.
        hint: String,
        /// The columns that are there.
        columns: String,
    },
    /// Two columns of the same name.
    #[error("{} several columns for {what}: {columns} (hint: choose one with `{flag}`)", has(table.as_deref()))]
    Ambiguous {
        /// The file's name; none for a sweep's own results.
        table: Option<String>,
        /// What the columns are for.
        what: String,
        /// The columns.
        columns: String,
        /// The flag that chooses.
        flag: String,
    },
    /// A column that holds neither numbers nor text.
    #[error(
        "column `{column}` of `{table}` has type {dtype} (hint: store it as 32 or 64 bit numbers or as text)"
    )]
    ColumnType {
        /// The file's name.
        table: String,
        /// The column.
        column: String,
        /// Its type in the file.
        dtype: String,
    },
    /// No row is left.
    #[error("`{table}` has no usable rows: {why}")]
    NoRows {
        /// The file's name.
        table: String,
        /// Why the first one is left out.
        why: String,
    },
    /// No run has a loss of this name.
    #[error("no run has the loss `{name}` (known: {known})")]
    NoLoss {
        /// The name asked for.
        name: String,
        /// The losses that some run has.
        known: String,
    },
    /// A filter that cannot be read, with the place.
    #[error("cannot read the filter: {why}\n  {text}\n  {:>caret$}", "^", caret = column + 1)]
    Filter {
        /// The filter.
        text: String,
        /// Where in it, in characters from 0.
        column: usize,
        /// What is wrong there.
        why: String,
    },
}

impl ResultsError {
    /// For `map_err` on a call of the file system.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ResultsError {
        let path = path.to_path_buf();
        move |source| ResultsError::Io { what, path, source }
    }
}

impl From<DiskError> for ResultsError {
    fn from(DiskError { action, path, source }: DiskError) -> ResultsError {
        ResultsError::Io { what: action, path, source }
    }
}

/// The subject of a sentence about a table.
fn has(table: Option<&str>) -> String {
    table.map_or("results have".to_string(), |name| format!("`{name}` has"))
}

/// Names in backticks, at most 30 of them.
pub(crate) fn list<S: AsRef<str>>(names: &[S]) -> String {
    const MOST: usize = 30;
    let mut text =
        names.iter().take(MOST).map(|name| format!("`{}`", name.as_ref())).collect::<Vec<_>>().join(", ");
    if names.len() > MOST {
        text.push_str(&format!(" and {} more", names.len() - MOST));
    }
    if names.is_empty() {
        text.push_str("none");
    }
    text
}
