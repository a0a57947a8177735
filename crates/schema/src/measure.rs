//! What a loss is: the column of results that holds it, and the unit of its numbers.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a table's losses are. No loss is printed without its unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measure {
    /// Where the numbers come from.
    pub column: LossColumn,
    /// What they are measured in.
    pub unit: Unit,
}

/// Which measurement is fitted; its text is the name of its column in `results.parquet`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
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
    /// A column of a user's own table.
    User(String),
}

/// The unit of a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Unit {
    /// Nats per token. Only losses over one vocabulary can be compared.
    NatsPerToken {
        /// Tokens in the vocabulary, where every run has the same.
        vocab_size: Option<usize>,
    },
    /// Nats per token of the right answers.
    NatsPerAnswerToken,
    /// Bits per byte of the text, whatever the vocabulary.
    BitsPerByte,
    /// The table does not say.
    AsGiven,
}

impl Measure {
    /// A column of runs whose vocabularies have these sizes.
    pub fn of_runs(column: LossColumn, vocab_sizes: impl IntoIterator<Item = usize>) -> Measure {
        let mut vocab_sizes = vocab_sizes.into_iter();
        let first = vocab_sizes.next();
        let vocab_size = first.filter(|first| vocab_sizes.all(|size| size == *first));
        let unit = column.unit(vocab_size);
        Measure { column, unit }
    }

    /// A column of a user's own table, in its own unit.
    pub fn of_user(column: impl Into<String>) -> Measure {
        Measure { column: LossColumn::User(column.into()), unit: Unit::AsGiven }
    }

    /// Name for tables and plots.
    pub fn title(&self) -> String {
        self.column.title()
    }
}

impl Unit {
    /// Such as `nats per token`; none where the table does not say.
    pub fn text(&self) -> Option<&'static str> {
        match self {
            Unit::NatsPerToken { .. } => Some("nats per token"),
            Unit::NatsPerAnswerToken => Some("nats per answer token"),
            Unit::BitsPerByte => Some("bits per byte"),
            Unit::AsGiven => None,
        }
    }

    /// The unit behind a comma, for an axis or a heading: `, nats per token`.
    pub fn suffix(&self) -> String {
        self.text().map_or(String::new(), |unit| format!(", {unit}"))
    }
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
            LossColumn::User(name) => f.write_str(name),
        }
    }
}

impl From<LossColumn> for String {
    fn from(column: LossColumn) -> String {
        column.to_string()
    }
}

/// The column of this name, else a user's own.
impl From<String> for LossColumn {
    fn from(name: String) -> LossColumn {
        LossColumn::own(&name).unwrap_or(LossColumn::User(name))
    }
}

impl FromStr for LossColumn {
    type Err = Infallible;

    /// The name of a column, or of a corpus alone; of a skill also without the `/nll`.
    fn from_str(text: &str) -> Result<LossColumn, Infallible> {
        Ok(LossColumn::own(text).unwrap_or_else(|| LossColumn::Corpus(text.to_string())))
    }
}

impl LossColumn {
    /// The column of our own results that has this name.
    pub fn own(text: &str) -> Option<LossColumn> {
        match (text, text.split_once('/')) {
            ("loss", _) => Some(LossColumn::Mean),
            ("bpb", _) => Some(LossColumn::Bpb),
            ("train_loss", _) => Some(LossColumn::Train),
            (_, Some(("loss", corpus))) => Some(LossColumn::Corpus(corpus.to_string())),
            (_, Some(("bpb", corpus))) => Some(LossColumn::CorpusBpb(corpus.to_string())),
            (_, Some(("skill", skill))) => {
                Some(LossColumn::Skill(skill.strip_suffix("/nll").unwrap_or(skill).to_string()))
            }
            _ => None,
        }
    }

    /// Name for tables and plots: a skill's name alone, else the column's.
    pub fn title(&self) -> String {
        match self {
            LossColumn::Skill(name) => name.clone(),
            other => other.to_string(),
        }
    }

    fn unit(&self, vocab_size: Option<usize>) -> Unit {
        match self {
            LossColumn::Mean | LossColumn::Corpus(_) | LossColumn::Train => Unit::NatsPerToken { vocab_size },
            LossColumn::Bpb | LossColumn::CorpusBpb(_) => Unit::BitsPerByte,
            LossColumn::Skill(_) => Unit::NatsPerAnswerToken,
            LossColumn::User(_) => Unit::AsGiven,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_has_its_name_its_title_and_its_unit() {
        for (text, name, title, unit) in [
            ("loss", "loss", "loss", Some("nats per token")),
            ("bpb", "bpb", "bpb", Some("bits per byte")),
            ("loss/code", "loss/code", "loss/code", Some("nats per token")),
            ("code", "loss/code", "loss/code", Some("nats per token")),
            ("bpb/code", "bpb/code", "bpb/code", Some("bits per byte")),
            ("skill/mano/nll", "skill/mano/nll", "mano", Some("nats per answer token")),
            ("skill/mano", "skill/mano/nll", "mano", Some("nats per answer token")),
            ("train_loss", "train_loss", "train_loss", Some("nats per token")),
        ] {
            let Ok(column) = text.parse::<LossColumn>();
            assert_eq!((column.to_string().as_str(), column.title().as_str()), (name, title), "{text}");
            assert_eq!(LossColumn::from(name.to_string()), column, "{text}");
            assert_eq!(Measure::of_runs(column, [256]).unit.text(), unit, "{text}");
        }
        let own = Measure::of_user("ppl");
        assert_eq!((own.title().as_str(), own.unit.text(), own.unit.suffix().as_str()), ("ppl", None, ""));
        assert_eq!(LossColumn::from("ppl".to_string()), own.column);
    }

    #[test]
    fn the_vocabulary_is_known_where_all_runs_have_the_same() {
        let vocab_size = |sizes: &[usize]| Measure::of_runs(LossColumn::Mean, sizes.iter().copied()).unit;
        for (sizes, expected) in
            [(&[][..], None), (&[256][..], Some(256)), (&[256, 256], Some(256)), (&[256, 512, 256], None)]
        {
            assert_eq!(vocab_size(sizes), Unit::NatsPerToken { vocab_size: expected }, "{sizes:?}");
        }
    }

    #[test]
    fn a_measure_reads_back_and_names_its_column() {
        let measure = Measure::of_runs(LossColumn::Skill("mano".to_string()), []);
        let text = serde_json::to_string(&measure).unwrap();
        assert_eq!(text, r#"{"column":"skill/mano/nll","unit":{"kind":"nats-per-answer-token"}}"#);
        assert_eq!(serde_json::from_str::<Measure>(&text).unwrap(), measure);
    }
}
