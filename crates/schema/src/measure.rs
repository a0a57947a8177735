//! What a fit is of: a measurement of each run.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use crate::table::ResultRow;

/// Which measurement is fitted; its text is the name of its column in `results.parquet`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LossColumn {
    /// `loss`: held-out loss over the training corpora, weighted as in training.
    Mean,
    /// `bpb`: the same in bits per byte.
    Bpb,
    /// `loss/<corpus>`: held-out loss on one corpus.
    Corpus(String),
    /// `bpb/<corpus>`: the same in bits per byte.
    CorpusBpb(String),
    /// `skill/<name>/nll`: nats per answer token of a skill's suite.
    Skill(String),
    /// `train_loss`: training loss at the end.
    Train,
}

impl fmt::Display for LossColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LossColumn::Mean => f.write_str("loss"),
            LossColumn::Bpb => f.write_str("bpb"),
            LossColumn::Corpus(name) => write!(f, "loss/{name}"),
            LossColumn::CorpusBpb(name) => write!(f, "bpb/{name}"),
            LossColumn::Skill(name) => write!(f, "skill/{name}/nll"),
            LossColumn::Train => f.write_str("train_loss"),
        }
    }
}

impl FromStr for LossColumn {
    type Err = Infallible;

    /// The name of a column, or of a corpus alone; of a skill also without the `/nll`.
    fn from_str(text: &str) -> Result<LossColumn, Infallible> {
        Ok(match (text, text.split_once('/')) {
            ("loss", _) => LossColumn::Mean,
            ("bpb", _) => LossColumn::Bpb,
            ("train_loss", _) => LossColumn::Train,
            (_, Some(("loss", corpus))) => LossColumn::Corpus(corpus.to_string()),
            (_, Some(("bpb", corpus))) => LossColumn::CorpusBpb(corpus.to_string()),
            (_, Some(("skill", skill))) => {
                LossColumn::Skill(skill.strip_suffix("/nll").unwrap_or(skill).to_string())
            }
            _ => LossColumn::Corpus(text.to_string()),
        })
    }
}

impl LossColumn {
    /// What people read beside the numbers: a skill's name alone, else the column's.
    pub fn title(&self) -> String {
        match self {
            LossColumn::Skill(name) => name.clone(),
            other => other.to_string(),
        }
    }

    /// What was measured on a run.
    pub fn value(&self, row: &ResultRow) -> Option<f64> {
        match self {
            LossColumn::Mean => row.loss,
            LossColumn::Bpb => row.bpb,
            LossColumn::Corpus(name) => row.losses.get(name).copied(),
            LossColumn::CorpusBpb(name) => row.bpbs.get(name).copied(),
            LossColumn::Skill(name) => row.skills.get(name).map(|score| score.nll.value),
            LossColumn::Train => row.train_loss,
        }
    }
}
