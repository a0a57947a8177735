//! Text made by generators: seeded, without end, of exactly known entropy. Each task is one file here and one
//! variant of [`Task`].

use std::fmt::Debug;
use std::sync::Arc;

use scalelaw_schema::generator::{GeneratedSpec, Task};
use scalelaw_schema::score::FactSpace;
use scalelaw_schema::skill::{SkillItem, Span, Target, TokenClass};

use crate::DataError;
use draws::Draws;

mod biographies;
mod depo;
pub(crate) mod draws;
mod facts;
mod lookup;
mod mano;
mod programs;
mod words;

/// A task: what its documents say, and what is asked about them.
pub(crate) trait Generate: Debug + Send + Sync {
    /// Document `idx` of a part: a pure function of the task, the part and `idx`.
    fn document(&self, part: Part, idx: u64) -> Labelled;

    /// Item `idx`, which ends with its answer.
    fn question(&self, idx: u64) -> Question;

    /// Items that differ; none where they do not end.
    fn n_questions(&self) -> Option<u64>;

    /// What is to be known, where the documents state facts.
    fn facts(&self) -> Option<FactSpace>;

    /// Facts that one document states.
    fn facts_per_document(&self) -> u64 {
        1
    }

    /// The exact amounts of chance in it.
    fn entropy(&self) -> SkillEntropy;
}

/// Which documents. No instance of a problem is in both parts; facts are, told in another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Train,
    HeldOut,
}

/// How much there is to know in a task, nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SkillEntropy {
    /// Of all facts together: what a model that answers everything has stored. Zero for a task without facts.
    pub facts: f64,
    /// Of the key of one item, which nobody can predict.
    pub key: f64,
    /// Of one answer for who knows how answers are distributed and nothing else: the loss per answer to begin
    /// with. Who has the skill reaches zero.
    pub answer: f64,
}

/// An item as text: its last span is the answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Question {
    pub text: Labelled,
    pub group: Option<String>,
    /// Probability of the most frequent answer.
    pub chance: f64,
}

/// Text with the class of every byte.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Labelled {
    pub text: String,
    pub spans: Vec<Span>,
}

impl Labelled {
    /// Appends text of one class.
    pub(crate) fn push(&mut self, class: TokenClass, text: &str) {
        if text.is_empty() {
            return;
        }
        let start = self.text.len();
        self.text.push_str(text);
        match self.spans.last_mut() {
            Some(last) if last.class == class => last.bytes.end = self.text.len(),
            _ => self.spans.push(Span { class, bytes: start..self.text.len() }),
        }
    }

    fn template(&mut self, text: &str) {
        self.push(TokenClass::Template, text);
    }

    fn key(&mut self, text: &str) {
        self.push(TokenClass::Key, text);
    }

    fn answer(&mut self, text: &str) {
        self.push(TokenClass::Answer, text);
    }
}

impl Question {
    /// The item; what stands before the last span is its prompt.
    pub(crate) fn into_item(self) -> SkillItem {
        let Labelled { mut text, mut spans } = self.text;
        let answer = spans.pop().map_or_else(String::new, |span| text.split_off(span.bytes.start));
        SkillItem {
            prompt: text,
            target: Target::Answer(answer),
            group: self.group,
            chance: Some(self.chance),
            spans,
        }
    }
}

/// A generated corpus, ready to be asked for any document.
#[derive(Debug, Clone)]
pub(crate) struct Generated {
    pub task: Arc<dyn Generate>,
    /// Distinct training documents.
    pub pool: Option<u64>,
}

impl Generated {
    /// # Errors
    /// `BadTask`.
    pub(crate) fn new(corpus: &str, spec: &GeneratedSpec) -> Result<Generated, DataError> {
        let key = draws::key_of(corpus_key(spec));
        let bad = |why: String| DataError::BadTask { corpus: corpus.to_string(), why };
        if spec.pool == Some(0) {
            return Err(bad("`pool = 0` has no document".to_string()));
        }
        let task: Arc<dyn Generate> = match &spec.task {
            Task::Lookup(task) => Arc::new(lookup::Lookup::new(task, key).map_err(bad)?),
            Task::Biographies(task) => Arc::new(biographies::Biographies::new(task, key).map_err(bad)?),
            Task::Mano(task) => Arc::new(mano::Mano::new(task, key).map_err(bad)?),
            Task::Depo(task) => Arc::new(depo::Depo::new(task, key).map_err(bad)?),
            Task::Programs(task) => Arc::new(programs::Programs::new(task, key).map_err(bad)?),
        };
        Ok(Generated { task, pool: spec.pool })
    }

    /// Mean bytes of a training document, from the first ones.
    pub(crate) fn mean_bytes(&self) -> f64 {
        let n = self.pool.map_or(MEAN_OF, |pool| pool.min(MEAN_OF));
        let bytes: usize = (0..n).map(|idx| self.task.document(Part::Train, idx).text.len()).sum();
        bytes as f64 / n as f64
    }
}

/// Documents that a mean length is taken of: known to a per cent.
const MEAN_OF: u64 = 1000;

fn corpus_key(spec: &GeneratedSpec) -> u64 {
    spec.seed.unwrap_or(0)
}

/// One in this many instances of a problem is held out: no training document has it.
const HELD_OUT_EVERY: u64 = 20;

/// Whether an instance of a problem belongs to a part, by its hash alone.
fn is_in(part: Part, instance: &[u8]) -> bool {
    let is_held_out = draws::hash_of_bytes(instance).is_multiple_of(HELD_OUT_EVERY);
    is_held_out == (part == Part::HeldOut)
}

/// Draws until an instance belongs to the part.
fn draw_in<T>(
    part: Part,
    draws: &mut Draws,
    mut draw: impl FnMut(&mut Draws) -> T,
    instance: impl Fn(&T) -> Vec<u8>,
) -> T {
    loop {
        let drawn = draw(draws);
        if is_in(part, &instance(&drawn)) {
            return drawn;
        }
    }
}

/// Entropy of a distribution, nats.
fn entropy_of(probabilities: impl IntoIterator<Item = f64>) -> f64 {
    probabilities.into_iter().filter(|&p| p > 0.0).map(|p| -p * p.ln()).sum()
}

#[cfg(test)]
mod tests;
