//! Where things are: the cache, and the folder of a sweep, however the user names it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use scalelaw_schema::folder;

use crate::args::Shared;
use crate::exit::UsageError;
use crate::sweep_file;

/// The cache: the folder of tokens, tokenizers and measured speeds.
pub fn cache(shared: &Shared) -> Result<PathBuf> {
    if let Some(cache) = &shared.cache {
        return Ok(cache.clone());
    }
    let system = dirs::cache_dir().ok_or_else(|| {
        UsageError(
            "this system has no cache folder (hint: pass --cache DIR or set SCALELAW_CACHE)".to_string(),
        )
    })?;
    Ok(system.join("scalelaw"))
}

/// The folder of a sweep, which is given by its file, name or folder.
pub fn sweep_folder(shared: &Shared, sweep: &Path) -> Result<PathBuf> {
    let is_file = sweep.extension().is_some_and(|extension| extension == "toml");
    let folder = if is_file {
        shared.runs.join(sweep_file::load(sweep, &[])?.name)
    } else if sweep.join(folder::PLAN_JSON).exists() {
        sweep.to_path_buf()
    } else {
        shared.runs.join(sweep)
    };
    if folder.is_dir() {
        return Ok(folder);
    }
    let known: Vec<String> = std::fs::read_dir(&shared.runs)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.path().is_dir())
        .map(|entry| format!("`{}`", entry.file_name().to_string_lossy()))
        .collect();
    let known = if known.is_empty() { "none".to_string() } else { known.join(", ") };
    Err(UsageError(format!(
        "no sweep `{}`: there is no folder `{}` (hint: `scalelaw run` makes it; sweeps in `{}`: {known})",
        sweep.display(),
        folder.display(),
        shared.runs.display()
    ))
    .into())
}
