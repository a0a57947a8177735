//! `scalelaw data`: finds, tokenises and describes text.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use scalelaw_data::Corpus;
use scalelaw_schema::SCHEMA_VERSION;
use serde::Serialize;

use crate::args::{DataVerb, DeviceArgs, Shared, SweepArgs};
use crate::corpora::Corpora;
use crate::say::Say;
use crate::verbs::plan::expand;
use crate::{facts, paths, speed, sweep_file};

pub fn data(shared: &Shared, say: Say, verb: &DataVerb) -> Result<()> {
    match verb {
        DataVerb::List { json } => list(*json),
        DataVerb::Prepare { sweep, dry_run } => prepare(shared, say, sweep, *dry_run),
    }
}

#[derive(Serialize)]
struct Listed {
    name: &'static str,
    description: Option<String>,
    licence: Option<String>,
    /// Why this machine lacks it; absent where it has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
}

fn list(json: bool) -> Result<()> {
    let corpora: Vec<Listed> = scalelaw_data::builtin_manifests()
        .into_iter()
        .map(|(name, spec)| {
            let missing = Corpus::open(name, &spec, Path::new(".")).err().map(|error| error.to_string());
            Listed { name, description: spec.description, licence: spec.licence, missing }
        })
        .collect();
    let mut stdout = anstream::stdout().lock();
    if json {
        let value = serde_json::json!({ "schema_version": SCHEMA_VERSION, "corpora": corpora });
        writeln!(stdout, "{}", serde_json::to_string_pretty(&value)?)?;
        return Ok(());
    }
    for corpus in &corpora {
        writeln!(stdout, "{:8} {}", corpus.name, corpus.description.as_deref().unwrap_or(""))?;
        if let Some(licence) = &corpus.licence {
            writeln!(stdout, "         licence: {licence}")?;
        }
        match &corpus.missing {
            None => writeln!(stdout, "         on this machine")?,
            Some(why) => writeln!(stdout, "         missing: {why}")?,
        }
    }
    Ok(())
}

fn prepare(shared: &Shared, say: Say, args: &SweepArgs, dry_run: bool) -> Result<()> {
    let sweep = sweep_file::load(&args.sweep, &args.overrides)?;
    let corpora = Corpora::open(&sweep, &paths::cache(shared)?, say)?;
    // Tokens do not depend on the device; the CPU is always there.
    let device = DeviceArgs { device: scalelaw_schema::device::DeviceChoice::Cpu, slots: Some(1) };
    let placement = speed::Placement::choose(&device)?;
    let facts = facts::gather(&corpora, &placement, &shared.runs.join(&sweep.name))?;
    let plan = expand(&sweep, &facts)?;
    let mut stdout = anstream::stdout().lock();
    if dry_run {
        writeln!(stdout, "would tokenise the text of {} runs", plan.runs.len())?;
        return Ok(());
    }
    for (name, facts) in corpora.ensure(&plan, say)? {
        let end = if facts.is_exhausted { ", all there are" } else { "" };
        writeln!(
            stdout,
            "{name}: {} training tokens{end} of {} documents, {} held out",
            facts.train_tokens, facts.train_documents, facts.held_out_tokens
        )?;
    }
    Ok(())
}
