//! Whether training text holds evaluation items: a search for shared stretches of text.
//!
//! Text is compared by its letters and digits alone, in lower case, every other run being one space. An item shares
//! text with a document where both have the same stretch of [`WINDOW_BYTES`] bytes, as 13-grams of words are
//! compared by Brown et al. 2020 (arXiv:2005.14165, appendix C); an item that is shorter, where the document holds
//! all of it.
//!
//! What is found is left out of the suite, not out of the training text: so no run's data hangs on what it is judged
//! by, and a skill can be measured on runs that are finished. Whole corpora are searched, however far a run reads
//! them: all runs of a sweep are asked the same items.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use rayon::prelude::*;
use scalelaw_schema::skill::Overlap;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::DataError;
use crate::corpus::{Corpus, hash_of};
use crate::disk;
use crate::reader::Reader;
use crate::suite::{PlacedItem, Suite, shortened};

/// Version of the search: part of the names of what it found.
const FORMAT: u32 = 1;

/// Length of a stretch that no two texts share by chance, bytes.
pub const WINDOW_BYTES: usize = 50;

/// Shorter items cannot be told from common phrases, bytes.
const MIN_BYTES: usize = 20;

/// Training text that is searched of a corpus without end, bytes.
const ENDLESS_BYTES: u64 = 16 << 20;

/// Text that is searched by all cores at once, bytes.
const GROUP_BYTES: usize = 8 << 20;

/// Shared stretches that are shown.
const N_EXAMPLES: usize = 5;

/// What the search found.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverlapReport {
    /// Items that share text with a training document.
    pub n_found: u64,
    /// Items that are too short to tell.
    pub n_too_short: u64,
    /// Items that were searched for.
    pub n_items: u64,
    /// Training text that was searched, bytes.
    pub bytes: u64,
    /// Corpora whose training text was only searched in part, since it has no end.
    pub in_part: Vec<String>,
    /// Some shared stretches: corpus, stretch.
    pub examples: Vec<(String, String)>,
}

/// Leaves those items out that share text with a training document of `corpora`. Where a suite means to ask for
/// what was trained on, nothing is searched and none is left out. What was found is kept in `<cache>/overlaps`, so that
/// the same items and corpora are searched once.
///
/// # Errors
/// `AllOverlap` where none is left; `Io`; whatever reading the corpora can fail with.
pub fn remove(
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
    let search_is = json!({
        "format": FORMAT,
        "bytes": [WINDOW_BYTES, MIN_BYTES, ENDLESS_BYTES as usize],
        "items": items,
        "corpora": identities,
    });
    let path = cache.join("overlaps").join(format!("{}.json", hash_of(&search_is)));
    // A file that cannot be read is made anew.
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
    take_out(suite, &found.items)?;
    Ok(Some(found.report))
}

/// What a search found: what is said of it, and the items by position.
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

fn take_out(suite: &mut Suite, found: &BTreeSet<usize>) -> Result<(), DataError> {
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
            for (item_idx, stretch) in hits {
                if found.insert(item_idx) && report.examples.len() < N_EXAMPLES {
                    report.examples.push((corpus.name().to_string(), shortened(&stretch)));
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

/// Letters and digits in lower case, every other run as one space, none at the ends.
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

/// The stretches to look for, by their hashes.
struct Index<'a> {
    texts: &'a [Vec<u8>],
    /// Stretches of long items: item and position.
    windows: HashMap<u64, Vec<(usize, usize)>>,
    /// Beginnings of short items.
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

    /// Items that a document shares a stretch with, and the stretch; some more than once.
    fn search(&self, document: &[u8]) -> Vec<(usize, String)> {
        let mut found = Vec::new();
        let stretch = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !self.windows.is_empty() {
            for (at, hash) in rolling(document, WINDOW_BYTES) {
                for &(item_idx, item_at) in self.windows.get(&hash).into_iter().flatten() {
                    let here = &document[at..at + WINDOW_BYTES];
                    if here == &self.texts[item_idx][item_at..item_at + WINDOW_BYTES] {
                        found.push((item_idx, stretch(here)));
                    }
                }
            }
        }
        if !self.shorts.is_empty() {
            for (at, hash) in rolling(document, MIN_BYTES) {
                for &item_idx in self.shorts.get(&hash).into_iter().flatten() {
                    if document[at..].starts_with(&self.texts[item_idx]) {
                        found.push((item_idx, stretch(&self.texts[item_idx])));
                    }
                }
            }
        }
        found
    }
}

/// The hash of every stretch of `n` bytes with its position (Karp and Rabin 1987).
fn rolling(text: &[u8], n: usize) -> impl Iterator<Item = (usize, u64)> {
    const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
    // What a byte weighs when it leaves.
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
