//! What an evaluation found about one set of weights: a loss over text, or the score of a skill's suite.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::skill::TokenClass;

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq)]
pub enum Score {
    /// A mean over held-out text.
    Text {
        /// Nats per token.
        loss: f64,
        /// Bits per byte of the original text.
        bpb: f64,
        /// Target tokens scored.
        n_tokens: u64,
        /// Bytes of text that these tokens stand for.
        n_bytes: u64,
    },
    /// The items of a skill.
    Items(SkillScore),
}

impl Score {
    /// Tokens scored: the targets of text, the right answers of items.
    pub fn n_tokens(&self) -> u64 {
        match self {
            Score::Text { n_tokens, .. } => *n_tokens,
            Score::Items(score) => score.n_tokens,
        }
    }
}

/// The score of a suite. Likelihoods are of the right answers, given their prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkillScore {
    /// Items scored.
    pub n_items: u64,
    /// Tokens of their right answers.
    pub n_tokens: u64,
    /// Bytes of their right answers.
    pub n_bytes: u64,
    /// Nats per answer.
    pub nll_per_answer: Measured,
    /// Nats per answer token.
    pub nll: Measured,
    /// Bits per byte of the answers.
    pub bpb: Measured,
    /// Share of the items that are right; absent where the suite is scored by likelihood alone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accuracy: Option<Measured>,
    /// Accuracy without the skill: of the best constant answer, or of a choice at random; absent where unknown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chance: Option<f64>,
    /// Loss by class of token, over prompts and right answers; prompts of unknown parts are left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub classes: BTreeMap<TokenClass, ClassLoss>,
    /// Parts of the suite by themselves.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub groups: BTreeMap<String, GroupScore>,
    /// What is to be known, where the items are facts.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub facts: Option<FactSpace>,
}

/// A mean with the standard error that the choice of items gives it; absent where there is one item.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The mean.
    pub value: f64,
    /// Its standard error.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub se: Option<f64>,
}

/// Loss of the tokens of one class.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassLoss {
    /// Tokens.
    pub n_tokens: u64,
    /// Nats per token.
    pub loss: f64,
    /// Nats per item that has such tokens.
    pub loss_per_item: f64,
}

/// A part of a suite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupScore {
    /// Items scored.
    pub n_items: u64,
    /// Nats per answer.
    pub nll_per_answer: Measured,
    /// Nats per answer token.
    pub nll: Measured,
    /// Share that is right.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub accuracy: Option<Measured>,
    /// Accuracy without the skill.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chance: Option<f64>,
}

/// What there is to be known, for the capacity of Allen-Zhu and Li 2024 (arXiv:2404.05405, definition 4.2):
///
/// `R = n_facts · (log2 N0 - p1 / ln 2 + log2 S0 - p2 / ln 2) / P`, with `p1` the nats of a name (the loss per
/// item of [`TokenClass::Key`]), `p2` the nats of all values of a name (`answers_per_fact · nll_per_answer`) and
/// `P` the number of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactSpace {
    /// Names that have values.
    pub n_facts: u64,
    /// `log2 N0`: bits of a name drawn from all that could be.
    pub key_bits: f64,
    /// `log2 S0`: bits of all values of one name.
    pub value_bits: f64,
    /// Answers that one name has. Items ask for each of them equally often.
    pub answers_per_fact: u64,
    /// Training tokens in which every fact is stated once, on the mean: training tokens of the skill over this are
    /// the exposures.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub pass_tokens: Option<f64>,
}
