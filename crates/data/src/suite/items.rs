//! The items of a skill: gathered from where its manifest says, checked, and in such an order that the first items are
//! a fair sample. Knows nothing of tokens.

use std::collections::HashSet;
use std::path::Path;

use scalelaw_schema::score::FactSpace;
use scalelaw_schema::skill::{Overlap, Scoring, SkillManifest, SuiteSource, SuiteSpec};

use crate::corpus::Corpus;
use crate::corpus::reader::Reader;
use crate::error::DataError;
use crate::error::suite::SuiteError;
use crate::skills::Generated;
use crate::skills::task::Part;
use crate::sources::files;
use crate::suite::item::PlacedItem;
use crate::suite::pieces::{LOOK_AHEAD, Pieces};
use crate::suite::{cloze, item_lines};

/// Default number of items: standard errors of at most 1.6 % of accuracy.
const ITEMS: u64 = 1024;

/// Default length of a piece of text: with its tag it fits into a context of 128 bytes.
const PIECE_BYTES: u64 = 120;

/// The items of a skill.
#[derive(Debug, Clone, PartialEq)]
pub struct Suite {
    /// The skill's name, for messages.
    pub skill: String,
    /// How answers are scored.
    pub scoring: Scoring,
    /// Whether items may occur in the training text.
    pub overlap: Overlap,
    /// The facts to know, if the items ask for facts.
    pub facts: Option<FactSpace>,
    /// How training documents state these facts, if they state each of them in turn.
    pub statements: Option<Statements>,
    /// The items.
    pub items: Vec<PlacedItem>,
}

/// How facts are stated in training text.
#[derive(Debug, Clone, PartialEq)]
pub struct Statements {
    /// Number of documents that state every fact once.
    pub n_documents: f64,
    /// Some of them, for their mean length.
    pub sample: Vec<String>,
}

impl Statements {
    /// Documents that a mean length is taken over; it is then known to one per cent.
    const SAMPLE: u64 = 200;

    /// `None` if documents repeat before every fact was stated.
    fn of(generated: &Generated) -> Option<Statements> {
        let n_facts = generated.task.facts()?.n_facts;
        if generated.pool.is_some() {
            return None;
        }
        let document = |idx| generated.task.document(Part::Train, idx).text;
        Some(Statements {
            n_documents: n_facts as f64 / generated.task.facts_per_document() as f64,
            sample: (0..Self::SAMPLE).map(document).collect(),
        })
    }
}

impl Suite {
    /// Gathers the items of a skill. `corpus` is the skill's training corpus: its own or the one of its name. Relative
    /// paths start at `base`, the folder of the file that holds the manifest.
    ///
    /// # Errors
    /// `NoSuite` if the source needs a corpus of another kind, or a number is out of range; `EmptySuite`; `BadItem`
    /// with file and line; any error of reading the text.
    pub fn open(
        skill: &str,
        manifest: &SkillManifest,
        corpus: Option<&Corpus>,
        base: &Path,
    ) -> Result<Suite, DataError> {
        let spec = &manifest.suite;
        let items = gather(skill, spec, corpus, base)?;
        if items.is_empty() {
            return Err(DataError::EmptySuite { skill: skill.to_string() });
        }
        for placed in &items {
            placed.check(spec.scoring).map_err(|why| placed.error(skill, why))?;
        }
        let generated = match spec.source {
            SuiteSource::Generated => corpus.and_then(Corpus::generated),
            _ => None,
        };
        Ok(Suite {
            skill: skill.to_string(),
            scoring: spec.scoring,
            overlap: spec.overlap.unwrap_or(Overlap::Removed),
            facts: generated.and_then(|generated| generated.task.facts()),
            statements: generated.and_then(Statements::of),
            items,
        })
    }
}

fn gather(
    skill: &str,
    spec: &SuiteSpec,
    corpus: Option<&Corpus>,
    base: &Path,
) -> Result<Vec<PlacedItem>, DataError> {
    let no_suite = |why| DataError::NoSuite { skill: skill.to_string(), why };
    let corpus = || corpus.ok_or_else(|| no_suite(SuiteError::NoCorpus));
    let pieces = |bytes: Option<u64>, answer_after, most| {
        Pieces::new(bytes.unwrap_or(PIECE_BYTES), answer_after, most).map_err(no_suite)
    };
    let most = spec.items.unwrap_or(ITEMS);
    if most == 0 {
        return Err(no_suite(SuiteError::NoItems));
    }
    match &spec.source {
        SuiteSource::Generated => {
            let generated = corpus()?.generated().ok_or_else(|| no_suite(SuiteError::NotGenerated))?;
            // If few instances are held out they are drawn repeatedly, and a repeated item would count twice.
            let tries = generated.task.n_questions().unwrap_or(most.saturating_mul(LOOK_AHEAD));
            let mut seen = HashSet::new();
            let items = (0..tries).map(|idx| generated.task.question(idx).into_item());
            let fresh = items.filter(|item| seen.insert(format!("{}{}", item.prompt, item.answer())));
            Ok(fresh.take(most as usize).map(PlacedItem::from).collect())
        }
        SuiteSource::HeldOut { bytes, answer_after } => {
            let split = corpus()?.split()?;
            let mut reader = Reader::untagged_held_out(&split);
            let mut pieces = pieces(*bytes, answer_after.as_deref(), most)?;
            while !pieces.is_full()
                && let Some(text) = reader.next_text()?
            {
                pieces.add(&text);
            }
            Ok(pieces.into_items())
        }
        SuiteSource::Text { files: patterns, bytes } => {
            let mut pieces = pieces(*bytes, None, most)?;
            for path in files::list(skill, patterns, base)? {
                for source in files::documents_of(path)? {
                    if let Some(text) = source.read()? {
                        pieces.add(&text.text);
                    }
                }
            }
            Ok(pieces.into_items())
        }
        SuiteSource::Cloze { choices, bytes } => {
            let (choices, bytes) = (*choices, bytes.unwrap_or(PIECE_BYTES));
            if choices < 2 {
                return Err(no_suite(SuiteError::TooFewChoices { choices }));
            }
            let items = cloze::items(corpus()?, choices, bytes, most)?;
            match items.is_empty() {
                true => Err(no_suite(SuiteError::NoEntries { choices, bytes })),
                false => Ok(items),
            }
        }
        SuiteSource::Jsonl(patterns) => {
            let mut items = Vec::new();
            for path in files::list(skill, patterns, base)? {
                items.extend(item_lines::items_of(&path)?);
            }
            items.truncate(most as usize);
            Ok(items)
        }
    }
}
