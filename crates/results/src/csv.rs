//! Comma-separated text (RFC 4180), read with the line of each record and written so that it reads back.
//! Every cell is text; what is a number is for others to say.

use std::io;
use std::io::Write;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// Line on which it begins, from 1.
    pub line: usize,
    /// The fields, quotes taken off.
    pub fields: Vec<String>,
}

/// Splits `text` into records; empty lines are skipped. Fields may be quoted with `"`, a quote inside is
/// doubled, and a quoted field may hold separators and line ends.
///
/// # Errors
/// The line of a quote that is never closed.
pub(crate) fn parse(text: &str, separator: char) -> Result<Vec<Record>, String> {
    let mut records = Vec::new();
    let mut record = Record { line: 1, fields: Vec::new() };
    let mut field = String::new();
    let mut line = 1;
    let mut quote_line = None;
    let mut was_quoted = false;
    let mut chars = text.strip_prefix('\u{feff}').unwrap_or(text).chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\n' {
            line += 1;
        }
        if quote_line.is_some() {
            match c {
                '"' if chars.peek() == Some(&'"') => field.extend(chars.next()),
                '"' => quote_line = None,
                _ => field.push(c),
            }
        } else if c == '"' && field.is_empty() && !was_quoted {
            quote_line = Some(line);
            was_quoted = true;
        } else if c == separator {
            record.fields.push(std::mem::take(&mut field));
            was_quoted = false;
        } else if c == '\n' || c == '\r' && chars.peek() == Some(&'\n') {
            if c == '\r' {
                continue;
            }
            finish(&mut records, &mut record, &mut field, was_quoted);
            record.line = line;
            was_quoted = false;
        } else {
            field.push(c);
        }
    }
    if let Some(line) = quote_line {
        return Err(format!("line {line}: a quote is never closed"));
    }
    finish(&mut records, &mut record, &mut field, was_quoted);
    Ok(records)
}

fn finish(records: &mut Vec<Record>, record: &mut Record, field: &mut String, was_quoted: bool) {
    if record.fields.is_empty() && field.trim().is_empty() && !was_quoted {
        field.clear();
        return;
    }
    let mut fields = std::mem::take(&mut record.fields);
    fields.push(std::mem::take(field));
    records.push(Record { line: record.line, fields });
}

/// The separator of a header line: tab or semicolon where there is no comma.
pub(crate) fn separator(text: &str) -> char {
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    [',', '\t', ';'].into_iter().find(|c| header.contains(*c)).unwrap_or(',')
}

/// Writes one record.
///
/// # Errors
/// Those of `out`.
pub(crate) fn write_record<S: AsRef<str>>(
    out: &mut impl Write,
    fields: impl IntoIterator<Item = S>,
) -> io::Result<()> {
    for (field_idx, field) in fields.into_iter().enumerate() {
        if field_idx > 0 {
            out.write_all(b",")?;
        }
        let field = field.as_ref();
        if field.contains([',', '"', '\n', '\r', ';', '\t']) || field.trim() != field {
            write!(out, "\"{}\"", field.replace('"', "\"\""))?;
        } else {
            out.write_all(field.as_bytes())?;
        }
    }
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<(usize, Vec<String>)> {
        parse(text, separator(text)).unwrap().into_iter().map(|record| (record.line, record.fields)).collect()
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
            ("a\n\"\"\n", &[(1, &["a"]), (2, &[""])]),
            ("a,b\n5\"6,x\n", &[(1, &["a", "b"]), (2, &["5\"6", "x"])]),
            ("", &[]),
        ] {
            assert_eq!(fields(text), expected(records), "{text:?}");
        }
        assert_eq!(parse("a\n1\n\"2\n3\n", ',').unwrap_err(), "line 3: a quote is never closed");
    }

    #[test]
    fn what_is_written_reads_back() {
        let record = ["plain", "", "a,b", "say \"so\"", "two\nlines", " padded ", "1e18"];
        let mut out = Vec::new();
        write_record(&mut out, record).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(fields(&text)[0].1, record, "{text}");
    }
}
