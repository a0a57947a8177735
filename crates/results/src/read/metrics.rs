//! The rows of `metrics.jsonl` as a learning curve.

use std::fmt;
use std::io::BufRead;

use scalelaw_schema::metrics::MetricsRow;
use scalelaw_schema::run_id::RunId;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::curve::Curve;
use super::row_scan::{self, push_row};

/// What is wrong with a file of metrics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MetricsFault {
    /// A line that is not a row.
    #[error("line {line}, column {column}: {why}")]
    Row { line: usize, column: usize, why: String },
    /// The file was not cut back to the checkpoint when the run was resumed.
    #[error("line {line}: steps are not increasing: {step} after {before}")]
    Order { line: usize, step: u64, before: u64 },
}

/// Reads `metrics.jsonl`. A last line without its line end was being written when the run was
/// killed: it is left out where it cannot be read.
///
/// # Errors
/// What is wrong, with the number of the line (from 1). Two rows may have one step: training and evaluation.
pub(crate) fn parse(run_id: RunId, bytes: &[u8]) -> Result<Curve, MetricsFault> {
    let mut curve = Curve::new(run_id);
    let mut rest = bytes;
    let mut line_number = 0;
    // Until the parser has seen a row.
    let mut is_plain = false;
    while !rest.is_empty() {
        line_number += 1;
        if is_plain && let Some(n_bytes) = push_row(&mut curve, rest) {
            rest = &rest[n_bytes..];
            check_order(&curve, line_number)?;
            continue;
        }
        let from_here = rest;
        let n_bytes = rest.skip_until(b'\n').expect("a slice can always be read");
        let line = from_here[..n_bytes].trim_ascii();
        if line.is_empty() {
            continue;
        }
        let is_cut = !from_here[..n_bytes].ends_with(b"\n");
        if is_cut && serde_json::from_slice::<MetricsRow>(line).is_err() {
            break;
        }
        let mut json = serde_json::Deserializer::from_slice(line);
        RowSeed(&mut curve).deserialize(&mut json).and_then(|()| json.end()).map_err(|error| {
            MetricsFault::Row { line: line_number, column: error.column(), why: without_place(&error) }
        })?;
        check_order(&curve, line_number)?;
        is_plain = curve.series.iter().all(|series| row_scan::is_plain(&series.metric));
        if curve.steps.len() == 1 {
            curve.reserve(rest.len() / n_bytes);
        }
    }
    Ok(curve)
}

/// The last step may not be below the one before it.
fn check_order(curve: &Curve, line: usize) -> Result<(), MetricsFault> {
    match curve.steps[..] {
        [.., before, step] if step < before => Err(MetricsFault::Order { line, step, before }),
        _ => Ok(()),
    }
}

/// The message of a JSON error without serde_json's own line and column, which count from the start of
/// what was parsed.
fn without_place(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rfind(" at line ") {
        Some(place) => message[..place].to_string(),
        None => message,
    }
}

/// Reads one row straight into the columns: a million rows are parsed without a map for each.
struct RowSeed<'a>(&'a mut Curve);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum Field {
    Step,
    Tokens,
    Flops,
    WallSeconds,
    Values,
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row of metrics")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let curve = self.0;
        let line = u32::try_from(curve.steps.len()).map_err(|_| A::Error::custom("too many rows"))?;
        let (mut step, mut tokens, mut flops, mut wall_seconds, mut has_values) =
            (None, None, None, None, false);
        while let Some(field) = map.next_key::<Field>()? {
            let is_double = match field {
                Field::Step => step.replace(map.next_value()?).is_some(),
                Field::Tokens => tokens.replace(map.next_value()?).is_some(),
                Field::Flops => flops.replace(map.next_value()?).is_some(),
                Field::WallSeconds => wall_seconds.replace(map.next_value()?).is_some(),
                Field::Values => {
                    map.next_value_seed(ValuesSeed { curve: &mut *curve, line })?;
                    std::mem::replace(&mut has_values, true)
                }
            };
            if is_double {
                return Err(A::Error::custom("a field is given twice"));
            }
        }
        let missing = A::Error::missing_field;
        if !has_values {
            return Err(missing("values"));
        }
        curve.steps.push(step.ok_or_else(|| missing("step"))?);
        curve.tokens.push(tokens.ok_or_else(|| missing("tokens"))?);
        curve.flops.push(flops.ok_or_else(|| missing("flops"))?);
        curve.wall_seconds.push(wall_seconds.ok_or_else(|| missing("wall_seconds"))?);
        Ok(())
    }
}

struct ValuesSeed<'a> {
    curve: &'a mut Curve,
    line: u32,
}

impl<'de> DeserializeSeed<'de> for ValuesSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ValuesSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("measurements by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut expected = 0;
        while let Some(idx) = map.next_key_seed(MetricSeed { curve: &mut *self.curve, expected })? {
            let value = map.next_value()?;
            let series = &mut self.curve.series[idx];
            series.lines.push(self.line);
            series.values.push(value);
            expected = idx + 1;
        }
        Ok(())
    }
}

/// A name of a measurement, as the position of its series; no string is made for a known one.
struct MetricSeed<'a> {
    curve: &'a mut Curve,
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for MetricSeed<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for MetricSeed<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a measurement")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        Ok(self.curve.series_idx(name, self.expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"step":1,"tokens":8,"flops":1e3,"wall_seconds":0.5,"values":{"train/loss":3.5}}"#;

    fn read(text: &str) -> Result<Curve, MetricsFault> {
        parse("0123456789ab".parse().unwrap(), text.as_bytes())
    }

    #[test]
    fn a_curve_has_the_numbers_of_its_lines() {
        let second = r#"{"step":2,"tokens":16,"flops":2e3,"wall_seconds":1,"values":{"eval/code/loss":4,"train/loss":3}}"#;
        let curve = read(&format!("{LINE}\n\n{second}\n")).unwrap();
        assert_eq!((curve.steps.clone(), curve.tokens.clone()), (vec![1, 2], vec![8, 16]));
        assert_eq!((curve.flops.clone(), curve.wall_seconds.clone()), (vec![1e3, 2e3], vec![0.5, 1.0]));
        assert_eq!(curve.values("train/loss").collect::<Vec<_>>(), [(0, 3.5), (1, 3.0)]);
        assert_eq!(curve.values("eval/code/loss").collect::<Vec<_>>(), [(1, 4.0)]);
        let point = curve.points("eval/code/loss").next().unwrap();
        assert_eq!(
            (point.step, point.tokens, point.metric.as_str(), point.value),
            (2, 16, "eval/code/loss", 4.0)
        );
    }

    #[test]
    fn only_a_last_line_without_its_end_may_be_broken() {
        for cut in [1, 20, LINE.len() - 1] {
            let curve = read(&format!("{LINE}\n{}", &LINE[..cut])).unwrap();
            assert_eq!(curve.steps, [1], "cut after {cut} bytes");
            assert_eq!(curve.series[0].values, [3.5], "cut after {cut} bytes");
        }
        assert_eq!(read(LINE).unwrap().steps, [1]);
        for (text, line) in [
            (format!("{LINE}\n{{\"step\":2\n{LINE}\n"), "line 2, column 9:"),
            (format!("{LINE}\n{{\"step\":2\n"), "line 2, column 9:"),
            (
                format!("{LINE}\n{}\n", LINE.replace(":1,", ":0,")),
                "line 2: steps are not increasing: 0 after 1",
            ),
            (format!("{LINE} 7\n"), "line 1"),
            (LINE.replace("step", "stop") + "\n", "line 1"),
            (LINE.replace(r#","values":{"train/loss":3.5}"#, "") + "\n", "missing field `values`"),
            (LINE.replace("3.5", "null") + "\n", "line 1"),
            (LINE.replace("3.5", "1e999") + "\n", "line 1"),
            ("\0\0\0\n".to_string(), "line 1"),
        ] {
            let why = read(&text).unwrap_err().to_string();
            assert!(why.contains(line) && !why.contains(" at line "), "{text}: {why}");
        }
    }
}
