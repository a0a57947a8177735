//! Suites as token ids, as they lie in the cache: `<cache>/suites/<hash>.json`. What the trainer asks a model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use scalelaw_schema::eval::EvalSpec;
use scalelaw_schema::score::{FactSpace, SkillScore};
use scalelaw_schema::skill::{Scoring, Target, TokenClass};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::DataError;
use crate::bpe::END_OF_DOCUMENT;
use crate::corpus::hash_of;
use crate::disk;
use crate::suite::scoring;
use crate::suite::{PlacedItem, Suite, shortened};
use crate::tokenizer::Tokenizer;

/// Version of what is asked: part of every suite's hash.
const FORMAT: u32 = 1;

/// A tokenised suite. Its content hash pins tokenizer, items, tag and scoring.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSuite {
    hash: String,
    scoring: Scoring,
    facts: Option<FactSpace>,
    vocab_size: u32,
    items: Vec<TokenItem>,
}

/// One item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenItem {
    /// One, or one per choice.
    pub sequences: Vec<Sequence>,
    /// Position of the right one.
    pub correct: usize,
    pub group: Option<String>,
    pub chance: Option<f64>,
}

/// A prompt with an answer, as a model reads it: the end of another document, then the prompt as a document begins,
/// then the answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// Token ids; inputs are all but the last, targets all but the first.
    pub tokens: Vec<u16>,
    /// Position of the answer's first token in `tokens`; the answer goes to the end.
    pub answer: usize,
    /// Bytes that the answer stands for.
    pub(crate) answer_bytes: u64,
    /// Class of every token, where it is known: runs up to a position.
    pub(crate) classes: Vec<(Option<TokenClass>, usize)>,
}

/// What a model says to one [`Sequence`].
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceLosses {
    /// Nats of each target, `[tokens.len() - 1]`.
    pub losses: Vec<f32>,
    /// Whether each target is the model's most likely token, `[tokens.len() - 1]`.
    pub is_top: Vec<bool>,
}

impl TokenSuite {
    /// Writes the items of a suite as token ids, each preceded by `tag` as the documents of its corpus are.
    ///
    /// # Errors
    /// `BadItem` where an answer has no token of its own: the tokenizer joins its beginning with the prompt's end.
    pub fn new(suite: &Suite, tokenizer: &Tokenizer, tag: &str) -> Result<TokenSuite, DataError> {
        let items: Result<Vec<TokenItem>, DataError> =
            suite.items.iter().map(|placed| to_tokens(suite, placed, tokenizer, tag)).collect();
        let items = items?;
        let pass_tokens = suite.stating.as_ref().map(|stating| {
            // One more for the end of each document.
            let tokens = |text: &String| tokenizer.encode(&format!("{tag}{text}")).len() + 1;
            let sampled: usize = stating.sample.iter().map(tokens).sum();
            stating.n_documents * sampled as f64 / stating.sample.len() as f64
        });
        let facts = suite.facts.map(|facts| FactSpace { pass_tokens, ..facts });
        let hash = hash_of(&json!({
            "format": FORMAT,
            "tokenizer": tokenizer.hash(),
            "scoring": suite.scoring,
            "facts": facts,
            "items": items,
        }));
        let (scoring, vocab_size) = (suite.scoring, tokenizer.vocab_size());
        Ok(TokenSuite { hash, scoring, facts, vocab_size, items })
    }

    /// Writes it to the cache, where it is not there yet.
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
        let damaged = |why: String| DataError::Damaged { path: path.clone(), why };
        let suite: TokenSuite =
            serde_json::from_slice(&bytes).map_err(|error| damaged(format!("it cannot be read: {error}")))?;
        let is_whole = suite.hash == hash
            && suite.items.iter().all(|item| {
                item.correct < item.sequences.len()
                    && item
                        .sequences
                        .iter()
                        .all(|sequence| sequence.answer >= 1 && sequence.answer < sequence.tokens.len())
            });
        if !is_whole {
            return Err(damaged("it holds another suite".to_string()));
        }
        Ok(suite)
    }

    /// Content hash.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Items.
    pub fn n_items(&self) -> u64 {
        self.items.len() as u64
    }

    /// Number of token ids of its tokenizer.
    pub fn vocab_size(&self) -> u32 {
        self.vocab_size
    }

    /// Inputs of its longest sequence: the context that a model needs for it.
    pub fn context_len(&self) -> usize {
        let sequences = self.items.iter().flat_map(|item| &item.sequences);
        sequences.map(|sequence| sequence.tokens.len() - 1).max().unwrap_or(0)
    }

    /// The evaluation over its first `n_items` items, or over all where there are fewer.
    pub fn spec(&self, n_items: u64) -> EvalSpec {
        let n_items = n_items.min(self.n_items());
        EvalSpec::Skill {
            suite: self.hash.clone(),
            n_items,
            n_sequences: self.sequences(n_items).count() as u64,
            context_len: self.context_len(),
        }
    }

    /// What a model is to be asked for the first `n_items` items, in the order that [`TokenSuite::score`] takes.
    pub fn sequences(&self, n_items: u64) -> impl Iterator<Item = &Sequence> {
        self.items.iter().take(n_items as usize).flat_map(|item| &item.sequences)
    }

    /// The score of what a model said to [`TokenSuite::sequences`].
    ///
    /// # Errors
    /// `BadLosses` where there is not one loss for each target.
    pub fn score(&self, n_items: u64, said: &[SequenceLosses]) -> Result<SkillScore, DataError> {
        let items = &self.items[..(n_items as usize).min(self.items.len())];
        let sequences: Vec<&Sequence> = items.iter().flat_map(|item| &item.sequences).collect();
        let fits = |sequence: &Sequence, said: &SequenceLosses| {
            let n_targets = sequence.tokens.len() - 1;
            said.losses.len() == n_targets && said.is_top.len() == n_targets
        };
        if items.is_empty()
            || sequences.len() != said.len()
            || !sequences.iter().zip(said).all(|(sequence, said)| fits(sequence, said))
        {
            return Err(DataError::BadLosses { suite: self.hash.clone() });
        }
        Ok(scoring::score(items, said, self.scoring, self.facts))
    }

    /// Items of each group, of the first `n_items`.
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
                let why = format!(
                    "its answer `{}` cannot be tokenised by itself: the token `{joined}` holds the end of the prompt \
                     too (hint: let the answer begin where a word does, with its space)",
                    shortened(answer)
                );
                return Err(suite.bad_item(placed, why));
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
        let answer_at =
            first_of_answer.ok_or_else(|| suite.bad_item(placed, "its answer has no token".to_string()))?;
        Ok(Sequence { tokens, answer: answer_at, answer_bytes: answer.len() as u64, classes })
    };
    let sequences: Result<Vec<Sequence>, DataError> = texts.iter().map(sequence).collect();
    Ok(TokenItem { sequences: sequences?, correct, group: item.group.clone(), chance: item.chance })
}

/// The class of the byte at `at` of tag, prompt and answer.
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
        // A tag is form, like any other fixed word.
        None => (!item.spans.is_empty()).then_some(TokenClass::Template),
        Some(at) => item.spans.iter().find(|span| span.bytes.contains(&at)).map(|span| span.class),
    }
}
