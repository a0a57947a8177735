//! Batches: which tokens a run sees, and when. A pure function of the seed and the position, without state.
//!
//! The sequences of all sources are interleaved in rounds of [`ROUND`]: each round has the same number of sequences of
//! each source, in an order of its own. The blocks of a source come in their order, and the windows of `context_len`
//! tokens within a block in an order that depends on seed, source, block and epoch. When the blocks of an exhausted
//! source end, its next epoch begins. How far a source is tokenised changes nothing, as long as it is far enough.

use std::collections::BTreeMap;

use scalelaw_schema::mixture::Mixture;
use scalelaw_schema::train_spec::Phase;

use crate::error::DataError;
use crate::permutation::permuted;
use crate::tokens::token_set::{BLOCK_TOKENS, TokenSet};

/// Number of sequences in which the weights of a mixture are met, as exactly as whole sequences can.
pub const ROUND: u64 = 1024;

/// The training data of one run.
#[derive(Debug, Clone)]
pub struct Batches {
    seed: u64,
    /// In the order of the mixture.
    sources: Vec<Source>,
}

#[derive(Debug, Clone)]
struct Source {
    set: TokenSet,
    /// Sequences per round.
    share: u64,
}

/// The sequences of one step: row-major `[B, T]`, B sequences of T tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Token ids.
    pub inputs: Vec<u16>,
    /// The token after each input.
    pub targets: Vec<u16>,
}

impl Batches {
    /// The data of a run with this mixture and this seed. `sets` maps content hashes to token sets; it may hold more than
    /// the mixture needs.
    ///
    /// # Errors
    /// `NotOpened`, `WeightTooSmall`, `MixedVocabularies`.
    pub fn new(
        mixture: &Mixture,
        sets: &BTreeMap<String, TokenSet>,
        seed: u64,
    ) -> Result<Batches, DataError> {
        let shares = shares_of(mixture)?;
        let mut sources: Vec<Source> = Vec::new();
        for (source, share) in mixture.sources.iter().zip(shares) {
            let set = sets
                .get(&source.tokens)
                .cloned()
                .ok_or_else(|| DataError::NotOpened { hash: source.tokens.clone() })?;
            if let Some(first) = sources.first()
                && first.set.vocab_size() != set.vocab_size()
            {
                let (first, second) = (first.set.vocab_size(), set.vocab_size());
                return Err(DataError::MixedVocabularies { first, second });
            }
            sources.push(Source { set, share });
        }
        Ok(Batches { seed, sources })
    }

    /// The batch of a phase that begins after `cursor_tokens` training tokens. Within a phase the cursor moves by
    /// [`Phase::batch_tokens`]. If a phase of longer sequences begins between two of them, it begins with the earlier
    /// one.
    ///
    /// # Errors
    /// `NotTokenised`, `ContextTooLong`.
    pub fn at(&self, cursor_tokens: u64, phase: &Phase) -> Result<Batch, DataError> {
        let context_len = phase.context_len;
        let first = cursor_tokens / context_len as u64;
        let n_tokens = phase.batch_sequences * context_len;
        let mut batch = Batch { inputs: Vec::with_capacity(n_tokens), targets: Vec::with_capacity(n_tokens) };
        let mut drawn = self.drawn_before(first);
        let mut order = self.round_order(first / ROUND);
        for sequence in first..first + phase.batch_sequences as u64 {
            if sequence % ROUND == 0 {
                order = self.round_order(sequence / ROUND);
            }
            let source_idx = order[(sequence % ROUND) as usize];
            let mut window = self.window(source_idx, drawn[source_idx], context_len)?;
            drawn[source_idx] += 1;
            let mut last = window.next().unwrap_or_default();
            for token in window {
                batch.inputs.push(last);
                batch.targets.push(token);
                last = token;
            }
        }
        Ok(batch)
    }

    /// Epochs of each source at `cursor_tokens` of a phase, by content hash. Up to 1, no window was repeated. For a
    /// source that is not fully tokenised this is an estimate.
    pub fn epochs(&self, cursor_tokens: u64, phase: &Phase) -> BTreeMap<String, f64> {
        let context_len = phase.context_len as u64;
        let drawn = self.drawn_before(cursor_tokens / context_len);
        let passes = self.sources.iter().zip(drawn).map(|(source, drawn)| {
            let set = &source.set;
            let windows = match set.is_exhausted() {
                true => windows_of(set, phase.context_len) as f64,
                false => set.corpus_tokens() / context_len as f64,
            };
            (set.hash().to_string(), drawn as f64 / windows)
        });
        passes.collect()
    }

    /// Number of sequences of each source among the first `sequence` ones.
    fn drawn_before(&self, sequence: u64) -> Vec<u64> {
        let mut drawn: Vec<u64> = self.sources.iter().map(|source| sequence / ROUND * source.share).collect();
        let order = self.round_order(sequence / ROUND);
        for &source_idx in &order[..(sequence % ROUND) as usize] {
            drawn[source_idx] += 1;
        }
        drawn
    }

    /// The source of each sequence of a round, `[ROUND]`.
    fn round_order(&self, round: u64) -> Vec<usize> {
        let key = key_of("order of a round", &[&self.seed.to_le_bytes(), &round.to_le_bytes()]);
        let by_rank: Vec<usize> = self
            .sources
            .iter()
            .enumerate()
            .flat_map(|(source_idx, source)| std::iter::repeat_n(source_idx, source.share as usize))
            .collect();
        (0..ROUND).map(|place| by_rank[permuted(place, ROUND, key) as usize]).collect()
    }

    /// The `context_len + 1` tokens of sequence number `drawn` of a source.
    fn window(
        &self,
        source_idx: usize,
        drawn: u64,
        context_len: usize,
    ) -> Result<impl Iterator<Item = u16>, DataError> {
        let set = &self.sources[source_idx].set;
        let per_block = BLOCK_TOKENS / context_len as u64;
        let (mut epoch, mut at) = (0, drawn);
        if set.is_exhausted() {
            let windows = windows_of(set, context_len);
            if windows == 0 {
                let (hash, tokens) = (set.hash().to_string(), set.train_tokens());
                return Err(DataError::ContextTooLong { hash, tokens, context_len });
            }
            (epoch, at) = (drawn / windows, drawn % windows);
        } else if per_block == 0 {
            let (hash, tokens) = (set.hash().to_string(), BLOCK_TOKENS);
            return Err(DataError::ContextTooLong { hash, tokens, context_len });
        }
        // All blocks have the same number of windows, except the last one of an exhausted source.
        let block = at / per_block;
        if block >= set.n_blocks() {
            let (hash, available) = (set.hash().to_string(), set.n_blocks());
            return Err(DataError::NotTokenised { hash, block, available });
        }
        let key = key_of(
            "order of a block",
            &[&self.seed.to_le_bytes(), set.hash().as_bytes(), &block.to_le_bytes(), &epoch.to_le_bytes()],
        );
        let window = permuted(at % per_block, set.windows(block, context_len), key);
        Ok(set.window(block, window, context_len))
    }
}

/// The most training tokens of each source (by content hash) that a run through these phases reads, in whole blocks:
/// what [`crate::ensure_tokens`] must provide before the run.
///
/// # Errors
/// `WeightTooSmall`.
pub fn train_tokens_needed(mixture: &Mixture, phases: &[Phase]) -> Result<BTreeMap<String, u64>, DataError> {
    let shares = shares_of(mixture)?;
    let mut needed: BTreeMap<String, u64> =
        mixture.sources.iter().map(|source| (source.tokens.clone(), 0)).collect();
    let mut cursor_tokens = 0;
    for phase in phases {
        cursor_tokens += phase.tokens();
        let rounds = cursor_tokens.div_ceil(phase.context_len as u64).div_ceil(ROUND);
        let per_block = (BLOCK_TOKENS / phase.context_len as u64).max(1);
        for (source, share) in mixture.sources.iter().zip(&shares) {
            let blocks = (rounds * share).div_ceil(per_block);
            if let Some(tokens) = needed.get_mut(&source.tokens) {
                *tokens = (*tokens).max(blocks * BLOCK_TOKENS);
            }
        }
    }
    Ok(needed)
}

/// Number of sequences of each source in a round: `weight · ROUND`, rounded so that they add up to a round (the largest
/// remainders are rounded up, of equal ones the first).
fn shares_of(mixture: &Mixture) -> Result<Vec<u64>, DataError> {
    let exact: Vec<f64> = mixture.sources.iter().map(|source| source.weight * ROUND as f64).collect();
    let mut shares: Vec<u64> = exact.iter().map(|share| share.floor() as u64).collect();
    let mut by_remainder: Vec<usize> = (0..exact.len()).collect();
    by_remainder.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()));
    let missing = ROUND.saturating_sub(shares.iter().sum());
    for &source_idx in by_remainder.iter().cycle().take(missing as usize) {
        shares[source_idx] += 1;
    }
    match mixture.sources.iter().zip(&shares).find(|(_, share)| **share == 0) {
        Some((source, _)) => Err(DataError::WeightTooSmall {
            hash: source.tokens.clone(),
            weight: source.weight,
            smallest: 1.0 / ROUND as f64,
        }),
        None => Ok(shares),
    }
}

/// Windows of one epoch of an exhausted source.
fn windows_of(set: &TokenSet, context_len: usize) -> u64 {
    (0..set.n_blocks()).map(|block| set.windows(block, context_len)).sum()
}

/// A key for [`permuted`], different for each purpose.
fn key_of(purpose: &str, parts: &[&[u8]]) -> u64 {
    let mut hasher = blake3::Hasher::new_derive_key("scalelaw data v1: batches");
    hasher.update(purpose.as_bytes());
    for part in parts {
        hasher.update(part);
    }
    let mut key = [0; 8];
    key.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(key)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use scalelaw_schema::mixture::MixtureSource;
    use tempfile::TempDir;

    use super::*;
    use crate::testing::{documents, folder, open_files, token_set, train_stream};

    fn phase(context_len: usize, batch_sequences: usize) -> Phase {
        Phase { context_len, batch_sequences, steps: 1 }
    }

    fn mixture(sources: &[(&TokenSet, f64)]) -> Mixture {
        let source =
            |&(set, weight): &(&TokenSet, f64)| MixtureSource { tokens: set.hash().to_string(), weight };
        Mixture::new(sources.iter().map(source).collect()).unwrap()
    }

    fn batches(sources: &[(&TokenSet, f64)], seed: u64) -> Batches {
        let sets = sources.iter().map(|(set, _)| (set.hash().to_string(), (*set).clone())).collect();
        Batches::new(&mixture(sources), &sets, seed).unwrap()
    }

    /// Two corpora: 2.5 and 1.2 blocks long.
    fn two_corpora(blocks: u64) -> (TempDir, TokenSet, TokenSet) {
        let cache = folder(&[]);
        let (a, b) = (documents(0, 55, 50_000), documents(100, 30, 50_000));
        let set = |base: &TempDir| {
            let corpus = open_files(base.path(), &["."]).unwrap();
            token_set(&corpus, cache.path(), blocks * BLOCK_TOKENS, 1)
        };
        let (a, b) = (set(&a), set(&b));
        (cache, a, b)
    }

    #[test]
    fn a_batch_depends_on_seed_and_position_alone() {
        let (_short, a1, b1) = two_corpora(1);
        let (_long, a, b) = two_corpora(9);
        assert!(a.is_exhausted() && !a1.is_exhausted() && a.n_blocks() == 3, "{}", a.n_blocks());
        let phase = phase(128, 96);
        let (short, long) = (batches(&[(&a1, 2.0), (&b1, 1.0)], 7), batches(&[(&a, 2.0), (&b, 1.0)], 7));
        let in_order: Vec<Batch> =
            (0..40).map(|k| long.at(k * phase.batch_tokens(), &phase).unwrap()).collect();
        for k in [39, 3, 17, 0, 39] {
            let cursor = k * phase.batch_tokens();
            assert_eq!(in_order[k as usize], long.at(cursor, &phase).unwrap(), "batch {k} by itself");
            assert_eq!(in_order[k as usize], short.at(cursor, &phase).unwrap(), "batch {k} of a short cache");
        }
        // Batches of another size are the same sequences, also where a batch reaches into the next round.
        let one = Phase { batch_sequences: 1, ..phase };
        for sequence in (0..10).chain(1000..1060) {
            let at = (sequence % 96) as usize * 128;
            let alone = long.at(sequence * 128, &one).unwrap();
            assert_eq!(
                in_order[sequence as usize / 96].inputs[at..at + 128],
                alone.inputs,
                "sequence {sequence}"
            );
        }
        assert_ne!(in_order[0], batches(&[(&a, 2.0), (&b, 1.0)], 8).at(0, &phase).unwrap());
        let beyond = short.at(3 * BLOCK_TOKENS, &phase).unwrap_err();
        assert!(matches!(beyond, DataError::NotTokenised { .. }), "{beyond}");
    }

    #[test]
    fn every_window_comes_once_per_epoch_with_its_next_tokens_as_targets() {
        let (_cache, set, _) = two_corpora(9);
        let stream = train_stream(&set);
        for context_len in [64, 100, 1024] {
            let windows = windows_of(&set, context_len);
            let phase = phase(context_len, windows as usize);
            let batches = batches(&[(&set, 1.0)], 3);
            let epochs: Vec<Batch> =
                (0..2).map(|epoch| batches.at(epoch * phase.batch_tokens(), &phase).unwrap()).collect();
            assert_eq!(batches.epochs(phase.batch_tokens(), &phase)[set.hash()], 1.0);
            assert_ne!(epochs[0], epochs[1], "another order");
            for batch in epochs {
                let pairs: BTreeSet<(&[u16], &[u16])> =
                    batch.inputs.chunks(context_len).zip(batch.targets.chunks(context_len)).collect();
                let expected: BTreeSet<(&[u16], &[u16])> = stream
                    .chunks(BLOCK_TOKENS as usize)
                    .enumerate()
                    .flat_map(|(block, tokens)| {
                        let first = block * BLOCK_TOKENS as usize;
                        // The target of a block's last token is the next block's first.
                        let n =
                            (tokens.len() - usize::from(first + tokens.len() == stream.len())) / context_len;
                        (0..n).map(move |window| first + window * context_len)
                    })
                    .map(|at| (&stream[at..at + context_len], &stream[at + 1..at + context_len + 1]))
                    .collect();
                assert_eq!(pairs.len() as u64, windows, "context {context_len}");
                assert!(pairs == expected, "context {context_len}");
            }
        }
    }

    #[test]
    fn neighbours_in_a_batch_are_not_neighbours_in_the_text() {
        let (_cache, set, _) = two_corpora(1);
        let batch = batches(&[(&set, 1.0)], 3).at(0, &phase(64, 1024)).unwrap();
        let is_next = |pair: &&[&[u16]]| pair[0][1..] == pair[1][..63];
        let targets: Vec<&[u16]> = batch.targets.chunks(64).collect();
        let inputs: Vec<&[u16]> = batch.inputs.chunks(64).collect();
        let followed =
            targets.iter().zip(&inputs[1..]).filter(|(target, next)| target[63] == next[0]).count();
        // Text repeats letters: one in ten of unrelated windows fit together.
        assert!(followed < 300, "{followed} of 1023");
        assert_eq!(inputs.windows(2).filter(is_next).count(), 0);
    }

    #[test]
    fn weights_are_met_in_every_round_and_counted_between_rounds() {
        let (_cache, a, b) = two_corpora(9);
        for (weight_a, weight_b) in [(1.0, 1.0), (3.0, 1.0), (0.3, 0.7), (1023.0, 1.0)] {
            let batches = batches(&[(&a, weight_a), (&b, weight_b)], 1);
            let exact = |set: &TokenSet, weight: f64| {
                let source = batches.sources.iter().find(|source| source.set.hash() == set.hash()).unwrap();
                assert!((source.share as f64 - 1024.0 * weight / (weight_a + weight_b)).abs() <= 0.5);
            };
            exact(&a, weight_a);
            exact(&b, weight_b);
            for round in 0..3 {
                let order = batches.round_order(round);
                for (source_idx, source) in batches.sources.iter().enumerate() {
                    let n = order.iter().filter(|&&drawn| drawn == source_idx).count() as u64;
                    assert_eq!(n, source.share, "{weight_a} : {weight_b}");
                }
            }
            assert_ne!(batches.round_order(0), batches.round_order(1));
            let drawn = batches.drawn_before(2 * ROUND + 100);
            assert_eq!(drawn.iter().sum::<u64>(), 2 * ROUND + 100);
        }
    }

    #[test]
    fn what_a_run_needs_is_enough_for_its_last_batch() {
        let (_long, a, b) = two_corpora(9);
        for (context_len, batch_sequences, steps) in [(128, 8, 200), (64, 1000, 20), (1000, 7, 33), (1, 5, 5)]
        {
            let phase = Phase { context_len, batch_sequences, steps };
            let mixture = mixture(&[(&a, 1.0), (&b, 2.0)]);
            let needed = train_tokens_needed(&mixture, std::slice::from_ref(&phase)).unwrap();
            let batches = batches(&[(&a, 1.0), (&b, 2.0)], 5);
            let end = phase.tokens() / context_len as u64;
            for (source, drawn) in batches.sources.iter().zip(batches.drawn_before(end)) {
                let blocks = needed[source.set.hash()] / BLOCK_TOKENS;
                assert!(drawn <= blocks * (BLOCK_TOKENS / context_len as u64), "{phase:?}");
                assert!(blocks * BLOCK_TOKENS < drawn * context_len as u64 + 2 * BLOCK_TOKENS, "{phase:?}");
            }
        }
    }

    #[test]
    fn impossible_mixtures_and_windows_are_refused() {
        let (_cache, a, b) = two_corpora(9);
        let sets = BTreeMap::from([(a.hash().to_string(), a.clone())]);
        let error = Batches::new(&mixture(&[(&a, 1.0), (&b, 1.0)]), &sets, 0).unwrap_err();
        assert!(matches!(error, DataError::NotOpened { .. }), "{error}");
        let sets = BTreeMap::from([(a.hash().to_string(), a.clone()), (b.hash().to_string(), b.clone())]);
        let error = Batches::new(&mixture(&[(&a, 1e6), (&b, 1.0)]), &sets, 0).unwrap_err();
        assert!(matches!(error, DataError::WeightTooSmall { .. }), "{error}");
        let error = batches(&[(&a, 1.0)], 0).at(0, &phase(1 << 22, 1)).unwrap_err();
        assert!(matches!(error, DataError::ContextTooLong { .. }), "{error}");
    }

    #[test]
    fn the_order_of_the_data_stays_what_it_is() {
        // Finished runs hold their seed and not their data. A change here makes equal ids of unequal runs.
        let (_cache, a, b) = two_corpora(9);
        let batches = batches(&[(&a, 1.0), (&b, 3.0)], 42);
        let batch = batches.at(5 * BLOCK_TOKENS, &phase(128, 512)).unwrap();
        let ids: Vec<u8> = batch.targets.iter().flat_map(|id| id.to_le_bytes()).collect();
        assert_eq!(&blake3::hash(&ids).to_hex()[..16], "314a39c68fb64364");
    }
}
