//! How runs ended, by their records.

use std::collections::BTreeMap;
use std::path::Path;

use scalelaw_schema::folder::RECORD_JSON;
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::run_id::RunId;
use serde::Deserialize;

use super::listing::run_folders;
use crate::error::RunnerError;

/// The part of a record that says how the run ended. The rest is ignored, but must be JSON.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Ending {
    /// The run.
    pub run: RunId,
    /// How it ended.
    pub outcome: Outcome,
    /// Steps taken.
    pub steps: u64,
    /// Mean training loss at the end, nats per token; `None` if it diverged.
    #[serde(default)]
    pub train_loss: Option<f64>,
}

/// How run `id` in `folder` ended; `None` if it has no record.
///
/// # Errors
/// `CorruptRecord` if the record is not JSON, or belongs to another run; `Disk`.
pub fn read_ending(folder: &Path, id: &RunId) -> Result<Option<Ending>, RunnerError> {
    let path = folder.join(RECORD_JSON);
    let Some(text) = scalelaw_disk::read(&path)? else { return Ok(None) };
    let ending: Ending = match serde_json::from_slice(&text) {
        Ok(ending) => ending,
        Err(error) => return Err(RunnerError::CorruptRecord { path, why: error.to_string() }),
    };
    if &ending.run != id {
        return Err(RunnerError::CorruptRecord { path, why: format!("it belongs to run {}", ending.run) });
    }
    Ok(Some(ending))
}

/// Outcomes of the runs of a sweep that have a record.
///
/// # Errors
/// `CorruptRecord`: such a run is neither trained again nor silently left out; `Disk`.
pub fn ended_runs(sweep_dir: &Path) -> Result<BTreeMap<RunId, Outcome>, RunnerError> {
    let mut ended = BTreeMap::new();
    for (id, folder) in run_folders(sweep_dir)? {
        if let Some(ending) = read_ending(&folder, &id)? {
            ended.insert(id, ending.outcome);
        }
    }
    Ok(ended)
}

/// Whether a run with this outcome needs no further training: one that was stopped early resumes once its rule is
/// removed.
pub fn is_ended(run: &RunSpec, outcome: &Outcome) -> bool {
    run.early_stop.is_some() || !matches!(outcome, Outcome::Stopped { .. })
}

/// Removes the record of a run that was stopped early and has no such rule any more, so that it resumes from its last
/// checkpoint. Call it while holding the lease.
///
/// # Errors
/// `CorruptRecord`; `Disk`.
pub fn reopen_if_stopped(folder: &Path, run: &RunSpec) -> Result<(), RunnerError> {
    if read_ending(folder, &run.id)?.is_some_and(|ending| !is_ended(run, &ending.outcome)) {
        scalelaw_disk::remove(&folder.join(RECORD_JSON))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Instant;

    use super::*;
    use crate::folder::testing::{new_run_folder, record_text, run_spec};

    #[test]
    fn what_has_a_record_has_ended_and_a_corrupt_record_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(ended_runs(&dir.path().join("none")).unwrap(), BTreeMap::new());
        let (finished, diverged, open) = (run_spec(1), run_spec(2), run_spec(3));
        fs::write(dir.path().join("plan.json"), "{}").unwrap();
        for (run, outcome) in
            [(&finished, r#"{"kind":"finished"}"#), (&diverged, r#"{"kind":"diverged","step":9}"#)]
        {
            let folder = new_run_folder(dir.path(), run);
            fs::write(folder.join(RECORD_JSON), record_text(&run.id, outcome)).unwrap();
        }
        let folder = new_run_folder(dir.path(), &open);
        let expected =
            [(finished.id.clone(), Outcome::Finished), (diverged.id, Outcome::Diverged { step: 9 })];
        assert_eq!(ended_runs(dir.path()).unwrap(), BTreeMap::from(expected));

        let whole = record_text(&open.id, r#"{"kind":"finished"}"#);
        for text in [&whole[..whole.len() / 2], "", &record_text(&finished.id, r#"{"kind":"finished"}"#)] {
            fs::write(folder.join(RECORD_JSON), text).unwrap();
            let message = ended_runs(dir.path()).unwrap_err().to_string();
            let path = folder.join(RECORD_JSON).display().to_string();
            assert!(message.contains(&path) && message.contains("hint: delete"), "{message}");
        }
    }

    #[test]
    fn two_thousand_records_are_read_in_under_a_fifth_of_a_second() {
        let dir = tempfile::tempdir().unwrap();
        for seed in 0..2_000u64 {
            let id = scalelaw_schema::canonical::hash12(&seed);
            let folder = dir.path().join(format!("n1.20M-L4-d128-t30.0M-s{seed}-{id}"));
            fs::create_dir(&folder).unwrap();
            // As long as a real one.
            let mut text = record_text(&id.parse().unwrap(), r#"{"kind":"finished"}"#);
            text.insert_str(1, &format!(r#""provenance":"{}","#, "x".repeat(2000)));
            fs::write(folder.join(RECORD_JSON), text).unwrap();
        }
        let clock = Instant::now();
        assert_eq!(ended_runs(dir.path()).unwrap().len(), 2_000);
        let seconds = clock.elapsed().as_secs_f64();
        println!("2000 records in {seconds:.3} s");
        assert!(seconds < 0.2, "{seconds} s");
    }
}
