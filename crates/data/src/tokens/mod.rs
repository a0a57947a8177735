//! The tokens of a corpus: how text is cut into them, how they are cached, and which of them a run sees when.
//!
//! In reading order: a [`tokenizer`] turns text into token ids; [`tokenise`] caches the tokens of a corpus as a
//! [`token_set`], no more than are needed; [`batches`] are what a run sees at each position.

mod bpe;
pub mod tokenizer;

mod shard;
pub mod token_set;

mod stream;
pub mod tokenise;

pub mod batches;

pub(crate) use bpe::END_OF_DOCUMENT;

#[cfg(test)]
mod tests;
