//! A user's table: CSV or Parquet, detected from its content.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use super::cell::Cell;
use super::csv::{self, Record};
use super::frame::{ColumnFault, ParquetTable};
use crate::error::ResultsError;

/// The first and the last four bytes of a Parquet file.
const PARQUET_MAGIC: &[u8] = b"PAR1";

/// An opened table.
pub(crate) struct TableFile {
    /// The file's name, for messages.
    pub name: String,
    /// Names of the columns, in order.
    pub columns: Vec<String>,
    content: Content,
}

enum Content {
    Csv(Vec<Record>),
    Parquet(ParquetTable),
}

impl TableFile {
    /// Reads a CSV file, or the footer of a Parquet file.
    ///
    /// # Errors
    /// `Io`; `NoTable` where the file is empty, is neither CSV nor Parquet, or is not what its ending says.
    pub(crate) fn open(path: &Path) -> Result<TableFile, ResultsError> {
        let no_table = |why: String, hint| ResultsError::NoTable { path: path.to_path_buf(), why, hint };
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let io = |error| ResultsError::io("read", path)(error);
        if path.is_dir() {
            return Err(no_table("it is a folder".to_string(), "give a sweep's folder or a file"));
        }
        let mut file = File::open(path).map_err(io)?;
        let mut start = Vec::new();
        file.by_ref().take(4).read_to_end(&mut start).map_err(io)?;
        if start.is_empty() {
            return Err(no_table("it is empty".to_string(), "a table has a header and rows"));
        }
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let is_parquet = start == PARQUET_MAGIC;
        match ending.as_str() {
            "parquet" | "pq" if !is_parquet => {
                return Err(no_table(
                    "it does not begin as a Parquet file does".to_string(),
                    "end the name in .csv where it is text",
                ));
            }
            "parquet" | "pq" => {}
            "csv" | "tsv" | "txt" if is_parquet => {
                return Err(no_table("it is a Parquet file".to_string(), "end the name in .parquet"));
            }
            "csv" | "tsv" | "txt" => {}
            _ => {
                return Err(no_table(
                    format!("`.{ending}` is not a known ending"),
                    "known: .csv, .tsv, .txt, .parquet",
                ));
            }
        }
        if is_parquet {
            let table = ParquetTable::open(file).map_err(|fault| {
                no_table(fault.to_string(), "the file may be cut short: fetch or write it again")
            })?;
            return Ok(TableFile { name, columns: table.names.clone(), content: Content::Parquet(table) });
        }
        let bytes = fs::read(path).map_err(io)?;
        let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).ok_or_else(|| {
            no_table("it is not text in UTF-8".to_string(), "export it as CSV in UTF-8 or as Parquet")
        })?;
        let mut records = csv::parse(&text, csv::separator(&text))
            .map_err(|fault| no_table(fault.to_string(), "a quote inside a quoted field is doubled"))?;
        if records.is_empty() {
            return Err(no_table("it is empty".to_string(), "a table has a header and rows"));
        }
        let columns = records.remove(0).fields.iter().map(|field| field.trim().to_string()).collect();
        Ok(TableFile { name, columns, content: Content::Csv(records) })
    }

    /// Number of rows.
    pub(crate) fn height(&self) -> usize {
        match &self.content {
            Content::Csv(records) => records.len(),
            Content::Parquet(table) => table.height,
        }
    }

    /// Where the user finds the row: its line in a CSV file, its number (from 1) in a Parquet file.
    pub(crate) fn row_name(&self, row_idx: usize) -> String {
        match &self.content {
            Content::Csv(records) => format!("line {}", records[row_idx].line),
            Content::Parquet(_) => format!("row {}", row_idx + 1),
        }
    }

    /// The number of fields of a row whose line has more or fewer than the header.
    pub(crate) fn wrong_width(&self, row_idx: usize) -> Option<usize> {
        match &self.content {
            Content::Csv(records) => {
                Some(records[row_idx].fields.len()).filter(|n_fields| *n_fields != self.columns.len())
            }
            Content::Parquet(_) => None,
        }
    }

    /// The cells of the column `name`, one of [`TableFile::columns`].
    ///
    /// # Errors
    /// `ColumnType`, or `NoTable` where a Parquet file is corrupt.
    pub(crate) fn cells(&self, path: &Path, name: &str) -> Result<Vec<Cell>, ResultsError> {
        match &self.content {
            Content::Csv(records) => {
                let column_idx = self.columns.iter().position(|column| column == name);
                let cell = |record: &Record| match column_idx.and_then(|idx| record.fields.get(idx)) {
                    Some(field) if !field.trim().is_empty() => Cell::Text(field.to_string()),
                    _ => Cell::Missing,
                };
                Ok(records.iter().map(cell).collect())
            }
            Content::Parquet(table) => table.column(name).map_err(|fault| match fault {
                ColumnFault::Type(dtype) => {
                    ResultsError::ColumnType { table: self.name.clone(), column: name.to_string(), dtype }
                }
                ColumnFault::Corrupt(corrupt) => ResultsError::NoTable {
                    path: path.to_path_buf(),
                    why: corrupt.to_string(),
                    hint: "the file may be damaged: fetch or write it again",
                },
            }),
        }
    }
}
