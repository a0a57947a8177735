//! Run folders become tables: `results.parquet` with a row per run, `metrics.parquet` with the learning
//! curves, and the [`LossTable`](scalelaw_schema::table::LossTable) that fits take; a user's own CSV or
//! Parquet becomes the latter too. Trains nothing and fits nothing.
//!
//! Reading order: one run's folder (`run_folder`, `curves`, `row_scan`), a sweep's folders (`collect`), what is written
//! from them (`wide`, `parquet`, `csv`, `export`), what fits take (`loss_table`), and tables that others
//! made (`table_file`, `read_table`, `filter`).

mod curves;
mod row_scan;
mod run_folder;

mod collect;

mod csv;
mod export;
mod parquet;
mod wide;

mod loss_table;

mod cell;
mod filter;
mod read_table;
mod table_file;

mod error;

#[cfg(test)]
mod fixture;

pub use collect::{Collected, collect};
pub use curves::{Curve, Series};
pub use error::ResultsError;
pub use export::{Format, export, export_curves};
pub use loss_table::{NotedTable, loss_table, texts};
pub use parquet::write_parquet;
pub use read_table::{ColumnNames, read_table};
