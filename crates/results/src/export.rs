//! The tables of a sweep, in any form: to a stream, to a file, and to the two files of the sweep's folder.

use std::fmt::Write as _;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::folder::{METRICS_PARQUET, RESULTS_PARQUET};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::collect::Collected;
use crate::error::ResultsError;
use crate::read::curve::Curve;
use crate::table::columns::{Column, Columns};
use crate::table::frame;

/// Rows of a part of the metrics, at least: enough to compress well, few enough that a sweep of any size is written in
/// bounded memory.
const ROWS_PER_PART: usize = 1 << 18;

/// A table of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// A row per completed run.
    Runs,
    /// A row per run, measurement and step, ordered so.
    Metrics,
}

/// The form of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A header and a line per row; a missing value is an empty field.
    Csv,
    /// One object with `schema_version` and `rows`; a missing value is `null`.
    Json,
    /// Parquet, with the version of the format as `scalelaw.schema_version` in its key-value metadata.
    Parquet,
    /// An Arrow (IPC, Feather) file, with the version in the metadata of its footer.
    Arrow,
}

impl Format {
    /// Whether a terminal can show it.
    pub fn is_text(self) -> bool {
        matches!(self, Format::Csv | Format::Json)
    }
}

/// Writes a table.
///
/// # Errors
/// `Output` where `out` fails.
pub fn export(
    collected: &Collected,
    table: Table,
    format: Format,
    out: impl Write,
) -> Result<(), ResultsError> {
    write(collected, table, format, out).map_err(|source| ResultsError::Output { source })
}

/// Writes a table into a file, which takes the place of an older one in one step.
///
/// # Errors
/// `Io`; the older file is then unchanged.
pub fn export_to(
    collected: &Collected,
    table: Table,
    format: Format,
    path: &Path,
) -> Result<(), ResultsError> {
    scalelaw_disk::write_with(path, |file| {
        write(collected, table, format, file).map_err(ResultsError::io("write", path))
    })
}

/// Writes `results.parquet` and `metrics.parquet` into the sweep's folder.
///
/// # Errors
/// `Io`; the older files are then unchanged.
pub fn write_parquet(sweep_dir: &Path, collected: &Collected) -> Result<(), ResultsError> {
    for (table, file) in [(Table::Runs, RESULTS_PARQUET), (Table::Metrics, METRICS_PARQUET)] {
        export_to(collected, table, Format::Parquet, &sweep_dir.join(file))?;
    }
    Ok(())
}

fn write(collected: &Collected, table: Table, format: Format, out: impl Write) -> io::Result<()> {
    let parts = parts(collected, table);
    let mut out = BufWriter::new(out);
    match format {
        Format::Csv => write_csv(&mut out, parts)?,
        Format::Json => write_json(&mut out, parts)?,
        Format::Parquet => frame::write_parquet(&mut out, parts)?,
        Format::Arrow => frame::write_arrow(&mut out, parts)?,
    }
    out.flush()
}

/// The table in parts of bounded size, one at least; all have the same columns.
fn parts(collected: &Collected, table: Table) -> impl Iterator<Item = Columns<'_>> + Clone {
    let (rows, curves) = match table {
        Table::Runs => (Some(&collected.rows[..]), None),
        Table::Metrics => (None, Some(by_size(&collected.curves))),
    };
    rows.into_iter().map(Columns::of_runs).chain(curves.into_iter().flatten().map(Columns::of_curves))
}

fn by_size(curves: &[Curve]) -> Vec<&[Curve]> {
    let mut parts = Vec::new();
    let (mut rest, mut n_curves, mut n_rows) = (curves, 0, 0);
    for curve in curves {
        n_curves += 1;
        n_rows += curve.n_points();
        if n_rows >= ROWS_PER_PART {
            let (part, behind) = rest.split_at(n_curves);
            parts.push(part);
            (rest, n_curves, n_rows) = (behind, 0, 0);
        }
    }
    if n_curves > 0 || parts.is_empty() {
        parts.push(rest);
    }
    parts
}

fn write_csv<'a>(out: impl Write, parts: impl Iterator<Item = Columns<'a>>) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    let mut number = String::new();
    let mut is_headed = false;
    for part in parts {
        if !std::mem::replace(&mut is_headed, true) {
            writer.write_record(part.columns.iter().map(|(name, _)| name)).map_err(to_io)?;
        }
        for row_idx in 0..part.height {
            for (_, column) in &part.columns {
                number.clear();
                let field = match column {
                    Column::Text(texts) => texts[row_idx],
                    Column::Whole(wholes) => {
                        let _ = wholes[row_idx].map(|whole| write!(number, "{whole}"));
                        &number[..]
                    }
                    Column::Real(reals) => {
                        // In full: the shortest digits that read back as the same number.
                        let _ = reals[row_idx].map(|real| write!(number, "{real:?}"));
                        &number
                    }
                };
                writer.write_field(field).map_err(to_io)?;
            }
            writer.write_record(None::<&[u8]>).map_err(to_io)?;
        }
    }
    writer.flush()
}

/// What failed is always `out`: records have the length of the header. Its kind of error must stay: a closed pipe
/// is not a failure.
fn to_io(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn write_json<'a>(mut out: impl Write, parts: impl Iterator<Item = Columns<'a>> + Clone) -> io::Result<()> {
    #[derive(Serialize)]
    struct Document<T> {
        schema_version: u32,
        rows: T,
    }
    serde_json::to_writer(&mut out, &Document { schema_version: SCHEMA_VERSION, rows: Rows(parts) })?;
    out.write_all(b"\n")
}

struct Rows<I>(I);

struct Row<'a>(&'a Columns<'a>, usize);

impl<'a, I: Iterator<Item = Columns<'a>> + Clone> Serialize for Rows<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut rows = serializer.serialize_seq(None)?;
        for part in self.0.clone() {
            for row_idx in 0..part.height {
                rows.serialize_element(&Row(&part, row_idx))?;
            }
        }
        rows.end()
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Row(part, row_idx) = *self;
        let mut map = serializer.serialize_map(Some(part.columns.len()))?;
        for (name, column) in &part.columns {
            match column {
                Column::Text(texts) => map.serialize_entry(name, texts[row_idx])?,
                Column::Whole(wholes) => map.serialize_entry(name, &wholes[row_idx])?,
                Column::Real(reals) => map.serialize_entry(name, &reals[row_idx])?,
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use scalelaw_schema::count::CountRule;
    use scalelaw_schema::measure::LossColumn;
    use scalelaw_schema::record::Outcome;
    use scalelaw_schema::score::Score;

    use super::*;
    use crate::table::cell::Cell;
    use crate::table::frame::ParquetTable;
    use crate::testing::{run, skill_eval};
    use crate::{ColumnNames, collect, read_table};

    #[test]
    fn csv_reads_back_to_the_loss_table_of_the_folders() {
        let dir = tempfile::tempdir().unwrap();
        for (n_layer, seed) in [(1, 0), (2, 1)] {
            let mut run = run(n_layer, 10, seed);
            // A third has no short decimal form.
            run.evals[0].score = Score::Text { loss: 7.0 / 3.0, bpb: 1.0, n_tokens: 65536, n_bytes: 65536 };
            run.evals.push(skill_eval(&run, "mano", 0.1 * f64::from(u32::try_from(n_layer).unwrap()), None));
            run.write(dir.path());
        }
        let collected = collect(dir.path()).unwrap();
        let path = dir.path().join("results.csv");
        export_to(&collected, Table::Runs, Format::Csv, &path).unwrap();
        let from_file = read_table(&path, &ColumnNames::default()).unwrap().table;
        let from_rows =
            collected.loss_table(CountRule::Exact, &LossColumn::Mean, "results.csv").unwrap().table;
        assert_eq!(from_file, from_rows);
        // A skill's column is fitted from a file as from the folders.
        let names = ColumnNames {
            loss: Some("skill/mano/nll".to_string()),
            keep_where: Some("share/code > 0.5 and skill/mano/nll > 0.15".to_string()),
            ..ColumnNames::default()
        };
        let from_file = read_table(&path, &names).unwrap().table;
        let skill = LossColumn::Skill("mano".to_string());
        let from_rows = collected.loss_table(CountRule::Exact, &skill, "results.csv").unwrap().table;
        assert_eq!(from_file.rows, from_rows.rows[1..]);
    }

    #[test]
    fn json_has_the_version_and_the_numbers_of_the_rows() {
        let dir = tempfile::tempdir().unwrap();
        let mut without_rate = run(1, 10, 3);
        without_rate.record.tokens_per_second = None;
        without_rate.write(dir.path());
        let collected = collect(dir.path()).unwrap();
        let parse = |bytes: Vec<u8>| serde_json::from_slice::<serde_json::Value>(&bytes).unwrap();
        let mut out = Vec::new();
        export(&collected, Table::Runs, Format::Json, &mut out).unwrap();
        let document = parse(out);
        let row = &document["rows"][0];
        assert_eq!((&document["schema_version"], &row["seed"]), (&1.into(), &3.into()));
        assert_eq!(
            (&row["loss"], &row["loss/code"], &row["tokens"]),
            (&2.5.into(), &2.0.into(), &1280.into())
        );
        assert!(row["tokens_per_second"].is_null() && row["run_id"].is_string());

        let mut out = Vec::new();
        export(&collected, Table::Metrics, Format::Json, &mut out).unwrap();
        let document = parse(out);
        assert_eq!(document["rows"].as_array().unwrap().len(), 20);
        let mut out = Vec::new();
        export(&collected, Table::Metrics, Format::Csv, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 21);
        assert!(text.lines().nth(2).unwrap().ends_with(",train/loss,2.5"), "{text}");
    }

    #[test]
    fn a_closed_pipe_is_an_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for format in [Format::Csv, Format::Json, Format::Parquet, Format::Arrow] {
            let Err(ResultsError::Output { source }) =
                export(&Collected::default(), Table::Runs, format, Closed)
            else {
                panic!("{format:?}")
            };
            assert_eq!(source.kind(), io::ErrorKind::BrokenPipe, "{format:?}");
        }
    }

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
    fn the_files_hold_every_cell() {
        let dir = sweep();
        let collected = collect(dir.path()).unwrap();
        write_parquet(dir.path(), &collected).unwrap();
        let columns = Columns::of_runs(&collected.rows);
        let table = ParquetTable::open(File::open(dir.path().join(RESULTS_PARQUET)).unwrap()).unwrap();
        assert_eq!(table.names, columns.names());
        for name in &table.names {
            let cells = table.column(name).unwrap_or_else(|_| panic!("{name}"));
            assert_eq!(Some(cells), columns.cells(name), "{name}");
        }
        let table = ParquetTable::open(File::open(dir.path().join(METRICS_PARQUET)).unwrap()).unwrap();
        let points = collected.points(|_| true);
        assert_eq!((table.height, points.len()), (80, 80));
        let values: Vec<Cell> = points.iter().map(|point| Cell::Real(point.value)).collect();
        assert!(table.column("value").is_ok_and(|cells| cells == values));
        let metrics: Vec<Cell> = points.iter().map(|point| Cell::Text(point.metric.clone())).collect();
        assert!(table.column("metric").is_ok_and(|cells| cells == metrics));
        let files: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains("parquet"))
            .collect();
        assert_eq!(files.len(), 2, "no temporary file remains: {files:?}");
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
