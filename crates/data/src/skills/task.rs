//! What a generator is: labelled documents and questions, each a pure function of its position.

use std::fmt::Debug;

use scalelaw_schema::score::FactSpace;
use scalelaw_schema::skill::{SkillItem, Span, Target, TokenClass};

/// What the documents of a task say, and what is asked about them.
pub(crate) trait Generate: Debug + Send + Sync {
    /// Document `idx` of a part: a pure function of the task, the part and `idx`.
    fn document(&self, part: Part, idx: u64) -> Labelled;

    /// Question `idx`, which ends with its answer.
    fn question(&self, idx: u64) -> Question;

    /// Number of different questions; `None` if they are endless.
    fn n_questions(&self) -> Option<u64>;

    /// The facts that the documents state, if they state any.
    fn facts(&self) -> Option<FactSpace>;

    /// Facts that one document states.
    fn facts_per_document(&self) -> u64 {
        1
    }

    /// The exact entropies of the task.
    fn entropy(&self) -> SkillEntropy;
}

/// Training or held-out text. No instance of a problem is in both; facts are, in another order.
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
    /// Of the key of one item, which cannot be predicted.
    pub key: f64,
    /// Of one answer if only the distribution of answers is known: the loss per answer without the skill. With the
    /// skill it is zero.
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

    /// Appends text that is the same in many documents.
    pub(crate) fn template(&mut self, text: &str) {
        self.push(TokenClass::Template, text);
    }

    /// Appends what the answer depends on.
    pub(crate) fn key(&mut self, text: &str) {
        self.push(TokenClass::Key, text);
    }

    /// Appends an answer.
    pub(crate) fn answer(&mut self, text: &str) {
        self.push(TokenClass::Answer, text);
    }
}

impl Question {
    /// The item; everything before the last span is its prompt.
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

/// Entropy of a distribution, nats.
pub(crate) fn entropy_of(probabilities: impl IntoIterator<Item = f64>) -> f64 {
    probabilities.into_iter().filter(|&p| p > 0.0).map(|p| -p * p.ln()).sum()
}
