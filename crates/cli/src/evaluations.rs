//! What finished runs are evaluated on: held-out text and suites by name, opened as the sweep trained on them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use scalelaw_data::catalogue::CleanSuite;
use scalelaw_data::{Catalogue, Corpus, DataError, Needed, TokenSuite, Tokenizer};
use scalelaw_schema::corpus::CorpusSpec;
use scalelaw_schema::eval::{EvalRequest, EvalSpec};
use scalelaw_schema::folder;
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::skill::SkillManifest;
use tracing::warn;

use crate::corpora::{ensure_one, overlap_note};
use crate::exit::UsageError;
use crate::sweep_file;

/// Where a sweep's names of corpora and skills are looked up.
pub struct SweepNames {
    corpora: BTreeMap<String, CorpusSpec>,
    skills: BTreeMap<String, SkillManifest>,
    base: PathBuf,
    cache: PathBuf,
    /// Whether every document of the sweep begins with its source's tag.
    is_tagged: bool,
}

impl SweepNames {
    /// From the sweep's own file if `given` is one, else from the copy in the sweep's folder, whose relative paths then
    /// start at the current folder.
    pub fn of(given: &Path, sweep_dir: &Path, cache: &Path) -> Result<SweepNames> {
        let is_file = given.extension().is_some_and(|extension| extension == "toml");
        let copy = sweep_dir.join(folder::SWEEP_TOML);
        let (path, base) = match is_file {
            true => (given.to_path_buf(), given.parent().map(Path::to_path_buf)),
            false => (copy, None),
        };
        let spec = if path.exists() { Some(sweep_file::load(&path, &[])?.spec) } else { None };
        let is_tagged = spec.as_ref().is_some_and(|spec| spec.data.tag_sources == Some(true));
        let (corpora, skills) = spec.map(|spec| (spec.corpus, spec.skill)).unwrap_or_default();
        let base = base.unwrap_or_else(|| PathBuf::from("."));
        Ok(SweepNames { corpora, skills, base, cache: cache.to_path_buf(), is_tagged })
    }

    fn catalogue(&self) -> Catalogue<'_> {
        Catalogue { corpora: &self.corpora, skills: &self.skills, base: &self.base, cache: &self.cache }
    }

    /// A corpus, with its tag if the sweep tags its sources.
    fn corpus(&self, name: &str) -> Result<Corpus, DataError> {
        let corpus = self.catalogue().corpus(name)?;
        Ok(if self.is_tagged { corpus.with_its_tag() } else { corpus })
    }

    /// The items of a skill without those that the runs were trained on.
    fn suite(&self, skill: &str, runs: &[RunSpec]) -> Result<CleanSuite> {
        let trained_on: BTreeSet<&str> = runs
            .iter()
            .flat_map(|run| run.train.mixture.sources.iter().map(|source| run.corpus_name(&source.tokens)))
            .collect();
        let trained_on: Vec<Corpus> =
            trained_on.into_iter().map(|name| self.corpus(name)).collect::<Result<_, _>>()?;
        let trained_on: Vec<&Corpus> = trained_on.iter().collect();
        let clean = self.catalogue().clean_suite(skill, self.is_tagged, &trained_on)?;
        if let Some(note) = &overlap_note(skill, clean.overlap.as_ref()) {
            warn!("{note}");
        }
        Ok(clean)
    }
}

/// Text or items that finished runs are evaluated on.
pub enum EvaluationSet {
    /// Held-out text of a corpus.
    HeldOut { corpus: Box<Corpus>, n_tokens: u64 },
    /// The items of a skill; all of them without `n_items`.
    Skill { clean: Box<CleanSuite>, n_items: Option<u64> },
}

impl EvaluationSet {
    /// Held-out text by the name of its corpus.
    pub fn held_out(name: &str, n_tokens: u64, names: &SweepNames) -> Result<EvaluationSet> {
        Ok(EvaluationSet::HeldOut { corpus: Box::new(names.corpus(name)?), n_tokens })
    }

    /// The items of a skill by its name.
    pub fn skill(
        name: &str,
        n_items: Option<u64>,
        names: &SweepNames,
        runs: &[RunSpec],
    ) -> Result<EvaluationSet> {
        Ok(EvaluationSet::Skill { clean: Box::new(names.suite(name, runs)?), n_items })
    }

    /// The evaluation of runs with this context; text and items are tokenised into the cache, as the runs' own text
    /// was.
    pub fn request(&self, context_len: usize, tokenizer: &Tokenizer, cache: &Path) -> Result<EvalRequest> {
        match self {
            EvaluationSet::HeldOut { corpus, n_tokens } => {
                let n_tokens = n_tokens.next_multiple_of(context_len as u64);
                let needed = Needed { train_tokens: 0, held_out_tokens: n_tokens };
                let tokens = ensure_one(corpus, tokenizer, cache, needed)?.hash;
                let spec = EvalSpec::HeldOut { tokens, n_tokens, context_len };
                Ok(EvalRequest { name: corpus.name().to_string(), spec })
            }
            EvaluationSet::Skill { clean, n_items } => {
                let suite = TokenSuite::prepare(&clean.suite, tokenizer, &clean.tag, cache)?;
                let spec = suite.spec(n_items.unwrap_or(u64::MAX));
                Ok(EvalRequest { name: clean.suite.skill.clone(), spec })
            }
        }
    }
}

/// Content hash of a token set that the run was trained on; all of its sets have the same tokenizer.
pub fn tokens_of(run: &RunSpec) -> &str {
    &run.train.mixture.sources.first().expect("a mixture has at least one source").tokens
}

/// The tokenizer that a run was trained with, from the token set it was trained on.
pub fn tokenizer_of(run: &RunSpec, cache: &Path) -> Result<Tokenizer> {
    let tokens = tokens_of(run);
    Tokenizer::of_token_set(cache, tokens).map_err(|error| {
        let name = run.corpus_name(tokens);
        UsageError(format!("cannot read the tokenizer of corpus `{name}` from the cache: {error}")).into()
    })
}
