//! Text into HTML: everything that a user wrote passes through [`escape`].

use super::numbers::capitalised;

/// `text` with the five characters that HTML gives a meaning replaced; fit for content and for quoted
/// attributes. Control characters that no document may hold are dropped.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// A sentence of ours or of a user's: escaped, its first letter large, and what stands in backticks as code.
pub fn prose(text: &str) -> String {
    let text = capitalised(text);
    let parts: Vec<&str> = text.split('`').collect();
    // An odd number of backticks is no code.
    if parts.len().is_multiple_of(2) {
        return wide_minus(&escape(&text));
    }
    parts
        .iter()
        .enumerate()
        .map(
            |(idx, part)| {
                if idx % 2 == 1 {
                    format!("<code>{}</code>", escape(part))
                } else {
                    wide_minus(&escape(part))
                }
            },
        )
        .collect()
}

/// `text` with the typographic minus, which is as wide as a plus, before its numbers.
pub fn wide_minus(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        let is_sign =
            c == '-' && matches!(before, ' ' | '[' | '(') && letters.peek().is_some_and(char::is_ascii_digit);
        out.push(if is_sign { '\u{2212}' } else { c });
        before = c;
    }
    out
}

/// A table that scrolls inside its own box. Titles and cells are already HTML; a title that starts with `#` is a
/// column of numbers.
pub fn table(class: &str, head: &[String], rows: &[Vec<String>]) -> String {
    let is_number: Vec<bool> = head.iter().map(|title| title.starts_with('#')).collect();
    let attribute = |idx: usize| if is_number.get(idx) == Some(&true) { " class=\"num\"" } else { "" };
    let head: String = head
        .iter()
        .enumerate()
        .map(|(idx, title)| {
            format!("<th scope=\"col\"{}>{}</th>", attribute(idx), title.trim_start_matches('#'))
        })
        .collect();
    let rows: String = rows
        .iter()
        .map(|cells| {
            let cells: String = cells
                .iter()
                .enumerate()
                .map(|(idx, cell)| format!("<td{}>{cell}</td>", attribute(idx)))
                .collect();
            format!("<tr>{cells}</tr>\n")
        })
        .collect();
    format!(
        "<div class=\"scroll\"><table class=\"{class}\"><thead><tr>{head}</tr></thead><tbody>\n{rows}</tbody></table></div>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_user_cannot_become_markup() {
        assert_eq!(
            escape("<script>alert('a & b')</script>\u{0}\""),
            "&lt;script&gt;alert(&#39;a &amp; b&#39;)&lt;/script&gt;&quot;"
        );
    }

    #[test]
    fn prose_shows_backticks_as_code_and_is_escaped() {
        assert_eq!(prose("law `<b>` fits"), "Law <code>&lt;b&gt;</code> fits");
        assert_eq!(prose("a ` alone"), "A ` alone");
        assert_eq!(prose(""), "");
        assert_eq!(
            prose("from -1 to [-2, 3], `-1`, 2-3"),
            "From \u{2212}1 to [\u{2212}2, 3], <code>-1</code>, 2-3"
        );
    }

    #[test]
    fn a_table_marks_its_columns_of_numbers() {
        let found = table("t", &["run".into(), "#N".into()], &[vec!["a".into(), "1".into()]]);
        assert!(found.contains("<th scope=\"col\" class=\"num\">N</th>"), "{found}");
        assert!(found.contains("<td>a</td><td class=\"num\">1</td>"), "{found}");
    }
}
