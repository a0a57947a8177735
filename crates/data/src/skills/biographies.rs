//! People with six attributes and a gender, after bioS and bioD of Allen-Zhu and Li 2024 (arXiv:2404.05405): names
//! of 400 · 400 · 1000, a birth date of 12 · 28 · 200, 200 cities, 300 universities, 100 majors, 263 employers,
//! and the employer's city, which the employer implies. Names and values are invented words.
//!
//! Departures: the gender is an attribute of its own besides the pronouns, and all words have one length, so that the
//! number of tokens does not depend on the fact.

use scalelaw_schema::generator::{BiographyForm, BiographyTask};
use scalelaw_schema::score::FactSpace;

use crate::error::skills::TaskError;
use crate::permutation::{mix, permuted};
use crate::skills::draws::{Draws, Purpose, sub_key};
use crate::skills::facts::FactOrder;
use crate::skills::task::{Generate, Labelled, Part, Question, SkillEntropy};
use crate::skills::words;

const FIRST: u64 = 400;
const MIDDLE: u64 = 400;
const LAST: u64 = 1000;
const N_NAMES: u64 = FIRST * MIDDLE * LAST;

/// What documents state about a person; items ask for all but the last.
const ATTRIBUTES: [Attribute; 7] = [
    Attribute {
        name: "gender",
        short: 'g',
        values: 2,
        verbs: [" is a", " is known as a", " is registered as a", " signs as a", " was born as a"],
    },
    Attribute {
        name: "birth-date",
        short: 'b',
        values: MONTHS * DAYS * YEARS,
        verbs: [
            " was born on",
            " came into the world on",
            " has a birthday that goes back to",
            " first saw the light on",
            " is in the register of births of",
        ],
    },
    Attribute {
        name: "birth-city",
        short: 'c',
        values: CITIES,
        verbs: [" was born in", " comes from", " hails from", " spent a childhood in", " grew up in"],
    },
    Attribute {
        name: "university",
        short: 'u',
        values: 300,
        verbs: [" studied at", " graduated from", " took a degree at", " went to lectures at", " attended"],
    },
    Attribute {
        name: "major",
        short: 'm',
        values: 100,
        verbs: [" majored in", " specialised in", " took a degree in", " was trained in", " has always read"],
    },
    Attribute {
        name: "employer",
        short: 'e',
        values: 263,
        verbs: [
            " works for",
            " is employed by",
            " has a job at",
            " earns a living at",
            " is on the staff of",
        ],
    },
    Attribute {
        name: "work-city",
        short: 'w',
        values: 263,
        verbs: [" works in", " has an office in", " commutes to", " is employed in", " keeps a desk in"],
    },
];

/// Attributes that items ask for; the employer implies its city.
const N_ASKED: usize = 6;

const EMPLOYER: usize = 5;
const WORK_CITY: usize = 6;

const MONTHS: u64 = 12;
const DAYS: u64 = 28;
const YEARS: u64 = 200;
const FIRST_YEAR: u64 = 1900;
const CITIES: u64 = 200;

const MONTH_NAMES: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The beginnings of a sentence. With five verbs each these make 55 wordings, five of which only items use.
const OPENINGS: [&str; 11] = [
    "",
    "It is known that ",
    "According to the records, ",
    "It is said that ",
    "We read that ",
    "By all accounts, ",
    "The archive says that ",
    "In short, ",
    "As friends recall, ",
    "On paper, ",
    "It is certain that ",
];

struct Attribute {
    name: &'static str,
    short: char,
    values: u64,
    verbs: [&'static str; 5],
}

#[derive(Debug)]
pub(crate) struct Biographies {
    n: u64,
    form: BiographyForm,
    order: FactOrder,
    key: u64,
}

/// How a sentence is worded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wording {
    opening: usize,
    verb: usize,
}

impl Wording {
    /// Whether only items use it: training text has its opening and its verb, but not both together.
    fn is_kept_for_items(self) -> bool {
        self.opening == 2 * self.verb
    }

    fn draw(draws: &mut Draws, for_items: bool) -> Wording {
        loop {
            let wording = Wording {
                opening: draws.below(OPENINGS.len() as u64) as usize,
                verb: draws.below(5) as usize,
            };
            if wording.is_kept_for_items() == for_items {
                return wording;
            }
        }
    }
}

impl Biographies {
    pub(crate) fn new(task: &BiographyTask, key: u64) -> Result<Biographies, TaskError> {
        if task.people > N_NAMES {
            return Err(TaskError::TooManyPeople { people: task.people, most: N_NAMES });
        }
        let order = FactOrder::new(task.people, task.exposures, key)?;
        Ok(Biographies { n: task.people, form: task.form, order, key })
    }

    fn name(&self, person: u64) -> String {
        let at = permuted(person, N_NAMES, sub_key(self.key, Purpose::Names));
        // The words are the same for every seed; only who has which name differs.
        let parts = [(at % FIRST, 1), (at / FIRST % MIDDLE, 2), (at / FIRST / MIDDLE, 3)];
        parts.map(|(idx, list)| words::name(idx, list)).join(" ")
    }

    fn value(&self, person: u64, attribute: usize) -> u64 {
        match attribute {
            WORK_CITY => self.value(person, EMPLOYER),
            _ => {
                let at = mix(person) ^ mix(attribute as u64 + 1);
                Draws::new(self.key, Purpose::Facts, at).below(ATTRIBUTES[attribute].values)
            }
        }
    }

    fn value_text(&self, person: u64, attribute: usize) -> String {
        let value = self.value(person, attribute);
        let (day, month, year) =
            (1 + value % DAYS, value / DAYS % MONTHS, FIRST_YEAR + value / DAYS / MONTHS % YEARS);
        match (attribute, self.form) {
            (0, BiographyForm::Tuples) => ["f", "m"][value as usize].to_string(),
            (0, BiographyForm::Sentences) => ["woman", "man"][value as usize].to_string(),
            (1, BiographyForm::Tuples) => format!("{day}.{}.{year}", month + 1),
            (1, BiographyForm::Sentences) => format!("{day} {} {year}", MONTH_NAMES[month as usize]),
            // Several employers may share a city.
            (WORK_CITY, _) => words::name(value % CITIES, 4),
            (2, _) => words::name(value, 4),
            (4, _) => words::word(value, 6),
            (_, _) => words::name(value, 4 + attribute as u64),
        }
    }

    fn write_tuple(&self, person: u64, attribute: usize, text: &mut Labelled) {
        text.template(&format!("{}=", ATTRIBUTES[attribute].short));
        text.answer(&self.value_text(person, attribute));
    }

    fn write_sentence(
        &self,
        (person, attribute): (u64, usize),
        wording: Wording,
        is_first: bool,
        text: &mut Labelled,
    ) {
        let opening = OPENINGS[wording.opening];
        text.template(opening);
        if is_first {
            text.key(&self.name(person));
        } else {
            let pronouns = if opening.is_empty() { ["She", "He"] } else { ["she", "he"] };
            text.template(pronouns[self.value(person, 0) as usize]);
        }
        text.template(ATTRIBUTES[attribute].verbs[wording.verb]);
        text.answer(&format!(" {}", self.value_text(person, attribute)));
    }
}

impl Generate for Biographies {
    fn document(&self, part: Part, idx: u64) -> Labelled {
        let person = self.order.fact(part.into(), idx);
        let mut draws = Draws::new(self.key, part.into(), idx);
        let mut attributes: Vec<usize> = (0..ATTRIBUTES.len()).collect();
        draws.shuffle(&mut attributes);
        let mut text = Labelled::default();
        match self.form {
            BiographyForm::Tuples => {
                text.key(&self.name(person));
                text.template("|");
                for attribute in attributes {
                    self.write_tuple(person, attribute, &mut text);
                    text.template(";");
                }
                text.template("\n");
            }
            BiographyForm::Sentences => {
                for (place, attribute) in attributes.into_iter().enumerate() {
                    if place > 0 {
                        text.template(" ");
                    }
                    let wording = Wording::draw(&mut draws, false);
                    self.write_sentence((person, attribute), wording, place == 0, &mut text);
                    text.template(".");
                }
                text.template("\n");
            }
        }
        text
    }

    /// Asks for one attribute of each person, then for the next attribute of each.
    fn question(&self, idx: u64) -> Question {
        let person = self.order.asked(idx);
        let attribute = ((person + idx / self.n) % N_ASKED as u64) as usize;
        let mut text = Labelled::default();
        match self.form {
            BiographyForm::Tuples => {
                text.key(&self.name(person));
                text.template("|");
                self.write_tuple(person, attribute, &mut text);
            }
            BiographyForm::Sentences => {
                let mut draws = Draws::new(self.key, Purpose::Questions, idx);
                let wording = Wording::draw(&mut draws, true);
                self.write_sentence((person, attribute), wording, true, &mut text);
            }
        }
        let Attribute { name, values, .. } = ATTRIBUTES[attribute];
        Question { text, group: Some(name.to_string()), chance: 1.0 / values as f64 }
    }

    fn n_questions(&self) -> Option<u64> {
        Some(self.n * N_ASKED as u64)
    }

    fn facts(&self) -> Option<FactSpace> {
        let value_bits = ATTRIBUTES[..N_ASKED].iter().map(|attribute| (attribute.values as f64).log2()).sum();
        Some(FactSpace {
            n_facts: self.n,
            key_bits: (N_NAMES as f64).log2(),
            value_bits,
            answers_per_fact: N_ASKED as u64,
            pass_tokens: None,
        })
    }

    fn entropy(&self) -> SkillEntropy {
        let of_person: f64 =
            ATTRIBUTES[..N_ASKED].iter().map(|attribute| (attribute.values as f64).ln()).sum();
        SkillEntropy {
            facts: self.n as f64 * of_person,
            key: (self.n as f64).ln(),
            answer: of_person / N_ASKED as f64,
        }
    }
}
