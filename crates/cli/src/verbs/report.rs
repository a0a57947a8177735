//! `scalelaw report`: the page of a sweep, made again, or its charts as files.

use std::io::Write;

use anyhow::{Result, anyhow};
use scalelaw_schema::folder;

use crate::args::{ReportArgs, Shared};
use crate::conclude::conclude;
use crate::facts::read_plan;
use crate::paths;

pub fn report(shared: &Shared, args: &ReportArgs) -> Result<()> {
    let sweep_dir = paths::sweep_folder(shared, &args.sweep)?;
    let plan = read_plan(&sweep_dir)?.ok_or_else(|| anyhow!("`{}` has no plan.json", sweep_dir.display()))?;
    let output = args.output.clone().unwrap_or_else(|| sweep_dir.join(folder::REPORT_HTML));
    let mut stdout = std::io::stdout().lock();
    if args.dry_run {
        writeln!(stdout, "would write {}", args.figures.as_ref().unwrap_or(&output).display())?;
        return Ok(());
    }
    let concluded = conclude(&sweep_dir, plan)?;
    if let Some(folder) = &args.figures {
        scalelaw_disk::create_folder(folder)?;
        for (name, svg) in concluded.figures() {
            let path = folder.join(format!("{name}.svg"));
            scalelaw_disk::write(&path, svg.as_bytes())?;
            writeln!(stdout, "{}", path.display())?;
        }
        return Ok(());
    }
    let is_markdown = output.extension().is_some_and(|extension| extension == "md");
    let text = if is_markdown { concluded.markdown() } else { concluded.html() };
    if output.as_os_str() == "-" {
        stdout.write_all(text.as_bytes())?;
    } else {
        scalelaw_disk::write(&output, text.as_bytes())?;
        writeln!(stdout, "{}", output.display())?;
    }
    Ok(())
}
