//! What finished runs are judged by: held-out text and suites by name, opened as the sweep trained on them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use scalelaw_data::{Corpus, Needed, Suite, Tokenizer};
use scalelaw_schema::corpus::CorpusSpec;
use scalelaw_schema::eval::{EvalRequest, EvalSpec};
use scalelaw_schema::folder;
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::skill::SkillManifest;
use tracing::warn;

use crate::corpora::{ensure_one, open_corpus};
use crate::exit::UsageError;
use crate::skills::{Names, clean_suite, suite_spec};
use crate::sweep_file;

/// What names of corpora and skills mean in a sweep.
pub struct SweepNames {
    corpora: BTreeMap<String, CorpusSpec>,
    skills: BTreeMap<String, SkillManifest>,
    base: PathBuf,
    cache: PathBuf,
    /// Whether every document of the sweep begins with its source's tag.
    tags: bool,
}

impl SweepNames {
    /// By the sweep's own file where that is given, else by the copy in the sweep's folder: its relative paths are
    /// then those of the folder that the program is started in.
    pub fn of(given: &Path, sweep_dir: &Path, cache: &Path) -> Result<SweepNames> {
        let is_file = given.extension().is_some_and(|extension| extension == "toml");
        let copy = sweep_dir.join(folder::SWEEP_TOML);
        let (path, base) = match is_file {
            true => (given.to_path_buf(), given.parent().map(Path::to_path_buf)),
            false => (copy, None),
        };
        let spec = if path.exists() { Some(sweep_file::load(&path, &[])?.spec) } else { None };
        let tags = spec.as_ref().is_some_and(|spec| spec.data.tag_sources == Some(true));
        let (corpora, skills) = spec.map(|spec| (spec.corpus, spec.skill)).unwrap_or_default();
        let base = base.unwrap_or_else(|| PathBuf::from("."));
        Ok(SweepNames { corpora, skills, base, cache: cache.to_path_buf(), tags })
    }

    fn names(&self) -> Names<'_> {
        Names { corpora: &self.corpora, skills: &self.skills, base: &self.base, cache: &self.cache }
    }

    /// A corpus with its tag where the sweep tags its sources.
    fn corpus(&self, name: &str) -> Result<Corpus> {
        let corpus = open_corpus(name, &self.names())?;
        Ok(if self.tags { corpus.with_its_tag() } else { corpus })
    }

    /// The items of a skill without those that the runs were trained on, and what stands before each.
    fn suite(&self, skill: &str, runs: &[RunSpec]) -> Result<(Suite, String)> {
        let trained_on: BTreeSet<&str> = runs
            .iter()
            .flat_map(|run| run.train.mixture.sources.iter().map(|source| run.corpus_name(&source.tokens)))
            .collect();
        let trained_on: Vec<Corpus> =
            trained_on.into_iter().map(|name| self.corpus(name)).collect::<Result<_>>()?;
        let trained_on: Vec<&Corpus> = trained_on.iter().collect();
        let clean = clean_suite(skill, self.tags, &self.names(), &trained_on)?;
        if let Some(note) = &clean.note {
            warn!("{note}");
        }
        Ok((clean.suite, clean.tag))
    }
}

/// Something that finished runs are judged by.
pub enum Judge {
    /// Held-out text of a corpus, so many tokens of it.
    HeldOut(Box<Corpus>, u64),
    /// A suite with what stands before each of its items, and how many items are asked at most.
    Skill(Box<Suite>, String, Option<u64>),
}

impl Judge {
    /// Held-out text by the name of its corpus.
    pub fn held_out(name: &str, n_tokens: u64, names: &SweepNames) -> Result<Judge> {
        Ok(Judge::HeldOut(Box::new(names.corpus(name)?), n_tokens))
    }

    /// A suite by the name of its skill.
    pub fn skill(name: &str, n_items: Option<u64>, names: &SweepNames, runs: &[RunSpec]) -> Result<Judge> {
        let (suite, tag) = names.suite(name, runs)?;
        Ok(Judge::Skill(Box::new(suite), tag, n_items))
    }

    /// What is asked of runs with this context; text and items are put into the cache, in the runs' own tokens.
    pub fn request(&self, context_len: usize, tokenizer: &Tokenizer, cache: &Path) -> Result<EvalRequest> {
        match self {
            Judge::HeldOut(corpus, n_tokens) => {
                let n_tokens = n_tokens.next_multiple_of(context_len as u64);
                let needed = Needed { train_tokens: 0, held_out_tokens: n_tokens };
                let tokens = ensure_one(corpus, tokenizer, cache, needed)?.hash;
                let spec = EvalSpec::HeldOut { tokens, n_tokens, context_len };
                Ok(EvalRequest { name: corpus.name().to_string(), spec })
            }
            Judge::Skill(suite, tag, n_items) => {
                let spec = suite_spec(suite, tag, *n_items, tokenizer, cache)?;
                Ok(EvalRequest { name: suite.skill.clone(), spec })
            }
        }
    }
}

/// Content hash of a token set that the run was trained on; all of them have one tokenizer.
pub fn tokens_of(run: &RunSpec) -> &str {
    &run.train.mixture.sources.first().expect("a mixture has at least one source").tokens
}

/// The tokenizer that a run was trained with, from the token set it was trained on.
pub fn tokenizer_of(run: &RunSpec, cache: &Path) -> Result<Tokenizer> {
    let tokens = tokens_of(run);
    Tokenizer::of_token_set(cache, tokens).map_err(|error| {
        let name = run.corpus_name(tokens);
        UsageError(format!("the tokenizer of corpus `{name}` is not in the cache: {error}")).into()
    })
}
