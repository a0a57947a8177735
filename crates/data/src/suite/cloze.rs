//! n-way items from a dictionary: which of n definitions is the headword's? The wrong ones have the same part of speech
//! and nearly the same length, so that neither gives the right one away.

use std::collections::BTreeMap;

use scalelaw_schema::skill::{SkillItem, Target};

use crate::corpus::Corpus;
use crate::corpus::reader::Reader;
use crate::error::DataError;
use crate::skills::draws::{Draws, Purpose, hash_of_bytes};
use crate::suite::item::PlacedItem;

/// Wrong choices are drawn from this many entries of similar length, per choice.
const NEIGHBOURS: usize = 16;

/// Ends the headwords of an entry: everything up to here is the prompt.
const HEAD_END: &str = "):";

struct Entry {
    head: String,
    definition: String,
}

/// At most `most` items about the training documents of a dictionary, each entry at most `bytes` long.
pub(crate) fn items(
    corpus: &Corpus,
    n_choices: u64,
    bytes: u64,
    most: u64,
) -> Result<Vec<PlacedItem>, DataError> {
    let split = corpus.split()?;
    let mut reader = Reader::untagged_train(&split)?;
    let mut by_part: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    while let Some(text) = reader.next_text()? {
        if let Some(entry) = entry_of(&text).filter(|_| text.len() as u64 <= bytes) {
            let part = entry.head.rsplit('(').next().unwrap_or_default().to_string();
            by_part.entry(part).or_default().push(entry);
        }
    }
    let mut items = Vec::new();
    for entries in by_part.values_mut() {
        entries.sort_by(|a, b| {
            (a.definition.len(), &a.definition, &a.head).cmp(&(b.definition.len(), &b.definition, &b.head))
        });
        for entry_idx in 0..entries.len() {
            items.extend(item(entries, entry_idx, n_choices as usize));
        }
    }
    items.sort_by_cached_key(|item| *blake3::hash(item.prompt.as_bytes()).as_bytes());
    items.truncate(most as usize);
    Ok(items.into_iter().map(PlacedItem::from).collect())
}

fn entry_of(text: &str) -> Option<Entry> {
    let text = text.trim_end();
    let at = text.find(HEAD_END)? + HEAD_END.len();
    let (head, definition) = text.split_at(at);
    (!definition.trim().is_empty())
        .then(|| Entry { head: head.to_string(), definition: definition.to_string() })
}

/// The item about one entry of a list sorted by length; `None` if too few others differ from it.
fn item(entries: &[Entry], entry_idx: usize, n_choices: usize) -> Option<SkillItem> {
    let entry = &entries[entry_idx];
    let reach = NEIGHBOURS * n_choices / 2;
    let near = entry_idx.saturating_sub(reach)..entries.len().min(entry_idx + reach + 1);
    let mut others: Vec<&str> = near
        .filter(|&idx| idx != entry_idx)
        .map(|idx| entries[idx].definition.as_str())
        .filter(|definition| *definition != entry.definition)
        .collect();
    others.dedup();
    let mut draws = Draws::new(hash_of_bytes(entry.head.as_bytes()), Purpose::Questions, 0);
    draws.shuffle(&mut others);
    others.truncate(n_choices - 1);
    if others.len() < n_choices - 1 {
        return None;
    }
    let correct = draws.below(n_choices as u64) as usize;
    let mut texts: Vec<String> = others.into_iter().map(ToString::to_string).collect();
    texts.insert(correct, entry.definition.clone());
    Some(SkillItem {
        prompt: entry.head.clone(),
        target: Target::Choices { texts, correct },
        group: None,
        chance: Some(1.0 / n_choices as f64),
        spans: Vec::new(),
    })
}
