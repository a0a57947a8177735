//! Tasks that text is generated from. Document k is a pure function of the spec and k.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A generated corpus as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GeneratedSpec {
    /// Seed of the facts and of every document. Defaults to 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Number of distinct training documents, which are then read again. Defaults to an endless stream of new ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<u64>,
    /// What the documents are.
    pub task: Task,
}

/// What generated documents are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Task {
    /// Random keys with random values: nothing but capacity helps.
    Lookup(LookupTask),
    /// People with six attributes (Allen-Zhu and Li 2024, arXiv:2404.05405).
    Biographies(BiographyTask),
    /// Prefix arithmetic mod 23 (Allen-Zhu 2025, Physics of language models 4.1, task Mano).
    Mano(ManoTask),
    /// The k-th successor in a permutation's cycle (the same, task Depo).
    Depo(DepoTask),
    /// Small programs and what they print.
    Programs(ProgramTask),
}

/// How often each fact is stated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Exposures {
    /// All equally often: every pass over the facts states each once.
    Uniform,
    /// The i-th of them in proportion to `i^-a`.
    Zipf(f64),
}

/// Random keys with random values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LookupTask {
    /// Number of keys.
    pub facts: u64,
    /// Bits of a key, a multiple of 4. Defaults to 16.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_bits: Option<u32>,
    /// Bits of a value, a multiple of 4. Defaults to 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_bits: Option<u32>,
    /// How often each fact is stated. Defaults to `uniform`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposures: Option<Exposures>,
}

/// People with six attributes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BiographyTask {
    /// Number of people.
    pub people: u64,
    /// The form of a biography.
    pub form: BiographyForm,
    /// How often each person is described. Defaults to `uniform`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposures: Option<Exposures>,
}

/// The form of a biography.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BiographyForm {
    /// Sentences in any order, each in one of 50 wordings. Items use wordings that no document has.
    Sentences,
    /// `name|city=...;born=...;`: few tokens, for small models. Items use this form too.
    Tuples,
}

/// Prefix arithmetic mod 23.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ManoTask {
    /// Most operations of an expression; their number is uniform from 1 up to this.
    pub max_operations: u64,
}

/// The k-th successor in a permutation's cycle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DepoTask {
    /// Most nodes of a cycle, 8 to 52; n nodes are drawn in proportion to `1 / (n + √max)`.
    pub max_nodes: u64,
    /// Most successor steps of a question, 1 to 9; their number is uniform from 1 up to this.
    pub max_steps: u64,
}

/// Small programs and what they print.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProgramTask {
    /// Number of variables, 1 to 26, each assigned a number at the beginning.
    pub variables: u64,
    /// Most statements after that; their number is uniform from 1 up to this.
    pub max_statements: u64,
}
