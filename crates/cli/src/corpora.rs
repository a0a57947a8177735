//! The text of a sweep: opens its corpora, tokenizers and suites, and tokenises as much as a plan needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use indicatif::HumanCount;
use scalelaw_data::{Catalogue, Corpus, DataError, Needed, TokenSetFacts, TokenSuite, Tokenizer};
use scalelaw_plan::facts::CorpusFacts;
use scalelaw_report::terminal::data::overlap_text;
use scalelaw_schema::eval::EvalSpec;
use scalelaw_schema::overlap::OverlapReport;
use scalelaw_schema::plan::Plan;
use scalelaw_schema::sweep::TokenizerChoice;
use tracing::{debug, warn};

use crate::progress::{new_bar, remove_bar};
use crate::sweep_file::SweepFile;

/// The corpora, tokenizers and suites that a sweep names.
pub struct Corpora {
    corpora: BTreeMap<String, Corpus>,
    tokenizers: BTreeMap<TokenizerChoice, Tokenizer>,
    suites: BTreeMap<(TokenizerChoice, String), EvalSpec>,
    notes: Vec<String>,
    cache: PathBuf,
}

/// Held-out tokens that every corpus has at least.
const HELD_OUT_TOKENS: u64 = 65_536;

/// A tokenizer for these corpora, learned if the cache lacks it.
fn tokenizer(choice: TokenizerChoice, corpora: &[&Corpus], cache: &Path) -> Result<Tokenizer> {
    if let TokenizerChoice::Bpe(vocab_size) = choice {
        debug!("tokenizer with {vocab_size} tokens: from the cache, or trained now");
    }
    Ok(Tokenizer::prepare(choice, corpora, cache)?)
}

/// An error about a name in the sweep file, with its place there; any other error as it is.
fn at_place(sweep: &SweepFile, place: impl Fn() -> String, error: DataError) -> anyhow::Error {
    match error.is_bad_name() {
        true => sweep.layers.error_at(&place(), error.to_string()).into(),
        false => error.into(),
    }
}

/// A warning about the items of a skill that were dropped, if any were.
pub fn overlap_note(skill: &str, overlap: Option<&OverlapReport>) -> Option<String> {
    let report = overlap.filter(|report| report.n_found > 0)?;
    Some(format!("skill `{skill}`: {}", overlap_text(report)))
}

impl Corpora {
    /// Opens what `sweep` names and makes its tokenizers. Tokenises no corpus.
    pub fn open(sweep: &SweepFile, cache: &Path) -> Result<Corpora> {
        let spec = &sweep.spec;
        let is_tagged = spec.data.tag_sources == Some(true);
        let catalogue = Catalogue { corpora: &spec.corpus, skills: &spec.skill, base: &sweep.base, cache };
        let open = |name: &str| -> Result<Corpus, DataError> {
            let corpus = catalogue.corpus(name)?;
            Ok(if is_tagged { corpus.with_its_tag() } else { corpus })
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
        // Tokenizers learn from the training text only, not from text that only evaluates.
        let trained_on: Vec<&Corpus> = corpora.values().collect();
        let mut tokenizers = BTreeMap::new();
        for choice in &spec.data.tokenizer.0 {
            tokenizers.insert(*choice, tokenizer(*choice, &trained_on, cache)?);
        }
        let (mut suites, mut notes) = (BTreeMap::new(), Vec::new());
        for (skill_idx, name) in spec.measure.iter().flat_map(|measure| measure.skills.iter().enumerate()) {
            let items = spec.measure.as_ref().and_then(|measure| measure.items);
            let place = || format!("measure.skills[{skill_idx}]");
            let clean = catalogue
                .clean_suite(name, is_tagged, &trained_on)
                .map_err(|error| at_place(sweep, place, error))?;
            notes.extend(overlap_note(name, clean.overlap.as_ref()));
            for (&choice, tokenizer) in &tokenizers {
                let suite = TokenSuite::prepare(&clean.suite, tokenizer, &clean.tag, cache)?;
                suites.insert((choice, name.clone()), suite.spec(items.unwrap_or(u64::MAX)));
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

    /// The evaluation of each skill that the sweep measures, by tokenizer and skill.
    pub fn suites(&self) -> BTreeMap<(TokenizerChoice, String), EvalSpec> {
        self.suites.clone()
    }

    /// Which items were dropped because they occur in the training text, one sentence per skill.
    pub fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }

    /// What the planner needs to know of each corpus, by tokenizer and corpus.
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

    /// Tokenises every corpus as far as the plan's runs and evaluations need it.
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
                    .with_context(|| format!("cannot tokenise corpus `{name}`"))?;
                all.push((name.clone(), facts));
            }
        }
        Ok(all)
    }
}

/// Tokenises one corpus, with a progress bar on a terminal.
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
