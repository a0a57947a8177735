//! `scalelaw export`: the tables of a sweep, rebuilt from its run folders.

use std::io::Write;

use anyhow::Result;
use scalelaw_results::Format;
use tracing::warn;

use crate::args::{ExportArgs, ExportFormat, Shared};
use crate::paths;

pub fn export(shared: &Shared, args: &ExportArgs) -> Result<()> {
    let folder = paths::sweep_folder(shared, &args.sweep)?;
    let collected = scalelaw_results::collect(&folder)?;
    for problem in &collected.problems {
        warn!("{}: {}", problem.name, problem.why);
    }
    for note in &collected.notes {
        warn!("{note}");
    }
    if args.dry_run {
        writeln!(anstream::stdout(), "would write {} rows of {}", collected.rows.len(), folder.display())?;
        return Ok(());
    }
    if args.parquet {
        scalelaw_results::write_parquet(&folder, &collected)?;
        return Ok(());
    }
    let format = match args.format {
        ExportFormat::Csv => Format::Csv,
        ExportFormat::Json => Format::Json,
    };
    let mut text = Vec::new();
    scalelaw_results::export(&collected.rows, format, &mut text)?;
    std::io::stdout().lock().write_all(&text)?;
    Ok(())
}
