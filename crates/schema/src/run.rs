//! One run with all choices made: what is trained, and what is done beside the training.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::eval::EvalRequest;
use crate::metrics::{MetricsRow, TRAIN_LOSS};
use crate::run_id::RunId;
use crate::run_name;
use crate::train_spec::TrainSpec;

/// The content of `run.toml`. Only [`RunSpec::train`] decides the weights and the id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSpec {
    /// Version of this format.
    pub schema_version: u32,
    /// Hash of `train`.
    pub id: RunId,
    /// What decides the weights.
    pub train: TrainSpec,
    /// Place in the sweep's grid.
    pub cell: Cell,
    /// Names of the token sets that `train.mixture` holds by hash.
    pub corpora: Vec<CorpusRef>,
    /// Evaluations made at the end of the run.
    pub evals: Vec<EvalRequest>,
    /// How often things are written.
    pub cadence: Cadence,
    /// What stays on the disk when the run is finished.
    pub keep: Keep,
    /// Steps, ascending, whose checkpoints stay for the branches that begin there.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub keep_steps: Vec<u64>,
    /// When the run is stopped early. Defaults to never.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub early_stop: Option<EarlyStop>,
}

/// Place of a run in the grid of its sweep. For tables and plots; it identifies nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// The compute budget that the run belongs to, FLOPs under the sweep's count rule (IsoFLOP grids).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub budget_flops: Option<f64>,
    /// The run that this one was branched from or shares its data with, for a bootstrap over clusters:
    /// the trunk's id, or the run's own.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cluster: Option<RunId>,
}

/// A token set by name and by content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusRef {
    /// Name in the sweep file or of the manifest.
    pub name: String,
    /// Content hash, as in [`crate::mixture::MixtureSource::tokens`].
    pub tokens: String,
}

/// How often a run writes, in optimizer steps. Nothing here changes the weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cadence {
    /// A row in `metrics.jsonl`.
    pub log_steps: u64,
    /// A checkpoint.
    pub checkpoint_steps: u64,
    /// An evaluation on the held-out tokens, written to the metrics; the last step always has one.
    pub eval_steps: u64,
    /// Items per skill of the evaluations before the last step, which asks all that the run's are made of.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub eval_items: Option<u64>,
}

/// Stops a run early: at one point of the training its loss is compared with the loss that the best finished run of
/// the same budget had at the same share of its own steps. Not part of the run's id.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStop {
    /// Share of the steps at which the run is checked, strictly between 0 and 1.
    pub at: f64,
    /// Nats per token by which the loss may exceed that of the best peer.
    pub margin: f64,
}

impl EarlyStop {
    /// Share of the steps, up to the check, that a loss is averaged over.
    pub const WINDOW: f64 = 0.05;

    /// The step after which a run of `total_steps` is checked.
    pub fn step(&self, total_steps: u64) -> u64 {
        ((self.at * total_steps as f64).round() as u64).clamp(1, total_steps)
    }

    /// Mean training loss of the rows in the last [`Self::WINDOW`] of `total_steps` up to [`Self::step`], nats per
    /// token; of the last row up to there if the window holds none. `None` if the run did not get that far, or no
    /// row has a loss.
    pub fn loss(&self, rows: &[MetricsRow], total_steps: u64) -> Option<f64> {
        let at = self.step(total_steps);
        let first = at.saturating_sub((Self::WINDOW * total_steps as f64).round() as u64);
        if rows.last()?.step < at {
            return None;
        }
        let losses: Vec<(u64, f64)> = rows
            .iter()
            .filter(|row| row.step <= at)
            .filter_map(|row| Some((row.step, *row.values.get(TRAIN_LOSS)?)))
            .collect();
        let in_window: Vec<f64> =
            losses.iter().filter(|(step, _)| *step > first).map(|(_, loss)| *loss).collect();
        match in_window.len() {
            0 => losses.last().map(|(_, loss)| *loss),
            n => Some(in_window.iter().sum::<f64>() / n as f64),
        }
    }
}

/// What stays on the disk when a run is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// `weights.safetensors`, so that the run can be evaluated later.
    Weights,
    /// Records and metrics only.
    None,
}

impl RunSpec {
    /// Name of the run's folder.
    pub fn folder_name(&self) -> String {
        run_name::folder_name(&self.train)
    }

    /// Share of each corpus by name in the training mixture; they sum to 1.
    pub fn shares(&self) -> BTreeMap<&str, f64> {
        let sources = &self.train.mixture.sources;
        let sum: f64 = sources.iter().map(|source| source.weight).sum();
        sources.iter().map(|source| (self.corpus_name(&source.tokens), source.weight / sum)).collect()
    }

    /// Name of the corpus with this content hash, or the hash where none is known.
    pub fn corpus_name<'a>(&'a self, tokens: &'a str) -> &'a str {
        self.corpora.iter().find(|corpus| corpus.tokens == tokens).map_or(tokens, |corpus| &corpus.name)
    }
}
