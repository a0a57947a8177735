//! Suites as token ids, which are what a model is asked. In the cache: `<cache>/suites/<hash>.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use scalelaw_schema::eval::EvalSpec;
use scalelaw_schema::score::{FactSpace, SkillScore};
use scalelaw_schema::skill::{Scoring, Target, TokenClass};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::disk;
use crate::error::DataError;
use crate::error::suite::ItemError;
use crate::error::tokens::Damage;
use crate::hash;
use crate::suite::item::{PlacedItem, shortened};
use crate::suite::items::Suite;
use crate::suite::scoring;
use crate::suite::sequence::{Sequence, SequenceLosses, TokenItem};
use crate::tokens::END_OF_DOCUMENT;
use crate::tokens::tokenizer::Tokenizer;

/// Version of what is asked: part of every suite's hash.
const FORMAT: u32 = 1;

/// A tokenised suite. Its content hash covers tokenizer, items, tag and scoring.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSuite {
    hash: String,
    scoring: Scoring,
    facts: Option<FactSpace>,
    vocab_size: u32,
    items: Vec<TokenItem>,
}

impl TokenSuite {
    /// Writes the items of a suite as token ids, each preceded by `tag` as the documents of its corpus are.
    ///
    /// # Errors
    /// `BadItem` if the tokenizer joins the beginning of an answer with the end of its prompt.
    pub fn new(suite: &Suite, tokenizer: &Tokenizer, tag: &str) -> Result<TokenSuite, DataError> {
        let items: Result<Vec<TokenItem>, DataError> =
            suite.items.iter().map(|placed| to_tokens(suite, placed, tokenizer, tag)).collect();
        let items = items?;
        let pass_tokens = suite.statements.as_ref().map(|statements| {
            // One more for the end of each document.
            let tokens = |text: &String| tokenizer.encode(&format!("{tag}{text}")).len() + 1;
            let sampled: usize = statements.sample.iter().map(tokens).sum();
            statements.n_documents * sampled as f64 / statements.sample.len() as f64
        });
        let facts = suite.facts.map(|facts| FactSpace { pass_tokens, ..facts });
        let hash = hash::of_json(&json!({
            "format": FORMAT,
            "tokenizer": tokenizer.hash(),
            "scoring": suite.scoring,
            "facts": facts,
            "items": items,
        }));
        let (scoring, vocab_size) = (suite.scoring, tokenizer.vocab_size());
        Ok(TokenSuite { hash, scoring, facts, vocab_size, items })
    }

    /// Tokenises a suite and writes it to the cache.
    ///
    /// # Errors
    /// Those of [`TokenSuite::new`] and [`TokenSuite::save`].
    pub fn prepare(
        suite: &Suite,
        tokenizer: &Tokenizer,
        tag: &str,
        cache: &Path,
    ) -> Result<TokenSuite, DataError> {
        let tokens = TokenSuite::new(suite, tokenizer, tag)?;
        tokens.save(cache)?;
        Ok(tokens)
    }

    /// Writes it to the cache, unless it is there already.
    ///
    /// # Errors
    /// `Io`.
    pub fn save(&self, cache: &Path) -> Result<(), DataError> {
        let path = path_of(cache, &self.hash);
        if !path.exists() {
            disk::write(&path, &serde_json::to_vec(self).expect("a suite is plain data"))?;
        }
        Ok(())
    }

    /// Reads it from the cache.
    ///
    /// # Errors
    /// `NoTokenSuite`, `Damaged`, `Io`.
    pub fn open(cache: &Path, hash: &str) -> Result<TokenSuite, DataError> {
        let path = path_of(cache, hash);
        let Some(bytes) = disk::read(&path)? else {
            return Err(DataError::NoTokenSuite { hash: hash.to_string(), path });
        };
        let damaged = |why| DataError::Damaged { path: path.clone(), why };
        let suite: TokenSuite =
            serde_json::from_slice(&bytes).map_err(|error| damaged(Damage::Json(error)))?;
        let is_whole = suite.hash == hash
            && suite.items.iter().all(|item| {
                item.correct < item.sequences.len()
                    && item
                        .sequences
                        .iter()
                        .all(|sequence| sequence.answer >= 1 && sequence.answer < sequence.tokens.len())
            });
        if !is_whole {
            return Err(damaged(Damage::OtherContent("a suite")));
        }
        Ok(suite)
    }

    /// Content hash.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Number of items.
    pub fn n_items(&self) -> u64 {
        self.items.len() as u64
    }

    /// Number of token ids of its tokenizer.
    pub fn vocab_size(&self) -> u32 {
        self.vocab_size
    }

    /// Inputs of its longest sequence: the context that a model needs.
    pub fn context_len(&self) -> usize {
        let sequences = self.items.iter().flat_map(|item| &item.sequences);
        sequences.map(|sequence| sequence.tokens.len() - 1).max().unwrap_or(0)
    }

    /// The evaluation over its first `n_items` items, or over all if there are fewer.
    pub fn spec(&self, n_items: u64) -> EvalSpec {
        let n_items = n_items.min(self.n_items());
        EvalSpec::Skill {
            suite: self.hash.clone(),
            n_items,
            n_sequences: self.sequences(n_items).count() as u64,
            context_len: self.context_len(),
        }
    }

    /// The sequences of the first `n_items` items, in the order that [`TokenSuite::score`] expects.
    pub fn sequences(&self, n_items: u64) -> impl Iterator<Item = &Sequence> {
        self.items.iter().take(n_items as usize).flat_map(|item| &item.sequences)
    }

    /// The score, given a model's losses on [`TokenSuite::sequences`].
    ///
    /// # Errors
    /// `BadLosses` unless there is one loss per target.
    pub fn score(&self, n_items: u64, losses: &[SequenceLosses]) -> Result<SkillScore, DataError> {
        let items = &self.items[..(n_items as usize).min(self.items.len())];
        let sequences: Vec<&Sequence> = items.iter().flat_map(|item| &item.sequences).collect();
        let fits = |sequence: &Sequence, losses: &SequenceLosses| {
            let n_targets = sequence.tokens.len() - 1;
            losses.losses.len() == n_targets && losses.is_top.len() == n_targets
        };
        if items.is_empty()
            || sequences.len() != losses.len()
            || !sequences.iter().zip(losses).all(|(sequence, losses)| fits(sequence, losses))
        {
            return Err(DataError::BadLosses { suite: self.hash.clone() });
        }
        Ok(scoring::score(items, losses, self.scoring, self.facts))
    }

    /// Number of items of each group among the first `n_items`.
    pub fn groups(&self, n_items: u64) -> BTreeMap<&str, u64> {
        let mut groups = BTreeMap::new();
        for item in self.items.iter().take(n_items as usize) {
            if let Some(group) = &item.group {
                *groups.entry(group.as_str()).or_default() += 1;
            }
        }
        groups
    }
}

fn path_of(cache: &Path, hash: &str) -> PathBuf {
    cache.join("suites").join(format!("{hash}.json"))
}

fn to_tokens(
    suite: &Suite,
    placed: &PlacedItem,
    tokenizer: &Tokenizer,
    tag: &str,
) -> Result<TokenItem, DataError> {
    let item = &placed.item;
    let (texts, correct) = match &item.target {
        Target::Answer(answer) => (std::slice::from_ref(answer), 0),
        Target::Choices { texts, correct } => (texts.as_slice(), *correct),
    };
    let lengths = tokenizer.token_lengths();
    let sequence = |answer: &String| -> Result<Sequence, DataError> {
        let prompt_bytes = tag.len() + item.prompt.len();
        let encoded = tokenizer.encode(&format!("{tag}{}{answer}", item.prompt));
        let mut tokens = vec![END_OF_DOCUMENT];
        let mut classes: Vec<(Option<TokenClass>, usize)> = vec![(None, 1)];
        let mut first_of_answer = None;
        let mut at = 0;
        for token in encoded {
            let end = at + lengths[token as usize] as usize;
            if at < prompt_bytes && end > prompt_bytes {
                let joined = String::from_utf8_lossy(&tokenizer.decode(&[token])).into_owned();
                let why = ItemError::JoinedToken { answer: shortened(answer), token: joined };
                return Err(placed.error(&suite.skill, why));
            }
            if at == prompt_bytes {
                first_of_answer = Some(tokens.len());
            }
            let class = class_at(item, tag.len(), at, prompt_bytes);
            tokens.push(token);
            match classes.last_mut() {
                Some((last, until)) if *last == class => *until = tokens.len(),
                _ => classes.push((class, tokens.len())),
            }
            at = end;
        }
        let answer_at = first_of_answer.ok_or_else(|| placed.error(&suite.skill, ItemError::NoToken))?;
        Ok(Sequence { tokens, answer: answer_at, answer_bytes: answer.len() as u64, classes })
    };
    let sequences: Result<Vec<Sequence>, DataError> = texts.iter().map(sequence).collect();
    Ok(TokenItem { sequences: sequences?, correct, group: item.group.clone(), chance: item.chance })
}

/// The class of byte `at` of tag, prompt and answer.
fn class_at(
    item: &scalelaw_schema::skill::SkillItem,
    tag_bytes: usize,
    at: usize,
    prompt_bytes: usize,
) -> Option<TokenClass> {
    if at >= prompt_bytes {
        return Some(TokenClass::Answer);
    }
    match at.checked_sub(tag_bytes) {
        // A tag is part of the template, like any other fixed word.
        None => (!item.spans.is_empty()).then_some(TokenClass::Template),
        Some(at) => item.spans.iter().find(|span| span.bytes.contains(&at)).map(|span| span.class),
    }
}
