//! `scalelaw status`: the progress of a sweep, read from its folders alone.

use std::io::Write;

use anyhow::Result;

use crate::args::{Shared, StatusArgs};
use crate::paths;

pub fn status(shared: &Shared, args: &StatusArgs) -> Result<()> {
    let status = scalelaw_runner::folder::status::status(&paths::sweep_folder(shared, &args.sweep)?)?;
    let mut stdout = anstream::stdout().lock();
    if args.json {
        writeln!(stdout, "{}", serde_json::to_string_pretty(&status)?)?;
    } else {
        write!(stdout, "{}", scalelaw_report::terminal::status::to_table(&status))?;
    }
    Ok(())
}
