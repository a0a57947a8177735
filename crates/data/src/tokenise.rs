//! Makes token sets: reads as many documents as are needed, and no more, and appends their tokens.
//!
//! The stream of a part is its documents in their order, each followed by the end-of-document token. What
//! is written is never changed, only continued, and does not depend on how much was asked for when.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use serde_json::json;

use crate::DataError;
use crate::corpus::{Corpus, LeftOut, Split, hash_of};
use crate::disk;
use crate::reader::{Met, Reader};
use crate::shard;
use crate::token_set::{BLOCK_TOKENS, HeldOutRecord, SetRecord, TrainRecord, folder_of};
use crate::tokenizer::Tokenizer;

/// Version of the stream: order, split, packing, what a document is. Part of every set's hash.
const FORMAT: u32 = 1;

/// Held-out tokens are made in multiples of this, the smallest evaluation.
const HELD_OUT_STEP: u64 = 1 << 16;

/// Text that is read before it is tokenised by all cores at once, bytes.
const GROUP_BYTES: usize = 4 << 20;

/// How much must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needed {
    /// Training tokens; see [`crate::batches::train_tokens_needed`].
    pub train_tokens: u64,
    /// Held-out tokens that are predicted.
    pub held_out_tokens: u64,
}

/// What is there.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenSetFacts {
    /// Content hash.
    pub hash: String,
    /// Training tokens that are tokenised.
    pub train_tokens: u64,
    /// Whether these are all: a run of more tokens reads some of them twice.
    pub is_exhausted: bool,
    /// Training tokens of the whole corpus; an estimate unless `is_exhausted`.
    pub corpus_tokens: f64,
    /// Held-out tokens that can be predicted.
    pub held_out_tokens: u64,
    /// Training documents that were begun.
    pub train_documents: u64,
    /// Documents that were met and are not used.
    pub left_out: LeftOut,
}

/// The content hash of a corpus' tokens: 64 hex digits over the tokenizer, the documents and how they are
/// split and ordered. Neither the corpus' name nor any path nor the amount tokenised is part of it.
pub fn token_set_hash(corpus: &Corpus, tokenizer: &Tokenizer) -> String {
    hash_of(&json!({ "format": FORMAT, "tokenizer": tokenizer.hash(), "corpus": corpus.identity() }))
}

/// Makes sure that a token set holds what is needed, and says what it holds. Training tokens come in whole
/// blocks of 2^20. A corpus with fewer than asked for is no error: `is_exhausted` says so. `progress` is told
/// the training tokens done and wanted.
///
/// Several processes may ask at once: one works, the others wait, and readers are never disturbed.
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
    // Without the lock, so that a finished cache can lie where nothing may be written.
    if let Some(record) = read_whole(&folder)?
        && serves(&record, corpus, needed)?
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
            left_out: split.left_out,
        },
    };
    if !serves(&record, corpus, Needed { train_tokens: 0, ..needed })? {
        extend_held_out(&mut record, &split, tokenizer, &folder, needed.held_out_tokens)?;
        serves(&record, corpus, Needed { train_tokens: 0, ..needed })?;
    }
    if !serves(&record, corpus, needed)? {
        extend_train(&mut record, &split, tokenizer, &folder, needed.train_tokens, progress)?;
        if record.train.shards.is_empty() {
            let why = "every training document equals a held-out one".to_string();
            return Err(DataError::EmptyCorpus { corpus: corpus.name().to_string(), why });
        }
    }
    Ok(facts(&record))
}

/// The record, where all of its shards are there: a set that lost one is made again.
fn read_whole(folder: &Path) -> Result<Option<SetRecord>, DataError> {
    let Some(record) = SetRecord::read(folder)? else { return Ok(None) };
    for shard in record.shards() {
        let path = folder.join(&shard.file);
        match fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            found => shard.check_length(&path, found.map_err(DataError::io("look at", &path))?.len())?,
        }
    }
    Ok(Some(record))
}

fn serves(record: &SetRecord, corpus: &Corpus, needed: Needed) -> Result<bool, DataError> {
    let have = record.held_out.targets();
    if have < needed.held_out_tokens && record.held_out.is_exhausted {
        let (corpus, need) = (corpus.name().to_string(), needed.held_out_tokens);
        return Err(DataError::TooFewHeldOut { corpus, have, need });
    }
    let has_train = record.train.is_exhausted || record.train.tokens >= needed.train_tokens;
    Ok(has_train && have >= needed.held_out_tokens)
}

fn facts(record: &SetRecord) -> TokenSetFacts {
    let met = record.train.met;
    TokenSetFacts {
        hash: record.hash.clone(),
        train_tokens: record.train.tokens,
        is_exhausted: record.train.is_exhausted,
        corpus_tokens: record.corpus_tokens(),
        held_out_tokens: record.held_out.targets(),
        train_documents: met.documents + u64::from(record.train.tokens_of_document > 0),
        left_out: LeftOut {
            too_long: record.left_out.too_long,
            not_text: record.left_out.not_text + met.not_text,
            duplicates: record.left_out.duplicates + met.duplicates,
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
    // The length in the name: a file that a reader may have mapped is not replaced.
    let shard = shard::write(folder, format!("held_out-{}.bin", tokens.len()), tokens)?;
    record.held_out = HeldOutRecord { bytes, is_exhausted, shards: vec![shard] };
    record.write(folder)?;
    for shard in old.iter().filter(|shard| shard.file != record.held_out.shards[0].file) {
        // A file that cannot be deleted costs room and nothing else.
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
    reader.skip_to(record.train.met.listed)?;
    let mut stream = Stream::new(reader, tokenizer);
    // Token number `tokens` lies within a document: what is before it there is behind.
    stream.fill(record.train.tokens_of_document as usize)?;
    stream.advance(record.train.tokens_of_document as usize);
    progress(record.train.tokens, n_tokens);
    while record.train.tokens < n_tokens && !record.train.is_exhausted {
        stream.fill(BLOCK + 1)?;
        let block = &stream.tokens[..stream.tokens.len().min(BLOCK + 1)];
        let is_last = block.len() <= BLOCK;
        // A lone token is no input, since it has no target.
        if block.len() > 1 {
            let name = format!("train-{:05}.bin", record.train.shards.len());
            record.train.shards.push(shard::write(folder, name, block)?);
        }
        let n = block.len().min(BLOCK);
        stream.advance(n);
        record.train.tokens += n as u64;
        record.train.is_exhausted = is_last;
        (record.train.met, record.train.tokens_of_document) = stream.position();
        record.write(folder)?;
        progress(record.train.tokens, n_tokens);
    }
    Ok(())
}

/// Tokens of documents, made as they are needed.
struct Stream<'a> {
    reader: Reader<'a>,
    tokenizer: &'a Tokenizer,
    /// Tokens that are made and not yet behind.
    tokens: Vec<u16>,
    /// Tokens that are behind.
    n_behind: u64,
    /// What was met before each document that is not yet behind, and where it begins.
    documents: VecDeque<(Met, u64)>,
}

impl<'a> Stream<'a> {
    fn new(reader: Reader<'a>, tokenizer: &'a Tokenizer) -> Stream<'a> {
        Stream { reader, tokenizer, tokens: Vec::new(), n_behind: 0, documents: VecDeque::new() }
    }

    /// Reads on until `n_tokens` are there, or the documents end.
    fn fill(&mut self, n_tokens: usize) -> Result<(), DataError> {
        while self.tokens.len() < n_tokens {
            // A token has some bytes: with few tokens missing, little is read in vain.
            let group_bytes = GROUP_BYTES.min(2 * (n_tokens - self.tokens.len()));
            let (mut texts, mut befores, mut bytes) = (Vec::new(), Vec::new(), 0);
            while bytes < group_bytes {
                befores.push(self.reader.met());
                let Some(text) = self.reader.next_text()? else { break };
                bytes += text.len();
                texts.push(text);
            }
            if texts.is_empty() {
                break;
            }
            for (before, tokens) in befores.into_iter().zip(self.tokenizer.encode_documents(&texts)) {
                self.documents.push_back((before, self.n_behind + self.tokens.len() as u64));
                self.tokens.extend(tokens);
            }
        }
        Ok(())
    }

    /// Puts `n_tokens` behind.
    fn advance(&mut self, n_tokens: usize) {
        self.tokens.drain(..n_tokens.min(self.tokens.len()));
        self.n_behind += n_tokens as u64;
        while self.documents.get(1).is_some_and(|next| next.1 <= self.n_behind) {
            self.documents.pop_front();
        }
    }

    /// What lies before the document of the next token, and how many of its tokens are behind.
    fn position(&self) -> (Met, u64) {
        match self.documents.front() {
            Some(&(before, start)) if !self.tokens.is_empty() => (before, self.n_behind - start),
            _ => (self.reader.met(), 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::TokenSet;
    use crate::bpe::END_OF_DOCUMENT;
    use crate::corpus::Folders;
    use crate::testing::{
        bytes, documents, folder, no_folders, open_files, registry, text, token_set, train_stream,
    };

    fn ensure(corpus: &Corpus, cache: &Path, train: u64, held_out: u64) -> Result<TokenSetFacts, DataError> {
        let needed = Needed { train_tokens: train, held_out_tokens: held_out };
        ensure_tokens(corpus, &bytes(), cache, needed, &mut |_, _| {})
    }

    fn files_of(cache: &Path) -> Vec<(String, Vec<u8>)> {
        let set = fs::read_dir(cache.join("tokens")).unwrap().next().unwrap().unwrap().path();
        let mut files: Vec<_> = fs::read_dir(set)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
            .collect();
        files.sort();
        files
    }

    #[test]
    fn asking_again_for_more_gives_the_same_files_as_asking_at_once() {
        let base = documents(0, 60, 50_000);
        let corpus = open_files(base.path(), &["."]).unwrap();
        let (stepwise, at_once) = (folder(&[]), folder(&[]));
        let facts = ensure(&corpus, stepwise.path(), 0, 100).unwrap();
        assert_eq!((facts.train_tokens, facts.train_documents, facts.held_out_tokens), (0, 0, 65536));
        let estimate = facts.corpus_tokens;
        let facts = ensure(&corpus, stepwise.path(), 1, 100_000).unwrap();
        assert_eq!(
            (facts.train_tokens, facts.is_exhausted, facts.held_out_tokens),
            (1 << 20, false, 131_072)
        );
        let before = files_of(stepwise.path());
        ensure(&corpus, stepwise.path(), (1 << 20) + 1, 100).unwrap();
        let after = files_of(stepwise.path());
        assert!(before.iter().filter(|file| file.0 != "set.json").all(|file| after.contains(file)));
        let facts = ensure(&corpus, stepwise.path(), 1 << 40, 100).unwrap();
        assert!(facts.is_exhausted);
        assert_eq!(facts, ensure(&corpus, at_once.path(), 1 << 40, 100_000).unwrap());
        assert_eq!(files_of(stepwise.path()), files_of(at_once.path()));
        let error = (estimate / facts.train_tokens as f64 - 1.0).abs();
        assert!(error < 0.001, "estimated {estimate}, are {}", facts.train_tokens);
    }

    #[test]
    fn documents_that_end_where_a_block_ends_are_neither_lost_nor_repeated() {
        // 81 documents of 2^15 tokens each with their ends: 17 are held out, 64 fill two blocks exactly.
        let base = folder(&[]);
        for seed in 0..81 {
            let text: String = text(seed, 40_000).chars().filter(char::is_ascii).take(32_766).collect();
            fs::write(base.path().join(seed.to_string()), format!("{text}.")).unwrap();
        }
        let corpus = open_files(base.path(), &["."]).unwrap();
        let (stepwise, at_once) = (folder(&[]), folder(&[]));
        for n_tokens in [1, BLOCK_TOKENS + 1, 2 * BLOCK_TOKENS + 1] {
            ensure(&corpus, stepwise.path(), n_tokens, 65536).unwrap();
        }
        let set = token_set(&corpus, at_once.path(), 1 << 40, 65536);
        assert_eq!(files_of(stepwise.path()), files_of(at_once.path()));
        assert_eq!((set.train_tokens(), set.n_blocks()), (2 * BLOCK_TOKENS, 2));
        let texts: Vec<String> = corpus
            .split()
            .unwrap()
            .train
            .listed()
            .iter()
            .map(|document| document.read().unwrap().unwrap().text)
            .collect();
        let stream = train_stream(&set);
        assert_eq!(stream.len() as u64, 2 * BLOCK_TOKENS);
        assert!(stream == bytes().encode_documents(&texts).concat());
    }

    #[test]
    fn the_stream_is_every_training_document_once_and_no_held_out_one() {
        let copy = text(1000, 40_000);
        let names: Vec<String> = (0..60).map(|idx| format!("crate{idx}")).collect();
        let files: Vec<Vec<(&str, String)>> = (0..60)
            .map(|seed| {
                vec![("a.rs", text(seed, 30_000)), ("b/c.rs", copy.clone()), ("bad.rs", "\0".to_string())]
            })
            .collect();
        let files: Vec<Vec<(&str, &str)>> = files
            .iter()
            .map(|files| files.iter().map(|(name, text)| (*name, text.as_str())).collect())
            .collect();
        let crates: Vec<_> =
            names.iter().zip(&files).map(|(name, files)| (name.as_str(), "1.0.0", &files[..])).collect();
        let (registry, spec) = registry(&crates);
        let folders = Folders { registry: registry.path().to_path_buf(), ..no_folders() };
        let corpus = Corpus::open_in("code", &spec, Path::new(""), &folders).unwrap();
        let cache = folder(&[]);
        let facts = ensure(&corpus, cache.path(), 1 << 40, 65536).unwrap();
        let set = TokenSet::open(cache.path(), &facts.hash).unwrap();
        let texts = |tokens: &[u16]| -> Vec<String> {
            let documents = tokens.split(|&token| token == END_OF_DOCUMENT);
            documents.map(|tokens| String::from_utf8(bytes().decode(tokens)).unwrap()).collect()
        };
        let mut train = train_stream(&set);
        assert_eq!(train.pop(), Some(END_OF_DOCUMENT));
        let train = texts(&train);
        let split = corpus.split().unwrap();
        let read = |document: &crate::document::Document| document.read().unwrap().map(|text| text.text);
        let held_out: BTreeSet<String> = split.held_out.listed().iter().filter_map(read).collect();
        let expected: Vec<String> =
            split.train.listed().iter().filter_map(read).filter(|text| !held_out.contains(text)).collect();
        // Compared by hand, since they are too long to be printed.
        assert!(train == expected, "{} documents instead of {}", train.len(), expected.len());
        assert!(held_out.contains(&copy) && facts.left_out.duplicates > 40, "{:?}", facts.left_out);
        assert_eq!(facts.train_documents, train.len() as u64);
        assert_eq!(facts.left_out.not_text, facts.train_documents);
    }

    #[test]
    fn held_out_bytes_are_counted_exactly() {
        let base = documents(0, 30, 50_000);
        let corpus = open_files(base.path(), &["."]).unwrap();
        let cache = folder(&[]);
        let set = token_set(&corpus, cache.path(), 0, 65536);
        let targets = &set.held_out(60_000).unwrap()[1..];
        let ends = targets.iter().filter(|&&token| token == END_OF_DOCUMENT).count() as u64;
        assert_eq!(ends, 1);
        assert_eq!(set.held_out_bytes(60_000).unwrap(), 60_000 - ends);
        assert_eq!(set.held_out(100).unwrap(), set.held_out(60_000).unwrap()[..101]);
        assert!(matches!(set.held_out(1 << 30), Err(DataError::TooFewHeldOut { .. })));
    }

    #[test]
    fn too_little_held_out_text_is_refused_before_and_after_it_is_cached() {
        let base = documents(0, 10, 1_000);
        let corpus = open_files(base.path(), &["."]).unwrap();
        let cache = folder(&[]);
        for _ in 0..2 {
            let error = ensure(&corpus, cache.path(), 1, 65536).unwrap_err().to_string();
            assert!(error.contains("`mine`") && error.contains("65536 are needed"), "{error}");
        }
    }

    #[test]
    fn a_damaged_shard_is_named_and_made_again_when_it_is_deleted() {
        let base = documents(0, 30, 50_000);
        let corpus = open_files(base.path(), &["."]).unwrap();
        let cache = folder(&[]);
        let facts = ensure(&corpus, cache.path(), 1, 65536).unwrap();
        let whole = files_of(cache.path());
        let folder = folder_of(cache.path(), &facts.hash);
        let shard = folder.join("train-00000.bin");
        let content = fs::read(&shard).unwrap();
        let expect = |error: DataError, expected: &str| {
            let error = error.to_string();
            assert!(error.contains("train-00000.bin") && error.contains(expected), "{error}");
            assert!(error.contains("delete it"), "{error}");
        };
        fs::write(&shard, &content[..content.len() - 1]).unwrap();
        expect(TokenSet::open(cache.path(), &facts.hash).unwrap_err(), "instead of");
        expect(ensure(&corpus, cache.path(), 1, 65536).unwrap_err(), "instead of");
        for (place, expected) in [(0, "header"), (1000, "checksum")] {
            let mut damaged = content.clone();
            damaged[place] ^= 1;
            fs::write(&shard, &damaged).unwrap();
            expect(TokenSet::open(cache.path(), &facts.hash).unwrap_err(), expected);
        }
        fs::remove_file(&shard).unwrap();
        assert_eq!(ensure(&corpus, cache.path(), 1, 65536).unwrap(), facts);
        assert_eq!(files_of(cache.path()), whole);
        fs::write(folder.join("set.json"), "{").unwrap();
        let error = ensure(&corpus, cache.path(), 1, 65536).unwrap_err().to_string();
        assert!(error.contains("set.json") && error.contains("delete it"), "{error}");
    }

    #[test]
    fn a_cache_folder_that_cannot_be_is_named() {
        let base = documents(0, 4, 1_000);
        let corpus = open_files(base.path(), &["."]).unwrap();
        let error = ensure(&corpus, &base.path().join("0.txt"), 1, 1).unwrap_err().to_string();
        assert!(error.contains("0.txt"), "{error}");
        let error = TokenSet::open(base.path(), "abc").unwrap_err().to_string();
        assert!(error.contains("abc") && error.contains("hint"), "{error}");
    }

    #[test]
    fn processes_that_ask_at_once_all_get_the_same() {
        let base = documents(0, 30, 50_000);
        let corpus = open_files(base.path(), &["."]).unwrap();
        let cache = folder(&[]);
        let facts: Vec<TokenSetFacts> = std::thread::scope(|scope| {
            let ask = || scope.spawn(|| ensure(&corpus, cache.path(), 1 << 40, 65536).unwrap());
            let asked: Vec<_> = (0..4).map(|_| ask()).collect();
            asked.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(facts.windows(2).all(|pair| pair[0] == pair[1]), "{facts:?}");
        TokenSet::open(cache.path(), &facts[0].hash).unwrap();
    }

    #[test]
    fn hashes_of_token_sets_stay_what_they_are() {
        // Every run holds such hashes in its identity. A change here orphans finished runs: raise FORMAT.
        let base = folder(&[("a.txt", "first"), ("b.txt", "second")]);
        let corpus = open_files(base.path(), &["."]).unwrap();
        let file: &[(&str, &str)] = &[("lib.rs", "fn a() {}")];
        let (registry, spec) = registry(&[("aa", "1.0.0", file), ("bb", "2.0.0", file)]);
        let folders = Folders { registry: registry.path().to_path_buf(), ..no_folders() };
        let crates = Corpus::open_in("code", &spec, Path::new(""), &folders).unwrap();
        let hashes = [&corpus, &crates].map(|corpus| token_set_hash(corpus, &bytes()));
        assert_eq!(
            hashes,
            [
                "25c8dd3d99dc21dd55672f7801f11f277d8cd0f01b69d57473c0bc34e611eabd",
                "6f95eb80a4f423179517e0d4bad1631fdc9f2083d527fb201e77f1e0e1de4d72"
            ]
        );
    }
}
