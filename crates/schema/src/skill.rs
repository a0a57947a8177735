//! A skill: what is trained on, what is asked, and how answers are scored. The content of a manifest under
//! `datasets/skills/`, or of `[skill.NAME]` in a sweep.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::corpus::CorpusSpec;

/// A skill as written. In `mixture` its name stands for its corpus, in `[measure]` for its suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SkillManifest {
    /// One line that says what it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What kind of skill it is, for tables and plots.
    pub family: SkillFamily,
    /// What is trained on. Defaults to the corpus that has the name of the skill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corpus: Option<CorpusSpec>,
    /// The items that it is measured with.
    pub suite: SuiteSpec,
}

/// Kinds of skills that are compared with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SkillFamily {
    /// What must be stored: facts that cannot be derived from anything else.
    Knowledge,
    /// What must be worked out from the prompt.
    Reasoning,
    /// Programs.
    Code,
    /// Running text.
    Prose,
}

impl SkillFamily {
    /// As written in a manifest.
    pub fn name(&self) -> &'static str {
        match self {
            SkillFamily::Knowledge => "knowledge",
            SkillFamily::Reasoning => "reasoning",
            SkillFamily::Code => "code",
            SkillFamily::Prose => "prose",
        }
    }
}

/// The items of a skill and their scoring, as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SuiteSpec {
    /// Where the items come from.
    pub source: SuiteSource,
    /// How an answer is scored, besides its likelihood.
    pub scoring: Scoring,
    /// Most items. Defaults to 1024.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// Whether training text may contain an item. Defaults to `removed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlap: Option<Overlap>,
}

/// Where items come from. Relative paths are relative to the file that names them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum SuiteSource {
    /// From the generator of the skill's own corpus: instances that no training document contains, or for
    /// knowledge the facts themselves.
    Generated,
    /// Pieces of the held-out part of the skill's corpus.
    HeldOut {
        /// Length of a piece, bytes. Defaults to 120.
        bytes: Option<u64>,
        /// The answer of a document begins after this text. A piece is then a whole document, and longer documents
        /// are left out. By default the first third of a piece is the prompt.
        answer_after: Option<String>,
    },
    /// n-way items from a dictionary, the skill's corpus: which of n definitions is that of the headword?
    Cloze {
        /// Choices per item, the right one included.
        choices: u64,
        /// Longest headword and definition together, bytes. Defaults to 120.
        bytes: Option<u64>,
    },
    /// One JSON object per line: `prompt` with `answer`, or with `choices` and `correct`, the position of the
    /// right one from 0; `group` may name a part of the suite that is also scored separately.
    Jsonl(Vec<String>),
    /// Plain text: files, folders (all files below) and globs, cut into pieces.
    Text {
        /// Files, folders and globs.
        files: Vec<String>,
        /// Length of a piece, bytes: its first third is the prompt, the rest the answer. Defaults to 120.
        bytes: Option<u64>,
    },
}

/// How an answer is scored. Its negative log-likelihood is always measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", deny_unknown_fields)]
pub enum Scoring {
    /// By its likelihood alone: no accuracy.
    Nll,
    /// Right if every token of the answer is the most likely one, given those before it: what greedy
    /// decoding would write.
    Exact,
    /// Right if the right choice is the most likely one.
    Choice(ChoiceRule),
}

/// Which of several choices is the most likely one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChoiceRule {
    /// The one with the largest probability as a whole. For choices of about one length.
    Sum,
    /// The one with the largest probability per byte, so that length does not decide.
    PerByte,
}

/// Whether training text may contain an evaluation item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Overlap {
    /// It must: the skill is to recall what was trained on.
    Meant,
    /// It must not: an item that shares text with a training document is dropped, and the report says how many were.
    Removed,
}

/// One item, with all choices made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SkillItem {
    /// The text before the answer.
    pub prompt: String,
    /// The answer that is expected.
    pub target: Target,
    /// A part of the suite that is also scored separately: a difficulty, an attribute.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub group: Option<String>,
    /// Probability that the best constant answer, or a random choice, is right; `None` if unknown.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chance: Option<f64>,
    /// The parts of the prompt by class, in order and without gaps; empty if unknown.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub spans: Vec<Span>,
}

/// What an item asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Target {
    /// This continuation of the prompt.
    Answer(String),
    /// One of several continuations.
    Choices {
        /// The continuations.
        texts: Vec<String>,
        /// Position of the right one.
        correct: usize,
    },
}

impl SkillItem {
    /// The continuation that is right.
    ///
    /// # Panics
    /// If `correct` is beyond the choices, which is checked when items are made.
    pub fn answer(&self) -> &str {
        match &self.target {
            Target::Answer(answer) => answer,
            Target::Choices { texts, correct } => &texts[*correct],
        }
    }
}

/// A stretch of text of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Span {
    /// What it is.
    pub class: TokenClass,
    /// Where it is, bytes.
    pub bytes: Range<usize>,
}

/// The role of a token in an item. The loss of each class is reported separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TokenClass {
    /// The form, which is learned early: punctuation, fixed words.
    Template,
    /// What is given: names, operands. Drawn at random, so it cannot be predicted below its entropy.
    Key,
    /// Worked steps between what is given and the answer.
    Step,
    /// The answer.
    Answer,
}

impl TokenClass {
    /// As written in a manifest.
    pub fn name(&self) -> &'static str {
        match self {
            TokenClass::Template => "template",
            TokenClass::Key => "key",
            TokenClass::Step => "step",
            TokenClass::Answer => "answer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SkillManifest, String> {
        let mut layers = crate::source::Layers::default();
        let text = crate::source::TomlText { name: "my.toml".to_string(), text: text.to_string() };
        layers.push(text).map_err(|error| error.to_string())?;
        layers.parse().map_err(|error: crate::SchemaError| error.to_string())
    }

    #[test]
    fn a_manifest_is_read_and_its_slips_are_shown_with_line_and_hint() {
        let good = "family = \"knowledge\"\n[suite]\nsource = { jsonl = [\"mine.jsonl\"] }\nscoring = { choice = \"sum\" }\n";
        let skill = parse(good).unwrap();
        assert_eq!(skill.suite.source, SuiteSource::Jsonl(vec!["mine.jsonl".to_string()]));
        assert_eq!(skill.suite.scoring, Scoring::Choice(ChoiceRule::Sum));
        assert_eq!((skill.corpus, skill.suite.overlap), (None, None));
        for (from, to, parts) in [
            ("scoring", "skoring", ["my.toml:", "did you mean `scoring`"]),
            ("jsonl", "jsonnl", ["my.toml:3", "did you mean `jsonl`"]),
            ("knowledge", "wisdom", ["my.toml:1", "`knowledge`"]),
            ("\"sum\"", "\"most\"", ["my.toml:4", "`per-byte`"]),
        ] {
            let error = parse(&good.replacen(from, to, 1)).unwrap_err();
            assert!(parts.iter().all(|part| error.contains(part)), "{to}: {error}");
        }
    }

    #[test]
    fn a_score_reads_back_with_its_classes() {
        use crate::score::{ClassLoss, Measured, SkillScore};
        let measured = Measured { value: 1.5, se: None };
        let score = SkillScore {
            n_items: 1,
            n_tokens: 2,
            n_bytes: 2,
            nll_per_answer: measured,
            nll: measured,
            bpb: measured,
            accuracy: None,
            chance: Some(0.25),
            classes: [(TokenClass::Key, ClassLoss { n_tokens: 3, loss: 0.5, loss_per_item: 1.5 })].into(),
            groups: Default::default(),
            facts: None,
        };
        let json = serde_json::to_string(&score).unwrap();
        assert!(json.contains("\"key\":{"), "{json}");
        assert_eq!(serde_json::from_str::<SkillScore>(&json).unwrap(), score);
    }
}
