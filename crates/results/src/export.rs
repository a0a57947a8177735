//! Results as CSV and JSON.

use std::io::{BufWriter, Write};
use std::str::FromStr;

use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::table::ResultRow;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::collect::Collected;
use crate::csv;
use crate::error::ResultsError;
use crate::wide::{WideColumn, WideTable, to_wide};

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A header and a line per row; a missing value is an empty field.
    Csv,
    /// One object with `schema_version` and `rows`; a missing value is `null`.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Format, String> {
        match text {
            "csv" => Ok(Format::Csv),
            "json" => Ok(Format::Json),
            _ => Err(format!("unknown format `{text}` (known: csv, json)")),
        }
    }
}

/// Writes a row per run, with the columns of `results.parquet`.
///
/// # Errors
/// `Output` where `out` fails.
pub fn export(rows: &[ResultRow], format: Format, out: impl Write) -> Result<(), ResultsError> {
    let wide = to_wide(rows);
    let mut out = BufWriter::new(out);
    match format {
        Format::Csv => write_csv(&wide, &mut out),
        Format::Json => write_json(Rows(&wide), &mut out),
    }
    .and_then(|()| out.flush())
    .map_err(|source| ResultsError::Output { source })
}

/// Writes a row per run, step and measurement, with the columns of `metrics.parquet`.
///
/// # Errors
/// `Output` where `out` fails.
pub fn export_curves(collected: &Collected, format: Format, out: impl Write) -> Result<(), ResultsError> {
    let mut out = BufWriter::new(out);
    match format {
        Format::Csv => write_curves_csv(collected, &mut out),
        Format::Json => write_json(Points(collected), &mut out),
    }
    .and_then(|()| out.flush())
    .map_err(|source| ResultsError::Output { source })
}

fn write_csv(wide: &WideTable, out: &mut impl Write) -> std::io::Result<()> {
    csv::write_record(out, wide.columns.iter().map(|(name, _)| name))?;
    for row_idx in 0..wide.height {
        let fields =
            wide.columns.iter().map(|(_, column)| column.cell(row_idx).to_text().unwrap_or_default());
        csv::write_record(out, fields)?;
    }
    Ok(())
}

fn write_curves_csv(collected: &Collected, out: &mut impl Write) -> std::io::Result<()> {
    csv::write_record(out, ["run_id", "step", "tokens", "flops", "wall_seconds", "metric", "value"])?;
    for curve in &collected.curves {
        for point in curve.series.iter().flat_map(|series| curve.points(&series.metric)) {
            csv::write_record(
                out,
                [
                    point.run_id.to_string(),
                    point.step.to_string(),
                    point.tokens.to_string(),
                    format!("{:?}", point.flops),
                    format!("{:?}", point.wall_seconds),
                    point.metric,
                    format!("{:?}", point.value),
                ],
            )?;
        }
    }
    Ok(())
}

fn write_json<T: Serialize>(rows: T, out: &mut impl Write) -> std::io::Result<()> {
    #[derive(Serialize)]
    struct Document<T> {
        schema_version: u32,
        rows: T,
    }
    serde_json::to_writer(&mut *out, &Document { schema_version: SCHEMA_VERSION, rows })?;
    out.write_all(b"\n")
}

struct Rows<'a>(&'a WideTable);

struct Row<'a>(&'a WideTable, usize);

struct Points<'a>(&'a Collected);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.0.height).map(|row_idx| Row(self.0, row_idx)))
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Row(wide, row_idx) = *self;
        let mut map = serializer.serialize_map(Some(wide.columns.len()))?;
        for (name, column) in &wide.columns {
            match column {
                WideColumn::Text(texts) => map.serialize_entry(name, &texts[row_idx])?,
                WideColumn::Whole(wholes) => map.serialize_entry(name, &wholes[row_idx])?,
                WideColumn::Real(reals) => map.serialize_entry(name, &reals[row_idx])?,
            }
        }
        map.end()
    }
}

impl Serialize for Points<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        for curve in &self.0.curves {
            for point in curve.series.iter().flat_map(|series| curve.points(&series.metric)) {
                seq.serialize_element(&point)?;
            }
        }
        seq.end()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::fixture::{run, skill_eval};
    use scalelaw_schema::measure::LossColumn;

    use crate::{ColumnNames, collect, read_table};
    use scalelaw_schema::count::CountRule;

    #[test]
    fn csv_reads_back_to_the_loss_table_of_the_folders() {
        let dir = tempfile::tempdir().unwrap();
        for (n_layer, seed) in [(1, 0), (2, 1)] {
            let mut run = run(n_layer, 10, seed);
            // A third has no short decimal form.
            run.evals[0].loss = 7.0 / 3.0;
            run.evals.push(skill_eval(&run, "mano", 0.1 * f64::from(u32::try_from(n_layer).unwrap()), None));
            run.write(dir.path());
        }
        let collected = collect(dir.path()).unwrap();
        let path = dir.path().join("results.csv");
        export(&collected.rows, Format::Csv, fs::File::create(&path).unwrap()).unwrap();
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
        export(&collected.rows, Format::Json, &mut out).unwrap();
        let document = parse(out);
        let row = &document["rows"][0];
        assert_eq!((&document["schema_version"], &row["seed"]), (&1.into(), &3.into()));
        assert_eq!(
            (&row["loss"], &row["loss/code"], &row["tokens"]),
            (&2.5.into(), &2.0.into(), &1280.into())
        );
        assert!(row["tokens_per_second"].is_null() && row["run_id"].is_string());

        let mut out = Vec::new();
        export_curves(&collected, Format::Json, &mut out).unwrap();
        let document = parse(out);
        assert_eq!(document["rows"].as_array().unwrap().len(), 20);
        let mut out = Vec::new();
        export_curves(&collected, Format::Csv, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 21);
        assert!(text.lines().nth(2).unwrap().ends_with(",train/loss,2.5"), "{text}");
    }

    #[test]
    fn a_closed_pipe_is_an_error() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        for format in [Format::Csv, Format::Json] {
            let Err(ResultsError::Output { source }) = export(&[], format, Closed) else {
                panic!("{format:?}")
            };
            assert_eq!(source.kind(), std::io::ErrorKind::BrokenPipe, "{format:?}");
        }
    }
}
