//! Comma-separated text (RFC 4180) with the line of each record. Every cell is text; callers decide what is a number.

use csv::{ReaderBuilder, StringRecord};
use thiserror::Error;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Line on which it begins, from 1.
    pub line: usize,
    /// The fields, without their quotes.
    pub fields: StringRecord,
}

/// A quoted field that the text ends in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: a quote is never closed")]
pub(crate) struct UnclosedQuote {
    /// The line of its quote.
    pub line: usize,
}

/// A record behind the text. Where a quote is open it becomes part of the last field; no table holds it, since none
/// holds a NUL.
const END: &str = "\n\0";

/// Splits `text`, which holds no NUL, into records; empty lines are skipped. Fields may be quoted with `"`, a quote
/// inside is doubled, and a quoted field may hold separators and line ends.
///
/// # Errors
/// The line of a quote that is never closed.
pub(crate) fn parse(text: &str, separator: char) -> Result<Vec<Record>, UnclosedQuote> {
    let text = format!("{}{END}", text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut reader = ReaderBuilder::new()
        .delimiter(separator as u8)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut records = Vec::new();
    let mut fields = StringRecord::new();
    let (mut line, mut counted) = (1, 0);
    while reader.read_record(&mut fields).expect("text in memory can be read, whatever the fields of a line")
    {
        // The reader counts the empty lines before a record as its own.
        let start = fields.position().expect("a record that was read has a position").byte() as usize;
        let start = start + text[start..].find(|c| c != '\r' && c != '\n').unwrap_or(0);
        line += text[counted..start].matches('\n').count();
        counted = start;
        if fields.len() > 1 || fields[0].is_empty() || !fields[0].trim().is_empty() {
            records.push(Record { line, fields: fields.clone() });
        }
    }
    let last = records.pop().expect("the end is a record");
    match &last.fields[last.fields.len() - 1] {
        "\0" if last.fields.len() == 1 => Ok(records),
        open => Err(UnclosedQuote { line: 1 + text.matches('\n').count() - open.matches('\n').count() }),
    }
}

/// The separator of a header line: tab or semicolon where there is no comma.
pub(crate) fn separator(text: &str) -> char {
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    [',', '\t', ';'].into_iter().find(|c| header.contains(*c)).unwrap_or(',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<(usize, Vec<String>)> {
        let records = parse(text, separator(text)).unwrap().into_iter();
        records.map(|record| (record.line, record.fields.iter().map(str::to_string).collect())).collect()
    }

    #[test]
    fn records_have_their_fields_and_the_line_on_which_they_begin() {
        let expected = |records: &[(usize, &[&str])]| {
            records
                .iter()
                .map(|(line, fields)| (*line, fields.iter().map(|field| field.to_string()).collect()))
                .collect::<Vec<(usize, Vec<String>)>>()
        };
        for (text, records) in [
            ("a,b\n1,2\n", &[(1, &["a", "b"][..]), (2, &["1", "2"])][..]),
            ("a,b\r\n1,2", &[(1, &["a", "b"]), (2, &["1", "2"])]),
            ("\u{feff}a\tb\n\n \n1\t2\n", &[(1, &["a", "b"]), (4, &["1", "2"])]),
            ("a;b\n,;\n", &[(1, &["a", "b"]), (2, &[",", ""])]),
            ("a,b\n\"x\ny\"\"z\",2\n3,\n", &[(1, &["a", "b"]), (2, &["x\ny\"z", "2"]), (4, &["3", ""])]),
            (
                "a,b\r\n\r\n\"x\r\ny\",2\r\n3,4\r\n",
                &[(1, &["a", "b"]), (3, &["x\r\ny", "2"]), (5, &["3", "4"])],
            ),
            ("a\n\"\"\n", &[(1, &["a"]), (2, &[""])]),
            ("a,b\n5\"6,x\n", &[(1, &["a", "b"]), (2, &["5\"6", "x"])]),
            ("\n\nä,b\n\nö,2", &[(3, &["ä", "b"]), (5, &["ö", "2"])]),
            ("", &[]),
        ] {
            assert_eq!(fields(text), expected(records), "{text:?}");
        }
        for (text, line) in [
            ("a\n1\n\"2\n3\n", 3),
            ("a,b\n\n1,\"2", 3),
            ("\"", 1),
            ("a\n\"x\ny\",\"z", 3),
            ("a\n1,\"2\"\"\n\n", 2),
        ] {
            assert_eq!(
                parse(text, ',').unwrap_err().to_string(),
                format!("line {line}: a quote is never closed")
            );
        }
    }
}
