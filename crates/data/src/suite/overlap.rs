//! Whether evaluation items occur in the training text: a search for shared passages.
//!
//! Only letters and digits are compared, in lower case; anything between them counts as one space. An item occurs in a
//! document if both have the same passage of [`WINDOW_BYTES`] bytes, as Brown et al. 2020 (arXiv:2005.14165, appendix C)
//! compare 13-grams of words; a shorter item, if the document contains all of it.
//!
//! Such items are dropped from the suite, not from the training text: the data of a run does not depend on its
//! evaluations, and a skill can be measured on finished runs. Whole corpora are searched, however little of them a run
//! reads, so that all runs of a sweep are asked the same items.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use rayon::prelude::*;
use scalelaw_schema::overlap::OverlapReport;
use scalelaw_schema::skill::Overlap;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::corpus::Corpus;
use crate::corpus::reader::Reader;
use crate::disk;
use crate::error::DataError;
use crate::hash;
use crate::suite::item::{PlacedItem, shortened};
use crate::suite::items::Suite;

/// Version of the search: part of the names of kept results.
const FORMAT: u32 = 1;

/// Length of a passage that no two texts share by chance, bytes.
pub const WINDOW_BYTES: usize = 50;

/// Shorter items, in bytes, cannot be told from common phrases.
const MIN_BYTES: usize = 20;

/// Training text of an endless corpus that is searched, bytes.
const ENDLESS_BYTES: u64 = 16 << 20;

/// Text that all cores search at once, bytes.
const GROUP_BYTES: usize = 8 << 20;

/// Shared passages that are reported.
const N_EXAMPLES: usize = 5;

/// Drops the items that occur in the training text of `corpora`. If a suite asks for what was trained on, nothing is
/// searched, and the result is `None`. Results are kept in `<cache>/overlaps`, so that the same items and corpora are
/// searched only once.
///
/// # Errors
/// `AllOverlap` if no item is left; `Io`; any error of reading the corpora.
pub fn drop_overlapping(
    suite: &mut Suite,
    corpora: &[&Corpus],
    cache: &Path,
) -> Result<Option<OverlapReport>, DataError> {
    if suite.overlap == Overlap::Meant {
        return Ok(None);
    }
    let texts = texts_of(suite);
    let items: Vec<_> = texts.iter().map(|text| String::from_utf8_lossy(text)).collect();
    let identities: Vec<_> = corpora.iter().map(|corpus| (corpus.name(), corpus.identity())).collect();
    let search_key = json!({
        "format": FORMAT,
        "bytes": [WINDOW_BYTES, MIN_BYTES, ENDLESS_BYTES as usize],
        "items": items,
        "corpora": identities,
    });
    let path = cache.join("overlaps").join(format!("{}.json", hash::of_json(&search_key)));
    // A file that cannot be read is made again.
    let kept =
        disk::read(&path).ok().flatten().and_then(|bytes| serde_json::from_slice::<Found>(&bytes).ok());
    let found = match kept {
        Some(found) => found,
        None => {
            let found = search(&texts, corpora)?;
            disk::write(&path, &serde_json::to_vec(&found).expect("positions are plain data"))?;
            found
        }
    };
    remove_items(suite, &found.items)?;
    Ok(Some(found.report))
}

/// A kept search: its result, and the positions of the items found.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    report: OverlapReport,
    items: BTreeSet<usize>,
}

fn texts_of(suite: &Suite) -> Vec<Vec<u8>> {
    let text = |placed: &PlacedItem| normalised(&format!("{}{}", placed.item.prompt, placed.item.answer()));
    suite.items.iter().map(text).collect()
}

fn remove_items(suite: &mut Suite, found: &BTreeSet<usize>) -> Result<(), DataError> {
    if found.len() == suite.items.len() {
        return Err(DataError::AllOverlap { skill: suite.skill.clone() });
    }
    let mut item_idx = 0;
    suite.items.retain(|_| {
        item_idx += 1;
        !found.contains(&(item_idx - 1))
    });
    Ok(())
}

fn search(texts: &[Vec<u8>], corpora: &[&Corpus]) -> Result<Found, DataError> {
    let index = Index::new(texts);
    let mut report = OverlapReport {
        n_items: texts.len() as u64,
        n_too_short: texts.iter().filter(|text| text.len() < MIN_BYTES).count() as u64,
        ..OverlapReport::default()
    };
    let mut found: BTreeSet<usize> = BTreeSet::new();
    for corpus in corpora {
        let split = corpus.split()?;
        let mut reader = Reader::untagged_train(&split)?;
        let is_endless = corpus.generated().is_some_and(|generated| generated.pool.is_none());
        let mut bytes_of_corpus = 0;
        loop {
            let (mut group, mut bytes) = (Vec::new(), 0);
            while bytes < GROUP_BYTES
                && !(is_endless && bytes_of_corpus >= ENDLESS_BYTES)
                && let Some(text) = reader.next_text()?
            {
                bytes += text.len();
                bytes_of_corpus += text.len() as u64;
                group.push(text);
            }
            if group.is_empty() {
                break;
            }
            let hits: Vec<(usize, String)> =
                group.par_iter().flat_map_iter(|text| index.search(&normalised(text))).collect();
            for (item_idx, passage) in hits {
                if found.insert(item_idx) && report.examples.len() < N_EXAMPLES {
                    report.examples.push((corpus.name().to_string(), shortened(&passage)));
                }
            }
        }
        report.bytes += bytes_of_corpus;
        if is_endless {
            report.in_part.push(corpus.name().to_string());
        }
    }
    report.n_found = found.len() as u64;
    Ok(Found { report, items: found })
}

/// Letters and digits in lower case, with one space for anything between them.
fn normalised(text: &str) -> Vec<u8> {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_alphanumeric() {
            out.extend(letter.to_lowercase());
        } else if !out.is_empty() && !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out.truncate(out.trim_end().len());
    out.into_bytes()
}

/// The passages to look for.
struct Index<'a> {
    texts: &'a [Vec<u8>],
    /// Passages of long items, by hash: item and position.
    windows: HashMap<u64, Vec<(usize, usize)>>,
    /// Short items, by the hash of their beginning.
    shorts: HashMap<u64, Vec<usize>>,
}

impl<'a> Index<'a> {
    fn new(texts: &'a [Vec<u8>]) -> Index<'a> {
        let (mut windows, mut shorts) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for (item_idx, text) in texts.iter().enumerate() {
            if text.len() >= WINDOW_BYTES {
                for (at, hash) in rolling(text, WINDOW_BYTES) {
                    windows.entry(hash).or_default().push((item_idx, at));
                }
            } else if text.len() >= MIN_BYTES {
                let (_, hash) = rolling(text, MIN_BYTES).next().unwrap_or_default();
                shorts.entry(hash).or_default().push(item_idx);
            }
        }
        Index { texts, windows, shorts }
    }

    /// Items that share a passage with a document, and the passage; an item may be found more than once.
    fn search(&self, document: &[u8]) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let passage = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !self.windows.is_empty() {
            for (at, hash) in rolling(document, WINDOW_BYTES) {
                for &(item_idx, item_at) in self.windows.get(&hash).into_iter().flatten() {
                    let here = &document[at..at + WINDOW_BYTES];
                    if here == &self.texts[item_idx][item_at..item_at + WINDOW_BYTES] {
                        found.push((item_idx, passage(here)));
                    }
                }
            }
        }
        if !self.shorts.is_empty() {
            for (at, hash) in rolling(document, MIN_BYTES) {
                for &item_idx in self.shorts.get(&hash).into_iter().flatten() {
                    if document[at..].starts_with(&self.texts[item_idx]) {
                        found.push((item_idx, passage(&self.texts[item_idx])));
                    }
                }
            }
        }
        found
    }
}

/// The hash of every passage of `n` bytes with its position (Karp and Rabin 1987).
fn rolling(text: &[u8], n: usize) -> impl Iterator<Item = (usize, u64)> {
    const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
    // The weight of the byte that leaves the window.
    let leaving = (0..n).fold(1_u64, |power, _| power.wrapping_mul(BASE));
    let mut hash = 0_u64;
    text.iter().enumerate().filter_map(move |(at, &byte)| {
        hash = hash.wrapping_mul(BASE).wrapping_add(u64::from(byte) + 1);
        if at >= n {
            hash = hash.wrapping_sub((u64::from(text[at - n]) + 1).wrapping_mul(leaving));
        }
        (at + 1 >= n).then(|| (at + 1 - n, hash))
    })
}
