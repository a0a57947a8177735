//! One swept quantity: `3`, `[1, 2, 4]`, `{ log = [1e-4, 1e-2], steps = 5 }` or `{ from = 1, to = 9, steps = 5 }`.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::EXACT_MAX;
use crate::canonical::rounded;

/// Most values of a range. More than this is a mistake, found before it fills the memory.
const STEPS_MAX: usize = 100_000;

/// The values of one swept quantity, in the order written. Integers are exact below 2^53.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    values: Vec<f64>,
}

impl Axis {
    /// One value: nothing is swept.
    pub fn one(value: f64) -> Axis {
        Axis { values: vec![value] }
    }

    /// The values, at least one, each finite.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The values as whole numbers.
    ///
    /// # Errors
    /// The first value that is not one.
    pub fn counts(&self) -> Result<Vec<u64>, f64> {
        self.values
            .iter()
            .map(|&x| if x >= 0.0 && x.fract() == 0.0 && x < EXACT_MAX { Ok(x as u64) } else { Err(x) })
            .collect()
    }
}

impl From<Vec<f64>> for Axis {
    fn from(values: Vec<f64>) -> Axis {
        Axis { values }
    }
}

/// `steps` values from `from` to `to`, both included: with equal ratios if `log`, else with equal differences.
fn spread(from: f64, to: f64, steps: usize, log: bool) -> Vec<f64> {
    let at = |step_idx: usize| {
        let (i, n) = (step_idx as f64, (steps - 1) as f64);
        if log {
            let x = (from.ln() + (to.ln() - from.ln()) * i / n).exp();
            // Whole numbers come out whole, and ids do not depend on a machine's last bit of exp.
            rounded(x, 12)
        } else {
            // Multiplied first, so that whole numbers stay whole.
            from + (to - from) * i / n
        }
    };
    (0..steps)
        .map(|step_idx| match step_idx {
            // The ends are exactly as written.
            0 => from,
            _ if step_idx + 1 == steps => to,
            _ => at(step_idx),
        })
        .collect()
}

impl Serialize for Axis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.values.as_slice() {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Axis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AxisVisitor)
    }
}

/// By hand, since an untagged enum would lose the place and the reason of an error.
struct AxisVisitor;

impl<'de> Visitor<'de> for AxisVisitor {
    type Value = Axis;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a number, a list of numbers, `{ log = [from, to], steps = n }` or `{ from = a, to = b, steps = n }`",
        )
    }

    fn visit_f64<E: Error>(self, x: f64) -> Result<Axis, E> {
        if x.is_finite() { Ok(Axis::one(x)) } else { Err(E::custom(format!("`{x}` must be finite"))) }
    }

    fn visit_i64<E: Error>(self, x: i64) -> Result<Axis, E> {
        Ok(Axis::one(x as f64))
    }

    fn visit_u64<E: Error>(self, x: u64) -> Result<Axis, E> {
        Ok(Axis::one(x as f64))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Axis, A::Error> {
        let mut values = Vec::new();
        while let Some(x) = seq.next_element::<f64>()? {
            if !x.is_finite() {
                return Err(A::Error::custom(format!("`{x}` must be finite")));
            }
            values.push(x);
        }
        if values.is_empty() {
            return Err(A::Error::custom("the list of values is empty (hint: give at least one)"));
        }
        Ok(Axis { values })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Axis, A::Error> {
        let (mut log, mut from, mut to, mut steps) = (None, None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "log" => log = Some(map.next_value::<[f64; 2]>()?),
                "from" => from = Some(map.next_value::<f64>()?),
                "to" => to = Some(map.next_value::<f64>()?),
                "steps" => steps = Some(map.next_value::<usize>()?),
                _ => return Err(A::Error::unknown_field(&key, &["log", "from", "to", "steps"])),
            }
        }
        let steps = steps.ok_or_else(|| A::Error::missing_field("steps"))?;
        let (from, to, is_log) = match (log, from, to) {
            (Some([from, to]), None, None) => (from, to, true),
            (None, Some(from), Some(to)) => (from, to, false),
            _ => return Err(A::Error::custom("give either `log = [from, to]`, or both `from` and `to`")),
        };
        if steps > STEPS_MAX {
            return Err(A::Error::custom(format!(
                "`steps = {steps}`: a range has at most {STEPS_MAX} values"
            )));
        }
        if steps < 2 {
            return Err(A::Error::custom(format!("`steps = {steps}`: a range needs at least 2 values")));
        }
        if is_log && !(from > 0.0 && to > 0.0) {
            return Err(A::Error::custom(format!("`log = [{from}, {to}]`: both ends must be positive")));
        }
        if !(from.is_finite() && to.is_finite()) {
            return Err(A::Error::custom("the ends of a range must be finite"));
        }
        Ok(Axis { values: spread(from, to, steps, is_log) })
    }
}

impl JsonSchema for Axis {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Axis".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One value or a swept range of values.",
            "oneOf": [
                { "type": "number" },
                { "type": "array", "items": { "type": "number" }, "minItems": 1 },
                {
                    "type": "object",
                    "properties": {
                        "log": { "type": "array", "items": { "type": "number", "exclusiveMinimum": 0 }, "minItems": 2, "maxItems": 2 },
                        "steps": { "type": "integer", "minimum": 2 }
                    },
                    "required": ["log", "steps"], "additionalProperties": false
                },
                {
                    "type": "object",
                    "properties": {
                        "from": { "type": "number" }, "to": { "type": "number" },
                        "steps": { "type": "integer", "minimum": 2 }
                    },
                    "required": ["from", "to", "steps"], "additionalProperties": false
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Holder {
        x: Axis,
    }

    fn parse(text: &str) -> Result<Vec<f64>, String> {
        toml::from_str::<Holder>(text).map(|h| h.x.values).map_err(|e| e.to_string())
    }

    #[test]
    fn every_form_of_an_axis_spells_out_its_values() {
        for (text, expected) in [
            ("x = 3", vec![3.0]),
            ("x = 1e15", vec![1e15]),
            ("x = [1, 2.5, 4]", vec![1.0, 2.5, 4.0]),
            ("x = { log = [1, 100], steps = 3 }", vec![1.0, 10.0, 100.0]),
            ("x = { from = 0, to = 1, steps = 5 }", vec![0.0, 0.25, 0.5, 0.75, 1.0]),
        ] {
            let found = parse(text).unwrap();
            assert_eq!(found.len(), expected.len(), "{text}");
            for (a, b) in found.iter().zip(&expected) {
                assert!((a - b).abs() < 1e-12, "{text}: {found:?}");
            }
        }
    }

    #[test]
    fn a_range_over_whole_numbers_has_whole_numbers() {
        for (text, expected) in [
            ("x = { from = 0, to = 99, steps = 100 }", (0..100).collect::<Vec<u64>>()),
            ("x = { log = [4, 4096], steps = 11 }", (2..13).map(|power| 1 << power).collect()),
        ] {
            assert_eq!(Axis::from(parse(text).unwrap()).counts(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_bad_axis_says_what_is_wrong_and_where() {
        for (text, part) in [
            ("x = []", "empty"),
            ("x = \"a\"", "a number, a list"),
            ("x = { log = [0, 1], steps = 3 }", "positive"),
            ("x = { from = 0, steps = 3 }", "either"),
            ("x = { log = [1, 2], steps = 1 }", "at least 2"),
            ("x = { log = [1, 2], steps = 1000000000 }", "at most"),
            ("x = { log = [1, 2], stepz = 3 }", "stepz"),
            ("x = { log = [1, 2] }", "steps"),
            ("x = nan", "finite"),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(part) && message.contains("line 1"), "{text}: {message}");
        }
    }
}
