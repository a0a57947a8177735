//! `scalelaw init`: a first sweep file, its JSON Schema, shell completions and man pages.

use std::io::Write;

use anyhow::{Context, Result};
use clap::CommandFactory;
use scalelaw_schema::sweep::SweepSpec;

use crate::args::{Cli, InitArgs};
use crate::exit::UsageError;

/// The sweep file that `init` writes: the one that the README runs.
const TEMPLATE: &str = include_str!("../../../../configs/quickstart.toml");

pub fn init(args: &InitArgs) -> Result<()> {
    let mut stdout = anstream::stdout().lock();
    if args.schema {
        let schema = schemars::schema_for!(SweepSpec);
        writeln!(stdout, "{}", serde_json::to_string_pretty(&schema)?)?;
    } else if let Some(shell) = args.completions {
        // Into memory first: the generator panics where it cannot write, and `| head` closes the pipe.
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "scalelaw", &mut text);
        stdout.write_all(&text)?;
    } else if let Some(folder) = &args.man {
        if args.dry_run {
            writeln!(stdout, "would write man pages into {}", folder.display())?;
        } else {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("cannot create `{}`", folder.display()))?;
            clap_mangen::generate_to(Cli::command(), folder)
                .with_context(|| format!("cannot write man pages into `{}`", folder.display()))?;
        }
    } else {
        if args.path.exists() && !args.force {
            let why =
                format!("`{}` already exists (hint: choose another name, or --force)", args.path.display());
            return Err(UsageError(why).into());
        }
        if args.dry_run {
            writeln!(stdout, "would write {}", args.path.display())?;
            return Ok(());
        }
        std::fs::write(&args.path, TEMPLATE)
            .with_context(|| format!("cannot write `{}`", args.path.display()))?;
        writeln!(stdout, "wrote {} (next: scalelaw plan {0})", args.path.display())?;
    }
    Ok(())
}
