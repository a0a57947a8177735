//! The text of a sweep: finds its corpora and tokenizers, and tokenises as far as a plan needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use indicatif::HumanCount;
use scalelaw_data::{Corpus, Needed, TokenSetFacts, Tokenizer};
use scalelaw_plan::facts::CorpusFacts;
use scalelaw_schema::corpus::CorpusSpec;
use scalelaw_schema::eval::EvalSpec;
use scalelaw_schema::plan::Plan;
use scalelaw_schema::sweep::TokenizerChoice;
use tracing::{debug, warn};

use crate::exit::UsageError;
use crate::progress::{new_bar, remove_bar};
use crate::skills::{FoundSkill, Names, clean_suite, find_skill, open_spec, read_manifest, suite_spec};
use crate::sweep_file::SweepFile;

/// The corpora that a sweep names, and its tokenizers.
pub struct Corpora {
    corpora: BTreeMap<String, Corpus>,
    tokenizers: BTreeMap<TokenizerChoice, Tokenizer>,
    suites: BTreeMap<(TokenizerChoice, String), EvalSpec>,
    notes: Vec<String>,
    cache: PathBuf,
}

/// Fewest held-out tokens of a corpus.
const HELD_OUT_TOKENS: u64 = 65_536;

/// Opens a corpus by its name (of the sweep's own, a built-in one, a manifest `datasets/NAME.toml` beside the sweep
/// or one folder up, or that of the skill of this name) or by its manifest's path.
pub fn open_corpus(name: &str, names: &Names) -> Result<Corpus> {
    let &Names { corpora: own, base, cache, .. } = names;
    if let Some(spec) = own.get(name) {
        return Ok(open_spec(name, spec, base, cache)?);
    }
    let skill = find_skill(name, names)?;
    if let Some((FoundSkill { base, .. }, spec)) =
        skill.as_ref().and_then(|skill| Some((skill, skill.manifest.corpus.as_ref()?)))
    {
        return Ok(open_spec(name, spec, base, cache)?);
    }
    if let Some((_, spec)) =
        scalelaw_data::builtin_manifests().into_iter().find(|(builtin, _)| *builtin == name)
    {
        return Ok(open_spec(name, &spec, base, cache)?);
    }
    if skill.is_some() && name.ends_with(".toml") {
        return Err(UsageError(format!("the skill `{name}` has no corpus")).into());
    }
    let manifests = [format!("datasets/{name}.toml"), format!("../datasets/{name}.toml")];
    let beside = manifests.iter().map(|manifest| base.join(manifest)).find(|path| path.is_file());
    let path = beside.unwrap_or_else(|| base.join(name));
    if path.extension().is_some_and(|extension| extension == "toml") {
        let text = read_manifest(&path)?;
        let spec: CorpusSpec = scalelaw_data::parse_manifest(&path.display().to_string(), &text)?;
        let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        return Ok(open_spec(&stem, &spec, path.parent().unwrap_or(base), cache)?);
    }
    let own = own.keys().chain(names.skills.keys()).map(String::as_str);
    let builtin = scalelaw_data::builtin_manifests().into_iter().map(|(name, _)| name);
    let builtin_skills = scalelaw_data::builtin_skills().into_iter().map(|(name, _)| name);
    let known: BTreeSet<&str> = own.chain(builtin).chain(builtin_skills).collect();
    let known = known.into_iter().collect::<Vec<_>>().join(", ");
    let why = format!(
        "no corpus `{name}` (known: {known}; hint: `[corpus.{name}]` in the sweep, or `datasets/{name}.toml`)"
    );
    Err(UsageError(why).into())
}

/// A tokenizer for these corpora, made where the cache lacks it.
fn tokenizer(choice: TokenizerChoice, corpora: &[&Corpus], cache: &Path) -> Result<Tokenizer> {
    if let TokenizerChoice::Bpe(vocab_size) = choice {
        debug!("tokenizer with {vocab_size} tokens: from the cache, or trained now");
    }
    Ok(Tokenizer::prepare(choice, corpora, cache)?)
}

/// An error about a name of the sweep file, shown where it stands there; any other as it is.
fn at_place(sweep: &SweepFile, place: impl Fn() -> String, error: anyhow::Error) -> anyhow::Error {
    match error.is::<UsageError>() {
        true => sweep.layers.error_at(&place(), error.to_string()).into(),
        false => error,
    }
}

impl Corpora {
    /// Opens what `sweep` names and makes its tokenizers. Tokenises nothing.
    pub fn open(sweep: &SweepFile, cache: &Path) -> Result<Corpora> {
        let spec = &sweep.spec;
        let names = Names { corpora: &spec.corpus, skills: &spec.skill, base: &sweep.base, cache };
        let open = |name: &str| -> Result<Corpus> {
            let corpus = open_corpus(name, &names)?;
            Ok(match spec.data.tag_sources {
                Some(true) => corpus.with_its_tag(),
                _ => corpus,
            })
        };
        let mut corpora = BTreeMap::new();
        for (mixture_idx, mixture) in spec.data.mixture.0.iter().enumerate() {
            for name in
                mixture.keys().filter(|name| !corpora.contains_key(*name)).cloned().collect::<BTreeSet<_>>()
            {
                let place = || match spec.data.mixture.0.len() {
                    1 => format!("data.mixture.{name}"),
                    _ => format!("data.mixture[{mixture_idx}].{name}"),
                };
                let corpus = open(&name).map_err(|error| at_place(sweep, place, error))?;
                corpora.insert(name, corpus);
            }
        }
        // Tokenizers learn from what is trained on, not from what is only judged by.
        let trained_on: Vec<&Corpus> = corpora.values().collect();
        let mut tokenizers = BTreeMap::new();
        for choice in &spec.data.tokenizer.0 {
            tokenizers.insert(*choice, tokenizer(*choice, &trained_on, cache)?);
        }
        let (mut suites, mut notes) = (BTreeMap::new(), Vec::new());
        for (skill_idx, name) in spec.measure.iter().flat_map(|measure| measure.skills.iter().enumerate()) {
            let items = spec.measure.as_ref().and_then(|measure| measure.items);
            let place = || format!("measure.skills[{skill_idx}]");
            let clean = clean_suite(name, spec.data.tag_sources == Some(true), &names, &trained_on)
                .map_err(|error| at_place(sweep, place, error))?;
            notes.extend(clean.note);
            for (&choice, tokenizer) in &tokenizers {
                let spec = suite_spec(&clean.suite, &clean.tag, items, tokenizer, cache)?;
                suites.insert((choice, name.clone()), spec);
            }
        }
        for name in spec.eval.iter().flat_map(|eval| eval.corpora.iter().flatten()) {
            if !corpora.contains_key(name) {
                corpora.insert(name.clone(), open(name)?);
            }
        }
        for corpus in corpora.values() {
            if let Some(note) = corpus.note() {
                warn!("{note}");
            }
        }
        Ok(Corpora { corpora, tokenizers, suites, notes, cache: cache.to_path_buf() })
    }

    /// What runs under each tokenizer are asked about each skill that the sweep measures.
    pub fn suites(&self) -> BTreeMap<(TokenizerChoice, String), EvalSpec> {
        self.suites.clone()
    }

    /// Items that were left out since training text holds them, one sentence for a skill.
    pub fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    /// What the planner must know of each corpus under each tokenizer.
    pub fn facts(&self) -> Result<BTreeMap<(TokenizerChoice, String), CorpusFacts>> {
        let mut facts = BTreeMap::new();
        for (choice, tokenizer) in &self.tokenizers {
            for (name, corpus) in &self.corpora {
                let tokens = scalelaw_data::token_set_hash(corpus, tokenizer);
                let train_tokens = scalelaw_data::known_train_tokens(&self.cache, &tokens)?;
                let vocab_size = tokenizer.vocab_size() as usize;
                facts.insert((*choice, name.clone()), CorpusFacts { tokens, vocab_size, train_tokens });
            }
        }
        Ok(facts)
    }

    /// Tokenises every corpus as far as the plan's runs and evaluations need.
    pub fn ensure(&self, plan: &Plan) -> Result<Vec<(String, TokenSetFacts)>> {
        let mut needed: BTreeMap<String, Needed> = BTreeMap::new();
        for planned in &plan.runs {
            for (tokens, train_tokens) in
                scalelaw_data::train_tokens_needed(&planned.run.train.mixture, &planned.run.train.phases)?
            {
                let entry = needed
                    .entry(tokens)
                    .or_insert(Needed { train_tokens: 0, held_out_tokens: HELD_OUT_TOKENS });
                entry.train_tokens = entry.train_tokens.max(train_tokens);
            }
            for request in &planned.run.evals {
                let EvalSpec::HeldOut { tokens, n_tokens, .. } = &request.spec else { continue };
                let entry = needed
                    .entry(tokens.clone())
                    .or_insert(Needed { train_tokens: 0, held_out_tokens: HELD_OUT_TOKENS });
                entry.held_out_tokens = entry.held_out_tokens.max(*n_tokens);
            }
        }
        let mut all = Vec::new();
        for tokenizer in self.tokenizers.values() {
            for (name, corpus) in &self.corpora {
                let Some(needed) = needed.get(&scalelaw_data::token_set_hash(corpus, tokenizer)) else {
                    continue;
                };
                let facts = ensure_one(corpus, tokenizer, &self.cache, *needed)
                    .with_context(|| format!("corpus `{name}` could not be tokenised"))?;
                all.push((name.clone(), facts));
            }
        }
        Ok(all)
    }
}

/// Tokenises one corpus, with a bar where a person watches.
pub fn ensure_one(
    corpus: &Corpus,
    tokenizer: &Tokenizer,
    cache: &Path,
    needed: Needed,
) -> Result<TokenSetFacts> {
    let bar = new_bar("{bar:16.cyan/dim} {wide_msg}", 0);
    let name = corpus.name().to_string();
    let facts = scalelaw_data::ensure_tokens(corpus, tokenizer, cache, needed, &mut |done, wanted| {
        bar.set_length(wanted);
        bar.set_position(done);
        bar.set_message(format!("{name}: {} tokens", HumanCount(done)));
    });
    remove_bar(&bar);
    let facts = facts?;
    debug!(
        "{name}: {} training and {} held-out tokens ready",
        HumanCount(facts.train_tokens),
        HumanCount(facts.held_out_tokens)
    );
    Ok(facts)
}
