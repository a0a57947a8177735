//! The corpora and skills that the program knows by name: what `scalelaw data list` shows.

use serde::Serialize;

use crate::skill::SkillFamily;

/// Everything that is known by name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listing {
    /// Built-in corpora.
    pub corpora: Vec<ListedCorpus>,
    /// Built-in skills.
    pub skills: Vec<ListedSkill>,
}

/// A built-in corpus.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListedCorpus {
    /// Its name.
    pub name: String,
    /// One line for a person.
    pub description: Option<String>,
    /// Licence of the text.
    pub licence: Option<String>,
    /// Why this machine lacks it; absent if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// A built-in skill.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ListedSkill {
    /// Its name.
    pub name: String,
    /// What kind of skill it is.
    pub family: SkillFamily,
    /// One line for a person.
    pub description: Option<String>,
    /// Licence of its text.
    pub licence: Option<String>,
    /// Bits of all facts that its corpus states, if a generator makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fact_bits: Option<f64>,
    /// Loss per answer without the skill, if only the distribution of answers is known, nats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub naive_nats_per_answer: Option<f64>,
    /// Mean length of a document, bytes, if a generator makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document_bytes: Option<f64>,
    /// Why this machine lacks it; absent if it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}
