//! A table of values, written as HTML, as Markdown and for a terminal.

use scalelaw_fit::conclusion::Interval;

use super::equation;
use super::html;
use super::intervals::{estimate, interval, interval_method};
use super::markdown;
use super::numbers::UNKNOWN;
use super::wrap::{pieces, wrap};

/// Columns of a terminal between two columns of a table.
const GAP: usize = 2;
/// Columns of a terminal before a table's lines.
const INDENT: usize = 2;
/// A last column of text wider than this goes below its row where a terminal has no room for it.
const WIDE: usize = 40;
/// A column of text is not wrapped below this before numbers are.
const NARROW: usize = 20;
/// Rows on a terminal before the rest is only counted.
const ROWS_SHOWN: usize = 40;

/// A table; all text in it is plain.
pub struct Table {
    /// Title; empty where the table needs none.
    pub title: String,
    /// Titles of the columns; one that starts with `#` is a column of numbers.
    pub head: Vec<String>,
    /// Rows of cells.
    pub rows: Vec<Vec<Cell>>,
    /// What to know of it; empty where there is nothing.
    pub note: String,
    /// Class of the HTML table.
    pub class: &'static str,
}

/// One value of a table.
#[derive(Debug, Clone)]
pub enum Cell {
    /// Text, or a number already written.
    Text(String),
    /// A sentence, or the beginning of one; on the page it begins with a capital.
    Prose(String),
    /// A name to be copied.
    Code(String),
    /// The name of a parameter of a law.
    Symbol(String),
    /// An equation as `fit` writes it.
    Equation(String),
    /// A value and its interval, where it has one.
    Estimate(f64, Option<Interval>),
    /// An interval alone.
    Interval(Option<Interval>),
    /// Why there is no value.
    Why(String),
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl Cell {
    /// For a terminal.
    fn plain(&self) -> String {
        match self {
            Cell::Text(text) | Cell::Prose(text) | Cell::Code(text) | Cell::Symbol(text) => text.clone(),
            Cell::Equation(text) => text.clone(),
            Cell::Why(_) => "none".to_string(),
            Cell::Interval(found) => finite(found).map_or_else(|| UNKNOWN.to_string(), interval),
            Cell::Estimate(value, found) => {
                let ends = finite(found).map_or(String::new(), |found| format!(" {}", interval(found)));
                format!("{}{ends}", estimate(*value, found.as_ref()))
            }
        }
    }

    fn html(&self) -> String {
        match self {
            Cell::Text(text) => html::wide_minus(&html::escape(text)),
            Cell::Prose(text) => html::prose(text),
            Cell::Code(text) => format!("<code>{}</code>", html::escape(text)),
            Cell::Symbol(name) => format!("<i>{}</i>", equation::symbol(name)),
            Cell::Equation(text) => equation::typeset(text, &Default::default()),
            Cell::Why(why) => format!("<span class=\"why\">none: {}</span>", html::escape(why)),
            Cell::Interval(found) => interval_html(found.as_ref()),
            Cell::Estimate(value, found) => {
                let value = html::wide_minus(&estimate(*value, found.as_ref()));
                match finite(found) {
                    Some(found) => format!("{value} {}", interval_html(Some(found))),
                    None => value,
                }
            }
        }
    }

    fn markdown(&self) -> String {
        match self {
            Cell::Code(text) | Cell::Equation(text) => markdown::code(text),
            Cell::Why(why) => format!("none: {}", markdown::escape(why)),
            other => markdown::escape(&other.plain()),
        }
    }
}

impl Table {
    /// A table without a note.
    pub fn new<C: Into<Cell>>(title: impl Into<String>, head: &[&str], rows: Vec<Vec<C>>) -> Table {
        Table {
            title: title.into(),
            head: head.iter().map(ToString::to_string).collect(),
            rows: rows.into_iter().map(|row| row.into_iter().map(Into::into).collect()).collect(),
            note: String::new(),
            class: "plain",
        }
    }

    /// With `note`.
    pub fn with_note(self, note: impl Into<String>) -> Table {
        Table { note: note.into(), ..self }
    }

    /// For the page; nothing where there are no rows.
    pub fn html(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let title = match self.title.as_str() {
            "" => String::new(),
            title => format!("<h3>{}</h3>", html::escape(title)),
        };
        let note = match self.note.as_str() {
            "" => String::new(),
            note => format!("<p class=\"note\">{}</p>", html::prose(note)),
        };
        let head: Vec<String> = self.head.iter().map(|title| html::escape(title)).collect();
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(Cell::html).collect()).collect();
        format!("{title}{}{note}", html::table(self.class, &head, &rows))
    }

    /// The same as Markdown, its title as a heading of `depth`.
    pub fn markdown(&self, depth: usize) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let title = match self.title.as_str() {
            "" => String::new(),
            title => format!("{} {}\n\n", "#".repeat(depth), markdown::escape(title)),
        };
        let note = match self.note.as_str() {
            "" => String::new(),
            note => format!("{}\n\n", markdown::escape(note)),
        };
        let head: Vec<String> = self.titles().map(markdown::escape).collect();
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(Cell::markdown).collect()).collect();
        format!("{title}{}{note}", markdown::table(&head, &rows))
    }

    /// For a terminal of `width` columns. A first column of text that repeats itself becomes headings, and why a value is
    /// missing stands below its row. Where there is no room, so does a long last column, then cells are wrapped, and at
    /// last every row becomes a list.
    pub fn terminal(&self, width: usize) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut out = match self.title.as_str() {
            "" => String::new(),
            title => wrap(title, 0, width),
        };
        let head: Vec<String> = self.titles().map(str::to_string).collect();
        let shown = || self.rows.iter().take(ROWS_SHOWN);
        let rows = shown().map(|row| row.iter().map(Cell::plain).collect()).collect();
        let below = shown().map(|row| reasons(row, &head)).collect();
        let is_number = self.head.iter().map(|title| title.starts_with('#')).collect();
        let above = vec![None; self.rows.len()];
        out.push_str(&Grid { head, rows, above, below, is_number }.lines(width));
        if self.rows.len() > ROWS_SHOWN {
            out.push_str(&format!("  and {} more in the report\n", self.rows.len() - ROWS_SHOWN));
        }
        if !self.note.is_empty() {
            out.push_str(&wrap(&self.note, INDENT, width));
        }
        out
    }

    fn titles(&self) -> impl Iterator<Item = &str> {
        self.head.iter().map(|title| title.trim_start_matches('#'))
    }
}

/// Why values of a row are missing, a line each.
fn reasons(row: &[Cell], head: &[String]) -> Vec<String> {
    let cells = row.iter().zip(head);
    cells
        .filter_map(|(cell, title)| match cell {
            Cell::Why(why) => Some(format!("{title}: {why}")),
            _ => None,
        })
        .collect()
}

/// An interval with its method in a tooltip.
pub fn interval_html(found: Option<&Interval>) -> String {
    match found.filter(|i| i.low.is_finite() && i.high.is_finite()) {
        Some(found) => format!(
            "<span class=\"ci\" title=\"{}\">{}</span>",
            html::escape(&interval_method(found)),
            html::wide_minus(&interval(found))
        ),
        None => format!("<span class=\"unknown\">{UNKNOWN}</span>"),
    }
}

fn finite(found: &Option<Interval>) -> Option<&Interval> {
    found.as_ref().filter(|i| i.low.is_finite() && i.high.is_finite())
}

/// Cells as text, to be laid out.
struct Grid {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
    /// The heading that stands above a row.
    above: Vec<Option<String>>,
    /// What stands below each row.
    below: Vec<Vec<String>>,
    is_number: Vec<bool>,
}

impl Grid {
    fn lines(mut self, width: usize) -> String {
        let room = width.saturating_sub(INDENT);
        self.put_repeated_above();
        let natural = self.natural();
        let is_text_last = natural.len() > 2 && self.is_number.last() == Some(&false);
        let is_too_wide = natural.last() > Some(&WIDE) || self.fitted(room).is_none();
        if total(&natural) > room && is_text_last && is_too_wide {
            self.put_last_below();
        }
        let widths = self.fitted(room);
        let mut out = match &widths {
            Some(widths) if self.head.iter().any(|title| !title.is_empty()) => self.line(&self.head, widths),
            _ => String::new(),
        };
        for ((row, above), below) in self.rows.iter().zip(&self.above).zip(&self.below) {
            out.push_str(&above.as_ref().map_or(String::new(), |heading| wrap(heading, INDENT, width)));
            match &widths {
                Some(widths) => out.push_str(&self.line(row, widths)),
                None => out.push_str(&self.list(row, width)),
            }
            for text in below {
                out.push_str(&wrap(text, 2 * INDENT, width));
            }
        }
        out
    }

    fn put_repeated_above(&mut self) {
        let is_repeated = self.rows.windows(2).any(|pair| pair[0].first() == pair[1].first());
        if self.head.len() < 3 || self.is_number[0] || !is_repeated {
            return;
        }
        self.head.remove(0);
        self.is_number.remove(0);
        let mut last = String::new();
        for (row, above) in self.rows.iter_mut().zip(&mut self.above) {
            let name = row.remove(0);
            if name != last {
                last.clone_from(&name);
                *above = Some(name);
            }
        }
    }

    fn put_last_below(&mut self) {
        self.head.pop();
        self.is_number.pop();
        for (row, below) in self.rows.iter_mut().zip(&mut self.below) {
            below.extend(row.pop().filter(|text| !text.is_empty()));
        }
    }

    /// Widths at which no cell is wrapped.
    fn natural(&self) -> Vec<usize> {
        self.widths(|cell| cell.chars().count())
    }

    fn widths(&self, of: impl Fn(&str) -> usize) -> Vec<usize> {
        (0..self.head.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.chain([&self.head[column]]).map(|cell| of(cell)).max().unwrap_or(0)
            })
            .collect()
    }

    /// Widths that fit into `room`: titles give way first, then text, then numbers, the widest first.
    fn fitted(&self, room: usize) -> Option<Vec<usize>> {
        let longest_piece = |cell: &str| pieces(cell).iter().map(|p| p.chars().count()).max().unwrap_or(0);
        let least = self.widths(longest_piece);
        let of_cells: Vec<usize> = (0..least.len())
            .map(|idx| {
                let cells = self.rows.iter().filter_map(|row| row.get(idx));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(least[idx])
            })
            .collect();
        let of_text: Vec<usize> = (0..least.len())
            .map(|idx| if self.is_number[idx] { usize::MAX } else { least[idx].max(NARROW) })
            .collect();
        let mut widths = self.natural();
        while total(&widths) > room {
            let widest = |floor: &[usize]| {
                (0..widths.len()).filter(|&idx| widths[idx] > floor[idx]).max_by_key(|&idx| widths[idx])
            };
            let idx = widest(&of_cells).or_else(|| widest(&of_text)).or_else(|| widest(&least))?;
            widths[idx] -= 1;
        }
        Some(widths)
    }

    /// A row, of as many lines as its cells need.
    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let cells: Vec<Vec<String>> =
            row.iter().zip(widths).map(|(cell, width)| wrapped_cell(cell, *width)).collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(0);
        let mut out = String::new();
        for idx in 0..height {
            let mut line = " ".repeat(INDENT);
            for ((cell, &width), is_number) in cells.iter().zip(widths).zip(&self.is_number) {
                let text = cell.get(idx).map_or("", String::as_str);
                match is_number {
                    true => line.push_str(&format!("{text:>width$}")),
                    false => line.push_str(&format!("{text:<width$}")),
                }
                line.push_str(&" ".repeat(GAP));
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    /// A row as a list of its values, each with its title but the first.
    fn list(&self, row: &[String], width: usize) -> String {
        let first = row.first().map_or(String::new(), |cell| wrap(cell, INDENT, width));
        let rest = self.head.iter().zip(row).skip(1).filter(|(_, cell)| !cell.is_empty());
        rest.fold(first, |out, (title, cell)| out + &wrap(&format!("{title}: {cell}"), 2 * INDENT, width))
    }
}

fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

fn wrapped_cell(cell: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for piece in pieces(cell) {
        let line = lines.last_mut().expect("there is a first line");
        if line.is_empty() {
            line.push_str(&piece);
        } else if line.chars().count() + 1 + piece.chars().count() <= width {
            line.push(' ');
            line.push_str(&piece);
        } else {
            lines.push(piece);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let row = |cells: [&str; 4]| cells.map(String::from).to_vec();
        Table::new(
            "Sizes",
            &["Text", "#N*, fitted law", "#Loss", "Why"],
            vec![
                row([
                    "facts",
                    "23.4K [20.1K, 27.7K]",
                    "2.1234",
                    "both intervals of the ratio lie to the right of one",
                ]),
                row(["prose", "none", "-1.5", ""]),
            ],
        )
    }

    #[test]
    fn a_table_fits_every_width_and_loses_nothing() {
        for width in [30, 40, 60, 80, 200] {
            let text = table().terminal(width);
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}\n{text}");
            let words: Vec<&str> = text.split_whitespace().collect();
            for word in ["facts", "[20.1K,", "2.1234", "right", "prose", "-1.5"] {
                assert!(words.contains(&word), "{width}: {word}\n{text}");
            }
        }
        assert_eq!(
            table().terminal(60),
            "Sizes\n  Text         N*, fitted law    Loss\n  facts  23.4K [20.1K, 27.7K]  2.1234\n    both intervals of the ratio lie to the right of one\n  prose                  none    -1.5\n"
        );
    }

    #[test]
    fn a_first_column_that_repeats_itself_becomes_headings() {
        let rows = [["facts", "1e12", "1"], ["facts", "3e12", "2"], ["prose", "1e12", "3"]];
        let rows = rows.map(|row| row.map(String::from).to_vec()).to_vec();
        assert_eq!(
            Table::new("", &["Text", "#Budget", "#N*"], rows).terminal(40),
            "  Budget  N*\n  facts\n    1e12   1\n    3e12   2\n  prose\n    1e12   3\n"
        );
    }

    #[test]
    fn html_and_markdown_mark_numbers_and_escape_text() {
        let table = Table::new("a < b", &["x", "#y"], vec![vec!["<i>".to_string(), "-1".to_string()]]);
        assert!(
            table.html().contains("<td>&lt;i&gt;</td><td class=\"num\">\u{2212}1</td>"),
            "{}",
            table.html()
        );
        assert_eq!(table.markdown(3), "### a &lt; b\n\n| x | y |\n| --- | --- |\n| &lt;i> | -1 |\n\n");
    }
}
