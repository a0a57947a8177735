//! Skills by name: of the sweep's own, built in, or in a manifest beside the sweep.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use scalelaw_data::suite::overlap::{self, OverlapReport};
use scalelaw_data::{Corpus, DataError, Suite, TokenSuite, Tokenizer};
use scalelaw_schema::corpus::CorpusSpec;
use scalelaw_schema::eval::EvalSpec;
use scalelaw_schema::skill::SkillManifest;

use crate::corpora::open_corpus;
use crate::exit::UsageError;

/// Where names are looked up.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// Corpora of the sweep's own.
    pub corpora: &'a BTreeMap<String, CorpusSpec>,
    /// Skills of the sweep's own.
    pub skills: &'a BTreeMap<String, SkillManifest>,
    /// Folder of the sweep's file.
    pub base: &'a Path,
    /// Folder of tokens, and of files that were downloaded.
    pub cache: &'a Path,
}

/// A skill and the folder that its relative paths start at.
#[derive(Debug, Clone)]
pub struct FoundSkill {
    pub manifest: SkillManifest,
    pub base: PathBuf,
}

/// The skill of this name: `[skill.NAME]`, a built-in one, `datasets/skills/NAME.toml` beside the sweep or one
/// folder up, or a manifest's path; none where there is none.
pub fn find_skill(name: &str, names: &Names) -> Result<Option<FoundSkill>> {
    if let Some(manifest) = names.skills.get(name) {
        return Ok(Some(FoundSkill { manifest: manifest.clone(), base: names.base.to_path_buf() }));
    }
    if let Some((_, manifest)) =
        scalelaw_data::builtin_skills().into_iter().find(|(builtin, _)| *builtin == name)
    {
        return Ok(Some(FoundSkill { manifest, base: names.base.to_path_buf() }));
    }
    let beside = [format!("datasets/skills/{name}.toml"), format!("../datasets/skills/{name}.toml")];
    let as_path = name.ends_with(".toml").then(|| names.base.join(name));
    let path = beside.iter().map(|path| names.base.join(path)).chain(as_path).find(|path| path.is_file());
    let Some(path) = path else { return Ok(None) };
    let text = read_manifest(&path)?;
    // A corpus' manifest has no items.
    if !text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("suite")) {
        return Ok(None);
    }
    let manifest = scalelaw_data::parse_manifest(&path.display().to_string(), &text)?;
    Ok(Some(FoundSkill { manifest, base: path.parent().unwrap_or(names.base).to_path_buf() }))
}

/// The text of a manifest.
pub fn read_manifest(path: &Path) -> Result<String> {
    Ok(std::fs::read_to_string(path)
        .map_err(|error| UsageError(format!("cannot read the manifest `{}`: {error}", path.display())))?)
}

/// The items of a skill, with the corpus that it trains on, where it has one.
pub fn open_suite(name: &str, names: &Names) -> Result<(Suite, Option<Corpus>)> {
    let Some(found) = find_skill(name, names)? else {
        let own = names.skills.keys().map(String::as_str);
        let builtin = scalelaw_data::builtin_skills().into_iter().map(|(name, _)| name);
        let known: Vec<&str> = own.chain(builtin).collect();
        let why = format!(
            "no skill `{name}` (known: {}; hint: `[skill.{name}]` in the sweep, or `datasets/skills/{name}.toml`)",
            known.join(", ")
        );
        return Err(UsageError(why).into());
    };
    let corpus = match &found.manifest.corpus {
        Some(_) => Some(open_corpus(name, names)?),
        // Items of a person's own need no corpus of the skill's name.
        None => open_corpus(name, names).ok(),
    };
    let suite = Suite::open(name, &found.manifest, corpus.as_ref(), &found.base)?;
    Ok((suite, corpus))
}

/// A skill's items without those that training text holds.
pub struct CleanSuite {
    pub suite: Suite,
    /// What stands before each item.
    pub tag: String,
    /// What was left out, where anything was.
    pub note: Option<String>,
}

/// A skill's items without those that training text holds; `is_tagged` tells whether documents begin with their
/// source's tag, as the items then do.
pub fn clean_suite(name: &str, is_tagged: bool, names: &Names, trained_on: &[&Corpus]) -> Result<CleanSuite> {
    let (mut suite, own) = open_suite(name, names)?;
    let report = overlap::remove(&mut suite, trained_on, names.cache)?;
    let note = report
        .filter(|report| report.n_found > 0)
        .map(|report| format!("skill `{name}`: {}", overlap_text(&report)));
    let tag = match (is_tagged, own) {
        (true, Some(corpus)) => corpus.with_its_tag().tag().to_string(),
        _ => String::new(),
    };
    Ok(CleanSuite { suite, tag, note })
}

/// What is asked about a skill under a tokenizer; its items are put into the cache.
pub fn suite_spec(
    suite: &Suite,
    tag: &str,
    items: Option<u64>,
    tokenizer: &Tokenizer,
    cache: &Path,
) -> Result<EvalSpec> {
    let suite = TokenSuite::new(suite, tokenizer, tag)?;
    suite.save(cache)?;
    Ok(suite.spec(items.unwrap_or(u64::MAX)))
}

/// Which items training text holds.
pub fn overlap_text(report: &OverlapReport) -> String {
    let part = match report.in_part.as_slice() {
        [] => String::new(),
        endless => format!(" ({} without end: its beginning)", endless.join(", ")),
    };
    format!(
        "{} of {} items share text with the {} bytes searched{part} and are left out; {} are too short to tell",
        report.n_found, report.n_items, report.bytes, report.n_too_short
    )
}

/// A corpus by its spec: relative paths of downloaded files start in the cache.
pub fn open_spec(name: &str, spec: &CorpusSpec, base: &Path, cache: &Path) -> Result<Corpus, DataError> {
    Corpus::open(name, spec, &scalelaw_data::obtain::base_of(cache, name, spec, base))
}
