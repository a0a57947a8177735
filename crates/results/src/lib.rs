//! Run folders become tables: `results.parquet` with a row per run, `metrics.parquet` with the learning
//! curves, and the [`LossTable`](scalelaw_schema::table::LossTable) that fits take; a user's own CSV or
//! Parquet becomes the latter too. Trains nothing and fits nothing.
//!
//! Reading order: one run's folder (`read`), a sweep's folders (`collect`), what fits take of them (`select`), the
//! tables as columns, frames and files (`table`), what is written (`export`), and tables that others made
//! (`user_table`).

#![warn(missing_docs)]

mod error;

mod read;
mod table;

mod select;

mod collect;
mod export;
mod user_table;

#[cfg(test)]
mod testing;

pub use collect::{Collected, collect};
pub use error::ResultsError;
pub use export::{Format, Table, export, export_to, write_parquet};
pub use read::curve::{Curve, Series};
pub use select::{NotedTable, loss_table, texts};
pub use user_table::{ColumnNames, read_table};
