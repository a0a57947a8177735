//! `scalelaw data`: finds, tokenises and describes text.

use std::collections::BTreeMap;
use std::f64::consts::LN_2;
use std::io::Write;
use std::path::Path;

use anyhow::Result;
use scalelaw_data::Corpus;
use scalelaw_data::obtain::{self, Edition, Obtained};
use scalelaw_data::suite::overlap::{self, OverlapReport};
use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::skill::{SkillFamily, SkillItem, Target};
use serde::Serialize;
use tracing::{debug, info};

use crate::args::{DataVerb, DeviceArgs, Shared, SweepArgs};
use crate::corpora::{Corpora, open_corpus};
use crate::exit::UsageError;
use crate::skills::{Names, find_skill, open_spec, open_suite, overlap_text, read_manifest};
use crate::verbs::plan::expand;
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

#[derive(Serialize)]
struct ListedCorpus {
    name: &'static str,
    description: Option<String>,
    licence: Option<String>,
    /// Why this machine lacks it; absent where it has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
}

#[derive(Serialize)]
struct ListedSkill {
    name: &'static str,
    family: SkillFamily,
    description: Option<String>,
    licence: Option<String>,
    /// Bits of all facts that its corpus states, where a generator makes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    fact_bits: Option<f64>,
    /// Nats per answer of who knows how answers are distributed and nothing else.
    #[serde(skip_serializing_if = "Option::is_none")]
    naive_nats_per_answer: Option<f64>,
    /// Bytes of a document on average, where a generator makes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    document_bytes: Option<f64>,
    /// Why this machine lacks it; absent where it has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
}

fn list(shared: &Shared, json: bool) -> Result<()> {
    let cache = paths::cache(shared)?;
    let corpora: Vec<ListedCorpus> = scalelaw_data::builtin_manifests()
        .into_iter()
        .map(|(name, spec)| {
            let missing = open_spec(name, &spec, Path::new("."), &cache).err().map(|error| error.to_string());
            ListedCorpus { name, description: spec.description, licence: spec.licence, missing }
        })
        .collect();
    let skills: Vec<ListedSkill> = scalelaw_data::builtin_skills()
        .into_iter()
        .map(|(name, manifest)| {
            let (licence, opened) = match &manifest.corpus {
                Some(spec) => (spec.licence.clone(), Some(open_spec(name, spec, Path::new("."), &cache))),
                None => {
                    let corpus = corpora.iter().find(|corpus| corpus.name == name);
                    (corpus.and_then(|corpus| corpus.licence.clone()), None)
                }
            };
            let missing = match &opened {
                Some(Err(error)) => Some(error.to_string()),
                Some(Ok(_)) => None,
                None => corpora.iter().find(|corpus| corpus.name == name).and_then(|c| c.missing.clone()),
            };
            let corpus = opened.and_then(Result::ok);
            let entropy = corpus.as_ref().and_then(Corpus::entropy);
            ListedSkill {
                name,
                family: manifest.family,
                description: manifest.description,
                licence,
                fact_bits: entropy.map(|entropy| entropy.facts / LN_2).filter(|&bits| bits > 0.0),
                naive_nats_per_answer: entropy.map(|entropy| entropy.answer),
                document_bytes: corpus.and_then(|corpus| corpus.mean_document_bytes()),
                missing,
            }
        })
        .collect();
    let mut stdout = anstream::stdout().lock();
    if json {
        let value =
            serde_json::json!({ "schema_version": SCHEMA_VERSION, "corpora": corpora, "skills": skills });
        writeln!(stdout, "{}", serde_json::to_string_pretty(&value)?)?;
        return Ok(());
    }
    let mut entry = |name: &str, what: &str, licence: Option<&str>, facts: String, missing: Option<&str>| {
        writeln!(stdout, "  {name:12} {what}")?;
        if let Some(licence) = licence {
            writeln!(stdout, "               licence: {licence}")?;
        }
        if !facts.is_empty() {
            writeln!(stdout, "               {facts}")?;
        }
        match missing {
            None => writeln!(stdout, "               on this machine"),
            Some(why) => writeln!(stdout, "               missing: {why}"),
        }
    };
    for corpus in &corpora {
        let what = corpus.description.as_deref().unwrap_or_default();
        entry(corpus.name, what, corpus.licence.as_deref(), String::new(), corpus.missing.as_deref())?;
    }
    for skill in &skills {
        let what = format!("{}: {}", skill.family.name(), skill.description.as_deref().unwrap_or_default());
        let mut facts = Vec::new();
        facts.extend(skill.fact_bits.map(|bits| format!("{bits:.0} bits of facts")));
        facts.extend(
            skill.naive_nats_per_answer.map(|nats| format!("{nats:.2} nats per answer without the skill")),
        );
        facts.extend(skill.document_bytes.map(|bytes| format!("{bytes:.0} bytes per document")));
        entry(skill.name, &what, skill.licence.as_deref(), facts.join(", "), skill.missing.as_deref())?;
    }
    Ok(())
}

fn items(shared: &Shared, name: &str, against: &[String], json: bool) -> Result<()> {
    let cache = paths::cache(shared)?;
    let (corpora, skills) = (BTreeMap::new(), BTreeMap::new());
    let names = Names { corpora: &corpora, skills: &skills, base: Path::new("."), cache: &cache };
    let (mut suite, own) = open_suite(name, &names)?;
    let mut searched: Vec<Corpus> = Vec::new();
    for corpus in against {
        searched.push(open_corpus(corpus, &names)?);
    }
    if against.is_empty() {
        searched.extend(own);
    }
    let report = overlap::remove(&mut suite, &searched.iter().collect::<Vec<_>>(), &cache)?;
    if let Some(report) = &report {
        say_overlap(report);
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
        return Ok(());
    }
    writeln!(stdout, "{} items", items.len())?;
    let mut groups: BTreeMap<&str, u64> = BTreeMap::new();
    for group in items.iter().filter_map(|item| item.group.as_deref()) {
        *groups.entry(group).or_default() += 1;
    }
    for (group, n) in groups {
        writeln!(stdout, "  {group}: {n}")?;
    }
    for item in items.iter().take(SHOWN) {
        writeln!(stdout, "\n{}[{}]", item.prompt, item.answer())?;
        if let Target::Choices { texts, correct } = &item.target {
            for (_, other) in texts.iter().enumerate().filter(|(idx, _)| idx != correct) {
                writeln!(stdout, "  not [{other}]")?;
            }
        }
    }
    Ok(())
}

/// Items shown to a person.
const SHOWN: usize = 5;

/// Says which items training text holds.
fn say_overlap(report: &OverlapReport) {
    info!("{}", overlap_text(report));
    for (corpus, stretch) in &report.examples {
        info!("  {corpus}: `{stretch}`");
    }
}

/// What `scalelaw data get` was asked for.
struct GetArgs<'a> {
    name: &'a str,
    path: Option<&'a Path>,
    any_edition: bool,
    dry_run: bool,
}

fn get(shared: &Shared, args: &GetArgs) -> Result<()> {
    let cache = paths::cache(shared)?;
    let (corpora, skills) = (BTreeMap::new(), BTreeMap::new());
    let names = Names { corpora: &corpora, skills: &skills, base: Path::new("."), cache: &cache };
    let name =
        Path::new(args.name).file_stem().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    let corpus = match find_skill(args.name, &names)? {
        Some(skill) => skill.manifest.corpus,
        None if args.name.ends_with(".toml") => {
            Some(scalelaw_data::parse_manifest(args.name, &read_manifest(Path::new(args.name))?)?)
        }
        None => {
            scalelaw_data::builtin_manifests().into_iter().find(|(n, _)| *n == name).map(|(_, spec)| spec)
        }
    };
    let Some(package) = corpus.and_then(|corpus| corpus.obtain) else {
        let obtainable: Vec<&str> = scalelaw_data::builtin_skills()
            .into_iter()
            .filter(|(_, manifest)| manifest.corpus.as_ref().is_some_and(|corpus| corpus.obtain.is_some()))
            .map(|(name, _)| name)
            .collect();
        let why = format!(
            "`{}` has nothing to get (hint: {} come from packages; `scalelaw data list` shows what is missing)",
            args.name,
            obtainable.join(" and ")
        );
        return Err(UsageError(why).into());
    };
    let mut stdout = anstream::stdout().lock();
    if args.dry_run {
        let from = args.path.map_or("Debian".to_string(), |path| format!("`{}`", path.display()));
        writeln!(
            stdout,
            "would get {} files of {} {} from {from}",
            package.files.len(),
            package.package,
            package.version
        )?;
        return Ok(());
    }
    debug!("{name}: from the package {} {}", package.package, package.version);
    let from = args.path.map_or(obtain::From::Debian, obtain::From::Path);
    let edition = if args.any_edition { Edition::Any } else { Edition::Pinned };
    match obtain::obtain(&name, &package, &cache, from, edition)? {
        Obtained::WasThere(folder) => writeln!(stdout, "{name} was in `{}`", folder.display())?,
        Obtained::Now(folder) => writeln!(stdout, "{name} is in `{}`", folder.display())?,
    }
    Ok(())
}

fn prepare(shared: &Shared, args: &SweepArgs, dry_run: bool) -> Result<()> {
    let sweep = sweep_file::load(&args.sweep, &args.overrides)?;
    let corpora = Corpora::open(&sweep, &paths::cache(shared)?)?;
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
    for (name, facts) in corpora.ensure(&plan)? {
        let end = if facts.is_exhausted { ", all there are" } else { "" };
        writeln!(
            stdout,
            "{name}: {} training tokens{end} of {} documents, {} held out",
            facts.train_tokens, facts.train_documents, facts.held_out_tokens
        )?;
    }
    Ok(())
}
