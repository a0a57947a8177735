//! Which part of a corpus is held out: the first units in the order of a hash. A unit shares no text with other units:
//! a document, or a crate with all its files.

use serde::{Deserialize, Serialize};

use crate::hash::Digest;
use crate::skills::Generated;
use crate::skills::task::Part;
use crate::sources::document::Document;

/// Default share of the units that is held out.
pub(crate) const DEFAULT_SHARE: f64 = 0.05;

/// The held-out part grows beyond its share until it has this much text, bytes: 2^16 tokens at 8 bytes each, more than
/// any vocabulary here reaches. In bytes and not tokens, so that all tokenizers have the same split.
const MIN_BYTES: u64 = 1 << 19;

/// But it does not grow beyond this share of the text, so that enough of a small corpus is left for training.
const MAX_GROWTH: f64 = 0.25;

/// The two parts of a corpus, each in its fixed order.
pub(crate) struct Split {
    pub train: Documents,
    pub held_out: Documents,
    pub dropped: DroppedDocuments,
    /// What precedes every document.
    pub tag: Option<String>,
}

/// The documents of one part.
pub(crate) enum Documents {
    /// A finite list.
    Listed(Vec<Document>),
    /// Generated one after the other.
    Generated(Generated, Part),
}

impl Documents {
    /// Their size, bytes; `u64::MAX` if they are endless.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Documents::Listed(documents) => documents.iter().map(|document| document.bytes).sum(),
            Documents::Generated(generated, _) => match generated.pool {
                Some(pool) => (pool as f64 * generated.mean_bytes()) as u64,
                None => u64::MAX,
            },
        }
    }
}

/// Numbers of documents that are not used, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DroppedDocuments {
    /// Longer than `max-document-bytes`.
    pub too_long: u64,
    /// Binary, not UTF-8, or only white space.
    pub not_text: u64,
    /// Equal to another document.
    pub duplicates: u64,
}

/// Documents that are held out together or not at all.
pub(crate) struct HeldOutUnit {
    /// The units of the smallest ranks are held out.
    pub rank: Digest,
    pub documents: Vec<Document>,
}

impl HeldOutUnit {
    fn bytes(&self) -> u64 {
        self.documents.iter().map(|document| document.bytes).sum()
    }
}

/// Rank of a unit, from whatever identifies it.
pub(crate) fn rank_of(unit: &[u8]) -> Digest {
    blake3::derive_key("scalelaw data v1: what is held out", unit)
}

/// Splits units into the training and the held-out part.
pub(crate) fn hold_out(mut units: Vec<HeldOutUnit>, share: f64) -> (Documents, Documents) {
    units.sort_by_key(|unit| unit.rank);
    let bytes: Vec<u64> = units.iter().map(HeldOutUnit::bytes).collect();
    let train = units.split_off(n_held_out(&bytes, share));
    let in_order = |units: Vec<HeldOutUnit>| {
        let mut documents: Vec<Document> = units.into_iter().flat_map(|unit| unit.documents).collect();
        documents.sort_by_key(|document| document.order);
        Documents::Listed(documents)
    };
    (in_order(train), in_order(units))
}

/// How many units are held out, given their bytes in the order of their ranks: at least `share` of them, then more
/// until [`MIN_BYTES`] or [`MAX_GROWTH`] is reached; at least one, never all.
///
/// A larger share only adds units, and nothing here depends on how much is read for training.
fn n_held_out(unit_bytes: &[u64], share: f64) -> usize {
    let total: u64 = unit_bytes.iter().sum();
    let wanted = MIN_BYTES.min((total as f64 * MAX_GROWTH) as u64);
    let by_share = (unit_bytes.len() as f64 * share).ceil() as usize;
    let mut bytes = 0;
    let by_bytes = unit_bytes
        .iter()
        .take_while(|&&unit| {
            let is_short = bytes < wanted;
            bytes += unit;
            is_short
        })
        .count();
    by_share.max(by_bytes).max(1).min(unit_bytes.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_reached_then_the_bytes_and_one_unit_always_stays() {
        let check = |units: &[u64], share: f64, expected: usize| {
            assert_eq!(n_held_out(units, share), expected, "{units:?} {share}");
        };
        check(&[1 << 20; 100], 0.05, 5);
        check(&[1 << 20; 101], 0.05, 6);
        // 5 of 100 units are 500 kB, but 2^19 bytes are wanted.
        check(&[100_000; 100], 0.05, 6);
        // A quarter of the text is as far as it grows.
        check(&[1_000; 100], 0.05, 25);
        check(&[1_000; 100], 0.4, 40);
        check(&[10, 10], 0.05, 1);
        check(&[10, 10], 0.99, 1);
        check(&[10], 0.5, 0);
        check(&[], 0.5, 0);
    }
}
