//! Text to tokens and back: by bytes, or by a BPE learned from corpora.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use rayon::prelude::*;
use scalelaw_schema::sweep::TokenizerChoice;
use serde_json::json;
use tokenizers::AddedToken;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

use crate::corpus::Corpus;
use crate::corpus::reader::Reader;
use crate::disk;
use crate::error::DataError;
use crate::error::tokens::{Damage, VocabularyError};
use crate::hash;
use crate::tokens::bpe::{self, BYTE_VOCAB_SIZE, Bpe, END_OF_DOCUMENT, END_OF_DOCUMENT_TEXT, Merge};
use crate::tokens::token_set::{SetRecord, folder_of};

/// Text that merges are learned from, bytes over all corpora: enough for a vocabulary of tens of thousands, and read in
/// a second.
const SAMPLE_BYTES: u64 = 8 << 20;

/// The largest vocabulary: ids have 16 bits on disk.
const MAX_VOCABULARY: u32 = 1 << 16;

/// Version of word boundaries, ids and merging; part of every tokenizer's hash.
const FORMAT: u32 = 1;

/// A tokenizer. In all of them ids 0 to 255 are the bytes and 256 ends a document.
pub struct Tokenizer {
    /// `None` if each byte is a token.
    bpe: Option<Bpe>,
    merges: Vec<Merge>,
    hash: String,
}

impl Tokenizer {
    /// Makes the tokenizer of a choice. A BPE is read from the cache folder, or learned from the first training documents
    /// of `corpora` (their names and order do not matter) and written to `<cache>/tokenizers/`, as `tokenizer.json` in
    /// the format of the crate `tokenizers`. It is the same on every machine.
    ///
    /// # Errors
    /// `BadVocabulary` if the size is out of range, or the text too short for it; `Damaged`; any error of reading the
    /// corpora.
    pub fn prepare(
        choice: TokenizerChoice,
        corpora: &[&Corpus],
        cache: &Path,
    ) -> Result<Tokenizer, DataError> {
        let vocab_size = match choice {
            TokenizerChoice::Bytes => return Ok(Tokenizer::new(None, Vec::new())),
            TokenizerChoice::Bpe(vocab_size) => vocab_size,
        };
        let bad = |why| DataError::BadVocabulary { vocab_size, why };
        if vocab_size > MAX_VOCABULARY {
            return Err(bad(VocabularyError::TooLarge { most: MAX_VOCABULARY }));
        }
        if vocab_size <= BYTE_VOCAB_SIZE {
            return Err(bad(VocabularyError::TooSmall { least: BYTE_VOCAB_SIZE }));
        }
        let by_identity: BTreeMap<&str, &Corpus> =
            corpora.iter().map(|&corpus| (corpus.identity(), corpus)).collect();
        let key = hash::of_json(&json!({
            "format": FORMAT,
            "vocab_size": vocab_size,
            "sample_bytes": SAMPLE_BYTES,
            "corpora": by_identity.keys().collect::<Vec<_>>(),
        }));
        let folder = cache.join("tokenizers").join(key);
        let file = folder.join("tokenizer.json");
        let n_merges = (vocab_size - BYTE_VOCAB_SIZE) as usize;
        if file.exists() {
            return load(&file, n_merges);
        }
        let _lock = disk::lock(&folder)?;
        if file.exists() {
            return load(&file, n_merges);
        }
        let merges = learn(&by_identity, n_merges)?;
        if merges.len() < n_merges {
            let reached = BYTE_VOCAB_SIZE as usize + merges.len();
            return Err(bad(VocabularyError::TooLittleText { reached }));
        }
        let tokenizer = Tokenizer::new(Some(Bpe::new(&merges)), merges);
        let json = tokenizer.to_json().unwrap_or_default();
        // The checksum first, so that the file never lacks it.
        disk::write(&checksum_file(&file), hash::of_bytes(json.as_bytes()).as_bytes())?;
        disk::write(&file, json.as_bytes())?;
        Ok(tokenizer)
    }

    /// The tokenizer that a token set was made with.
    ///
    /// # Errors
    /// `NoTokenSet`, `Damaged`, `Io`.
    pub fn of_token_set(cache: &Path, hash: &str) -> Result<Tokenizer, DataError> {
        let folder = folder_of(cache, hash);
        let record = SetRecord::read(&folder)?
            .ok_or_else(|| DataError::NoTokenSet { hash: hash.to_string(), folder })?;
        let bpe = (!record.merges.is_empty()).then(|| Bpe::new(&record.merges));
        Ok(Tokenizer::new(bpe, record.merges))
    }

    pub(crate) fn merges(&self) -> &[Merge] {
        &self.merges
    }

    fn new(bpe: Option<Bpe>, merges: Vec<Merge>) -> Tokenizer {
        // Over the merges and not over the file, whose format belongs to another crate.
        let hash = match &bpe {
            None => hash::of_json(&json!({ "bytes": FORMAT })),
            Some(_) => hash::of_json(&json!({ "bpe": FORMAT, "merges": merges })),
        };
        Tokenizer { bpe, merges, hash }
    }

    /// Number of token ids.
    pub fn vocab_size(&self) -> u32 {
        BYTE_VOCAB_SIZE + self.merges.len() as u32
    }

    /// 64 hex digits that identify the tokenizer on every machine.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Tokens of one text, without an end of document.
    pub fn encode(&self, text: &str) -> Vec<u16> {
        match &self.bpe {
            None => text.bytes().map(u16::from).collect(),
            Some(bpe) => bpe.encode(text),
        }
    }

    /// Tokens of some documents, each with its end of document.
    pub(crate) fn encode_documents(&self, texts: &[String]) -> Vec<Vec<u16>> {
        let encode = |text: &String| {
            let mut tokens = self.encode(text);
            tokens.push(END_OF_DOCUMENT);
            tokens
        };
        texts.par_iter().map(encode).collect()
    }

    /// The bytes of some tokens; the end of a document and ids beyond the vocabulary have none. Only whole documents are
    /// sure to be UTF-8.
    pub fn decode(&self, tokens: &[u16]) -> Vec<u8> {
        match &self.bpe {
            None => tokens.iter().filter_map(|&token| u8::try_from(token).ok()).collect(),
            Some(bpe) => tokens
                .iter()
                .filter_map(|&token| bpe.token_bytes().get(token as usize))
                .flatten()
                .copied()
                .collect(),
        }
    }

    /// Bytes of text in each token, `[vocab_size]`.
    pub(crate) fn token_lengths(&self) -> Vec<u32> {
        match &self.bpe {
            None => (0..BYTE_VOCAB_SIZE).map(|token| u32::from(token < u32::from(END_OF_DOCUMENT))).collect(),
            Some(bpe) => bpe.token_bytes().iter().map(|bytes| bytes.len() as u32).collect(),
        }
    }

    /// The tokenizer in the format of the crate `tokenizers`, which other tools read; `None` for bytes.
    pub fn to_json(&self) -> Option<String> {
        let bpe = self.bpe.as_ref()?;
        let words = ByteLevel::default().add_prefix_space(false);
        let mut tokenizer = tokenizers::Tokenizer::new(bpe.model().clone());
        tokenizer
            .with_pre_tokenizer(Some(words))
            .with_decoder(Some(words))
            .add_special_tokens([AddedToken::from(END_OF_DOCUMENT_TEXT, true)])
            .ok()?;
        tokenizer.to_string(false).ok()
    }
}

fn checksum_file(file: &Path) -> std::path::PathBuf {
    file.with_extension("blake3")
}

/// Learns merges from an equal share of every corpus: its first training documents.
fn learn(corpora: &BTreeMap<&str, &Corpus>, n_merges: usize) -> Result<Vec<Merge>, DataError> {
    let share = SAMPLE_BYTES / corpora.len().max(1) as u64;
    let mut texts = Vec::new();
    for corpus in corpora.values() {
        let split = corpus.split()?;
        let mut reader = Reader::train(&split)?;
        let mut bytes = 0;
        while bytes < share
            && let Some(text) = reader.next_text()?
        {
            bytes += text.len() as u64;
            texts.push(text);
        }
    }
    let mut words: BTreeMap<&str, u64> = BTreeMap::new();
    // Hashing is faster than comparing; the order comes from the words alone.
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for text in &texts {
        bpe::for_each_word(text, |word| *counts.entry(word).or_default() += 1);
    }
    words.extend(counts);
    Ok(bpe::learn_merges(&words, n_merges))
}

fn load(file: &Path, n_merges: usize) -> Result<Tokenizer, DataError> {
    let damaged = |why| DataError::Damaged { path: file.to_path_buf(), why };
    let text = fs::read(file).map_err(DataError::io("read", file))?;
    let checksum = fs::read_to_string(checksum_file(file)).map_err(|_| damaged(Damage::NoChecksum))?;
    if hash::of_bytes(&text) != checksum.trim() {
        return Err(damaged(Damage::Checksum));
    }
    let read = || -> Option<Vec<Merge>> {
        let json: serde_json::Value = serde_json::from_slice(&text).ok()?;
        let vocabulary: HashMap<String, u16> = serde_json::from_value(json["model"]["vocab"].clone()).ok()?;
        let merges: Vec<(String, String)> = serde_json::from_value(json["model"]["merges"].clone()).ok()?;
        merges.iter().map(|(left, right)| Some((*vocabulary.get(left)?, *vocabulary.get(right)?))).collect()
    };
    let merges = read()
        .filter(|merges| merges.len() == n_merges)
        .ok_or_else(|| damaged(Damage::OtherContent("merges")))?;
    Ok(Tokenizer::new(Some(Bpe::new(&merges)), merges))
}

#[cfg(test)]
mod tests {
    use tokenizers::models::TrainerWrapper;
    use tokenizers::models::bpe::{BPE, BpeTrainer};

    use super::*;
    use crate::testing::{documents, folder, open_files};

    const TRICKY: [&str; 8] = [
        "",
        " ",
        "\r\n\t x  y\n\n  z",
        "it's they'll <|endoftext|> 12345 naïve — 日本語 \u{1F600} \u{301}",
        "fn main() { println!(\"{}\", 0xff_u8); }",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "\u{0} control \u{7f}",
        "ka ro mi ten lu",
    ];

    fn prepare(vocab_size: u32) -> (tempfile::TempDir, Tokenizer) {
        let (cache, base) = (folder(&[]), documents(0, 20, 20_000));
        let corpus = open_files(base.path(), &["."]).unwrap();
        let tokenizer =
            Tokenizer::prepare(TokenizerChoice::Bpe(vocab_size), &[&corpus], cache.path()).unwrap();
        (cache, tokenizer)
    }

    #[test]
    fn encoding_and_decoding_give_back_every_byte_and_lengths_add_up() {
        let (_cache, bpe) = prepare(400);
        let bytes = Tokenizer::prepare(TokenizerChoice::Bytes, &[], Path::new("")).unwrap();
        assert_eq!((bytes.vocab_size(), bpe.vocab_size()), (257, 400));
        for tokenizer in [&bytes, &bpe] {
            let lengths = tokenizer.token_lengths();
            assert_eq!(lengths.len() as u32, tokenizer.vocab_size());
            assert_eq!(lengths[END_OF_DOCUMENT as usize], 0);
            for text in TRICKY {
                let tokens = tokenizer.encode(text);
                assert_eq!(tokenizer.decode(&tokens), text.as_bytes(), "{text}");
                assert!(!tokens.contains(&END_OF_DOCUMENT), "{text}");
                let n_bytes: u32 = tokens.iter().map(|&token| lengths[token as usize]).sum();
                assert_eq!(n_bytes as usize, text.len(), "{text}");
            }
        }
        assert!(bpe.encode("ka ro mi").len() < 8);
    }

    #[test]
    fn the_crate_tokenizers_reads_our_file_and_encodes_alike() {
        let (_cache, bpe) = prepare(400);
        let mut theirs: tokenizers::Tokenizer = bpe.to_json().unwrap().parse().unwrap();
        assert_eq!(theirs.get_vocab_size(true), 400);
        theirs.set_encode_special_tokens(true);
        for text in TRICKY {
            let ids = theirs.encode(text, false).unwrap().get_ids().to_vec();
            assert_eq!(ids, bpe.encode(text).into_iter().map(u32::from).collect::<Vec<_>>(), "{text}");
        }
    }

    #[test]
    fn the_merges_are_those_of_the_crate_tokenizers() {
        // Equally frequent pairs are ordered by ids, which differ beyond ASCII.
        let text = crate::testing::text(5, 100_000).replace(|letter: char| !letter.is_ascii(), "");
        let mut words: BTreeMap<&str, u64> = BTreeMap::new();
        bpe::for_each_word(&text, |word| *words.entry(word).or_default() += 1);
        let ours = bpe::learn_merges(&words, 100);
        let alphabet = ByteLevel::alphabet();
        let trainer = BpeTrainer::builder()
            .vocab_size(256 + 100)
            .show_progress(false)
            .initial_alphabet(alphabet.into_iter().collect());
        let mut theirs = tokenizers::Tokenizer::new(BPE::default());
        theirs.with_pre_tokenizer(Some(ByteLevel::default().add_prefix_space(false)));
        theirs.train(&mut TrainerWrapper::from(trainer.build()), [text.as_str()].into_iter()).unwrap();
        let theirs = theirs.get_vocab(false);
        let ours = Tokenizer::new(Some(Bpe::new(&ours)), ours);
        let ours: tokenizers::Tokenizer = ours.to_json().unwrap().parse().unwrap();
        let ours = ours.get_vocab(false);
        let only_ours: Vec<&String> = ours
            .keys()
            .filter(|token| *token != END_OF_DOCUMENT_TEXT && !theirs.contains_key(*token))
            .collect();
        assert!(only_ours.is_empty(), "{only_ours:?}");
        assert_eq!(ours.len(), theirs.len() + 1);
    }

    #[test]
    fn a_tokenizer_is_the_same_on_every_machine_and_read_from_the_cache() {
        let (first, second) = (documents(0, 20, 20_000), documents(50, 20, 20_000));
        let (a, b) = (open_files(first.path(), &["."]).unwrap(), open_files(second.path(), &["."]).unwrap());
        let (here, there) = (folder(&[]), folder(&[]));
        let choice = TokenizerChoice::Bpe(600);
        let learned = Tokenizer::prepare(choice, &[&a, &b], here.path()).unwrap();
        let again = Tokenizer::prepare(choice, &[&b, &a, &b], there.path()).unwrap();
        assert_eq!((learned.hash(), learned.to_json()), (again.hash(), again.to_json()));
        // The same on every machine, in every version.
        assert_eq!(&learned.hash()[..16], "193c1d50f8ee1512");
        let folders: Vec<_> = fs::read_dir(here.path().join("tokenizers")).unwrap().flatten().collect();
        assert_eq!(folders.len(), 1);
        // From the file: the text is gone.
        drop((first, second));
        let loaded = Tokenizer::prepare(choice, &[&a, &b], here.path()).unwrap();
        assert_eq!((learned.hash(), learned.encode(TRICKY[3])), (loaded.hash(), loaded.encode(TRICKY[3])));
        let file = folders[0].path().join("tokenizer.json");
        let mut text = fs::read(&file).unwrap();
        text.truncate(1000);
        fs::write(&file, text).unwrap();
        let error = Tokenizer::prepare(choice, &[&a, &b], here.path()).err().unwrap().to_string();
        assert!(error.contains("tokenizer.json") && error.contains("delete it"), "{error}");
    }

    #[test]
    fn an_impossible_vocabulary_is_refused() {
        let (cache, base) = (folder(&[]), documents(0, 4, 100));
        let corpus = open_files(base.path(), &["."]).unwrap();
        for (vocab_size, why) in
            [(0, "bytes"), (257, "bytes"), (65_537, "16 bits"), (30_000, "repeated pairs")]
        {
            let choice = TokenizerChoice::Bpe(vocab_size);
            let error = Tokenizer::prepare(choice, &[&corpus], cache.path()).err().unwrap().to_string();
            assert!(error.contains(why), "{vocab_size}: {error}");
        }
    }
}
