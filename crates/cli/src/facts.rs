//! What the planner needs to know of this machine and of earlier runs.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use scalelaw_plan::facts::PlanFacts;
use scalelaw_runner::folder::{checkpoints, ended_runs, run_folders};
use scalelaw_schema::folder;
use scalelaw_schema::plan::Plan;

use crate::corpora::Corpora;
use crate::exit::UsageError;
use crate::speed::Placement;

/// The plan in a sweep's folder; `None` if there is none.
pub fn read_plan(sweep_dir: &Path) -> Result<Option<Plan>> {
    let path = sweep_dir.join(folder::PLAN_JSON);
    let Some(bytes) = scalelaw_disk::read(&path)? else { return Ok(None) };
    let plan = serde_json::from_slice(&bytes).map_err(|error| {
        UsageError(format!(
            "cannot read the plan `{}`: {error} (hint: delete it; it is made again, and no finished run is lost)",
            path.display()
        ))
    })?;
    Ok(Some(plan))
}

/// The facts for a plan on this device, without its speed.
pub fn gather(corpora: &Corpora, placement: &Placement, sweep_dir: &Path) -> Result<PlanFacts> {
    let disks = sysinfo::Disks::new_with_refreshed_list();
    let real = sweep_dir.ancestors().find_map(|path| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        path.canonicalize().ok()
    });
    // The folder is on the disk with the longest mount point above it.
    let free_disk_bytes = real.and_then(|real| {
        disks
            .iter()
            .filter(|disk| real.starts_with(disk.mount_point()))
            .max_by_key(|disk| disk.mount_point().as_os_str().len())
            .map(|disk| disk.available_space())
    });
    let mut facts = PlanFacts::new(corpora.facts()?);
    facts.suites = corpora.suites();
    facts.notes = corpora.notes();
    facts.slots = placement.slots;
    facts.memory_bytes = placement.report.memory_bytes;
    facts.max_binding_bytes = placement.report.max_binding_bytes;
    facts.free_disk_bytes = free_disk_bytes;
    read_folders(&mut facts, sweep_dir)?;
    facts.centers = BTreeMap::new();
    facts.frozen = read_plan(sweep_dir)?;
    Ok(facts)
}

/// Adds what the run folders tell: which runs have begun, which are completed, which checkpoints there are.
pub fn read_folders(facts: &mut PlanFacts, sweep_dir: &Path) -> Result<()> {
    facts.started = run_folders(sweep_dir)?.into_keys().collect();
    facts.over = ended_runs(sweep_dir)?;
    facts.checkpoints = checkpoints(sweep_dir)?;
    Ok(())
}
