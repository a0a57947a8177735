//! Random keys with random values, which can only be stored. A line is `dpkj=ab`, with four bits per letter.

use scalelaw_schema::generator::LookupTask;
use scalelaw_schema::score::FactSpace;

use crate::error::skills::TaskError;
use crate::permutation::{mix, permuted};
use crate::skills::draws::{Purpose, sub_key};
use crate::skills::facts::FactOrder;
use crate::skills::task::{Generate, Labelled, Part, Question, SkillEntropy};

/// Facts per document.
const FACTS_PER_DOCUMENT: u64 = 16;

/// Default length of a key.
const KEY_BITS: u32 = 16;
/// Default length of a value.
const VALUE_BITS: u32 = 8;

#[derive(Debug)]
pub(crate) struct Lookup {
    n: u64,
    key_bits: u32,
    value_bits: u32,
    order: FactOrder,
    key: u64,
}

impl Lookup {
    pub(crate) fn new(task: &LookupTask, key: u64) -> Result<Lookup, TaskError> {
        let key_bits = task.key_bits.unwrap_or(KEY_BITS);
        let value_bits = task.value_bits.unwrap_or(VALUE_BITS);
        for (key, bits) in [("key-bits", key_bits), ("value-bits", value_bits)] {
            if bits == 0 || bits > 32 || bits % 4 != 0 {
                return Err(TaskError::BadBits { key, bits });
            }
        }
        if task.facts > 1 << key_bits {
            return Err(TaskError::TooManyFacts { facts: task.facts, key_bits });
        }
        let order = FactOrder::new(task.facts, task.exposures, key)?;
        Ok(Lookup { n: task.facts, key_bits, value_bits, order, key })
    }

    fn write(&self, fact: u64, text: &mut Labelled) {
        let name = permuted(fact, 1 << self.key_bits, sub_key(self.key, Purpose::Names));
        let value = mix(sub_key(self.key, Purpose::Facts) ^ mix(fact)) & ((1 << self.value_bits) - 1);
        text.key(&letters(name, self.key_bits));
        text.template("=");
        text.answer(&letters(value, self.value_bits));
    }
}

/// A number as letters `a` to `p` of four bits each.
fn letters(number: u64, bits: u32) -> String {
    (0..bits / 4).rev().map(|place| char::from(b'a' + ((number >> (4 * place)) & 15) as u8)).collect()
}

impl Generate for Lookup {
    fn document(&self, part: Part, idx: u64) -> Labelled {
        let mut text = Labelled::default();
        for place in idx * FACTS_PER_DOCUMENT..(idx + 1) * FACTS_PER_DOCUMENT {
            self.write(self.order.fact(part.into(), place), &mut text);
            text.template("\n");
        }
        text
    }

    fn question(&self, idx: u64) -> Question {
        let mut text = Labelled::default();
        self.write(self.order.asked(idx), &mut text);
        Question { text, group: None, chance: f64::from(self.value_bits).exp2().recip() }
    }

    fn n_questions(&self) -> Option<u64> {
        Some(self.n)
    }

    fn facts(&self) -> Option<FactSpace> {
        Some(FactSpace {
            n_facts: self.n,
            key_bits: self.key_bits.into(),
            value_bits: self.value_bits.into(),
            answers_per_fact: 1,
            pass_tokens: None,
        })
    }

    fn facts_per_document(&self) -> u64 {
        FACTS_PER_DOCUMENT
    }

    fn entropy(&self) -> SkillEntropy {
        let value = f64::from(self.value_bits) * std::f64::consts::LN_2;
        SkillEntropy { facts: self.n as f64 * value, key: (self.n as f64).ln(), answer: value }
    }
}
