//! Which runs and checkpoints there are, by the names of folders and files alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use scalelaw_disk::DiskError;
use scalelaw_schema::folder::{CHECKPOINT_DIR, checkpoint_step};
use scalelaw_schema::run_id::RunId;

/// The id at the end of a run folder's name; `None` for any other name.
pub fn id_in_name(folder: &Path) -> Option<RunId> {
    folder.file_name()?.to_str()?.rsplit_once('-')?.1.parse().ok()
}

/// The run folders of a sweep by id; empty if the sweep has no folder yet. Other entries are ignored.
///
/// # Errors
/// The folder cannot be listed.
pub fn run_folders(sweep_dir: &Path) -> Result<BTreeMap<RunId, PathBuf>, DiskError> {
    let paths = scalelaw_disk::list(sweep_dir)?;
    Ok(paths.into_iter().filter_map(|path| Some((id_in_name(&path)?, path))).collect())
}

/// Steps of the checkpoints of each run that has any.
///
/// # Errors
/// A folder cannot be listed.
pub fn checkpoints(sweep_dir: &Path) -> Result<BTreeMap<RunId, BTreeSet<u64>>, DiskError> {
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
/// They cannot be listed.
pub fn checkpoint_steps(folder: &Path) -> Result<BTreeSet<u64>, DiskError> {
    let paths = scalelaw_disk::list(&folder.join(CHECKPOINT_DIR))?;
    Ok(paths.iter().filter_map(|path| checkpoint_step(path.file_name()?.to_str()?)).collect())
}
