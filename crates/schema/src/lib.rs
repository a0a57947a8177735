//! The shared formats of Scalelaw, and how N, D and C are counted. Types, their checks, parsing and
//! printing; no files, no algorithms.
//!
//! Reading order: what a person wrote ([`sweep`], [`axis`], [`corpus`], [`generator`], [`skill`]), what was resolved from
//! it ([`model`], [`recipe`], [`lr_rule`], [`mixture`], [`train_spec`], [`run_id`], [`run`], [`plan`]), what happened
//! ([`event`], [`metrics`], [`eval`], [`score`], [`record`], [`folder`]), and what is fitted ([`table`]).

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
pub mod train_spec;

pub mod device;
pub mod eval;
pub mod event;
pub mod folder;
pub mod metrics;
pub mod record;
pub mod score;

pub mod table;

mod error;

pub use error::SchemaError;

/// Version of every JSON and Parquet format that this crate defines; each file carries it.
pub const SCHEMA_VERSION: u32 = 1;
