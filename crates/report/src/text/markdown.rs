//! Text into Markdown: everything that a user wrote passes through [`escape`].

/// A user's text cannot open HTML, end a cell or start a line of its own.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('|', "\\|").replace(['\n', '\r'], " ")
}

/// `text` as code; only escaped where it holds what ends code, opens HTML or ends a cell.
pub fn code(text: &str) -> String {
    if text.contains(['`', '<', '|', '\n', '\r']) { escape(text) } else { format!("`{text}`") }
}

/// A table; titles and cells are already Markdown.
pub fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = vec!["---".to_string(); head.len()];
    let rows: String = rows.iter().map(|row| line(row)).collect();
    format!("{}{}{rows}\n", line(head), line(&rule))
}
