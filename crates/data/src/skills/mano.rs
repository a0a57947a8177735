//! Prefix arithmetic mod 23, after task Mano of Allen-Zhu 2025 (Physics of language models 4.1). A line is
//! `+c*ab=c`, with a letter `a` to `w` for each residue: one token each; the paper has words.

use scalelaw_schema::generator::ManoTask;
use scalelaw_schema::score::FactSpace;

use crate::error::skills::{TaskError, check_range};
use crate::skills::draws::{Draws, Purpose};
use crate::skills::instances::draw_in;
use crate::skills::task::{Generate, Labelled, Part, Question, SkillEntropy, entropy_of};

const MODULUS: u64 = 23;
const OPERATIONS: [char; 3] = ['+', '-', '*'];

/// Expressions per document.
const LINES: usize = 8;

/// Largest `max-operations`; the paper goes to 16.
const MAX_OPERATIONS: u64 = 64;

#[derive(Debug)]
pub(crate) struct Mano {
    max_operations: u64,
    key: u64,
    /// Distribution of the value of an expression of `l` operations, `[l][value]`.
    values: Vec<Vec<f64>>,
}

impl Mano {
    pub(crate) fn new(task: &ManoTask, key: u64) -> Result<Mano, TaskError> {
        let max_operations = task.max_operations;
        check_range("max-operations", max_operations, 1, MAX_OPERATIONS)?;
        Ok(Mano { max_operations, key, values: value_distributions(max_operations) })
    }

    /// An expression of `l` operations in a part, and its value.
    fn expression(&self, l: u64, part: Part, draws: &mut Draws) -> (String, u64) {
        let draw = |draws: &mut Draws| {
            let mut text = String::new();
            let value = expression(l, draws, &mut text);
            (text, value)
        };
        draw_in(part, draws, draw, |(text, _)| text.clone().into_bytes())
    }
}

/// Appends an expression of `l` operations in prefix order and returns its value. The left operand has 0 to `l - 1` of
/// the other operations, all equally likely.
fn expression(l: u64, draws: &mut Draws, text: &mut String) -> u64 {
    if l == 0 {
        let value = draws.below(MODULUS);
        text.push(letter(value));
        return value;
    }
    let operation = OPERATIONS[draws.below(3) as usize];
    text.push(operation);
    let left = draws.below(l);
    let a = expression(left, draws, text);
    let b = expression(l - 1 - left, draws, text);
    apply(operation, a, b)
}

fn apply(operation: char, a: u64, b: u64) -> u64 {
    match operation {
        '+' => (a + b) % MODULUS,
        '-' => (a + MODULUS - b) % MODULUS,
        _ => a * b % MODULUS,
    }
}

fn letter(value: u64) -> char {
    char::from(b'a' + value as u8)
}

/// `P_l(v)` exactly: uniform for `l = 0`, then the mean over operations and ways to split.
fn value_distributions(max_operations: u64) -> Vec<Vec<f64>> {
    let mut values: Vec<Vec<f64>> = vec![vec![1.0 / MODULUS as f64; MODULUS as usize]];
    for l in 1..=max_operations as usize {
        let mut found = vec![0.0; MODULUS as usize];
        for left in 0..l {
            for (a, &pa) in values[left].iter().enumerate() {
                for (b, &pb) in values[l - 1 - left].iter().enumerate() {
                    for operation in OPERATIONS {
                        found[apply(operation, a as u64, b as u64) as usize] += pa * pb / (3 * l) as f64;
                    }
                }
            }
        }
        values.push(found);
    }
    values
}

/// Nats of the shape of an expression of `l` operations: `H(l) = ln l + mean over splits of H(i) + H(l-1-i)`.
fn shape_entropy(l: u64) -> f64 {
    let mut entropies = vec![0.0];
    for l in 1..=l as usize {
        let below: f64 = (0..l).map(|left| entropies[left] + entropies[l - 1 - left]).sum();
        entropies.push((l as f64).ln() + below / l as f64);
    }
    entropies[l as usize]
}

impl Generate for Mano {
    fn document(&self, part: Part, idx: u64) -> Labelled {
        let mut draws = Draws::new(self.key, part.into(), idx);
        let mut text = Labelled::default();
        for _ in 0..LINES {
            let l = 1 + draws.below(self.max_operations);
            let (expression, value) = self.expression(l, part, &mut draws);
            text.key(&expression);
            text.template("=");
            text.answer(&letter(value).to_string());
            text.template("\n");
        }
        text
    }

    /// Asks for each length equally often.
    fn question(&self, idx: u64) -> Question {
        let l = 1 + idx % self.max_operations;
        let mut draws = Draws::new(self.key, Purpose::Questions, idx);
        let (expression, value) = self.expression(l, Part::HeldOut, &mut draws);
        let mut text = Labelled::default();
        text.key(&expression);
        text.template("=");
        text.answer(&letter(value).to_string());
        let chance = self.values[l as usize].iter().copied().fold(0.0, f64::max);
        Question { text, group: Some(format!("operations={l}")), chance }
    }

    fn n_questions(&self) -> Option<u64> {
        None
    }

    fn facts(&self) -> Option<FactSpace> {
        None
    }

    /// Of an item over all instances, held out or not, with each length equally often; the key shows its length.
    fn entropy(&self) -> SkillEntropy {
        let n = self.max_operations as f64;
        let key = |l: u64| l as f64 * 3_f64.ln() + (l + 1) as f64 * (MODULUS as f64).ln() + shape_entropy(l);
        SkillEntropy {
            facts: 0.0,
            key: n.ln() + (1..=self.max_operations).map(key).sum::<f64>() / n,
            answer: self.values[1..].iter().map(|of_l| entropy_of(of_l.iter().copied())).sum::<f64>() / n,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_value_of_an_expression_is_that_of_its_text() {
        fn eval(text: &mut std::str::Chars) -> u64 {
            match text.next().unwrap() {
                digit @ 'a'..='w' => digit as u64 - 'a' as u64,
                operation => {
                    let (a, b) = (eval(text), eval(text));
                    apply(operation, a, b)
                }
            }
        }
        assert_eq!(eval(&mut "+c*bd".chars()), 5);
        assert_eq!(eval(&mut "-ab".chars()), 22);
        let mano = Mano::new(&ManoTask { max_operations: 10 }, 7).unwrap();
        for idx in 0..200 {
            let document = mano.document(Part::Train, idx).text;
            for line in document.lines() {
                let (expression, answer) = line.split_once('=').unwrap();
                assert_eq!(letter(eval(&mut expression.chars())).to_string(), answer, "{line}");
            }
        }
    }

    /// Every expression of `l` operations with its probability, by going through all choices.
    fn all(l: u64) -> Vec<(String, u64, f64)> {
        if l == 0 {
            let p = 1.0 / MODULUS as f64;
            return (0..MODULUS).map(|value| (letter(value).to_string(), value, p)).collect();
        }
        let mut found = Vec::new();
        for operation in OPERATIONS {
            for left in 0..l {
                for (a_text, a, pa) in &all(left) {
                    for (b_text, b, pb) in &all(l - 1 - left) {
                        let p = pa * pb / (3 * l) as f64;
                        found.push((format!("{operation}{a_text}{b_text}"), apply(operation, *a, *b), p));
                    }
                }
            }
        }
        found
    }

    #[test]
    fn the_entropies_are_those_of_a_full_count() {
        for l in [1, 2] {
            let all = all(l);
            let mut by_text: BTreeMap<&str, f64> = BTreeMap::new();
            let mut by_value = vec![0.0; MODULUS as usize];
            for (text, value, p) in &all {
                *by_text.entry(text).or_default() += p;
                by_value[*value as usize] += p;
            }
            // No two ways of drawing give the same text, so the choices' entropy is the text's.
            assert_eq!(by_text.len(), all.len());
            let counted = entropy_of(by_text.into_values());
            let formula = l as f64 * 3_f64.ln() + (l + 1) as f64 * 23_f64.ln() + shape_entropy(l);
            assert!((counted - formula).abs() < 1e-9, "{l}: counted {counted}, formula {formula}");
            let values = &value_distributions(l)[l as usize];
            for (counted, formula) in by_value.iter().zip(values) {
                assert!((counted - formula).abs() < 1e-12, "{l}: {by_value:?} {values:?}");
            }
        }
        // A product is zero in 45 of 529 cases, a sum or a difference in 23.
        assert!((value_distributions(1)[1][0] - (45.0 + 23.0 + 23.0) / (3.0 * 529.0)).abs() < 1e-12);
    }
}
