//! Tables as frames of polars, written as Parquet and Arrow; Parquet of others, read. The one file of the project that
//! names polars.

use std::fs::File;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};

use polars::prelude::{
    AnyValue, ArrowDataType, CompatLevel, DataFrame, DataType, IpcWriter, KeyValueMetadata, NamedFrom,
    ParquetReader, ParquetWriter, PolarsError, PolarsResult, SerReader, SerWriter, Series,
};
use scalelaw_schema::SCHEMA_VERSION;
use thiserror::Error;

use super::cell::Cell;
use super::columns::{Column, Columns};

/// Key of the format's version in the metadata of each file.
const VERSION_KEY: &str = "scalelaw.schema_version";

fn version() -> Vec<(String, String)> {
    vec![(VERSION_KEY.to_string(), SCHEMA_VERSION.to_string())]
}

/// A table, or one part of it.
fn to_frame(table: &Columns) -> PolarsResult<DataFrame> {
    let columns = table.columns.iter().map(|(name, column)| {
        let name = name.as_str().into();
        match column {
            Column::Text(texts) => Series::new(name, texts),
            Column::Whole(wholes) => Series::new(name, wholes),
            Column::Real(reals) => Series::new(name, reals),
        }
        .into()
    });
    DataFrame::new(table.height, columns.collect())
}

/// Writes the parts of a table as Parquet, a row group each.
///
/// # Errors
/// Those of `out`.
pub(crate) fn write_parquet<'a>(
    out: impl Write,
    parts: impl IntoIterator<Item = Columns<'a>>,
) -> io::Result<()> {
    let mut out = Watched { out, error: None };
    let write = || {
        let mut parts = parts.into_iter().map(|part| to_frame(&part));
        let Some(first) = parts.next().transpose()? else { return Ok(()) };
        let metadata = KeyValueMetadata::from_static(version());
        let mut writer =
            ParquetWriter::new(&mut out).with_key_value_metadata(Some(metadata)).batched(first.schema())?;
        for part in std::iter::once(Ok(first)).chain(parts) {
            writer.write_batch(&part?)?;
        }
        writer.finish().map(drop)
    };
    let written = write();
    written.map_err(|error| out.error.take().unwrap_or_else(|| to_io(error)))
}

/// Writes the parts of a table as an Arrow file, a record batch each, of types that every reader knows.
///
/// # Errors
/// Those of `out`.
pub(crate) fn write_arrow<'a>(
    out: impl Write,
    parts: impl IntoIterator<Item = Columns<'a>>,
) -> io::Result<()> {
    let write = || {
        let mut parts = parts.into_iter().map(|part| to_frame(&part));
        let Some(first) = parts.next().transpose()? else { return Ok(()) };
        let fields = first.schema().iter().map(|_| Default::default()).collect();
        let mut writer =
            IpcWriter::new(out).with_compat_level(CompatLevel::oldest()).batched(first.schema(), fields)?;
        writer.set_custom_metadata(version());
        for part in std::iter::once(Ok(first)).chain(parts) {
            writer.write_batch(&part?)?;
        }
        writer.finish()
    };
    write().map_err(to_io)
}

/// Keeps the error of `out`, of which polars passes on the text alone.
struct Watched<W> {
    out: W,
    error: Option<io::Error>,
}

impl<W: Write> Watched<W> {
    fn watch<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| {
            let kind = error.kind();
            self.error.get_or_insert(error);
            kind.into()
        })
    }
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes);
        self.watch(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.out.flush();
        self.watch(flushed)
    }
}

fn to_io(error: PolarsError) -> io::Error {
    match error {
        PolarsError::IO { error, .. } => io::Error::new(error.kind(), error.to_string()),
        other => io::Error::other(first_line(&other)),
    }
}

/// An opened Parquet file, of which single columns are read.
pub(crate) struct ParquetTable {
    file: File,
    /// Names of the columns, in order.
    pub names: Vec<String>,
    types: Vec<ArrowDataType>,
    /// Number of rows.
    pub height: usize,
}

impl ParquetTable {
    /// Reads the footer.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub(crate) fn open(file: File) -> Result<ParquetTable, Corrupt> {
        unpanicked(|| ParquetTable::open_sound(file)).unwrap_or(Err(Corrupt::Contradiction))
    }

    fn open_sound(file: File) -> Result<ParquetTable, Corrupt> {
        let mut reader = ParquetReader::new(file.try_clone()?);
        let schema = reader.schema()?;
        let height = reader.num_rows()?;
        let (names, types) =
            schema.iter().map(|(name, field)| (name.to_string(), field.dtype.clone())).unzip();
        Ok(ParquetTable { file, names, types, height })
    }

    /// The cells of a column.
    ///
    /// # Errors
    /// Where the column holds neither numbers nor text, or the file is corrupt.
    pub(crate) fn column(&self, name: &str) -> Result<Vec<Cell>, ColumnFault> {
        unpanicked(|| self.sound_column(name)).unwrap_or(Err(Corrupt::Contradiction.into()))
    }

    fn sound_column(&self, name: &str) -> Result<Vec<Cell>, ColumnFault> {
        let place = self.names.iter().position(|found| found == name);
        if let Some(dtype) = place.map(|idx| &self.types[idx]).filter(|dtype| !is_cell_type(dtype)) {
            // Without what a list or a struct holds.
            let dtype = format!("{dtype:?}");
            return Err(ColumnFault::Type(dtype.split('(').next().unwrap_or_default().to_string()));
        }
        let file = self.file.try_clone().map_err(Corrupt::from)?;
        let found = self.sound_cells(file, name)?;
        // The footer's number of rows and the column's own can differ in a damaged file.
        match found.len() == self.height {
            true => Ok(found),
            false => {
                Err(Corrupt::Height { column: name.to_string(), found: found.len(), expected: self.height }
                    .into())
            }
        }
    }

    fn sound_cells(&self, file: File, name: &str) -> Result<Vec<Cell>, Corrupt> {
        let frame = ParquetReader::new(file).with_columns(Some(vec![name.to_string()])).finish()?;
        let column = frame.column(name)?;
        let column = match column.dtype() {
            DataType::Categorical(..) | DataType::Enum(..) => column.cast(&DataType::String)?,
            _ => column.clone(),
        };
        (0..column.len()).map(|row_idx| Ok(to_cell(column.get(row_idx)?))).collect()
    }
}

/// Why a column cannot be read.
pub(crate) enum ColumnFault {
    /// It holds neither numbers nor text.
    Type(String),
    /// The file is corrupt.
    Corrupt(Corrupt),
}

impl From<Corrupt> for ColumnFault {
    fn from(corrupt: Corrupt) -> ColumnFault {
        ColumnFault::Corrupt(corrupt)
    }
}

/// What is wrong with a Parquet file.
#[derive(Debug, Error)]
pub(crate) enum Corrupt {
    #[error("its bytes contradict each other")]
    Contradiction,
    #[error("column `{column}` has {found} rows, the file {expected}")]
    Height { column: String, found: usize, expected: usize },
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Polars adds hints for its own users below the message.
    #[error("{}", first_line(.0))]
    Polars(#[from] PolarsError),
}

fn is_cell_type(dtype: &ArrowDataType) -> bool {
    use ArrowDataType as A;
    match dtype {
        A::Null | A::Boolean | A::Float32 | A::Float64 => true,
        A::Int32 | A::Int64 | A::UInt32 | A::UInt64 => true,
        A::Utf8 | A::LargeUtf8 | A::Utf8View => true,
        A::Dictionary(_, values, _) => matches!(**values, A::Utf8 | A::LargeUtf8 | A::Utf8View),
        _ => false,
    }
}

fn to_cell(value: AnyValue) -> Cell {
    match value {
        AnyValue::Null => Cell::Missing,
        AnyValue::Boolean(is_true) => Cell::Text(is_true.to_string()),
        AnyValue::Int32(x) => Cell::Whole(x.into()),
        AnyValue::Int64(x) => Cell::Whole(x.into()),
        AnyValue::UInt32(x) => Cell::Whole(x.into()),
        AnyValue::UInt64(x) => Cell::Whole(x.into()),
        AnyValue::Float32(x) => Cell::Real(x.into()),
        AnyValue::Float64(x) => Cell::Real(x),
        AnyValue::String(text) => Cell::Text(text.to_string()),
        other => Cell::Text(other.to_string()),
    }
}

/// Runs `read`; none where it panics. Polars checks little of what a file says about itself: a flipped bit
/// can make it index past a buffer, and the panic of a reader must not end a program that has other work.
/// What this cannot catch is a flipped bit in a page that makes polars ask for more memory than there is.
fn unpanicked<T>(read: impl FnOnce() -> T) -> Option<T> {
    // Nothing that `read` may have left half-done is used again: the reader is created again for each column.
    panic::catch_unwind(AssertUnwindSafe(read)).ok()
}

fn first_line(error: &PolarsError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use polars::prelude::IpcReader;

    use super::*;

    /// Texts, whole numbers that no f64 holds, and missing values.
    fn part(first: u64) -> Columns<'static> {
        let columns = [
            ("text", Column::Text(vec!["a, \"b\"", ""])),
            ("whole", Column::Whole(vec![Some(u64::MAX - first), None])),
            ("real", Column::Real(vec![None, Some(7.0 / 3.0)])),
        ];
        Columns { height: 2, columns: columns.map(|(name, column)| (name.to_string(), column)).into() }
    }

    #[test]
    fn parquet_and_arrow_hold_the_same_frame_and_the_version_of_the_format() {
        let mut expected = to_frame(&part(0)).unwrap();
        expected.vstack_mut(&to_frame(&part(1)).unwrap()).unwrap();
        let parts = || (0..2).map(part);

        let mut file = tempfile::tempfile().unwrap();
        write_parquet(&mut file, parts()).unwrap();
        let mut reader = ParquetReader::new(file);
        let metadata = reader.get_metadata().unwrap().key_value_metadata().clone().unwrap();
        let version = metadata.iter().find(|entry| entry.key == VERSION_KEY).unwrap();
        assert_eq!(version.value, Some(SCHEMA_VERSION.to_string()));
        assert!(reader.finish().unwrap().equals_missing(&expected));

        let mut bytes = Vec::new();
        write_arrow(&mut bytes, parts()).unwrap();
        assert!(bytes.windows(VERSION_KEY.len()).any(|window| window == VERSION_KEY.as_bytes()));
        let found = IpcReader::new(io::Cursor::new(bytes)).finish().unwrap();
        assert!(found.equals_missing(&expected), "{found}");
    }
}
