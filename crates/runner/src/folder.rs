//! A run's folder: its name, its `run.toml`, its record. What is in a checkpoint is the trainer's business.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use scalelaw_schema::folder::{CHECKPOINT_DIR, RECORD_JSON, RUN_TOML, checkpoint_step};
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::run_id::RunId;
use serde::Deserialize;

use crate::error::RunnerError;

/// The part of a record that says how the run ended. The rest is read past, but must be JSON.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Ending {
    /// The run.
    pub run: RunId,
    /// How it ended.
    pub outcome: Outcome,
    /// Steps taken.
    pub steps: u64,
    /// Mean training loss at the end, nats per token; absent where diverged.
    #[serde(default)]
    pub train_loss: Option<f64>,
}

/// The run folders of a sweep by id; none where the sweep has no folder yet. Other files are passed over.
///
/// # Errors
/// `Io` where the folder cannot be listed.
pub fn run_folders(sweep_dir: &Path) -> Result<BTreeMap<RunId, PathBuf>, RunnerError> {
    let entries = match fs::read_dir(sweep_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries.map_err(RunnerError::io("list", sweep_dir))?,
    };
    let mut folders = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(RunnerError::io("list", sweep_dir))?;
        let name = entry.file_name();
        let id = name.to_str().and_then(|name| name.rsplit_once('-')).and_then(|(_, id)| id.parse().ok());
        if let Some(id) = id {
            folders.insert(id, entry.path());
        }
    }
    Ok(folders)
}

/// How the runs ended that have a record.
///
/// # Errors
/// `CorruptRecord` where one cannot be read: it is neither trained again nor left out in silence.
pub fn over(sweep_dir: &Path) -> Result<BTreeMap<RunId, Outcome>, RunnerError> {
    let mut over = BTreeMap::new();
    for (id, folder) in run_folders(sweep_dir)? {
        if let Some(ending) = ending(&folder, &id)? {
            over.insert(id, ending.outcome);
        }
    }
    Ok(over)
}

/// Whether a run with this record is over: one that was stopped early goes on where the rule is gone.
pub fn is_over(run: &RunSpec, outcome: &Outcome) -> bool {
    run.early_stop.is_some() || !matches!(outcome, Outcome::Stopped { .. })
}

/// Takes away the record of a run that was stopped early and is not over without the rule, so that it goes on from
/// its last checkpoint. Call it with the lease in hand.
///
/// # Errors
/// `CorruptRecord`; `Io` where it cannot be removed.
pub fn go_on_where_stopped(folder: &Path, run: &RunSpec) -> Result<(), RunnerError> {
    match ending(folder, &run.id)? {
        Some(ending) if !is_over(run, &ending.outcome) => {
            let path = folder.join(RECORD_JSON);
            fs::remove_file(&path).map_err(RunnerError::io("remove", &path))
        }
        _ => Ok(()),
    }
}

/// Steps of the checkpoints of each run that has any.
///
/// # Errors
/// `Io` where a folder cannot be listed.
pub fn checkpoints(sweep_dir: &Path) -> Result<BTreeMap<RunId, BTreeSet<u64>>, RunnerError> {
    let mut checkpoints = BTreeMap::new();
    for (id, folder) in run_folders(sweep_dir)? {
        let steps = checkpoint_steps(&folder)?;
        if !steps.is_empty() {
            checkpoints.insert(id, steps);
        }
    }
    Ok(checkpoints)
}

/// Steps of the checkpoints in a run's folder, by their names.
///
/// # Errors
/// `Io` where they cannot be listed.
pub fn checkpoint_steps(folder: &Path) -> Result<BTreeSet<u64>, RunnerError> {
    let dir = folder.join(CHECKPOINT_DIR);
    let entries = match fs::read_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries.map_err(RunnerError::io("list", &dir))?,
    };
    Ok(entries.filter_map(|entry| checkpoint_step(entry.ok()?.file_name().to_str()?)).collect())
}

/// How run `id` in `folder` ended; nothing where it is not over.
///
/// # Errors
/// `CorruptRecord` where there is a record and it is not JSON, or another run's.
pub fn ending(folder: &Path, id: &RunId) -> Result<Option<Ending>, RunnerError> {
    let path = folder.join(RECORD_JSON);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(RunnerError::io("read", &path))?,
    };
    let ending: Ending = match serde_json::from_slice(&text) {
        Ok(ending) => ending,
        Err(error) => return Err(RunnerError::CorruptRecord { path, why: error.to_string() }),
    };
    if &ending.run != id {
        return Err(RunnerError::CorruptRecord { path, why: format!("it is of run {}", ending.run) });
    }
    Ok(Some(ending))
}

/// The run that `folder` was made for.
///
/// # Errors
/// `Io` where there is no `run.toml`; `ForeignRun` where it does not parse or its id is not its hash.
pub fn read_run(folder: &Path) -> Result<RunSpec, RunnerError> {
    let path = folder.join(RUN_TOML);
    let text = fs::read_to_string(&path).map_err(RunnerError::io("read", &path))?;
    parse_run(&path, &text)
}

/// Makes `folder` ready for `run`: `run.toml` holds it. Call it with the lease in hand.
///
/// A `run.toml` of the same id that differs beside the training (evaluations, cadence) is replaced: the plan
/// is what a person wants now, and the weights do not depend on it.
///
/// # Errors
/// `ForeignRun` where a `run.toml` is there and is not this run's; `Io`; `Unwritable`.
pub fn prepare(folder: &Path, run: &RunSpec) -> Result<(), RunnerError> {
    let path = folder.join(RUN_TOML);
    match fs::read_to_string(&path) {
        Ok(text) => {
            let found = parse_run(&path, &text)?;
            if found.id != run.id {
                let why = format!("it is run {}, not {}", found.id, run.id);
                return Err(RunnerError::ForeignRun { path, why });
            }
            if &found == run {
                return Ok(());
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return Err(RunnerError::ForeignRun { path, why: error.to_string() });
        }
        Err(error) => return Err(RunnerError::io("read", &path)(error)),
    }
    let text = toml::to_string(run)
        .map_err(|error| RunnerError::Unwritable { run: run.id.clone(), why: error.to_string() })?;
    write_atomically(&path, text.as_bytes())
}

/// Tries to write in `folder` as much as any small file needs, and takes it away again.
///
/// # Errors
/// `Io`, naming the folder.
pub fn probe(folder: &Path) -> Result<(), RunnerError> {
    let path = folder.join(".probe");
    let written = fs::write(&path, [0u8; 65536]);
    // A probe that stays behind does no harm, and the write's own error is the one to tell.
    let _ = fs::remove_file(&path);
    written.map_err(RunnerError::io("write in", folder))
}

/// The right of this process to write in a run's folder, given back when dropped.
#[derive(Debug)]
pub struct WriteLock {
    _directory: Option<File>,
}

/// Takes the right to write in `folder`; `None` where another process still has it after `patience`.
///
/// It stands beside the launcher's lease: where a launcher was killed, its worker may live a moment longer than
/// the lease. It is a lock on the directory itself, which leaves no file. Where there is no such lock (Windows,
/// some network file systems) nothing is locked, and the lease's heartbeat alone decides.
pub fn lock_for_writing(folder: &Path, patience: Duration) -> Option<WriteLock> {
    let Ok(directory) = File::open(folder) else { return Some(WriteLock { _directory: None }) };
    let deadline = Instant::now() + patience;
    loop {
        match directory.try_lock() {
            Ok(()) => return Some(WriteLock { _directory: Some(directory) }),
            Err(TryLockError::Error(_)) => return Some(WriteLock { _directory: None }),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}

/// Writes a file that is either there whole or not at all, even after a power loss.
fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), RunnerError> {
    let part = path.with_extension("part");
    let write = || {
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().map_err(RunnerError::io("write", path))
}

fn parse_run(path: &Path, text: &str) -> Result<RunSpec, RunnerError> {
    let foreign = |why: String| RunnerError::ForeignRun { path: path.to_path_buf(), why };
    let run: RunSpec = toml::from_str(text).map_err(|error| foreign(error.to_string().trim_end().into()))?;
    let id = RunId::of(&run.train);
    if run.id != id {
        return Err(foreign(format!("its id says {}, what it trains hashes to {id}", run.id)));
    }
    Ok(run)
}

#[cfg(test)]
pub(crate) mod tests {
    use scalelaw_schema::SCHEMA_VERSION;
    use scalelaw_schema::mixture::{Mixture, MixtureSource};
    use scalelaw_schema::model::{Head, ModelShape, ModelSpec};
    use scalelaw_schema::recipe::{InitRule, Optimizer, Parametrisation, Precision, Recipe, Schedule};
    use scalelaw_schema::run::{Cadence, Cell, Keep};
    use scalelaw_schema::train_spec::{Phase, Start, TrainSpec};

    use super::*;

    /// A small run; another seed is another run.
    pub(crate) fn run_spec(seed: u64) -> RunSpec {
        let shape =
            ModelShape { n_layer: 2, d_model: 16, n_head: 2, d_ff: 44, vocab_size: 256, head: Head::Tied };
        let train = TrainSpec {
            model: ModelSpec::Transformer(shape),
            phases: vec![Phase { context_len: 32, batch_sequences: 8, steps: 200 }],
            recipe: Recipe {
                optimizer: Optimizer::AdamW { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1 },
                lr_peak: 0.1 + 0.2,
                warmup_steps: 10,
                schedule: Schedule::Cosine { final_fraction: 0.1 },
                grad_clip_norm: 1.0,
                init: InitRule::ScaledNormal { std: 0.02 },
                precision: Precision::F32,
                parametrisation: Parametrisation::Standard,
            },
            mixture: Mixture::new(vec![MixtureSource { tokens: "text".to_string(), weight: 1.0 }]).unwrap(),
            seed,
            start: Start::Init,
        };
        RunSpec {
            schema_version: SCHEMA_VERSION,
            id: RunId::of(&train),
            train,
            cell: Cell::default(),
            corpora: vec![],
            evals: vec![],
            cadence: Cadence { log_steps: 10, checkpoint_steps: 50, eval_steps: 100, eval_items: None },
            keep: Keep::Weights,
            keep_steps: vec![],
            early_stop: None,
        }
    }

    /// A record with the fields that are read here and one that is read past.
    pub(crate) fn record_text(id: &RunId, outcome: &str) -> String {
        format!(
            r#"{{"run":"{id}","outcome":{outcome},"steps":200,"train_loss":1.5,"params":{{"mlp":[1,2]}}}}"#
        )
    }

    pub(crate) fn new_run_folder(sweep_dir: &Path, run: &RunSpec) -> PathBuf {
        let folder = sweep_dir.join(run.folder_name());
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn run_toml_reads_back_to_the_same_run_and_a_changed_cadence_replaces_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut run = run_spec(1);
        let folder = new_run_folder(dir.path(), &run);
        prepare(&folder, &run).unwrap();
        assert_eq!(read_run(&folder).unwrap(), run);
        run.cadence.checkpoint_steps = 7;
        prepare(&folder, &run).unwrap();
        assert_eq!(read_run(&folder).unwrap(), run);
    }

    #[test]
    fn a_run_toml_that_is_not_this_runs_is_refused_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let run = run_spec(1);
        let folder = new_run_folder(dir.path(), &run);
        let other = toml::to_string(&run_spec(2)).unwrap();
        let edited = toml::to_string(&run).unwrap().replace("n_layer = 2", "n_layer = 3");
        for (text, part) in [
            (other.as_bytes(), "not"),
            (edited.as_bytes(), "hashes to"),
            (b"schema_version = ".as_slice(), "line 1"),
            (b"\xff\xfe\x00".as_slice(), "UTF-8"),
        ] {
            fs::write(folder.join(RUN_TOML), text).unwrap();
            let message = prepare(&folder, &run).unwrap_err().to_string();
            assert!(message.contains(RUN_TOML) && message.contains(part), "{part}: {message}");
            assert_eq!(fs::read(folder.join(RUN_TOML)).unwrap(), text, "it must stay as it was");
        }
    }

    #[test]
    fn what_has_a_record_is_over_and_a_corrupt_record_is_an_error_that_names_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(over(&dir.path().join("none")).unwrap(), BTreeMap::new());
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
        assert_eq!(over(dir.path()).unwrap(), BTreeMap::from(expected));

        let whole = record_text(&open.id, r#"{"kind":"finished"}"#);
        for text in [&whole[..whole.len() / 2], "", &record_text(&finished.id, r#"{"kind":"finished"}"#)] {
            fs::write(folder.join(RECORD_JSON), text).unwrap();
            let message = over(dir.path()).unwrap_err().to_string();
            let path = folder.join(RECORD_JSON).display().to_string();
            assert!(message.contains(&path) && message.contains("hint: delete"), "{message}");
        }
    }

    #[test]
    fn two_thousand_finished_runs_are_seen_to_be_over_in_under_a_fifth_of_a_second() {
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
        assert_eq!(over(dir.path()).unwrap().len(), 2_000);
        let seconds = clock.elapsed().as_secs_f64();
        println!("2000 records in {seconds:.3} s");
        assert!(seconds < 0.2, "{seconds} s");
    }
}
