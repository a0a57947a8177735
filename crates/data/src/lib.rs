//! From text on this machine to batches of token ids. Knows nothing of models.
//!
//! In reading order: a [`manifest`] names text, which [`obtain`] downloads where a package holds it; [`corpus`]
//! finds or generates it, gives it an identity and holds a part of it out; [`tokenizer`] writes it as token ids;
//! [`tokenise`] caches them as [`token_set`]s, no more than are needed; [`batches`] says which of them a run sees at
//! which position; a [`suite`] holds what is asked about a skill, and how answers are scored.

pub mod manifest;
pub mod obtain;

pub mod corpus;
mod document;
mod files;
mod html;
mod jsonl;
mod metamath;
mod reader;
mod registry;
mod rust_docs;
mod skills;
mod split;
mod wordnet;

mod bpe;
pub mod tokenizer;

mod shard;
pub mod suite;
pub mod token_set;
pub mod tokenise;

pub mod batches;
mod permutation;

#[cfg(test)]
mod testing;

mod error;

use scalelaw_disk as disk;

pub use batches::{Batch, Batches, train_tokens_needed};
pub use corpus::Corpus;
pub use error::DataError;
pub use manifest::{builtin_manifests, builtin_skills, parse_manifest};
pub use skills::SkillEntropy;
pub use suite::Suite;
pub use suite::tokens::{Sequence, SequenceLosses, TokenSuite};
pub use token_set::{TokenSet, known_train_tokens};
pub use tokenise::{Needed, TokenSetFacts, ensure_tokens, token_set_hash};
pub use tokenizer::Tokenizer;
