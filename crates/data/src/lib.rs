//! From text on this machine to batches of token ids. Knows nothing of models.
//!
//! In reading order: a [`manifest`] names text. [`sources`] finds it on this machine, and downloads it if a package
//! holds it. [`skills`] generates text. A [`corpus`] gives text an identity and holds a part of it out. [`tokens`] are
//! its text under a tokenizer, cached as far as they are needed, and the batches that a run sees. A [`suite`] holds
//! the questions that measure a skill, and scores the answers. A [`catalogue`] finds corpora and skills by name.

#![warn(missing_docs)]

pub mod manifest;

pub mod sources;

pub mod skills;

pub mod corpus;

pub mod tokens;

pub mod suite;

pub mod catalogue;

mod error;
mod hash;
mod permutation;

#[cfg(test)]
mod known_answers;
#[cfg(test)]
mod testing;

use scalelaw_disk as disk;

pub use catalogue::Catalogue;
pub use corpus::Corpus;
pub use error::DataError;
pub use error::corpus::{NoDocuments, Unit};
pub use error::tokens::{Damage, VocabularyError};
pub use manifest::{builtin_manifests, builtin_skills, parse_manifest};
pub use skills::{SkillEntropy, TaskError};
pub use sources::{EntryError, JsonError, LineError, PackageError};
pub use suite::{ItemError, SuiteError};
pub use suite::{Sequence, SequenceLosses, Suite, TokenSuite};
pub use tokens::batches::{Batch, Batches, train_tokens_needed};
pub use tokens::token_set::{TokenSet, known_train_tokens};
pub use tokens::tokenise::{Needed, TokenSetFacts, ensure_tokens, token_set_hash};
pub use tokens::tokenizer::Tokenizer;
