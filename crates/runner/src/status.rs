//! Where a sweep stands, from its folders alone: no launcher is asked.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::folder::{METRICS_JSONL, PLAN_JSON};
use scalelaw_schema::metrics::{MetricsRow, TOKENS_PER_SECOND, TRAIN_LOSS};
use scalelaw_schema::plan::Plan;
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run_id::RunId;
use serde::Serialize;

use crate::attempts::failed_attempts;
use crate::error::RunnerError;
use crate::folder::{ending, run_folders};
use crate::holder::{Holder, Sight, look};

/// A sweep's state, for `status` and `status --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweepStatus {
    /// Version of this format.
    pub schema_version: u32,
    /// Name of the sweep.
    pub sweep: String,
    /// The planned runs by state.
    pub counts: StatusCounts,
    /// Share of the planned training FLOPs that is done, from 0 to 1.
    pub flops_done: f64,
    /// The planned runs in the plan's order.
    pub runs: Vec<RunStatus>,
    /// Names of run folders that the plan does not hold (an older plan's, say).
    pub not_planned: Vec<String>,
}

/// Planned runs by state; the sum is their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct StatusCounts {
    /// All steps taken.
    pub finished: usize,
    /// Given up by their loss.
    pub diverged: usize,
    /// Given up as hopeless beside others.
    pub stopped: usize,
    /// Under a live lease.
    pub running: usize,
    /// Begun, not under a lease, last attempt not failed.
    pub paused: usize,
    /// Not over, not under a lease, with a failed attempt.
    pub failed: usize,
    /// With a record or log that cannot be read.
    pub broken: usize,
    /// Not begun.
    pub waiting: usize,
}

/// One planned run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunStatus {
    /// The run.
    pub run: RunId,
    /// Name of its folder.
    pub folder: String,
    /// Where it stands.
    pub state: RunState,
    /// Steps taken, by the record or the last row of metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// Steps in all.
    pub total_steps: u64,
    /// Training loss there, nats per token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Training tokens per second there, while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_per_second: Option<f64>,
    /// Attempts that failed.
    pub failed_attempts: usize,
    /// Message of the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RunState {
    /// All steps were taken.
    Finished,
    /// Given up at this step.
    Diverged { step: u64 },
    /// Stopped early at this step as hopeless.
    Stopped { step: u64, why: String },
    /// Someone trains it.
    Running {
        /// Name of the machine, where the lease can be read.
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        /// The launcher's process there.
        #[serde(skip_serializing_if = "Option::is_none")]
        pid: Option<u32>,
    },
    /// It will be taken up from its checkpoint.
    Paused,
    /// Its last attempt failed; the next `run` tries again.
    Failed,
    /// Something in its folder cannot be read.
    Broken { why: String },
    /// Not begun.
    Waiting,
}

/// Reads the state of the sweep in `sweep_dir`.
///
/// # Errors
/// `Io` where there is no plan; `BadPlan` where it does not parse. What is wrong in a run's folder is that
/// run's state.
pub fn status(sweep_dir: &Path) -> Result<SweepStatus, RunnerError> {
    let path = sweep_dir.join(PLAN_JSON);
    let text = fs::read(&path).map_err(RunnerError::io("read", &path))?;
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
            None => not_begun(planned.run.folder_name(), &planned.run.id, total_steps),
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
        counts: count(&runs),
        flops_done: if flops > 0.0 { flops_done / flops } else { 1.0 },
        runs,
        not_planned,
    })
}

impl SweepStatus {
    /// A table for a terminal of 80 columns.
    pub fn to_table(&self) -> String {
        let counts = &self.counts;
        let named = [
            (counts.finished, "finished"),
            (counts.diverged, "diverged"),
            (counts.stopped, "stopped early"),
            (counts.running, "running"),
            (counts.paused, "paused"),
            (counts.failed, "failed"),
            (counts.broken, "broken"),
            (counts.waiting, "waiting"),
        ];
        let named: Vec<String> =
            named.iter().filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}")).collect();
        let mut text = format!(
            "{}: {} runs, {:.1} % of the FLOPs done\n{}\n",
            self.sweep,
            self.runs.len(),
            100.0 * self.flops_done,
            named.join(", ")
        );
        if !self.not_planned.is_empty() {
            text += &format!("{} run folders are not in the plan\n", self.not_planned.len());
        }
        text += &format!("\n{:<42} {:<8} {:>13} {:>7} {:>5}\n", "run", "state", "step", "loss", "tries");
        for run in &self.runs {
            let state = match &run.state {
                RunState::Finished => "finished",
                RunState::Diverged { .. } => "diverged",
                RunState::Stopped { .. } => "stopped",
                RunState::Running { .. } => "running",
                RunState::Paused => "paused",
                RunState::Failed => "failed",
                RunState::Broken { .. } => "broken",
                RunState::Waiting => "waiting",
            };
            let step = run.step.map_or_else(|| "-".to_string(), |step| step.to_string());
            let loss = run.loss.map_or_else(|| "-".to_string(), |loss| format!("{loss:.4}"));
            let tries = if run.failed_attempts > 0 { run.failed_attempts.to_string() } else { String::new() };
            let row = format!(
                "{:<42} {state:<8} {:>13} {loss:>7} {tries:>5}",
                shortened(&run.folder, 42),
                format!("{step}/{}", run.total_steps)
            );
            text += row.trim_end();
            text.push('\n');
            let why = match &run.state {
                RunState::Broken { why } | RunState::Stopped { why, .. } => Some(why),
                RunState::Failed => run.last_failure.as_ref(),
                _ => None,
            };
            if let Some(why) = why {
                text += &format!("    {}\n", why.replace('\n', " "));
            }
        }
        text
    }
}

fn run_status(folder: &Path, id: &RunId, total_steps: u64) -> RunStatus {
    let name = name_of(folder);
    let mut status = not_begun(name, id, total_steps);
    let attempts = failed_attempts(folder).unwrap_or_default();
    status.failed_attempts = attempts.len();
    status.last_failure = attempts.into_iter().next_back().map(|attempt| attempt.why);
    match ending(folder, id) {
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
    status.state = match look(folder) {
        Sight::Held(holder) => {
            status.tokens_per_second = row.and_then(|row| row.values.get(TOKENS_PER_SECOND).copied());
            let (host, pid) = holder.map(|Holder { host, pid, .. }| (host, pid)).unzip();
            RunState::Running { host, pid }
        }
        Sight::Free | Sight::Abandoned(_) if status.failed_attempts > 0 => RunState::Failed,
        Sight::Free | Sight::Abandoned(_) if row.is_some() => RunState::Paused,
        Sight::Free | Sight::Abandoned(_) => RunState::Waiting,
    };
    status
}

fn not_begun(folder: String, id: &RunId, total_steps: u64) -> RunStatus {
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

fn count(runs: &[RunStatus]) -> StatusCounts {
    let mut counts = StatusCounts::default();
    for run in runs {
        let count = match run.state {
            RunState::Finished => &mut counts.finished,
            RunState::Diverged { .. } => &mut counts.diverged,
            RunState::Stopped { .. } => &mut counts.stopped,
            RunState::Running { .. } => &mut counts.running,
            RunState::Paused => &mut counts.paused,
            RunState::Failed => &mut counts.failed,
            RunState::Broken { .. } => &mut counts.broken,
            RunState::Waiting => &mut counts.waiting,
        };
        *count += 1;
    }
    counts
}

/// The last row with a training loss, else the last row; from the end of the file, since it may be long. A
/// row that is being written, or was torn by a crash, is passed over.
fn last_row(path: &Path) -> Result<Option<MetricsRow>, RunnerError> {
    const TAIL_BYTES: u64 = 1 << 16;
    let read = || {
        let mut file = File::open(path)?;
        let file_bytes = file.metadata()?.len();
        file.seek(SeekFrom::Start(file_bytes.saturating_sub(TAIL_BYTES)))?;
        let mut tail = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut tail)?;
        Ok::<_, io::Error>(tail)
    };
    let tail = match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        tail => tail.map_err(RunnerError::io("read", path))?,
    };
    let rows: Vec<MetricsRow> =
        tail.rsplit(|&b| b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let with_loss = rows.iter().position(|row| row.values.contains_key(TRAIN_LOSS)).unwrap_or(0);
    Ok(rows.into_iter().nth(with_loss))
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The end of a name is its id, so the middle goes.
fn shortened(name: &str, width: usize) -> String {
    let n_chars = name.chars().count();
    if n_chars <= width {
        return name.to_string();
    }
    const ID_WIDTH: usize = 13;
    let start: String = name.chars().take(width - ID_WIDTH - 2).collect();
    let end: String = name.chars().skip(n_chars - ID_WIDTH).collect();
    format!("{start}..{end}")
}
