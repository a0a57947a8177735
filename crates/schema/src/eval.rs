//! An evaluation of finished weights: what was asked, what came out.

use serde::{Deserialize, Serialize};

use crate::canonical::hash12;
use crate::record::Provenance;
use crate::run_id::RunId;
use crate::score::{Score, SkillScore};

/// What is measured. Its hash names the file `evals/<hash>.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum EvalSpec {
    /// Mean loss over the first `n_tokens` target tokens of a corpus' held-out part, in windows of
    /// `context_len`; each window starts without context.
    HeldOut {
        /// Content hash of the token set.
        tokens: String,
        /// Target tokens, a multiple of the context length.
        n_tokens: u64,
        /// Tokens of one window.
        context_len: usize,
    },
    /// The first `n_items` items of a skill's suite, each without context before it.
    Skill {
        /// Content hash of the tokenised suite: tokenizer, items, tag and scoring.
        suite: String,
        /// Items scored.
        n_items: u64,
        /// Sequences of these items: one each, or one per choice.
        n_sequences: u64,
        /// Tokens that every sequence is padded to: a constant of the suite, so that results do not depend on how
        /// items are batched.
        context_len: usize,
    },
}

impl EvalSpec {
    /// Twelve hex digits, the name of the evaluation's file.
    pub fn hash(&self) -> String {
        hash12(self)
    }

    /// The same over `n_items` items where it has more; where none are named, and for text, the same.
    pub fn at_most(&self, n_items: Option<u64>) -> EvalSpec {
        match (self, n_items) {
            (EvalSpec::Skill { suite, n_items: all, n_sequences, context_len }, Some(some))
                if some < *all =>
            {
                let (suite, context_len) = (suite.clone(), *context_len);
                // Items have about the same number of sequences each.
                let n_sequences = (*n_sequences as f64 * some as f64 / *all as f64).round() as u64;
                EvalSpec::Skill { suite, n_items: some, n_sequences, context_len }
            }
            _ => self.clone(),
        }
    }
}

/// An evaluation with the name of its corpus or skill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalRequest {
    /// For metric names and columns: `eval/<name>/loss`, `skill/<name>/nll`.
    pub name: String,
    /// What is measured.
    pub spec: EvalSpec,
}

/// The content of `evals/<hash>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "EvaluationFile", from = "EvaluationFile")]
pub struct Evaluation {
    /// Version of this format.
    pub schema_version: u32,
    /// The run whose weights were evaluated.
    pub run: RunId,
    /// What was asked.
    pub request: EvalRequest,
    /// What was found.
    pub score: Score,
    /// Time it took.
    pub wall_seconds: f64,
    /// Program and machine.
    pub provenance: Provenance,
}

/// The layout on disk: text and items share the keys of the four numbers, and items have their full score in `skill`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename = "Evaluation")]
struct EvaluationFile {
    schema_version: u32,
    run: RunId,
    request: EvalRequest,
    loss: f64,
    bpb: f64,
    n_tokens: u64,
    n_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    skill: Option<SkillScore>,
    wall_seconds: f64,
    provenance: Provenance,
}

impl From<Evaluation> for EvaluationFile {
    fn from(evaluation: Evaluation) -> EvaluationFile {
        let Evaluation { schema_version, run, request, score, wall_seconds, provenance } = evaluation;
        let (loss, bpb, n_tokens, n_bytes, skill) = match score {
            Score::Text { loss, bpb, n_tokens, n_bytes } => (loss, bpb, n_tokens, n_bytes, None),
            Score::Items(items) => {
                (items.nll.value, items.bpb.value, items.n_tokens, items.n_bytes, Some(items))
            }
        };
        EvaluationFile {
            schema_version,
            run,
            request,
            loss,
            bpb,
            n_tokens,
            n_bytes,
            skill,
            wall_seconds,
            provenance,
        }
    }
}

impl From<EvaluationFile> for Evaluation {
    fn from(file: EvaluationFile) -> Evaluation {
        let EvaluationFile { schema_version, run, request, wall_seconds, provenance, .. } = file;
        let score = match file.skill {
            Some(items) => Score::Items(items),
            None => {
                Score::Text { loss: file.loss, bpb: file.bpb, n_tokens: file.n_tokens, n_bytes: file.n_bytes }
            }
        };
        Evaluation { schema_version, run, request, score, wall_seconds, provenance }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As written before a score was one value.
    const TEXT: &str = r#"{"schema_version":1,"run":"0123456789ab","request":{"name":"code","spec":{"kind":"held-out","tokens":"c0de","n_tokens":64,"context_len":32}},"loss":2.5,"bpb":1.25,"n_tokens":64,"n_bytes":80,"wall_seconds":0.5,"provenance":PROVENANCE}"#;
    const ITEMS: &str = r#"{"schema_version":1,"run":"0123456789ab","request":{"name":"mano","spec":{"kind":"skill","suite":"5u17e","n_items":4,"n_sequences":4,"context_len":32}},"loss":0.5,"bpb":0.25,"n_tokens":8,"n_bytes":9,"skill":{"n_items":4,"n_tokens":8,"n_bytes":9,"nll_per_answer":{"value":1.0},"nll":{"value":0.5,"se":0.1},"bpb":{"value":0.25}},"wall_seconds":0.5,"provenance":PROVENANCE}"#;
    const PROVENANCE: &str = r#"{"version":"0.1.0","git_commit":"abc1234","burn":"0.22.1","features":["simd"],"backend":"cpu","device":"Some Processor","host":"host","platform":"linux-x86_64","threads":1,"started":"2026-01-01T00:00:00Z","ended":"2026-01-01T00:00:03Z"}"#;

    #[test]
    fn files_of_both_kinds_are_read_and_written_byte_for_byte() {
        for (file, is_text, n_tokens) in [(TEXT, true, 64), (ITEMS, false, 8)] {
            let file = file.replace("PROVENANCE", PROVENANCE);
            let found: Evaluation = serde_json::from_str(&file).unwrap();
            assert_eq!(matches!(found.score, Score::Text { .. }), is_text, "{file}");
            assert_eq!(found.score.n_tokens(), n_tokens, "{file}");
            assert_eq!(serde_json::to_string(&found).unwrap(), file);
        }
        let unknown = TEXT.replace("PROVENANCE", PROVENANCE).replace("\"bpb\"", "\"bits\"");
        assert!(serde_json::from_str::<Evaluation>(&unknown).unwrap_err().to_string().contains("`bits`"));
    }
}
