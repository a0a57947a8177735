//! The items of a skill: gathered from where its manifest says, checked, and in an order of which any first part is
//! a fair sample. Knows nothing of tokens; see [`tokens`] for what a model is asked.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use scalelaw_schema::score::FactSpace;
use scalelaw_schema::skill::{Overlap, Scoring, SkillItem, SkillManifest, SuiteSource, SuiteSpec, Target};

use crate::corpus::Corpus;
use crate::reader::Reader;
use crate::skills::{Generated, Part};
use crate::{DataError, files};

mod cloze;
mod item_lines;
pub mod overlap;
mod pieces;
mod scoring;
pub mod tokens;

/// Items of a suite where its manifest names no number: standard errors of at most 1.6 % of accuracy.
const ITEMS: u64 = 1024;

/// Instances and pieces of text that are looked at for each item that is wanted.
const LOOK_AHEAD: u64 = 8;

/// Length of a piece of text where the manifest names none: it fits into a context of 128 bytes with its tag.
const PIECE_BYTES: u64 = 120;

/// The items of a skill.
#[derive(Debug, Clone, PartialEq)]
pub struct Suite {
    /// The skill's name, for messages.
    pub skill: String,
    /// How answers are judged.
    pub scoring: Scoring,
    /// Whether training text may hold an item.
    pub overlap: Overlap,
    /// What there is to be known, where the items are facts.
    pub facts: Option<FactSpace>,
    /// Training documents that state these facts, where each of them is stated in its turn.
    pub stating: Option<Stating>,
    /// The items.
    pub items: Vec<PlacedItem>,
}

/// How facts are stated in training text.
#[derive(Debug, Clone, PartialEq)]
pub struct Stating {
    /// Documents that state every fact once.
    pub n_documents: f64,
    /// Some of them, for their mean length.
    pub sample: Vec<String>,
}

impl Stating {
    /// Documents that a mean length is taken of: known to a per cent.
    const SAMPLE: u64 = 200;

    /// None where documents come again before every fact was stated.
    fn of(generated: &Generated) -> Option<Stating> {
        let n_facts = generated.task.facts()?.n_facts;
        if generated.pool.is_some() {
            return None;
        }
        let document = |idx| generated.task.document(Part::Train, idx).text;
        Some(Stating {
            n_documents: n_facts as f64 / generated.task.facts_per_document() as f64,
            sample: (0..Self::SAMPLE).map(document).collect(),
        })
    }
}

/// An item and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct PlacedItem {
    /// The item.
    pub item: SkillItem,
    /// File and line, where a person wrote it.
    pub place: Option<(PathBuf, u64)>,
}

impl From<SkillItem> for PlacedItem {
    fn from(item: SkillItem) -> PlacedItem {
        PlacedItem { item, place: None }
    }
}

impl Suite {
    /// Gathers the items of a skill. `corpus` is what the skill trains on, its own or the one of its name; relative
    /// paths start at `base`, the folder of the file that holds the manifest.
    ///
    /// # Errors
    /// `NoSuite` where the source needs a corpus of another kind, or the numbers cannot be; `EmptySuite`;
    /// `BadItem` with file and line; whatever reading the text can fail with.
    pub fn open(
        skill: &str,
        manifest: &SkillManifest,
        corpus: Option<&Corpus>,
        base: &Path,
    ) -> Result<Suite, DataError> {
        let spec = &manifest.suite;
        let most = spec.items.unwrap_or(ITEMS);
        let items = gather(skill, spec, corpus, base, most)?;
        let generated = match spec.source {
            SuiteSource::Generated => corpus.and_then(Corpus::generated),
            _ => None,
        };
        let suite = Suite {
            skill: skill.to_string(),
            scoring: spec.scoring,
            overlap: spec.overlap.unwrap_or(Overlap::Removed),
            facts: generated.and_then(|generated| generated.task.facts()),
            stating: generated.and_then(Stating::of),
            items,
        };
        suite.check()?;
        Ok(suite)
    }

    fn check(&self) -> Result<(), DataError> {
        let bad = |placed: &PlacedItem, why: &str| Err(self.bad_item(placed, why.to_string()));
        for placed in &self.items {
            match (&placed.item.target, self.scoring) {
                (Target::Answer(answer), _) if answer.is_empty() => {
                    return bad(placed, "its answer is empty");
                }
                (Target::Answer(_), Scoring::Choice(_)) => {
                    return bad(placed, "it has no choices, but the suite is scored by `choice`");
                }
                (Target::Choices { texts, .. }, _) if texts.len() < 2 => {
                    return bad(placed, "it has fewer than two choices");
                }
                (Target::Choices { texts, .. }, _) if texts.iter().any(String::is_empty) => {
                    return bad(placed, "one of its choices is empty");
                }
                (Target::Choices { texts, correct }, _) if *correct >= texts.len() => {
                    return bad(placed, "`correct` is beyond its choices");
                }
                (Target::Choices { texts, correct }, _)
                    if texts
                        .iter()
                        .enumerate()
                        .any(|(idx, text)| idx != *correct && text == &texts[*correct]) =>
                {
                    return bad(placed, "its right choice stands twice");
                }
                (Target::Choices { .. }, Scoring::Exact) => {
                    return bad(placed, "it has choices, but the suite is scored by `exact`");
                }
                _ => {}
            }
        }
        match self.items.is_empty() {
            true => Err(DataError::EmptySuite { skill: self.skill.clone() }),
            false => Ok(()),
        }
    }

    /// An error about one item, with its place.
    fn bad_item(&self, placed: &PlacedItem, why: String) -> DataError {
        let place = match &placed.place {
            Some((path, line)) => format!("{}:{line}", path.display()),
            None => format!("skill `{}`, item `{}`", self.skill, shortened(&placed.item.prompt)),
        };
        DataError::BadItem { place, why }
    }
}

/// The beginning of a text, on one line.
pub(crate) fn shortened(text: &str) -> String {
    const LETTERS: usize = 60;
    let line = text.replace('\n', "\\n");
    match line.char_indices().nth(LETTERS) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

fn gather(
    skill: &str,
    spec: &SuiteSpec,
    corpus: Option<&Corpus>,
    base: &Path,
    most: u64,
) -> Result<Vec<PlacedItem>, DataError> {
    let no_suite = |why: String| DataError::NoSuite { skill: skill.to_string(), why };
    let corpus_of =
        || corpus.ok_or_else(|| no_suite("it has no corpus (hint: give it a `[corpus]`)".to_string()));
    if most == 0 {
        return Err(no_suite("`items = 0` asks nothing".to_string()));
    }
    match &spec.source {
        SuiteSource::Generated => {
            let generated = corpus_of()?
                .generated()
                .ok_or_else(|| no_suite("no generator makes its corpus (hint: `held-out`)".to_string()))?;
            // Where few instances are held out the same one is drawn again: an item that stood twice would count
            // twice.
            let tries = generated.task.n_questions().unwrap_or(most.saturating_mul(LOOK_AHEAD));
            let mut seen = HashSet::new();
            let items = (0..tries).map(|idx| generated.task.question(idx).into_item());
            let fresh = items.filter(|item| seen.insert(format!("{}{}", item.prompt, item.answer())));
            Ok(fresh.take(most as usize).map(PlacedItem::from).collect())
        }
        SuiteSource::HeldOut { bytes, answer_after } => {
            let split = corpus_of()?.split()?;
            let mut reader = Reader::untagged_held_out(&split);
            let mut pieces =
                pieces::Pieces::new(skill, bytes.unwrap_or(PIECE_BYTES), answer_after.as_deref(), most)?;
            while !pieces.is_full()
                && let Some(text) = reader.next_text()?
            {
                pieces.add(&text);
            }
            Ok(pieces.into_items())
        }
        SuiteSource::Text { files: entries, bytes } => {
            let mut pieces = pieces::Pieces::new(skill, bytes.unwrap_or(PIECE_BYTES), None, most)?;
            for path in files::list(skill, entries, base)? {
                for place in files::places_of(path)? {
                    if let Some(text) = place.read()? {
                        pieces.add(&text.text);
                    }
                }
            }
            Ok(pieces.into_items())
        }
        SuiteSource::Cloze { choices, bytes } => {
            cloze::items(skill, corpus_of()?, *choices, bytes.unwrap_or(PIECE_BYTES), most)
        }
        SuiteSource::Jsonl(entries) => {
            let mut items = Vec::new();
            for path in files::list(skill, entries, base)? {
                items.extend(item_lines::items_of(&path)?);
            }
            items.truncate(most as usize);
            Ok(items)
        }
    }
}

#[cfg(test)]
mod tests;
