//! `--where`: comparisons of a column with a number or a text, joined by `and`, `or`, `not` and
//! parentheses. A small language of its own; nothing is computed in it.
//!
//! ```text
//! either     = both { "or" both }
//! both       = one { "and" one }
//! one        = "not" one | "(" either ")" | comparison
//! comparison = column ("=" | "==" | "!=" | "<" | "<=" | ">" | ">=") (number | 'text' | "text" | true | false)
//! ```
//! A column is a bare name or a name in backticks. A comparison with a missing cell is neither true nor
//! false, and so is its negation; a row is kept where the whole is true.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::cell::Cell;
use super::columns::find_column;
use crate::error::ResultsError;

/// Parentheses and `not` may nest this deep; deeper nesting is not a hand-written filter.
const MAX_DEPTH: usize = 100;

/// Which of `height` rows a filter keeps. `cells` gives a column of `table` (a file's name; none for a sweep's own
/// results) by one of `names`.
///
/// # Errors
/// `Filter` with the place, `NoColumn` with the nearest name, or what `cells` returns.
pub(crate) fn evaluate(
    text: &str,
    table: Option<&str>,
    names: &[String],
    height: usize,
    mut cells: impl FnMut(&str) -> Result<Vec<Cell>, ResultsError>,
) -> Result<Vec<bool>, ResultsError> {
    let mut parser = Parser { text, tokens: tokenise(text)?, at: 0, columns: Vec::new() };
    let expr = parser.either(0)?;
    if parser.at < parser.tokens.len() {
        return Err(parser.error("expected `and`, `or` or the end"));
    }
    let mut columns = HashMap::new();
    for (column, place, is_numeric) in &parser.columns {
        let name = find_column(table, names, column)?;
        let found = match columns.remove(column) {
            Some(found) => found,
            None => cells(&name)?,
        };
        let has_text = found.iter().any(|cell| *cell != Cell::Missing);
        if *is_numeric && has_text && found.iter().all(|cell| cell.number().is_none()) {
            return Err(ResultsError::Filter {
                text: text.to_string(),
                column: *place,
                why: format!("column `{column}` holds no numbers (hint: put the value in quotes)"),
            });
        }
        columns.insert(column.clone(), found);
    }
    Ok((0..height).map(|row_idx| expr.truth(&columns, row_idx) == Some(true)).collect())
}

/// A filter.
#[derive(Debug)]
enum Expr {
    Compare { column: String, operator: Operator, value: Value },
    Not(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Number(f64),
    Text(String),
    /// `true` or `false`, however a program spells it in its files.
    Truth(bool),
}

impl Expr {
    fn truth(&self, columns: &HashMap<String, Vec<Cell>>, row_idx: usize) -> Option<bool> {
        match self {
            Expr::Compare { column, operator, value } => {
                let ordering = order(columns.get(column)?.get(row_idx)?, value)?;
                Some(match operator {
                    Operator::Equal => ordering.is_eq(),
                    Operator::NotEqual => ordering.is_ne(),
                    Operator::Less => ordering.is_lt(),
                    Operator::LessEqual => ordering.is_le(),
                    Operator::Greater => ordering.is_gt(),
                    Operator::GreaterEqual => ordering.is_ge(),
                })
            }
            Expr::Not(inner) => inner.truth(columns, row_idx).map(|truth| !truth),
            Expr::And(left, right) => match (left.truth(columns, row_idx), right.truth(columns, row_idx)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Expr::Or(left, right) => match (left.truth(columns, row_idx), right.truth(columns, row_idx)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
        }
    }
}

/// How a cell compares with a value; none where it cannot be compared.
fn order(cell: &Cell, value: &Value) -> Option<Ordering> {
    match value {
        Value::Number(number) => cell.number()?.partial_cmp(number),
        Value::Text(text) => Some(cell.to_text()?.as_str().cmp(text)),
        Value::Truth(truth) => Some(cell.to_text()?.to_lowercase().cmp(&truth.to_string())),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Column(String),
    Text(String),
    Number(f64),
    Operator(Operator),
    Open,
    Close,
}

/// Tokens, each with the position of its first character.
fn tokenise(text: &str) -> Result<Vec<(usize, Token)>, ResultsError> {
    let error = |column, why: String| ResultsError::Filter { text: text.to_string(), column, why };
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let start = at;
        let c = chars[at];
        let is_next_equal = chars.get(at + 1) == Some(&'=');
        let mut take_while = |is_part: &dyn Fn(char) -> bool| {
            while at < chars.len() && is_part(chars[at]) {
                at += 1;
            }
            chars[start..at].iter().collect::<String>()
        };
        let token = match c {
            _ if c.is_whitespace() => {
                at += 1;
                continue;
            }
            '\'' | '"' | '`' => {
                let Some(length) = chars[start + 1..].iter().position(|found| *found == c) else {
                    return Err(error(start, format!("the {c} is never closed")));
                };
                at = start + length + 2;
                let inner: String = chars[start + 1..at - 1].iter().collect();
                if c == '`' { Token::Column(inner) } else { Token::Text(inner) }
            }
            _ if c.is_alphabetic() || c == '_' => {
                // Our own columns hold a slash (`loss/prose`), others a dot or a hyphen.
                Token::Word(take_while(&|c| c.is_alphanumeric() || "_/.-".contains(c)))
            }
            _ if c.is_ascii_digit() || "+-.".contains(c) => {
                let digits = take_while(&|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
                let number = digits.parse().ok().filter(|x: &f64| x.is_finite());
                Token::Number(
                    number.ok_or_else(|| error(start, format!("`{digits}` is not a valid number")))?,
                )
            }
            _ => {
                let (length, token) = match c {
                    '(' => (1, Token::Open),
                    ')' => (1, Token::Close),
                    '=' if is_next_equal => (2, Token::Operator(Operator::Equal)),
                    '=' => (1, Token::Operator(Operator::Equal)),
                    '!' if is_next_equal => (2, Token::Operator(Operator::NotEqual)),
                    '<' if is_next_equal => (2, Token::Operator(Operator::LessEqual)),
                    '<' => (1, Token::Operator(Operator::Less)),
                    '>' if is_next_equal => (2, Token::Operator(Operator::GreaterEqual)),
                    '>' => (1, Token::Operator(Operator::Greater)),
                    _ => return Err(error(start, format!("unexpected `{c}`"))),
                };
                at += length;
                token
            }
        };
        tokens.push((start, token));
    }
    Ok(tokens)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<(usize, Token)>,
    at: usize,
    /// Columns that were named: name, position, whether it is compared with a number.
    columns: Vec<(String, usize, bool)>,
}

impl Parser<'_> {
    fn either(&mut self, depth: usize) -> Result<Expr, ResultsError> {
        let mut expr = self.both(depth)?;
        while self.take_word("or") {
            expr = Expr::Or(Box::new(expr), Box::new(self.both(depth)?));
        }
        Ok(expr)
    }

    fn both(&mut self, depth: usize) -> Result<Expr, ResultsError> {
        let mut expr = self.one(depth)?;
        while self.take_word("and") {
            expr = Expr::And(Box::new(expr), Box::new(self.one(depth)?));
        }
        Ok(expr)
    }

    fn one(&mut self, depth: usize) -> Result<Expr, ResultsError> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        if self.take_word("not") {
            return Ok(Expr::Not(Box::new(self.one(depth + 1)?)));
        }
        match self.peek() {
            Some(Token::Open) => {
                self.at += 1;
                let expr = self.either(depth + 1)?;
                if self.peek() != Some(&Token::Close) {
                    return Err(self.error("expected `)`"));
                }
                self.at += 1;
                Ok(expr)
            }
            Some(Token::Word(name) | Token::Column(name)) => {
                let name = name.clone();
                self.comparison(name)
            }
            Some(Token::Text(text)) => {
                let why = format!("expected a column; columns are written bare or in backticks: `{text}`");
                Err(self.error(&why))
            }
            _ => Err(self.error("expected a column, `not` or `(`")),
        }
    }

    fn comparison(&mut self, column: String) -> Result<Expr, ResultsError> {
        let place = self.tokens[self.at].0;
        self.at += 1;
        let Some(Token::Operator(operator)) = self.peek() else {
            let why = format!("expected =, !=, <, <=, > or >= after `{column}`");
            return Err(self.error(&why));
        };
        let operator = *operator;
        self.at += 1;
        let value = match self.peek() {
            Some(Token::Number(number)) => Value::Number(*number),
            Some(Token::Text(text)) => Value::Text(text.clone()),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("true") => Value::Truth(true),
            Some(Token::Word(word)) if word.eq_ignore_ascii_case("false") => Value::Truth(false),
            Some(Token::Word(word)) => {
                let why = format!("expected a number or a text in quotes (hint: '{word}')");
                return Err(self.error(&why));
            }
            _ => return Err(self.error("expected a number or a text in quotes")),
        };
        self.at += 1;
        self.columns.push((column.clone(), place, matches!(value, Value::Number(_))));
        Ok(Expr::Compare { column, operator, value })
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(_, token)| token)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_word = matches!(self.peek(), Some(Token::Word(found)) if found.eq_ignore_ascii_case(word));
        self.at += usize::from(is_word);
        is_word
    }

    fn error(&self, why: &str) -> ResultsError {
        let end = self.text.chars().count();
        ResultsError::Filter {
            text: self.text.to_string(),
            column: self.tokens.get(self.at).map_or(end, |(place, _)| *place),
            why: why.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<String, ResultsError> {
        let names = ["N", "config", "loss/prose", "my column", "outlier"].map(str::to_string);
        let column = |name: &str| {
            Ok(match name {
                "N" => vec![Cell::Whole(1), Cell::Real(2.0), Cell::Text("3".to_string()), Cell::Missing],
                "config" => ["a", "b", "b", "c"].map(|x| Cell::Text(x.to_string())).to_vec(),
                "outlier" => ["True", "False", "false", ""].map(|x| Cell::Text(x.to_string())).to_vec(),
                _ => vec![Cell::Real(f64::NAN), Cell::Real(0.5), Cell::Real(1e18), Cell::Missing],
            })
        };
        let kept = evaluate(text, Some("t.csv"), &names, 4, column)?;
        Ok(kept.into_iter().map(|is_kept| if is_kept { '1' } else { '0' }).collect())
    }

    #[test]
    fn a_filter_keeps_the_rows_for_which_it_is_true() {
        for (text, expected) in [
            ("N = 2", "0100"),
            ("N == 2", "0100"),
            ("n >= 2", "0110"),
            ("N<3", "1100"),
            ("N!=1", "0110"),
            ("config = 'b'", "0110"),
            ("config > \"a\"", "0111"),
            ("outlier = false", "0110"),
            ("outlier = TRUE", "1000"),
            ("`my column` > -1e3", "0110"),
            ("loss/prose <= .5", "0100"),
            ("N = 1 or N = 2 and config = 'x'", "1000"),
            ("(N = 1 or N = 2) and config = 'b'", "0100"),
            ("not config = 'b'", "1001"),
            ("NOT (N = 1 OR N = 2)", "0010"),
            // A missing cell is on neither side.
            ("not N = 1", "0110"),
            ("N = 1 or not N = 1 or config = 'c'", "1111"),
            ("not not N = 1", "1000"),
            // Text of a number.
            ("N = '3'", "0010"),
        ] {
            assert_eq!(run(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_filter_that_cannot_be_read_shows_the_place() {
        for (text, column, why) in [
            ("", 0, "expected a column"),
            ("N", 1, "expected =, !="),
            ("N 3", 2, "expected =, !="),
            ("N > ", 4, "expected a number"),
            ("N > 1.2.3", 4, "`1.2.3` is not a valid number"),
            ("N > 1e999", 4, "is not a valid number"),
            ("config = b", 9, "(hint: 'b')"),
            ("config = 'b", 9, "never closed"),
            ("(N = 1", 6, "expected `)`"),
            ("N = 1)", 5, "expected `and`, `or` or the end"),
            ("N = 1 N = 2", 6, "expected `and`"),
            ("'N' = 1", 0, "columns are written bare"),
            ("N & 1", 2, "unexpected `&`"),
            ("3 < N", 0, "expected a column"),
            ("N = 1 and config = 3", 10, "holds no numbers"),
            (&"(".repeat(5000), 101, "too deeply"),
            (&"not ".repeat(5000), 404, "too deeply"),
        ] {
            let error = run(text).unwrap_err();
            let ResultsError::Filter { column: found, why: message, .. } = &error else {
                panic!("{text}: {error}");
            };
            assert_eq!(*found, column, "{text}: {error}");
            assert!(message.contains(why), "{text}: {error}");
        }
        assert_eq!(
            run("N > ").unwrap_err().to_string(),
            "cannot read the filter: expected a number or a text in quotes\n  N > \n      ^"
        );
        let error = run("confg = 'a'").unwrap_err().to_string();
        assert!(error.contains("did you mean `config`") && error.contains("`my column`"), "{error}");
    }
}
