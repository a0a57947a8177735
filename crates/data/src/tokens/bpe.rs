//! Byte-level BPE: learns merges and applies them to text. Knows nothing of corpora.
//!
//! The merges are not learned by the trainer of the crate `tokenizers`: it pops equal entries of its queue in the order
//! of a randomly seeded hash map, and a tokenizer must be the same on every machine, since its hash is part of every
//! run's identity. That crate's regular expression, merging of a word and file format are used as they are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::{LazyLock, Mutex};

use tokenizers::Model;
use tokenizers::models::bpe::BPE;
use tokenizers::utils::SysRegex;

/// Id of the end-of-document token in every tokenizer here: the ids below it are the bytes.
pub(crate) const END_OF_DOCUMENT: u16 = 256;

/// The smallest vocabulary: 256 bytes and the end of a document.
pub(crate) const BYTE_VOCAB_SIZE: u32 = scalelaw_schema::BYTE_VOCAB_SIZE as u32;

/// The end-of-document token in `tokenizer.json`.
pub(crate) const END_OF_DOCUMENT_TEXT: &str = "<|endoftext|>";

thread_local! {
    /// The words of GPT-2 (Radford et al. 2019, `encoder.py`), which no merge crosses. The same expression as in
    /// `tokenizers::pre_tokenizers::byte_level`, where it is private. One per thread: with a shared one, threads wait
    /// for its scratch memory at every word.
    static WORD: SysRegex =
        SysRegex::new(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
            .expect("the expression is fixed");
}

/// A pair of tokens that becomes one.
pub(crate) type Merge = (u16, u16);

/// Learns at most `n_merges` merges from words with their counts: repeatedly, the most frequent pair of neighbours
/// within a word becomes a token (Sennrich et al. 2016, arXiv:1508.07909, algorithm 1); of equally frequent pairs the
/// one with the smallest ids. Merge `k`, from 0, makes token 257 + k.
///
/// Returns fewer merges if no pair is left that occurs twice.
pub(crate) fn learn_merges(words: &BTreeMap<&str, u64>, n_merges: usize) -> Vec<Merge> {
    let counts: Vec<i64> = words.values().map(|&count| count as i64).collect();
    let mut words: Vec<Vec<u16>> =
        words.keys().map(|word| word.bytes().map(u16::from).collect::<Vec<_>>()).collect();
    let mut pairs: HashMap<Merge, Pair> = HashMap::new();
    for (word_idx, word) in words.iter().enumerate() {
        for pair in word.windows(2) {
            pairs.entry((pair[0], pair[1])).or_default().add(word_idx, counts[word_idx]);
        }
    }
    let mut queue: BinaryHeap<(i64, Reverse<Merge>)> =
        pairs.iter().map(|(&merge, pair)| (pair.count, Reverse(merge))).collect();
    let mut merges = Vec::with_capacity(n_merges);
    while merges.len() < n_merges {
        let Some((count, Reverse(merge))) = queue.pop() else { break };
        // If the count of a pair has changed, a newer entry has it.
        if pairs.get(&merge).is_none_or(|pair| pair.count != count) {
            continue;
        }
        if count < 2 {
            break;
        }
        let new = BYTE_VOCAB_SIZE as u16 + merges.len() as u16;
        merges.push(merge);
        let mut changed = Vec::new();
        let mut holders = pairs.remove(&merge).map(|pair| pair.words).unwrap_or_default();
        holders.sort_unstable();
        holders.dedup();
        for word_idx in holders {
            let count = counts[word_idx];
            let word = &mut words[word_idx];
            for pair in word.windows(2) {
                let pair = (pair[0], pair[1]);
                if let Some(known) = pairs.get_mut(&pair) {
                    known.count -= count;
                    changed.push(pair);
                }
            }
            merge_in_place(word, merge, new);
            for pair in word.windows(2) {
                let pair = (pair[0], pair[1]);
                pairs.entry(pair).or_default().add(word_idx, count);
                changed.push(pair);
            }
        }
        changed.sort_unstable();
        changed.dedup();
        queue.extend(changed.into_iter().map(|pair| (pairs[&pair].count, Reverse(pair))));
    }
    merges
}

/// Calls `each` with the words of a text, which no merge crosses; joined they are the text.
pub(crate) fn for_each_word<'a>(text: &'a str, mut each: impl FnMut(&'a str)) {
    WORD.with(|word| word.find_iter(text).for_each(|(start, end)| each(&text[start..end])));
}

/// A tokenizer made of merges.
pub(crate) struct Bpe {
    model: BPE,
    /// The bytes of each token; none for the end of a document.
    token_bytes: Vec<Vec<u8>>,
    /// Words tokenised before, one table per working thread.
    caches: Mutex<Vec<Cache>>,
}

/// Words with their tokens.
type Cache = HashMap<Box<str>, Box<[u16]>>;

/// Longer words are rare and not worth caching.
const MAX_CACHED_WORD_BYTES: usize = 64;
/// Some 100 MB per thread at most.
const MAX_CACHED_WORDS: usize = 1 << 20;

impl Bpe {
    pub(crate) fn new(merges: &[Merge]) -> Bpe {
        let mut token_bytes: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
        token_bytes.push(Vec::new());
        for &(left, right) in merges {
            let bytes = [token_bytes[left as usize].as_slice(), &token_bytes[right as usize]].concat();
            token_bytes.push(bytes);
        }
        let spelt = |id: u16| match id {
            END_OF_DOCUMENT => END_OF_DOCUMENT_TEXT.to_string(),
            id => spell(&token_bytes[id as usize]),
        };
        let vocabulary: HashMap<String, u32> =
            (0..token_bytes.len()).map(|id| (spelt(id as u16), id as u32)).collect();
        let merges = merges.iter().map(|&(left, right)| (spelt(left), spelt(right))).collect();
        let model = BPE::builder()
            .vocab_and_merges(vocabulary.into_iter().collect::<tokenizers::models::bpe::Vocab>(), merges)
            // `caches` is faster: it holds token ids and not the crate's strings.
            .cache_capacity(0)
            .build()
            .expect("the merges are of tokens that the vocabulary holds");
        Bpe { model, token_bytes, caches: Mutex::new(Vec::new()) }
    }

    pub(crate) fn model(&self) -> &BPE {
        &self.model
    }

    pub(crate) fn token_bytes(&self) -> &[Vec<u8>] {
        &self.token_bytes
    }

    /// Tokens of one text, without an end of document. The text `<|endoftext|>` has no special meaning.
    pub(crate) fn encode(&self, text: &str) -> Vec<u16> {
        let mut cache = self.caches.lock().ok().and_then(|mut caches| caches.pop()).unwrap_or_default();
        let mut tokens = Vec::with_capacity(text.len() / 2);
        for_each_word(text, |word| {
            if let Some(known) = cache.get(word) {
                tokens.extend_from_slice(known);
                return;
            }
            let cut = self.cut(word);
            tokens.extend_from_slice(&cut);
            if word.len() <= MAX_CACHED_WORD_BYTES && cache.len() < MAX_CACHED_WORDS {
                cache.insert(word.into(), cut.into());
            }
        });
        if let Ok(mut caches) = self.caches.lock() {
            caches.push(cache);
        }
        tokens
    }

    fn cut(&self, word: &str) -> Vec<u16> {
        let tokens = self.model.tokenize(&spell(word.as_bytes())).expect("every byte is in the vocabulary");
        tokens.into_iter().map(|token| token.id as u16).collect()
    }
}

/// Bytes as the characters of GPT-2's vocabulary: printable ones as they are, the others from U+0100 on.
fn spell(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| BYTE_LETTERS[byte as usize]).collect()
}

static BYTE_LETTERS: LazyLock<[char; 256]> = LazyLock::new(|| {
    let mut next = 0x100;
    std::array::from_fn(|byte| match byte as u8 {
        b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => byte as u8 as char,
        _ => {
            next += 1;
            char::from_u32(next - 1).expect("below the surrogates")
        }
    })
});

/// How often a pair occurs in the sample, and in which words (some of which may have lost it since).
#[derive(Default)]
struct Pair {
    count: i64,
    words: Vec<usize>,
}

impl Pair {
    fn add(&mut self, word_idx: usize, count: i64) {
        self.count += count;
        if self.words.last() != Some(&word_idx) {
            self.words.push(word_idx);
        }
    }
}

fn merge_in_place(word: &mut Vec<u16>, merge: Merge, new: u16) {
    let mut kept = 0;
    let mut read = 0;
    while read < word.len() {
        let is_pair = word.get(read + 1).is_some_and(|&next| (word[read], next) == merge);
        word[kept] = if is_pair { new } else { word[read] };
        read += 1 + usize::from(is_pair);
        kept += 1;
    }
    word.truncate(kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merges_of_the_paper_come_in_its_order() {
        // Sennrich et al. 2016, section 3.2, without their mark at the end of a word. `es` and `st` occur 9 times
        // each: the smaller ids come first.
        let words = BTreeMap::from([("low", 5), ("lower", 2), ("newest", 6), ("widest", 3)]);
        let merges = learn_merges(&words, 4);
        let bpe = Bpe::new(&merges);
        let learnt: Vec<&str> =
            bpe.token_bytes()[257..].iter().map(|bytes| std::str::from_utf8(bytes).unwrap()).collect();
        assert_eq!(learnt, ["es", "est", "lo", "low"]);
        assert_eq!(bpe.encode("lowest"), [260, 258]);
    }

    #[test]
    fn learning_ends_when_no_pair_occurs_twice() {
        let words = BTreeMap::from([("abab", 1), ("cd", 1)]);
        // `ab` occurs twice, then `ab ab` once.
        assert_eq!(learn_merges(&words, 10), [(97, 98)]);
        // Repeats that overlap are merged from the left.
        let words = BTreeMap::from([("aaaaa", 2)]);
        assert_eq!(Bpe::new(&learn_merges(&words, 1)).encode("aaaaa"), [257, 257, 97]);
    }
}
