//! `scalelaw export`: the tables of a sweep, rebuilt from its run folders.

use std::io::Write;

use anyhow::Result;
use scalelaw_results::{Format, Table};
use tracing::warn;

use crate::args::{ExportArgs, ExportFormat, ExportTable, Shared};
use crate::exit::UsageError;
use crate::paths;

pub fn export(shared: &Shared, args: &ExportArgs) -> Result<()> {
    let table = match args.table {
        ExportTable::Runs => Table::Runs,
        ExportTable::Metrics => Table::Metrics,
    };
    let format = match args.to {
        ExportFormat::Csv => Format::Csv,
        ExportFormat::Json => Format::Json,
        ExportFormat::Parquet => Format::Parquet,
        ExportFormat::Arrow => Format::Arrow,
    };
    if !format.is_text() && args.output.is_none() {
        let why = "Parquet and Arrow are written to a file (hint: `-o FILE`)";
        return Err(UsageError(why.to_string()).into());
    }
    let folder = paths::sweep_folder(shared, &args.sweep)?;
    let collected = scalelaw_results::collect(&folder)?;
    for problem in &collected.problems {
        warn!("{}: {}", problem.name, problem.why);
    }
    for note in &collected.notes {
        warn!("{note}");
    }
    if args.dry_run {
        let n_rows = match table {
            Table::Runs => collected.rows.len(),
            Table::Metrics => collected.curves.iter().map(|curve| curve.n_points()).sum(),
        };
        writeln!(anstream::stdout(), "would write {n_rows} rows of {}", folder.display())?;
        return Ok(());
    }
    match &args.output {
        _ if args.parquet => scalelaw_results::write_parquet(&folder, &collected)?,
        Some(path) => scalelaw_results::export_to(&collected, table, format, path)?,
        None => scalelaw_results::export(&collected, table, format, std::io::stdout().lock())?,
    }
    Ok(())
}
