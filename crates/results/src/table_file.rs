//! A user's table: CSV or Parquet, told apart by what is in it.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::cell::Cell;
use crate::csv::{self, Record};
use crate::error::{ResultsError, list};
use crate::parquet::{ColumnFault, ParquetTable};

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
                    format!("`.{ending}` is no known ending"),
                    "known: .csv, .tsv, .txt, .parquet",
                ));
            }
        }
        if is_parquet {
            let table = ParquetTable::open(file)
                .map_err(|why| no_table(why, "the file may be cut short: fetch or write it again"))?;
            return Ok(TableFile { name, columns: table.names.clone(), content: Content::Parquet(table) });
        }
        let bytes = fs::read(path).map_err(io)?;
        let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).ok_or_else(|| {
            no_table("it is not text in UTF-8".to_string(), "export it as CSV in UTF-8 or as Parquet")
        })?;
        let mut records = csv::parse(&text, csv::separator(&text))
            .map_err(|why| no_table(why, "a quote inside a quoted field is doubled"))?;
        if records.is_empty() {
            return Err(no_table("it is empty".to_string(), "a table has a header and rows"));
        }
        let header = records.remove(0).fields;
        let columns = header.into_iter().map(|field| field.trim().to_string()).collect();
        Ok(TableFile { name, columns, content: Content::Csv(records) })
    }

    /// Number of rows.
    pub(crate) fn height(&self) -> usize {
        match &self.content {
            Content::Csv(records) => records.len(),
            Content::Parquet(table) => table.height,
        }
    }

    /// Where a person finds the row: its line in a CSV file, its number (from 1) in a Parquet file.
    pub(crate) fn row_name(&self, row_idx: usize) -> String {
        match &self.content {
            Content::Csv(records) => format!("line {}", records[row_idx].line),
            Content::Parquet(_) => format!("row {}", row_idx + 1),
        }
    }

    /// What is wrong with a row as a whole.
    pub(crate) fn row_fault(&self, row_idx: usize) -> Option<String> {
        match &self.content {
            Content::Csv(records) => {
                let n_fields = records[row_idx].fields.len();
                (n_fields != self.columns.len())
                    .then(|| format!("it has {n_fields} fields, the header has {}", self.columns.len()))
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
                    Some(field) if !field.trim().is_empty() => Cell::Text(field.clone()),
                    _ => Cell::Missing,
                };
                Ok(records.iter().map(cell).collect())
            }
            Content::Parquet(table) => table.column(name).map_err(|fault| match fault {
                ColumnFault::Type(dtype) => {
                    ResultsError::ColumnType { table: self.name.clone(), column: name.to_string(), dtype }
                }
                ColumnFault::Corrupt(why) => ResultsError::NoTable {
                    path: path.to_path_buf(),
                    why,
                    hint: "the file may be damaged: fetch or write it again",
                },
            }),
        }
    }
}

/// The column that a person named: exactly, else by the only name that differs in case alone.
///
/// # Errors
/// `NoColumn` with the nearest name; `Ambiguous`.
pub(crate) fn find_column(table: &str, names: &[String], wanted: &str) -> Result<String, ResultsError> {
    let exact: Vec<&String> = names.iter().filter(|name| *name == wanted).collect();
    let alike: Vec<&String> = names.iter().filter(|name| name.eq_ignore_ascii_case(wanted)).collect();
    match (&exact[..], &alike[..]) {
        ([found], _) | ([], [found]) => Ok((*found).clone()),
        ([], []) => Err(ResultsError::NoColumn {
            table: table.to_string(),
            what: format!("column `{wanted}`"),
            hint: match nearest(wanted, names) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "name one of its columns".to_string(),
            },
            columns: list(names),
        }),
        _ => Err(ResultsError::Ambiguous {
            table: table.to_string(),
            what: format!("`{wanted}`"),
            columns: list(&alike),
            flag: "the exact name".to_string(),
        }),
    }
}

/// The name most like `wanted`, where any is like it: by its letters, or because one holds the other.
pub(crate) fn nearest<'a>(wanted: &str, names: &'a [String]) -> Option<&'a String> {
    // Fewer than two letters in five differ; short names that share a letter or two are not alike.
    const ALIKE: f64 = 0.6;
    // One or two letters are part of many names.
    const SHORTEST_PART: usize = 3;
    let is_part = |part: &str, whole: &str| part.len() >= SHORTEST_PART && whole.contains(part);
    let likeness = |name: &str| {
        let (wanted, name) = (wanted.to_lowercase(), name.to_lowercase());
        let likeness = strsim::normalized_damerau_levenshtein(&wanted, &name);
        if is_part(&wanted, &name) || is_part(&name, &wanted) { likeness.max(ALIKE) } else { likeness }
    };
    names
        .iter()
        .map(|name| (likeness(name), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}
