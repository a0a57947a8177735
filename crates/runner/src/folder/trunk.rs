//! A branch and its trunk: whether the checkpoint that the branch starts from exists, will come, or never will. Removes
//! such checkpoints once no branch needs them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use scalelaw_schema::folder::{CHECKPOINT_DIR, checkpoint_name};
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::train_spec::Start;

use super::ending::{ended_runs, is_ended, read_ending};
use super::listing::{checkpoint_steps, run_folders};
use crate::error::RunnerError;

/// Whether a branch can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrunkState {
    /// The run has no trunk, has started already, or the checkpoint exists.
    Ready,
    /// The trunk has not reached the step yet.
    Pending,
    /// It never will.
    Lost {
        /// Why, naming the trunk.
        why: String,
    },
}

/// Whether `run`, whose folder need not exist, can start. `trunk` is the folder of its trunk, if known.
///
/// # Errors
/// `CorruptRecord` of either; `Disk`.
pub fn inspect_trunk(run: &RunSpec, folder: &Path, trunk: Option<&Path>) -> Result<TrunkState, RunnerError> {
    let Start::Branch { parent, step } = &run.train.start else { return Ok(TrunkState::Ready) };
    if read_ending(folder, &run.id)?.is_some() || !checkpoint_steps(folder)?.is_empty() {
        return Ok(TrunkState::Ready);
    }
    let Some(trunk) = trunk else { return Ok(TrunkState::Pending) };
    // The record first: a checkpoint that exists by then stays.
    let ending = read_ending(trunk, parent)?;
    if trunk.join(CHECKPOINT_DIR).join(checkpoint_name(*step)).is_file() {
        return Ok(TrunkState::Ready);
    }
    let how = match ending.map(|ending| ending.outcome) {
        None => return Ok(TrunkState::Pending),
        Some(Outcome::Diverged { step: end }) if end <= *step => {
            format!("diverged at step {end}, before step {step} where this run branches off")
        }
        Some(Outcome::Stopped { step: end, .. }) if end <= *step => {
            format!("was stopped early at step {end}, before step {step} where this run branches off")
        }
        Some(_) => format!(
            "has ended and left no checkpoint of step {step} (hint: `scalelaw run` plans this run again, without it)"
        ),
    };
    Ok(TrunkState::Lost { why: format!("its trunk {} {how}", name(trunk, parent)) })
}

/// Removes the checkpoints that runs in `sweep_dir` kept for branches, if the run and all of `planned` that branch off
/// there have ended. Returns their number. A checkpoint at which no planned run branches off stays for a longer horizon
/// that may be planned later, and so do those of runs that are not planned.
///
/// # Errors
/// `CorruptRecord`; `Disk` if a folder cannot be read. A file that cannot be removed stays.
pub fn remove_unneeded(sweep_dir: &Path, planned: &[&RunSpec]) -> Result<usize, RunnerError> {
    // The steps at which planned runs branch off, and whether all of these runs have ended.
    let mut branched_at: BTreeMap<(&RunId, u64), bool> = BTreeMap::new();
    let trunks: Vec<&RunSpec> = planned.iter().filter(|run| !run.keep_steps.is_empty()).copied().collect();
    if trunks.is_empty() {
        return Ok(0);
    }
    let (ended, folders) = (ended_runs(sweep_dir)?, run_folders(sweep_dir)?);
    let has_ended = |run: &RunSpec| ended.get(&run.id).is_some_and(|outcome| is_ended(run, outcome));
    for run in planned {
        if let Start::Branch { parent, step } = &run.train.start {
            *branched_at.entry((parent, *step)).or_insert(true) &= has_ended(run);
        }
    }
    let mut n_removed = 0;
    for trunk in trunks.into_iter().filter(|trunk| has_ended(trunk)) {
        let Some(folder) = folders.get(&trunk.id) else { continue };
        for step in checkpoint_steps(folder)? {
            if branched_at.get(&(&trunk.id, step)) == Some(&true) {
                let path = folder.join(CHECKPOINT_DIR).join(checkpoint_name(step));
                n_removed += usize::from(fs::remove_file(path).is_ok());
            }
        }
        // Fails unless it is empty.
        let _ = fs::remove_dir(folder.join(CHECKPOINT_DIR));
    }
    Ok(n_removed)
}

fn name(folder: &Path, id: &RunId) -> String {
    folder.file_name().map_or_else(|| id.to_string(), |name| name.to_string_lossy().into_owned())
}
