//! A table of plain text, for the page and for Markdown.

use crate::html;
use crate::markdown;

/// A table; everything in it is plain text.
pub struct Table {
    pub title: String,
    /// Titles of the columns; one that starts with `#` is a column of numbers.
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
    pub note: String,
}

impl Table {
    pub fn html(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let head: Vec<String> = self.head.iter().map(|title| html::escape(title)).collect();
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(|cell| html::escape(cell)).collect()).collect();
        let note = if self.note.is_empty() {
            String::new()
        } else {
            format!("<p class=\"note\">{}</p>", html::prose(&self.note))
        };
        format!("<h3>{}</h3>{}{note}", html::escape(&self.title), html::table("plain", &head, &rows))
    }

    pub fn markdown(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let head: Vec<String> =
            self.head.iter().map(|title| markdown::escape(title.trim_start_matches('#'))).collect();
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(|cell| markdown::escape(cell)).collect()).collect();
        let note = if self.note.is_empty() {
            String::new()
        } else {
            format!("{}\n\n", markdown::escape(&self.note))
        };
        format!("### {}\n\n{}{note}", markdown::escape(&self.title), markdown::table(&head, &rows))
    }
}

/// Column titles.
pub fn head(titles: &[&str]) -> Vec<String> {
    titles.iter().map(ToString::to_string).collect()
}
