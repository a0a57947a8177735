//! Tables of losses: the wide row of a completed run, and the rows that every fit takes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::SchemaError;
use crate::count::CountRule;
use crate::measure::{LossColumn, Measure};
use crate::model::{FlopCount, Head, ModelShape, ModelSpec, ParamCount};
use crate::record::Outcome;
use crate::run_id::RunId;
use crate::score::SkillScore;

/// One row of `results.parquet`: a completed run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResultRow {
    /// The run.
    pub run_id: RunId,
    /// Name of its folder.
    pub folder: String,
    /// The trunk's id, or the run's own.
    pub cluster: RunId,
    /// How it ended.
    pub outcome: Outcome,
    /// Seed of weights and data.
    pub seed: u64,
    /// The IsoFLOP budget it belongs to.
    pub budget_flops: Option<f64>,
    /// N by group.
    pub params: ParamCount,
    /// Blocks.
    pub n_layer: usize,
    /// Width.
    pub d_model: usize,
    /// Heads.
    pub n_head: usize,
    /// Width of the MLP.
    pub d_ff: usize,
    /// Vocabulary.
    pub vocab_size: usize,
    /// Output projection.
    pub head: Head,
    /// Context of the last phase.
    pub context_len: usize,
    /// Steps taken.
    pub steps: u64,
    /// D.
    pub tokens: u64,
    /// FLOPs from the initial weights to the final ones, by group.
    pub flops_path: FlopCount,
    /// FLOPs that this run computed.
    pub flops_spent: f64,
    /// Held-out loss, nats per token: the mean over the evaluated corpora, weighted as in training.
    pub loss: Option<f64>,
    /// The same in bits per byte.
    pub bpb: Option<f64>,
    /// Held-out loss of each corpus by name, nats per token.
    pub losses: BTreeMap<String, f64>,
    /// Held-out loss of each corpus by name, bits per byte.
    pub bpbs: BTreeMap<String, f64>,
    /// Score of each skill by name, in full.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub skills: BTreeMap<String, SkillScore>,
    /// Share of each corpus by name in the training mixture; they sum to 1.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub shares: BTreeMap<String, f64>,
    /// Training loss at the end.
    pub train_loss: Option<f64>,
    /// Peak learning rate.
    pub lr: f64,
    /// Tokens of one step of the last phase.
    pub batch_tokens: u64,
    /// Largest number of times that a corpus was read.
    pub max_epochs: Option<f64>,
    /// Seconds of training.
    pub wall_seconds: f64,
    /// Median rate.
    pub tokens_per_second: Option<f64>,
    /// Peak memory.
    pub peak_bytes: Option<u64>,
    /// Backend and device.
    pub device: String,
    /// Program version and commit.
    pub program: String,
}

impl ResultRow {
    /// The model that was trained.
    pub fn model(&self) -> ModelSpec {
        ModelSpec::Transformer(ModelShape {
            n_layer: self.n_layer,
            d_model: self.d_model,
            n_head: self.n_head,
            d_ff: self.d_ff,
            vocab_size: self.vocab_size,
            head: self.head,
        })
    }

    /// The loss of this column; none where it was not measured, and of a user's own column.
    pub fn value(&self, column: &LossColumn) -> Option<f64> {
        match column {
            LossColumn::Mean => self.loss,
            LossColumn::Bpb => self.bpb,
            LossColumn::Corpus(name) => self.losses.get(name).copied(),
            LossColumn::CorpusBpb(name) => self.bpbs.get(name).copied(),
            LossColumn::Skill(name) => self.skills.get(name).map(|score| score.nll.value),
            LossColumn::Train => self.train_loss,
            LossColumn::User(_) => None,
        }
    }
}

/// One point of a learning curve, of `metrics.parquet`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricPoint {
    /// The run.
    pub run_id: RunId,
    /// Steps taken.
    pub step: u64,
    /// Training tokens seen.
    pub tokens: u64,
    /// Training FLOPs spent.
    pub flops: f64,
    /// Seconds since the run began.
    pub wall_seconds: f64,
    /// Name of the measurement.
    pub metric: String,
    /// Its value.
    pub value: f64,
}

/// The input of every fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossTable {
    /// Where the rows come from: a sweep's name or a file's.
    pub source: String,
    /// How N and C were counted.
    pub count_rule: Counting,
    /// Name of the losses for tables and plots: of a corpus, a skill or a column.
    pub loss_name: String,
    /// The column of the losses, and their unit.
    pub measure: Measure,
    /// Rows that can be fitted: every number finite and positive.
    pub rows: Vec<LossRow>,
    /// Rows left out.
    pub excluded: Vec<ExcludedRow>,
}

impl LossTable {
    /// A table that has no rows yet; its losses are named after their measure.
    pub fn new(source: impl Into<String>, count_rule: Counting, measure: Measure) -> LossTable {
        LossTable {
            source: source.into(),
            count_rule,
            loss_name: measure.title(),
            measure,
            rows: Vec::new(),
            excluded: Vec::new(),
        }
    }
}

/// How a table's N and C were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Counting {
    /// By a rule of this program, from each model's shape.
    Rule(CountRule),
    /// As a user's own table has them.
    AsGiven,
    /// N as a user's own table has it, and C = 6·N·D since it has none.
    AsGivenSixNd,
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Counting::Rule(rule) => rule.name(),
            Counting::AsGiven => "as given",
            Counting::AsGivenSixNd => "as given, C = 6ND",
        })
    }
}

impl FromStr for Counting {
    type Err = SchemaError;

    fn from_str(text: &str) -> Result<Counting, SchemaError> {
        match [Counting::AsGiven, Counting::AsGivenSixNd].into_iter().find(|own| own.to_string() == text) {
            Some(own) => Ok(own),
            None => text.parse().map(Counting::Rule),
        }
    }
}

impl From<Counting> for String {
    fn from(counting: Counting) -> String {
        counting.to_string()
    }
}

impl TryFrom<String> for Counting {
    type Error = SchemaError;

    fn try_from(text: String) -> Result<Counting, SchemaError> {
        text.parse()
    }
}

/// One measured loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossRow {
    /// A name for messages and plots: the run's id, or the row's number in a file.
    pub name: String,
    /// Parameters.
    pub n: f64,
    /// Training tokens.
    pub d: f64,
    /// Training FLOPs.
    pub c: f64,
    /// The loss, in the unit of the table's measure.
    pub loss: f64,
    /// The IsoFLOP budget, where the table names one.
    pub budget: Option<f64>,
    /// Rows of one cluster share a trajectory, where the table names clusters.
    pub cluster: Option<String>,
    /// Seed, where the table names one.
    pub seed: Option<u64>,
    /// Distinct training tokens, where data was repeated.
    pub unique_tokens: Option<f64>,
}

/// A row that no fit may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExcludedRow {
    /// The run's id, or the row's number in a file.
    pub name: String,
    /// Why.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counting_is_the_text_that_files_have() {
        for (counting, text) in [
            (Counting::Rule(CountRule::Exact), "exact"),
            (Counting::Rule(CountRule::SixNWithHead), "six-n-with-head"),
            (Counting::AsGiven, "as given"),
            (Counting::AsGivenSixNd, "as given, C = 6ND"),
        ] {
            assert_eq!(serde_json::to_string(&counting).unwrap(), format!("\"{text}\""));
            assert_eq!(text.parse(), Ok(counting));
        }
        assert!("by hand".parse::<Counting>().is_err());
    }
}
