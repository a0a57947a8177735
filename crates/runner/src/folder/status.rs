//! Reads the progress of a sweep from its folders alone, without asking any launcher.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use scalelaw_disk::DiskError;
use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::folder::{METRICS_JSONL, PLAN_JSON};
use scalelaw_schema::metrics::{MetricsRow, TOKENS_PER_SECOND, TRAIN_LOSS};
use scalelaw_schema::plan::Plan;
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::status::{RunState, RunStatus, StatusCounts, SweepStatus};

use super::attempts::failed_attempts;
use super::ending::read_ending;
use super::holder::{Holder, LeaseState, inspect};
use super::listing::run_folders;
use crate::error::RunnerError;

/// Reads the progress of the sweep in `sweep_dir`.
///
/// # Errors
/// `Disk` if there is no plan; `BadPlan` if it does not parse. An error in a run's folder becomes the state of that
/// run.
pub fn status(sweep_dir: &Path) -> Result<SweepStatus, RunnerError> {
    let path = sweep_dir.join(PLAN_JSON);
    let text = std::fs::read(&path).map_err(DiskError::at("read", &path))?;
    let plan: Plan = match serde_json::from_slice(&text) {
        Ok(plan) => plan,
        Err(error) => return Err(RunnerError::BadPlan { path, why: error.to_string() }),
    };
    let mut folders = run_folders(sweep_dir)?;
    let mut runs = Vec::with_capacity(plan.runs.len());
    let (mut flops, mut flops_done) = (0.0, 0.0);
    for planned in &plan.runs {
        let total_steps = planned.run.train.total_steps();
        let run = match folders.remove(&planned.run.id) {
            Some(folder) => run_status(&folder, &planned.run.id, total_steps),
            None => not_started(planned.run.folder_name(), &planned.run.id, total_steps),
        };
        let (own, first) = (planned.spent_c(), planned.run.train.first_step());
        flops += own;
        flops_done += match run.state {
            RunState::Finished | RunState::Diverged { .. } | RunState::Stopped { .. } => own,
            _ => {
                let taken = run.step.unwrap_or(0).min(total_steps).saturating_sub(first);
                own * taken as f64 / (total_steps - first).max(1) as f64
            }
        };
        runs.push(run);
    }
    let mut not_planned: Vec<String> = folders.values().map(|folder| name_of(folder)).collect();
    not_planned.sort();
    Ok(SweepStatus {
        schema_version: SCHEMA_VERSION,
        sweep: plan.sweep,
        counts: StatusCounts::of(&runs),
        flops_done: if flops > 0.0 { flops_done / flops } else { 1.0 },
        runs,
        not_planned,
    })
}

fn run_status(folder: &Path, id: &RunId, total_steps: u64) -> RunStatus {
    let name = name_of(folder);
    let mut status = not_started(name, id, total_steps);
    let attempts = failed_attempts(folder).unwrap_or_default();
    status.failed_attempts = attempts.len();
    status.last_failure = attempts.into_iter().next_back().map(|attempt| attempt.why);
    match read_ending(folder, id) {
        Ok(Some(ending)) => {
            status.step = Some(ending.steps);
            status.loss = ending.train_loss;
            status.state = match ending.outcome {
                Outcome::Finished => RunState::Finished,
                Outcome::Diverged { step } => RunState::Diverged { step },
                Outcome::Stopped { step, why } => RunState::Stopped { step, why },
            };
            return status;
        }
        Ok(None) => {}
        Err(error) => {
            status.state = RunState::Broken { why: error.to_string() };
            return status;
        }
    }
    let row = match last_row(&folder.join(METRICS_JSONL)) {
        Ok(row) => row,
        Err(error) => {
            status.state = RunState::Broken { why: error.to_string() };
            return status;
        }
    };
    if let Some(row) = &row {
        status.step = Some(row.step);
        status.loss = row.values.get(TRAIN_LOSS).copied();
    }
    status.state = match inspect(folder) {
        LeaseState::Held(holder) => {
            status.tokens_per_second = row.and_then(|row| row.values.get(TOKENS_PER_SECOND).copied());
            let (host, pid) = holder.map(|Holder { host, pid, .. }| (host, pid)).unzip();
            RunState::Running { host, pid }
        }
        LeaseState::Free | LeaseState::Abandoned(_) if status.failed_attempts > 0 => RunState::Failed,
        LeaseState::Free | LeaseState::Abandoned(_) if row.is_some() => RunState::Paused,
        LeaseState::Free | LeaseState::Abandoned(_) => RunState::Waiting,
    };
    status
}

fn not_started(folder: String, id: &RunId, total_steps: u64) -> RunStatus {
    RunStatus {
        run: id.clone(),
        folder,
        state: RunState::Waiting,
        step: None,
        total_steps,
        loss: None,
        tokens_per_second: None,
        failed_attempts: 0,
        last_failure: None,
    }
}

/// The last row with a training loss, or else the last row, read from the end of the file, since it may be long. An
/// incomplete row is ignored.
fn last_row(path: &Path) -> Result<Option<MetricsRow>, DiskError> {
    const TAIL_BYTES: u64 = 1 << 16;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let file_bytes = file.metadata()?.len();
        file.seek(SeekFrom::Start(file_bytes.saturating_sub(TAIL_BYTES)))?;
        let mut tail = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut tail)?;
        Ok(tail)
    };
    let tail = match read() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        tail => tail.map_err(DiskError::at("read", path))?,
    };
    let rows: Vec<MetricsRow> =
        tail.rsplit(|&b| b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let with_loss = rows.iter().position(|row| row.values.contains_key(TRAIN_LOSS)).unwrap_or(0);
    Ok(rows.into_iter().nth(with_loss))
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
