//! `scalelaw run`: trains the remaining runs of a sweep, fits the law and writes the report.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};
use scalelaw_report::terminal;
use scalelaw_runner::launcher::stop::Stop;
use scalelaw_schema::folder;
use tracing::{error, error_span, info};

use crate::args::{RunArgs, Shared};
use crate::conclude::{conclude, current_text};
use crate::exit;
use crate::launch::PlannedSweep;
use crate::sweep_file;
use crate::terminal::width;

/// Requested by Ctrl-C and by a request to terminate.
static STOP: Stop = Stop::new();

pub fn run(shared: &Shared, args: &RunArgs) -> Result<u8> {
    let file = sweep_file::load(&args.sweep.sweep, &args.sweep.overrides)?;
    let file = if args.simulate.is_some() { file.simulated() } else { file };
    let _sweep = error_span!("sweep", sweep = %file.name).entered();
    let mut sweep = PlannedSweep::open(shared, args, file)?;

    if !args.dry_run
        && sweep.is_complete()
        && let Some(findings) = current_text(&sweep.dir, &sweep.plan, width())
    {
        info!("all {} runs of `{}` are complete", sweep.plan.runs.len(), sweep.file.name);
        return print(&findings, &sweep.dir).map(|()| exit::OK);
    }
    sweep.measure_speed()?;
    sweep.check()?;
    if args.dry_run {
        write!(anstream::stdout(), "{}", terminal::plan::plan(&sweep.plan, width()))?;
        return Ok(exit::OK);
    }

    // A second Ctrl-C is not waited for by anybody.
    ctrlc::set_handler(|| STOP.request()).context("cannot listen for Ctrl-C")?;
    let summary = sweep.train(&STOP)?;
    if summary.interrupted {
        info!("interrupted; run the same command to resume");
        return Ok(exit::INTERRUPTED);
    }

    let concluded = conclude(&sweep.dir, sweep.plan)?;
    concluded.write(&sweep.dir)?;
    print(&concluded.text(width()), &sweep.dir)?;
    for failed in &summary.failed {
        error!("{} failed: {}", failed.folder, failed.why);
    }
    if summary.failed.is_empty() { Ok(exit::OK) } else { Ok(exit::SOME_RUNS_FAILED) }
}

/// The findings, and where the report is.
fn print(findings: &str, sweep_dir: &Path) -> Result<()> {
    let page = sweep_dir.join(folder::REPORT_HTML);
    Ok(writeln!(anstream::stdout(), "{findings}\nreport: {}", page.display())?)
}
