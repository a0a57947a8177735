//! A branch's trunk, seen from the branch: whether its checkpoint is there, will come, or never will. Removes the
//! checkpoints that trunks kept once nobody needs them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use scalelaw_schema::folder::{CHECKPOINT_DIR, checkpoint_name};
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::train_spec::Start;

use crate::error::RunnerError;
use crate::folder::{checkpoint_steps, ending, is_over, over, run_folders};

/// How a message begins that tells why a run cannot go on from another.
pub(crate) const REASON: &str = "its trunk";

/// What a branch may expect of its trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trunk {
    /// The run needs none (any more), or its checkpoint is there.
    Ready,
    /// The trunk has not come so far.
    Waiting,
    /// It never will.
    Lost {
        /// Why, naming the trunk.
        why: String,
    },
}

/// Looks whether `run`, whose folder need not exist, can begin. `trunk` is the folder of its trunk, where one is
/// known.
///
/// # Errors
/// `CorruptRecord` of either; `Io`.
pub fn look(run: &RunSpec, folder: &Path, trunk: Option<&Path>) -> Result<Trunk, RunnerError> {
    let Start::Branch { parent, step } = &run.train.start else { return Ok(Trunk::Ready) };
    if ending(folder, &run.id)?.is_some() || !checkpoint_steps(folder)?.is_empty() {
        return Ok(Trunk::Ready);
    }
    let Some(trunk) = trunk else { return Ok(Trunk::Waiting) };
    // The record first: what was kept by then is there for good.
    let ending = ending(trunk, parent)?;
    if trunk.join(CHECKPOINT_DIR).join(checkpoint_name(*step)).is_file() {
        return Ok(Trunk::Ready);
    }
    let how = match ending.map(|ending| ending.outcome) {
        None => return Ok(Trunk::Waiting),
        Some(Outcome::Diverged { step: end }) if end <= *step => {
            format!("diverged at step {end}, before step {step} where this run branches off")
        }
        Some(Outcome::Stopped { step: end, .. }) if end <= *step => {
            format!("was stopped early at step {end}, before step {step} where this run branches off")
        }
        Some(_) => format!(
            "is over and left no checkpoint of step {step} (hint: `scalelaw run` plans this run anew, without it)"
        ),
    };
    Ok(Trunk::Lost { why: format!("{REASON} {} {how}", name(trunk, parent)) })
}

/// Removes the checkpoints that runs in `sweep_dir` kept for branches, where the run is over and all of `planned` that
/// begin there are over too. Returns their number. One that no planned run begins at stays for a longer horizon that
/// may come, and so do those of runs that are not planned.
///
/// # Errors
/// `CorruptRecord`; `Io` where a folder cannot be read. A file that cannot be removed stays.
pub fn remove_unneeded(sweep_dir: &Path, planned: &[&RunSpec]) -> Result<usize, RunnerError> {
    // The steps that planned runs begin at, and whether all of these runs are over.
    let mut begun_at: BTreeMap<(&RunId, u64), bool> = BTreeMap::new();
    let trunks: Vec<&RunSpec> = planned.iter().filter(|run| !run.keep_steps.is_empty()).copied().collect();
    if trunks.is_empty() {
        return Ok(0);
    }
    let (over, folders) = (over(sweep_dir)?, run_folders(sweep_dir)?);
    let is_over = |run: &RunSpec| over.get(&run.id).is_some_and(|outcome| is_over(run, outcome));
    for run in planned {
        if let Start::Branch { parent, step } = &run.train.start {
            *begun_at.entry((parent, *step)).or_insert(true) &= is_over(run);
        }
    }
    let mut n_removed = 0;
    for trunk in trunks.into_iter().filter(|trunk| is_over(trunk)) {
        let Some(folder) = folders.get(&trunk.id) else { continue };
        for step in checkpoint_steps(folder)? {
            if begun_at.get(&(&trunk.id, step)) == Some(&true) {
                let path = folder.join(CHECKPOINT_DIR).join(checkpoint_name(step));
                n_removed += usize::from(fs::remove_file(path).is_ok());
            }
        }
        // Only where it is empty.
        let _ = fs::remove_dir(folder.join(CHECKPOINT_DIR));
    }
    Ok(n_removed)
}

fn name(folder: &Path, id: &RunId) -> String {
    folder.file_name().map_or_else(|| id.to_string(), |name| name.to_string_lossy().into_owned())
}
