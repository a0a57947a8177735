//! The tokens of one corpus under one tokenizer, in the cache: `<cache>/tokens/<hash>/` holds `set.json` and the shards
//! that it names. Knows nothing of text.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::corpus::DroppedDocuments;
use crate::corpus::reader::ReadProgress;
use crate::disk;
use crate::error::DataError;
use crate::error::tokens::Damage;
use crate::tokens::bpe::Merge;
use crate::tokens::shard::{Shard, ShardRecord};

/// Training tokens per shard; windows are shuffled within a shard. Each full shard also holds the token after its last
/// one, which is that one's target.
pub(crate) const BLOCK_TOKENS: u64 = 1 << 20;

const RECORD_FILE: &str = "set.json";

/// The content of `set.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetRecord {
    /// Content hash, the name of the folder.
    pub hash: String,
    /// Bytes of text in each token, `[vocab_size]`.
    pub token_lengths: Vec<u32>,
    /// Merges of the tokenizer, so that other text can be tokenised alike later; empty for bytes.
    pub merges: Vec<Merge>,
    /// The training part.
    pub train: TrainRecord,
    /// The held-out part.
    pub held_out: HeldOutRecord,
    /// Documents dropped when they were listed.
    #[serde(rename = "left_out")]
    pub dropped: DroppedDocuments,
}

/// How far the training part is tokenised.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainRecord {
    /// Size of all its documents, bytes.
    pub listed_bytes: u64,
    /// Tokens to train on.
    pub tokens: u64,
    /// Whether this is all of it.
    pub is_exhausted: bool,
    /// What was read before the document that the next token belongs to.
    #[serde(rename = "met")]
    pub progress: ReadProgress,
    /// Tokens of that document that are in the set.
    pub tokens_of_document: u64,
    /// Blocks in their order.
    pub shards: Vec<ShardRecord>,
}

/// How far the held-out part is tokenised.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeldOutRecord {
    /// Bytes of text in its tokens.
    pub bytes: u64,
    /// Whether this is all of it.
    pub is_exhausted: bool,
    /// One, or none before it is first needed.
    pub shards: Vec<ShardRecord>,
}

impl HeldOutRecord {
    /// Tokens that can be predicted: all but the first.
    pub(crate) fn targets(&self) -> u64 {
        self.shards.first().map_or(0, |shard| shard.tokens.saturating_sub(1))
    }
}

impl SetRecord {
    /// Reads the record of a folder; `None` if there is none.
    ///
    /// # Errors
    /// `Io`; `Damaged` if it cannot be parsed.
    pub(crate) fn read(folder: &Path) -> Result<Option<SetRecord>, DataError> {
        let path = folder.join(RECORD_FILE);
        let Some(text) = disk::read(&path)? else { return Ok(None) };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(|error| DataError::Damaged { path, why: Damage::Json(error) })
    }

    /// # Errors
    /// `Io`.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), DataError> {
        let json = serde_json::to_vec(self).expect("a record is plain data");
        Ok(disk::write(&folder.join(RECORD_FILE), &json)?)
    }

    /// The shards, of both parts.
    pub(crate) fn shards(&self) -> impl Iterator<Item = &ShardRecord> {
        self.train.shards.iter().chain(&self.held_out.shards)
    }

    /// Training tokens of the whole corpus: exact if all are tokenised, else estimated from the bytes per token of the
    /// held-out part.
    pub(crate) fn corpus_tokens(&self) -> f64 {
        let held_out = &self.held_out;
        if self.train.is_exhausted || held_out.bytes == 0 {
            return self.train.tokens as f64;
        }
        let tokens_per_byte = (held_out.targets() + 1) as f64 / held_out.bytes as f64;
        (self.train.listed_bytes as f64 * tokens_per_byte).max(self.train.tokens as f64)
    }
}

/// Training tokens of a whole corpus; `None` unless all of them are tokenised.
///
/// # Errors
/// `Io`, `Damaged`.
pub fn known_train_tokens(cache: &Path, hash: &str) -> Result<Option<u64>, DataError> {
    let record = SetRecord::read(&folder_of(cache, hash))?;
    Ok(record.filter(|record| record.train.is_exhausted).map(|record| record.train.tokens))
}

/// The folder of a token set.
pub(crate) fn folder_of(cache: &Path, hash: &str) -> PathBuf {
    cache.join("tokens").join(hash)
}

/// A token set, open for reading. Cheap to clone.
#[derive(Debug, Clone)]
pub struct TokenSet {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    record: SetRecord,
    train: Vec<Shard>,
    held_out: Vec<Shard>,
}

impl TokenSet {
    /// Maps the set's shards and checks their checksums.
    ///
    /// # Errors
    /// `NoTokenSet`, `Damaged`, `Io`.
    pub fn open(cache: &Path, hash: &str) -> Result<TokenSet, DataError> {
        let folder = folder_of(cache, hash);
        let record = SetRecord::read(&folder)?
            .ok_or_else(|| DataError::NoTokenSet { hash: hash.to_string(), folder: folder.clone() })?;
        let open = |shards: &[ShardRecord]| -> Result<Vec<Shard>, DataError> {
            shards.par_iter().map(|shard| Shard::open(&folder, shard)).collect()
        };
        let (train, held_out) = (open(&record.train.shards)?, open(&record.held_out.shards)?);
        Ok(TokenSet { inner: Arc::new(Inner { record, train, held_out }) })
    }

    /// Content hash.
    pub fn hash(&self) -> &str {
        &self.inner.record.hash
    }

    /// Number of token ids.
    pub fn vocab_size(&self) -> u32 {
        self.inner.record.token_lengths.len() as u32
    }

    /// Training tokens in the cache.
    pub fn train_tokens(&self) -> u64 {
        self.inner.record.train.tokens
    }

    /// Whether [`TokenSet::train_tokens`] is the whole corpus.
    pub fn is_exhausted(&self) -> bool {
        self.inner.record.train.is_exhausted
    }

    /// Training tokens of the whole corpus; an estimate unless all are tokenised.
    pub fn corpus_tokens(&self) -> f64 {
        self.inner.record.corpus_tokens()
    }

    /// Held-out tokens that can be predicted.
    pub fn held_out_tokens(&self) -> u64 {
        self.inner.record.held_out.targets()
    }

    /// The first `n_tokens + 1` held-out tokens: inputs are all but the last, targets all but the first.
    /// Always the same tokens, however many are requested.
    ///
    /// # Errors
    /// `TooFewHeldOut`.
    pub fn held_out(&self, n_tokens: u64) -> Result<Vec<u16>, DataError> {
        let too_few = || DataError::TooFewHeldOut {
            corpus: self.hash().to_string(),
            have: self.held_out_tokens(),
            need: n_tokens,
        };
        let shard = self.inner.held_out.first().ok_or_else(too_few)?;
        if n_tokens > self.held_out_tokens() {
            return Err(too_few());
        }
        Ok(shard.tokens(0..n_tokens as usize + 1).collect())
    }

    /// Exact bytes of text in the first `n_tokens` held-out targets; the end of a document has none. Bits per byte are
    /// `loss · n_tokens / (ln 2 · bytes)`.
    ///
    /// # Errors
    /// `TooFewHeldOut`.
    pub fn held_out_bytes(&self, n_tokens: u64) -> Result<u64, DataError> {
        Ok(self.held_out(n_tokens)?[1..].iter().map(|&token| self.token_bytes(token)).sum())
    }

    /// Bytes of text in one token.
    pub fn token_bytes(&self, token: u16) -> u64 {
        self.inner.record.token_lengths.get(token as usize).map_or(0, |&length| u64::from(length))
    }

    /// Number of blocks in the cache.
    pub(crate) fn n_blocks(&self) -> u64 {
        self.inner.train.len() as u64
    }

    /// Windows of `context_len` inputs, each with the target of its last input, that fit into a block; 0 if the block is
    /// not in the cache.
    pub(crate) fn windows(&self, block: u64, context_len: usize) -> u64 {
        self.inner
            .train
            .get(block as usize)
            .map_or(0, |shard| (shard.len().saturating_sub(1) / context_len) as u64)
    }

    /// The `context_len + 1` tokens of a window; panics if `block` or `window` does not exist.
    pub(crate) fn window(&self, block: u64, window: u64, context_len: usize) -> impl Iterator<Item = u16> {
        let first = window as usize * context_len;
        self.inner.train[block as usize].tokens(first..first + context_len + 1)
    }
}
