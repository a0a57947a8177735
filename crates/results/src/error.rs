//! What can be wrong with a sweep's folder or with a table.

use std::io;
use std::path::PathBuf;

use scalelaw_disk::DiskError;
use thiserror::Error;

/// Something that leaves no table at all. What is wrong with one run or one row is no error: it is listed
/// with the rows left out.
#[derive(Debug, Error)]
pub enum ResultsError {
    /// The sweep's folder is not there.
    #[error("there is no sweep folder `{}` (hint: `scalelaw run` makes it)", path.display())]
    NoSweep { path: PathBuf },
    /// The system refused.
    #[error("cannot {what} `{}`: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    /// Output failed where there is no path, such as a closed pipe.
    #[error("cannot write the table: {source}")]
    Output { source: io::Error },
    /// A Parquet file that cannot be written.
    #[error("cannot write `{}`: {why}", path.display())]
    Parquet { path: PathBuf, why: String },
    /// A file that is no table.
    #[error("`{}` is no table that can be read: {why} (hint: {hint})", path.display())]
    NoTable { path: PathBuf, why: String, hint: &'static str },
    /// A column that is not there.
    #[error("`{table}` has no {what} (hint: {hint}); its columns are {columns}")]
    NoColumn { table: String, what: String, hint: String, columns: String },
    /// Two columns of the same name.
    #[error("`{table}` has several columns for {what}: {columns} (hint: choose one with `{flag}`)")]
    Ambiguous { table: String, what: String, columns: String, flag: String },
    /// A column that holds neither numbers nor text.
    #[error(
        "column `{column}` of `{table}` has type {dtype} (hint: store it as 32 or 64 bit numbers or as text)"
    )]
    ColumnType { table: String, column: String, dtype: String },
    /// No row is left.
    #[error("`{table}` has no row that can be used: {why}")]
    NoRows { table: String, why: String },
    /// No run has a loss of this name.
    #[error("no run has the loss `{name}` (known: {known})")]
    NoLoss { name: String, known: String },
    /// A filter that cannot be read, with the place.
    #[error("cannot read the filter: {why}\n  {text}\n  {:>caret$}", "^", caret = column + 1)]
    Filter { text: String, column: usize, why: String },
}

impl ResultsError {
    /// For `map_err` on a call of the file system.
    pub(crate) fn io(what: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> ResultsError {
        let path = path.to_path_buf();
        move |source| ResultsError::Io { what, path, source }
    }
}

impl From<DiskError> for ResultsError {
    fn from(DiskError { action, path, source }: DiskError) -> ResultsError {
        ResultsError::Io { what: action, path, source }
    }
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
