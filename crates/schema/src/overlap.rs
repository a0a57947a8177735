//! How many items of a suite occur in training text: the result of a search, kept in the cache and shown to the user.

use serde::{Deserialize, Serialize};

/// The result of a search for items in training text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OverlapReport {
    /// Items that occur in the training text.
    pub n_found: u64,
    /// Items that are too short to check.
    pub n_too_short: u64,
    /// Items that were searched for.
    pub n_items: u64,
    /// Training text searched, bytes.
    pub bytes: u64,
    /// Endless corpora, of which only the beginning was searched.
    pub in_part: Vec<String>,
    /// Some shared passages: corpus, passage.
    pub examples: Vec<(String, String)>,
}
