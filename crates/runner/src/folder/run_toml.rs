//! `run.toml`: the run that a folder was made for.

use std::path::Path;

use scalelaw_disk::DiskError;
use scalelaw_schema::folder::RUN_TOML;
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::run_id::RunId;

use crate::error::RunnerError;

/// The run that `folder` was made for.
///
/// # Errors
/// `Disk` if there is no `run.toml`; `ForeignRun` if it does not parse or its id is not its hash.
pub fn read_run(folder: &Path) -> Result<RunSpec, RunnerError> {
    let path = folder.join(RUN_TOML);
    let bytes = std::fs::read(&path).map_err(DiskError::at("read", &path))?;
    parse(&path, bytes)
}

/// Makes `folder` ready for `run`: its `run.toml` holds it. Call it while holding the lease.
///
/// A `run.toml` with the same id that differs beside the training (evaluations, cadence) is replaced: the plan
/// is what the user wants now, and the weights do not depend on it.
///
/// # Errors
/// `ForeignRun` if a `run.toml` exists and belongs to another run; `Disk`; `Unwritable`.
pub fn prepare(folder: &Path, run: &RunSpec) -> Result<(), RunnerError> {
    let path = folder.join(RUN_TOML);
    if let Some(bytes) = scalelaw_disk::read(&path)? {
        let found = parse(&path, bytes)?;
        if found.id != run.id {
            let why = format!("it is run {}, not {}", found.id, run.id);
            return Err(RunnerError::ForeignRun { path, why });
        }
        if &found == run {
            return Ok(());
        }
    }
    let text = toml::to_string(run)
        .map_err(|error| RunnerError::Unwritable { run: run.id.clone(), why: error.to_string() })?;
    Ok(scalelaw_disk::write(&path, text.as_bytes())?)
}

fn parse(path: &Path, bytes: Vec<u8>) -> Result<RunSpec, RunnerError> {
    let foreign = |why: String| RunnerError::ForeignRun { path: path.to_path_buf(), why };
    let text = String::from_utf8(bytes).map_err(|_| foreign("it is not valid UTF-8".to_string()))?;
    let run: RunSpec = toml::from_str(&text).map_err(|error| foreign(error.to_string().trim_end().into()))?;
    let id = RunId::of(&run.train);
    if run.id != id {
        return Err(foreign(format!("its id says {}, what it trains hashes to {id}", run.id)));
    }
    Ok(run)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::folder::testing::{new_run_folder, run_spec};

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
}
