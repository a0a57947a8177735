//! Parquet, written and read. The one file of the project that names polars.

use std::fs::File;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;

use polars::prelude::{
    AnyValue, ArrowDataType, Column, DataFrame, DataType, KeyValueMetadata, NamedFrom, NamedFromOwned,
    ParquetReader, ParquetWriter, PolarsResult, SerReader, Series,
};
use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::folder::{METRICS_PARQUET, RESULTS_PARQUET};

use crate::cell::Cell;
use crate::collect::Collected;
use crate::curves::Curve;
use crate::error::ResultsError;
use crate::wide::{WideColumn, WideTable, to_wide};

/// Key of the format's version in the metadata of each file.
const VERSION_KEY: &str = "scalelaw.schema_version";

/// Rows of a row group of `metrics.parquet`, at least: enough to compress well, few enough that a sweep of
/// any size is written in bounded memory.
const ROWS_PER_GROUP: usize = 1 << 18;

/// Writes `results.parquet` (a row per run) and `metrics.parquet` (a row per run, measurement and step)
/// into the sweep's folder; each takes the place of an older one in one step. The version of the format
/// is in the files' key-value metadata as `scalelaw.schema_version`.
///
/// # Errors
/// `Io` or `Parquet`; the older files are then as they were.
pub fn write_parquet(sweep_dir: &Path, collected: &Collected) -> Result<(), ResultsError> {
    let path = sweep_dir.join(RESULTS_PARQUET);
    scalelaw_disk::write_with(&path, |file| {
        write_results(file, &to_wide(&collected.rows)).map_err(error_at(&path))
    })?;
    let path = sweep_dir.join(METRICS_PARQUET);
    scalelaw_disk::write_with(&path, |file| write_curves(file, &collected.curves).map_err(error_at(&path)))
}

fn error_at(path: &Path) -> impl FnOnce(polars::error::PolarsError) -> ResultsError {
    let path = path.to_path_buf();
    move |error| ResultsError::Parquet { path, why: error.to_string() }
}

fn version() -> Option<KeyValueMetadata> {
    Some(KeyValueMetadata::from_static(vec![(VERSION_KEY.to_string(), SCHEMA_VERSION.to_string())]))
}

fn write_results(file: &mut File, wide: &WideTable) -> PolarsResult<()> {
    let columns = wide
        .columns
        .iter()
        .map(|(name, column)| {
            let name = name.as_str().into();
            match column {
                WideColumn::Text(texts) => Series::new(name, texts),
                WideColumn::Whole(wholes) => Series::new(name, wholes),
                WideColumn::Real(reals) => Series::new(name, reals),
            }
            .into()
        })
        .collect();
    let mut frame = DataFrame::new(wide.height, columns)?;
    ParquetWriter::new(file).with_key_value_metadata(version()).finish(&mut frame)?;
    Ok(())
}

/// Row group by row group, ordered by run, measurement and step.
fn write_curves(file: &mut File, curves: &[Curve]) -> PolarsResult<()> {
    let empty = LongColumns::default().into_frame()?;
    let mut writer = ParquetWriter::new(file).with_key_value_metadata(version()).batched(empty.schema())?;
    let mut columns = LongColumns::default();
    for curve in curves {
        columns.push(curve);
        if columns.values.len() >= ROWS_PER_GROUP {
            writer.write_batch(&std::mem::take(&mut columns).into_frame()?)?;
        }
    }
    if !columns.values.is_empty() {
        writer.write_batch(&columns.into_frame()?)?;
    }
    writer.finish()?;
    Ok(())
}

/// Columns of the long table. Run and metric are borrowed: they repeat a thousand times.
#[derive(Default)]
struct LongColumns<'a> {
    run_ids: Vec<&'a str>,
    steps: Vec<u64>,
    tokens: Vec<u64>,
    flops: Vec<f64>,
    wall_seconds: Vec<f64>,
    metrics: Vec<&'a str>,
    values: Vec<f64>,
}

impl<'a> LongColumns<'a> {
    fn push(&mut self, curve: &'a Curve) {
        for series in &curve.series {
            let lines = || series.lines.iter().map(|line| *line as usize);
            self.run_ids.extend(lines().map(|_| curve.run_id.as_str()));
            self.steps.extend(lines().map(|line| curve.steps[line]));
            self.tokens.extend(lines().map(|line| curve.tokens[line]));
            self.flops.extend(lines().map(|line| curve.flops[line]));
            self.wall_seconds.extend(lines().map(|line| curve.wall_seconds[line]));
            self.metrics.extend(lines().map(|_| series.metric.as_str()));
            self.values.extend(&series.values);
        }
    }

    fn into_frame(self) -> PolarsResult<DataFrame> {
        let columns: Vec<Column> = vec![
            Series::new("run_id".into(), self.run_ids).into(),
            Series::from_vec("step".into(), self.steps).into(),
            Series::from_vec("tokens".into(), self.tokens).into(),
            Series::from_vec("flops".into(), self.flops).into(),
            Series::from_vec("wall_seconds".into(), self.wall_seconds).into(),
            Series::new("metric".into(), self.metrics).into(),
            Series::from_vec("value".into(), self.values).into(),
        ];
        DataFrame::new_infer_height(columns)
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
    pub(crate) fn open(file: File) -> Result<ParquetTable, String> {
        unpanicked(|| ParquetTable::open_sound(file)).unwrap_or_else(|| Err(DAMAGED.to_string()))
    }

    fn open_sound(file: File) -> Result<ParquetTable, String> {
        let mut reader = ParquetReader::new(file.try_clone().map_err(|error| error.to_string())?);
        let schema = reader.schema().map_err(|error| first_line(&error))?;
        let height = reader.num_rows().map_err(|error| first_line(&error))?;
        let (names, types) =
            schema.iter().map(|(name, field)| (name.to_string(), field.dtype.clone())).unzip();
        Ok(ParquetTable { file, names, types, height })
    }

    /// The cells of a column.
    ///
    /// # Errors
    /// Where the column holds neither numbers nor text, or the file is corrupt.
    pub(crate) fn column(&self, name: &str) -> Result<Vec<Cell>, ColumnFault> {
        unpanicked(|| self.sound_column(name))
            .unwrap_or_else(|| Err(ColumnFault::Corrupt(DAMAGED.to_string())))
    }

    fn sound_column(&self, name: &str) -> Result<Vec<Cell>, ColumnFault> {
        let place = self.names.iter().position(|found| found == name);
        if let Some(dtype) = place.map(|idx| &self.types[idx]).filter(|dtype| !is_cell_type(dtype)) {
            // Without what a list or a struct holds.
            let dtype = format!("{dtype:?}");
            return Err(ColumnFault::Type(dtype.split('(').next().unwrap_or_default().to_string()));
        }
        let corrupt = |error: polars::error::PolarsError| ColumnFault::Corrupt(first_line(&error));
        let file = self.file.try_clone().map_err(|error| ColumnFault::Corrupt(error.to_string()))?;
        let frame =
            ParquetReader::new(file).with_columns(Some(vec![name.to_string()])).finish().map_err(corrupt)?;
        let column = frame.column(name).map_err(corrupt)?;
        let column = match column.dtype() {
            DataType::Categorical(..) | DataType::Enum(..) => {
                column.cast(&DataType::String).map_err(corrupt)?
            }
            _ => column.clone(),
        };
        // The footer's number of rows and the column's own can differ in a damaged file.
        if column.len() != self.height {
            return Err(ColumnFault::Corrupt(format!(
                "column `{name}` has {} rows, the file {}",
                column.len(),
                self.height
            )));
        }
        (0..column.len()).map(|row_idx| Ok(to_cell(column.get(row_idx).map_err(corrupt)?))).collect()
    }
}

/// Why a column cannot be read.
pub(crate) enum ColumnFault {
    /// It holds neither numbers nor text.
    Type(String),
    /// The file is corrupt.
    Corrupt(String),
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

const DAMAGED: &str = "its bytes contradict each other";

/// Runs `read`; none where it panics. Polars checks little of what a file says about itself: a flipped bit
/// can make it index past a buffer, and the panic of a reader must not end a program that has other work.
/// What this cannot catch is a flipped bit in a page that makes polars ask for more memory than there is.
fn unpanicked<T>(read: impl FnOnce() -> T) -> Option<T> {
    // Nothing that `read` may have left half-done is used again: the reader is made anew for each column.
    panic::catch_unwind(AssertUnwindSafe(read)).ok()
}

/// Polars adds hints for its own users below the message.
fn first_line(error: &polars::error::PolarsError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_string()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use scalelaw_schema::count::CountRule;
    use scalelaw_schema::record::Outcome;

    use super::*;
    use crate::fixture::run;
    use scalelaw_schema::measure::LossColumn;

    use crate::{ColumnNames, collect, read_table};

    /// Three runs, one of which diverged, and one whose seed fits into no f64.
    fn sweep() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        run(1, 10, u64::MAX >> 1).write(dir.path());
        run(2, 20, 1).write(dir.path());
        let mut diverged = run(3, 10, 0);
        diverged.record.outcome = Outcome::Diverged { step: 4 };
        diverged.record.train_loss = None;
        diverged.evals.clear();
        diverged.write(dir.path());
        dir
    }

    #[test]
    fn the_loss_table_of_results_parquet_is_that_of_the_folders() {
        let dir = sweep();
        let collected = collect(dir.path()).unwrap();
        write_parquet(dir.path(), &collected).unwrap();
        let path = dir.path().join(RESULTS_PARQUET);
        for (column, loss) in [("loss", LossColumn::Mean), ("loss/prose", LossColumn::Corpus("prose".into()))]
        {
            let names = ColumnNames { loss: Some(column.to_string()), ..ColumnNames::default() };
            let from_file = read_table(&path, &names).unwrap();
            let from_rows = collected.loss_table(CountRule::Exact, &loss, RESULTS_PARQUET).unwrap();
            assert_eq!(from_file.table, from_rows.table, "{column}");
            assert_eq!((from_file.table.rows.len(), from_file.table.excluded.len()), (2, 1));
            assert_eq!(from_file.table.excluded[0].why, "it diverged at step 4");
        }
    }

    #[test]
    fn a_run_that_was_stopped_early_is_left_out_of_the_table_of_folders_and_file_alike() {
        let dir = sweep();
        let mut stopped = run(4, 10, 0);
        stopped.record.outcome = Outcome::Stopped { step: 6, why: "it was high".to_string() };
        stopped.evals.clear();
        stopped.write(dir.path());
        let collected = collect(dir.path()).unwrap();
        write_parquet(dir.path(), &collected).unwrap();
        let from_file = read_table(&dir.path().join(RESULTS_PARQUET), &ColumnNames::default()).unwrap();
        let from_rows = collected.loss_table(CountRule::Exact, &LossColumn::Mean, RESULTS_PARQUET).unwrap();
        assert_eq!(from_file.table, from_rows.table);
        assert_eq!(from_file.table.excluded[1].why, "it was stopped early at step 6");
    }

    #[test]
    fn the_files_hold_every_cell_and_their_version() {
        let dir = sweep();
        let collected = collect(dir.path()).unwrap();
        write_parquet(dir.path(), &collected).unwrap();
        let wide = to_wide(&collected.rows);
        let table = ParquetTable::open(File::open(dir.path().join(RESULTS_PARQUET)).unwrap()).unwrap();
        assert_eq!(table.names, wide.names());
        for name in &table.names {
            let cells = table.column(name).unwrap_or_else(|_| panic!("{name}"));
            assert_eq!(Some(cells), wide.cells(name), "{name}");
        }
        let table = ParquetTable::open(File::open(dir.path().join(METRICS_PARQUET)).unwrap()).unwrap();
        let points = collected.points(|_| true);
        assert_eq!((table.height, points.len()), (80, 80));
        let values: Vec<Cell> = points.iter().map(|point| Cell::Real(point.value)).collect();
        assert!(table.column("value").is_ok_and(|cells| cells == values));
        let metrics: Vec<Cell> = points.iter().map(|point| Cell::Text(point.metric.clone())).collect();
        assert!(table.column("metric").is_ok_and(|cells| cells == metrics));
        for file in [RESULTS_PARQUET, METRICS_PARQUET] {
            let mut reader = ParquetReader::new(File::open(dir.path().join(file)).unwrap());
            let metadata = reader.get_metadata().unwrap().key_value_metadata().clone().unwrap();
            let version = metadata.iter().find(|entry| entry.key == VERSION_KEY).unwrap();
            assert_eq!(version.value, Some(SCHEMA_VERSION.to_string()), "{file}");
        }
        let files: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("parquet"))
            .collect();
        assert_eq!(files.len(), 2, "nothing is left beside them: {files:?}");
    }

    #[test]
    fn a_sweep_without_runs_has_empty_files_with_all_columns() {
        let dir = tempfile::tempdir().unwrap();
        write_parquet(dir.path(), &Collected::default()).unwrap();
        let table = ParquetTable::open(File::open(dir.path().join(RESULTS_PARQUET)).unwrap()).unwrap();
        assert_eq!(table.height, 0);
        assert!(table.names.iter().any(|name| name == "n_total"));
        assert!(ParquetTable::open(File::open(dir.path().join(METRICS_PARQUET)).unwrap()).is_ok());
    }

    #[test]
    fn a_damaged_file_is_an_error_and_never_a_panic() {
        let dir = sweep();
        write_parquet(dir.path(), &collect(dir.path()).unwrap()).unwrap();
        let bytes = fs::read(dir.path().join(RESULTS_PARQUET)).unwrap();
        let path = dir.path().join("damaged.parquet");
        for length in (4..bytes.len()).step_by(97) {
            fs::write(&path, &bytes[..length]).unwrap();
            assert!(read_table(&path, &ColumnNames::default()).is_err(), "cut to {length} bytes");
        }
        // A flipped byte of the footer may go unnoticed (a statistic, say); it must not stop the program.
        let footer_bytes = u32::from_le_bytes(*bytes[..bytes.len() - 4].last_chunk().unwrap()) as usize;
        for at in (bytes.len() - 8 - footer_bytes..bytes.len()).step_by(31) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0xff;
            fs::write(&path, damaged).unwrap();
            let _ = read_table(&path, &ColumnNames::default());
        }
    }
}
