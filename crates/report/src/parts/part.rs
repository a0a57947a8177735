//! The answer to one question, whatever it is written as.

use crate::draw::chart::Chart;
use crate::text::table::Table;

/// The answer to one question.
pub struct Part {
    /// Its place in the page.
    pub id: &'static str,
    /// Its name in the table of contents, one or two words.
    pub link: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What came out, in one sentence of plain text; empty where there is none.
    pub lead: String,
    /// Its charts.
    pub charts: Vec<Chart>,
    /// Its tables.
    pub tables: Vec<Table>,
    /// Things to know, in plain text.
    pub notes: Vec<String>,
}
