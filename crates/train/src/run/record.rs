//! The record of a run that has ended.

use std::collections::BTreeMap;

use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::metrics::{self, MetricsRow};
use scalelaw_schema::record::{Outcome, RunRecord};

use super::TrainJob;
use crate::folder::Attempts;
use crate::steps::TrainState;
use crate::time::now;

/// What a record needs beside the state.
pub struct Facts<'a> {
    /// All rows of the metrics.
    pub rows: &'a [MetricsRow],
    /// How often each corpus was read, by name.
    pub epochs: BTreeMap<String, f64>,
    /// Tokens computed at once.
    pub micro_batch_tokens: u64,
    /// How many there were, and what they cost.
    pub attempts: Attempts,
}

/// The record of the job's run, which ends now.
pub fn record(job: &TrainJob, outcome: &Outcome, state: &TrainState, facts: Facts) -> RunRecord {
    let run = job.run;
    let progress = &state.progress;
    let values = |name: &str| -> Vec<f64> {
        facts.rows.iter().filter_map(|row| row.values.get(name).copied()).collect()
    };
    let mut rates = values(metrics::TOKENS_PER_SECOND);
    rates.sort_by(f64::total_cmp);
    let peak = values(metrics::PEAK_BYTES).into_iter().max_by(f64::total_cmp);
    RunRecord {
        schema_version: SCHEMA_VERSION,
        run: run.id.clone(),
        train: run.train.clone(),
        outcome: outcome.clone(),
        params: state.model.params(),
        steps: progress.step,
        tokens: run.train.tokens_until(progress.step),
        flops_path: run.train.flops_of(0..progress.step),
        flops_spent: run
            .train
            .flops_of(run.train.first_step()..progress.step)
            .plus(&facts.attempts.lost_flops),
        cluster: run.cell.cluster.clone().unwrap_or_else(|| run.id.clone()),
        train_loss: progress.tail.mean().filter(|_| *outcome == Outcome::Finished),
        epochs: facts.epochs,
        skipped_steps: progress.skipped_steps.clone(),
        wall_seconds: progress.wall_seconds,
        tokens_per_second: rates.get(rates.len() / 2).copied(),
        peak_bytes: peak.map(|bytes| bytes as u64),
        micro_batch_tokens: Some(facts.micro_batch_tokens),
        micro_batch: None,
        attempts: facts.attempts.n,
        provenance: job.device.provenance(job.program, &facts.attempts.started, &now()),
    }
}
