//! The shared formats of Scalelaw, and how N, D and C are counted. Types, their checks, parsing and
//! printing; no files, no algorithms.
//!
//! Reading order: what the user wrote ([`sweep`], [`axis`], [`corpus`], [`generator`], [`skill`]), what was resolved from
//! it ([`model`], [`recipe`], [`lr_rule`], [`mixture`], [`train_spec`], [`run_id`], [`run_name`], [`run`], [`plan`]),
//! what happened ([`event`], [`metrics`], [`eval`], [`score`], [`record`], [`folder`]), what is shown of text
//! ([`listing`], [`overlap`]), and what is fitted ([`measure`], [`table`]).
//! How numbers are written: [`text`].

#![warn(missing_docs)]

pub mod axis;
pub mod corpus;
pub mod generator;
pub mod skill;
pub mod source;
pub mod sweep;

pub mod canonical;
pub mod count;
pub mod lr_rule;
pub mod mixture;
pub mod model;
pub mod plan;
pub mod recipe;
pub mod run;
pub mod run_id;
pub mod run_name;
pub mod train_spec;

pub mod device;
pub mod eval;
pub mod event;
pub mod folder;
pub mod metrics;
pub mod record;
pub mod score;
pub mod status;

pub mod listing;
pub mod overlap;

pub mod measure;
pub mod table;

pub mod text;

mod error;
mod place;

pub use error::SchemaError;

/// Version of every JSON and Parquet format that this crate defines; each file carries it.
pub const SCHEMA_VERSION: u32 = 1;

/// Vocabulary of the byte tokenizer: 256 bytes and the end of a document. Every other vocabulary begins with it.
pub const BYTE_VOCAB_SIZE: usize = 257;

/// Level of every interval that the program computes by default.
pub const LEVEL: f64 = 0.95;

/// Whole numbers beyond this are not exact in an `f64`: 2^53.
pub const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
