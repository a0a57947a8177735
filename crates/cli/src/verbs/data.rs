//! `scalelaw data`: finds, downloads, tokenises and describes text.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use scalelaw_data::sources::download::{self, Downloaded, Edition};
use scalelaw_data::suite::overlap::drop_overlapping;
use scalelaw_data::{Catalogue, Corpus, catalogue};
use scalelaw_report::terminal::data::{self as text, Prepared, overlap_text};
use scalelaw_report::text::counted;
use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::device::DeviceChoice;
use scalelaw_schema::overlap::OverlapReport;
use scalelaw_schema::skill::SkillItem;
use tracing::{debug, info};

use crate::args::{DataVerb, DeviceArgs, Shared, SweepArgs};
use crate::corpora::Corpora;
use crate::sweep_file::expand;
use crate::{facts, paths, speed, sweep_file};

pub fn data(shared: &Shared, verb: &DataVerb) -> Result<()> {
    match verb {
        DataVerb::List { json } => list(shared, *json),
        DataVerb::Items { name, against, json } => items(shared, name, against, *json),
        DataVerb::Get { name, path, any_edition, dry_run } => {
            let (path, any_edition, dry_run) = (path.as_deref(), *any_edition, *dry_run);
            get(shared, &GetArgs { name, path, any_edition, dry_run })
        }
        DataVerb::Prepare { sweep, dry_run } => prepare(shared, sweep, *dry_run),
    }
}

fn list(shared: &Shared, json: bool) -> Result<()> {
    let listing = catalogue::list(&paths::cache(shared)?);
    let mut stdout = anstream::stdout().lock();
    if json {
        let value = serde_json::json!({
            "schema_version": SCHEMA_VERSION,
            "corpora": listing.corpora,
            "skills": listing.skills,
        });
        writeln!(stdout, "{}", serde_json::to_string_pretty(&value)?)?;
    } else {
        write!(stdout, "{}", text::listing(&listing))?;
    }
    Ok(())
}

fn items(shared: &Shared, name: &str, against: &[String], json: bool) -> Result<()> {
    let cache = paths::cache(shared)?;
    let (corpora, skills) = (BTreeMap::new(), BTreeMap::new());
    let catalogue = Catalogue { corpora: &corpora, skills: &skills, base: Path::new("."), cache: &cache };
    let (mut suite, own) = catalogue.suite(name)?;
    let mut searched: Vec<Corpus> = Vec::new();
    for corpus in against {
        searched.push(catalogue.corpus(corpus)?);
    }
    if against.is_empty() {
        searched.extend(own);
    }
    let report = drop_overlapping(&mut suite, &searched.iter().collect::<Vec<_>>(), &cache)?;
    if let Some(report) = &report {
        show_overlap(report);
    }
    let mut stdout = anstream::stdout().lock();
    let items: Vec<&SkillItem> = suite.items.iter().map(|placed| &placed.item).collect();
    if json {
        let value = serde_json::json!({
            "schema_version": SCHEMA_VERSION,
            "skill": suite.skill,
            "scoring": suite.scoring,
            "left_out": report.as_ref().map(|report| report.n_found),
            "items": items,
        });
        writeln!(stdout, "{}", serde_json::to_string_pretty(&value)?)?;
    } else {
        write!(stdout, "{}", text::items(&items))?;
    }
    Ok(())
}

/// Shows which items occur in the training text.
fn show_overlap(report: &OverlapReport) {
    info!("{}", overlap_text(report));
    for (corpus, stretch) in &report.examples {
        info!("  {corpus}: `{stretch}`");
    }
}

/// The arguments of `scalelaw data get`.
struct GetArgs<'a> {
    name: &'a str,
    path: Option<&'a Path>,
    any_edition: bool,
    dry_run: bool,
}

fn get(shared: &Shared, args: &GetArgs) -> Result<()> {
    let cache = paths::cache(shared)?;
    let (corpora, skills) = (BTreeMap::new(), BTreeMap::new());
    let catalogue = Catalogue { corpora: &corpora, skills: &skills, base: Path::new("."), cache: &cache };
    let (name, package) = catalogue.package(args.name)?;
    let mut stdout = anstream::stdout().lock();
    if args.dry_run {
        let files = counted(package.files.len(), "file");
        let from = args.path.map_or("Debian".to_string(), |path| format!("`{}`", path.display()));
        writeln!(stdout, "would get {files} of {} {} from {from}", package.package, package.version)?;
        return Ok(());
    }
    debug!("{name}: from the package {} {}", package.package, package.version);
    let from = args.path.map_or(download::From::Debian, download::From::Path);
    let edition = if args.any_edition { Edition::Any } else { Edition::Pinned };
    match download::download(&name, &package, &cache, from, edition)? {
        Downloaded::Before(folder) => writeln!(stdout, "{name} is already in `{}`", folder.display())?,
        Downloaded::Now(folder) => writeln!(stdout, "{name} is now in `{}`", folder.display())?,
    }
    Ok(())
}

fn prepare(shared: &Shared, args: &SweepArgs, dry_run: bool) -> Result<()> {
    let sweep = sweep_file::load(&args.sweep, &args.overrides)?;
    let corpora = Corpora::open(&sweep, &paths::cache(shared)?)?;
    // Tokens do not depend on the device; the CPU is always there.
    let device = DeviceArgs { device: DeviceChoice::Cpu, slots: Some(1) };
    let placement = speed::Placement::choose(&device)?;
    let facts = facts::gather(&corpora, &placement, &shared.runs.join(&sweep.name))?;
    let plan = expand(&sweep, &facts)?;
    let mut stdout = anstream::stdout().lock();
    if dry_run {
        writeln!(stdout, "would tokenise the text of {}", counted(plan.runs.len(), "run"))?;
        return Ok(());
    }
    for (name, facts) in corpora.ensure(&plan)? {
        let prepared = Prepared {
            name: &name,
            train_tokens: facts.train_tokens,
            is_exhausted: facts.is_exhausted,
            train_documents: facts.train_documents,
            held_out_tokens: facts.held_out_tokens,
        };
        write!(stdout, "{}", text::prepared(&prepared))?;
    }
    Ok(())
}
