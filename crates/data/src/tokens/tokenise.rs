//! Makes token sets: reads only as many documents as are needed, and appends their tokens.
//!
//! What is written is never changed, only continued, and does not depend on how much was requested at a time.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::corpus::reader::Reader;
use crate::corpus::split::Split;
use crate::corpus::{Corpus, DroppedDocuments};
use crate::disk;
use crate::error::DataError;
use crate::error::corpus::NoDocuments;
use crate::hash;
use crate::tokens::shard;
use crate::tokens::stream::Stream;
use crate::tokens::token_set::{BLOCK_TOKENS, HeldOutRecord, SetRecord, TrainRecord, folder_of};
use crate::tokens::tokenizer::Tokenizer;

/// Version of the stream: order, split, packing, what a document is. Part of every set's hash.
const FORMAT: u32 = 1;

/// Held-out tokens are made in multiples of this: the size of the smallest evaluation.
const HELD_OUT_STEP: u64 = 1 << 16;

/// How many tokens a token set must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needed {
    /// Training tokens; see [`crate::batches::train_tokens_needed`].
    pub train_tokens: u64,
    /// Held-out tokens to predict.
    pub held_out_tokens: u64,
}

/// What a token set holds.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenSetFacts {
    /// Content hash.
    pub hash: String,
    /// Training tokens in the cache.
    pub train_tokens: u64,
    /// Whether these are all of the corpus, so that a longer run repeats some of them.
    pub is_exhausted: bool,
    /// Training tokens of the whole corpus; an estimate unless `is_exhausted`.
    pub corpus_tokens: f64,
    /// Held-out tokens that can be predicted.
    pub held_out_tokens: u64,
    /// Training documents that were tokenised, the last one perhaps in part.
    pub train_documents: u64,
    /// Documents that were found but are not used.
    pub dropped: DroppedDocuments,
}

/// The content hash of a corpus' tokens: 64 hex digits over the tokenizer, the documents and how they are
/// split and ordered. The corpus' name, paths and the amount tokenised are not part of it.
pub fn token_set_hash(corpus: &Corpus, tokenizer: &Tokenizer) -> String {
    hash::of_json(&json!({ "format": FORMAT, "tokenizer": tokenizer.hash(), "corpus": corpus.identity() }))
}

/// Makes sure that a token set holds what is needed, and returns what it holds. Training tokens come in whole blocks of
/// 2^20. A corpus with fewer tokens is not an error: `is_exhausted` says so. `progress` is called with the training
/// tokens done and wanted.
///
/// Several processes may call this at once: one works, the others wait, and readers are never disturbed.
///
/// # Errors
/// `TooFewHeldOut`, `EmptyCorpus`, `Damaged`, `Io`, `Changed`.
pub fn ensure_tokens(
    corpus: &Corpus,
    tokenizer: &Tokenizer,
    cache: &Path,
    needed: Needed,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<TokenSetFacts, DataError> {
    let hash = token_set_hash(corpus, tokenizer);
    let folder = folder_of(cache, &hash);
    // Without the lock, so that a finished cache may be read-only.
    if let Some(record) = read_whole(&folder)?
        && has_held_out(&record, corpus, needed)?
        && has_train(&record, needed)
    {
        return Ok(facts(&record));
    }
    let _lock = disk::lock(&folder)?;
    let split = corpus.split()?;
    let mut record = match read_whole(&folder)? {
        Some(record) => record,
        None => SetRecord {
            hash,
            token_lengths: tokenizer.token_lengths(),
            merges: tokenizer.merges().to_vec(),
            train: TrainRecord { listed_bytes: split.train.bytes(), ..TrainRecord::default() },
            held_out: HeldOutRecord::default(),
            dropped: split.dropped,
        },
    };
    if !has_held_out(&record, corpus, needed)? {
        extend_held_out(&mut record, &split, tokenizer, &folder, needed.held_out_tokens)?;
        has_held_out(&record, corpus, needed)?;
    }
    if !has_train(&record, needed) {
        extend_train(&mut record, &split, tokenizer, &folder, needed.train_tokens, progress)?;
        if record.train.shards.is_empty() {
            let why = NoDocuments::AllHeldOut;
            return Err(DataError::EmptyCorpus { corpus: corpus.name().to_string(), why });
        }
    }
    Ok(facts(&record))
}

/// The record, if all of its shards are there; a set that lost one is made again.
fn read_whole(folder: &Path) -> Result<Option<SetRecord>, DataError> {
    let Some(record) = SetRecord::read(folder)? else { return Ok(None) };
    for shard in record.shards() {
        let path = folder.join(&shard.file);
        match fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            found => shard.check_length(&path, found.map_err(DataError::io("inspect", &path))?.len())?,
        }
    }
    Ok(Some(record))
}

/// Whether the held-out part is long enough.
///
/// # Errors
/// `TooFewHeldOut` if it is not and cannot be extended.
fn has_held_out(record: &SetRecord, corpus: &Corpus, needed: Needed) -> Result<bool, DataError> {
    let have = record.held_out.targets();
    if have < needed.held_out_tokens && record.held_out.is_exhausted {
        let (corpus, need) = (corpus.name().to_string(), needed.held_out_tokens);
        return Err(DataError::TooFewHeldOut { corpus, have, need });
    }
    Ok(have >= needed.held_out_tokens)
}

fn has_train(record: &SetRecord, needed: Needed) -> bool {
    record.train.is_exhausted || record.train.tokens >= needed.train_tokens
}

fn facts(record: &SetRecord) -> TokenSetFacts {
    let progress = record.train.progress;
    TokenSetFacts {
        hash: record.hash.clone(),
        train_tokens: record.train.tokens,
        is_exhausted: record.train.is_exhausted,
        corpus_tokens: record.corpus_tokens(),
        held_out_tokens: record.held_out.targets(),
        train_documents: progress.documents + u64::from(record.train.tokens_of_document > 0),
        dropped: DroppedDocuments {
            too_long: record.dropped.too_long,
            not_text: record.dropped.not_text + progress.not_text,
            duplicates: record.dropped.duplicates + progress.duplicates,
        },
    }
}

fn extend_held_out(
    record: &mut SetRecord,
    split: &Split,
    tokenizer: &Tokenizer,
    folder: &Path,
    n_tokens: u64,
) -> Result<(), DataError> {
    let wanted = n_tokens.max(1).next_multiple_of(HELD_OUT_STEP) as usize + 1;
    let mut stream = Stream::new(Reader::held_out(split), tokenizer);
    stream.fill(wanted)?;
    let is_exhausted = stream.tokens.len() < wanted;
    stream.tokens.truncate(wanted);
    let tokens = &stream.tokens;
    let bytes = tokens.iter().map(|&token| u64::from(record.token_lengths[token as usize])).sum();
    let old = std::mem::take(&mut record.held_out.shards);
    // The length is part of the name, so that a file that a reader may have mapped is not replaced.
    let shard = shard::write(folder, format!("held_out-{}.bin", tokens.len()), tokens)?;
    record.held_out = HeldOutRecord { bytes, is_exhausted, shards: vec![shard] };
    record.write(folder)?;
    for shard in old.iter().filter(|shard| shard.file != record.held_out.shards[0].file) {
        // A file that cannot be deleted only wastes space.
        let _ = fs::remove_file(folder.join(&shard.file));
    }
    Ok(())
}

fn extend_train(
    record: &mut SetRecord,
    split: &Split,
    tokenizer: &Tokenizer,
    folder: &Path,
    n_tokens: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), DataError> {
    const BLOCK: usize = BLOCK_TOKENS as usize;
    let mut reader = Reader::train(split)?;
    reader.skip_to(record.train.progress.listed)?;
    let mut stream = Stream::new(reader, tokenizer);
    // The set may end within a document, whose first tokens it has already.
    stream.fill(record.train.tokens_of_document as usize)?;
    stream.advance(record.train.tokens_of_document as usize);
    progress(record.train.tokens, n_tokens);
    while record.train.tokens < n_tokens && !record.train.is_exhausted {
        stream.fill(BLOCK + 1)?;
        let block = &stream.tokens[..stream.tokens.len().min(BLOCK + 1)];
        let is_last = block.len() <= BLOCK;
        // A single token cannot be an input, since it has no target.
        if block.len() > 1 {
            let name = format!("train-{:05}.bin", record.train.shards.len());
            record.train.shards.push(shard::write(folder, name, block)?);
        }
        let n = block.len().min(BLOCK);
        stream.advance(n);
        record.train.tokens += n as u64;
        record.train.is_exhausted = is_last;
        (record.train.progress, record.train.tokens_of_document) = stream.position();
        record.write(folder)?;
        progress(record.train.tokens, n_tokens);
    }
    Ok(())
}
