//! The files of one run's folder. Whatever others read is replaced atomically: a reader, also after a loss of power,
//! finds it complete or not at all.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use scalelaw_schema::eval::{EvalSpec, Evaluation};
use scalelaw_schema::folder;
use scalelaw_schema::metrics::MetricsRow;
use scalelaw_schema::model::FlopCount;
use scalelaw_schema::record::RunRecord;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;

/// Name of the file in the checkpoint folder that counts attempts.
const ATTEMPTS_FILE: &str = "attempts.json";

/// How many attempts a run took, and what those that were cut short cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempts {
    /// Start of the first, RFC 3339.
    pub started: String,
    /// Their number, this one included.
    pub n: u32,
    /// FLOPs of steps that earlier attempts took beyond the checkpoint that the next one started from.
    pub lost_flops: FlopCount,
}

/// `metrics.jsonl`, open for appending.
#[derive(Debug)]
pub struct MetricsFile {
    path: PathBuf,
    file: File,
}

impl MetricsFile {
    /// Cuts the file back to the rows up to `step` and opens it. Returns the last row that was there before,
    /// which tells how far the run had come. A line that was torn by a crash goes as well.
    ///
    /// # Errors
    /// `File`.
    pub fn cut_back(run_folder: &Path, step: u64) -> Result<(MetricsFile, Option<MetricsRow>), TrainError> {
        let path = run_folder.join(folder::METRICS_JSONL);
        let rows = read_rows(&path)?;
        let kept: String = rows.iter().filter(|row| row.step <= step).map(to_line).collect();
        if scalelaw_disk::read(&path)?.is_some_and(|bytes| bytes != kept.as_bytes()) {
            scalelaw_disk::write(&path, kept.as_bytes())?;
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|e| TrainError::file("open", &path, e))?;
        Ok((MetricsFile { path, file }, rows.last().cloned()))
    }

    /// Appends a row.
    ///
    /// # Errors
    /// `File`.
    pub fn append(&mut self, row: &MetricsRow) -> Result<(), TrainError> {
        self.file.write_all(to_line(row).as_bytes()).map_err(|e| TrainError::file("write", &self.path, e))
    }

    /// Makes sure that the rows so far survive a loss of power.
    ///
    /// # Errors
    /// `File`.
    pub fn sync(&self) -> Result<(), TrainError> {
        self.file.sync_data().map_err(|e| TrainError::file("write", &self.path, e))
    }

    /// All rows.
    ///
    /// # Errors
    /// `File`.
    pub fn rows(&self) -> Result<Vec<MetricsRow>, TrainError> {
        read_rows(&self.path)
    }
}

/// All rows; lines that cannot be read are left out. None where there is no file.
fn read_rows(path: &Path) -> Result<Vec<MetricsRow>, TrainError> {
    let bytes = scalelaw_disk::read(path)?.unwrap_or_default();
    Ok(bytes.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
}

fn to_line(row: &MetricsRow) -> String {
    serde_json::to_string(row).expect("a row is plain data") + "\n"
}

/// Counts an attempt that begins now, and that `lost` is computed again.
///
/// # Errors
/// `File`.
pub fn begin_attempt(run_folder: &Path, now: &str, lost: &FlopCount) -> Result<Attempts, TrainError> {
    let checkpoints = run_folder.join(folder::CHECKPOINT_DIR);
    // Left by attempts that were killed; nobody else writes here now.
    scalelaw_disk::remove_partial_files(run_folder);
    scalelaw_disk::remove_partial_files(&checkpoints);
    let path = checkpoints.join(ATTEMPTS_FILE);
    // A damaged count is no reason to stop: it starts again.
    let before = scalelaw_disk::read(&path).ok().flatten();
    let before = before.and_then(|bytes| serde_json::from_slice::<Attempts>(&bytes).ok());
    let attempts = match before {
        Some(before) => Attempts { n: before.n + 1, lost_flops: before.lost_flops.plus(lost), ..before },
        None => Attempts { started: now.to_string(), n: 1, lost_flops: *lost },
    };
    write_json(&path, &attempts)?;
    Ok(attempts)
}

/// The record, where the run has ended.
///
/// # Errors
/// `File`, `Corrupt`.
pub fn read_record(run_folder: &Path) -> Result<Option<RunRecord>, TrainError> {
    read_json(&run_folder.join(folder::RECORD_JSON), "delete it to train the run again")
}

/// Writes the record: the run has ended.
///
/// # Errors
/// `File`.
pub fn write_record(run_folder: &Path, record: &RunRecord) -> Result<(), TrainError> {
    write_json(&run_folder.join(folder::RECORD_JSON), record)
}

/// An evaluation that was made before.
///
/// # Errors
/// `File`, `Corrupt`.
pub fn read_eval(run_folder: &Path, spec: &EvalSpec) -> Result<Option<Evaluation>, TrainError> {
    read_json(&eval_path(run_folder, spec), "delete it to evaluate again")
}

/// Writes an evaluation.
///
/// # Errors
/// `File`.
pub fn write_eval(run_folder: &Path, record: &Evaluation) -> Result<(), TrainError> {
    write_json(&eval_path(run_folder, &record.request.spec), record)
}

fn eval_path(run_folder: &Path, spec: &EvalSpec) -> PathBuf {
    run_folder.join(folder::EVALS_DIR).join(format!("{}.json", spec.hash()))
}

fn read_json<T: DeserializeOwned>(path: &Path, hint: &'static str) -> Result<Option<T>, TrainError> {
    let Some(bytes) = scalelaw_disk::read(path)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|e| TrainError::Corrupt {
        path: path.to_path_buf(),
        why: format!("cannot be understood: {e}"),
        hint,
    })
}

fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), TrainError> {
    let text = serde_json::to_string_pretty(value).expect("records are plain data") + "\n";
    Ok(scalelaw_disk::write(path, text.as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs;

    fn row(step: u64) -> MetricsRow {
        MetricsRow { step, tokens: step, flops: 1.0, wall_seconds: 0.5, values: BTreeMap::new() }
    }

    #[test]
    fn metrics_are_cut_back_to_a_step_and_a_torn_line_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(folder::METRICS_JSONL);
        let (mut file, last) = MetricsFile::cut_back(folder.path(), 0).unwrap();
        assert_eq!(last, None);
        for step in [5, 10, 15] {
            file.append(&row(step)).unwrap();
        }
        file.file.write_all(b"{\"step\": 20, \"tok\xff").unwrap();
        let (mut file, last) = MetricsFile::cut_back(folder.path(), 10).unwrap();
        assert_eq!(last, Some(row(15)));
        file.append(&row(11)).unwrap();
        assert_eq!(file.rows().unwrap(), [row(5), row(10), row(11)]);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 3);
    }

    #[test]
    fn attempts_are_counted_from_the_first_start() {
        let folder = tempfile::tempdir().unwrap();
        let lost = FlopCount { mlp: 5.0, ..FlopCount::ZERO };
        begin_attempt(folder.path(), "monday", &FlopCount::ZERO).unwrap();
        begin_attempt(folder.path(), "tuesday", &lost).unwrap();
        let third = begin_attempt(folder.path(), "wednesday", &lost).unwrap();
        let lost_flops = FlopCount { mlp: 10.0, ..FlopCount::ZERO };
        assert_eq!(third, Attempts { started: "monday".to_string(), n: 3, lost_flops });
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named_with_a_hint_and_leaves_no_part() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        // A folder in the file's place: the last step, the rename, fails.
        fs::create_dir(&path).unwrap();
        let error = write_json(&path, &1).unwrap_err().to_string();
        assert!(error.contains("a.json") && error.contains("hint"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
