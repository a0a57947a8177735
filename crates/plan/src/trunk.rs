//! Trunks and branches: runs that differ in their horizon alone share their training (Hägele et al. 2024,
//! arXiv:2405.18392). Before its cool-down a run with the schedule `wsd` does not know how long it will be, so the
//! longest of a family is the trunk, and each shorter one branches off where its own cool-down begins. Its weights
//! are to the bit those of a run of its own.

use std::collections::{BTreeMap, HashMap};

use scalelaw_schema::canonical::hash12;
use scalelaw_schema::plan::PlannedRun;
use scalelaw_schema::recipe::Schedule;
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::shape::ModelShape;
use scalelaw_schema::train_spec::{Start, TrainSpec};

use crate::cell::MaybeCell;
use crate::facts::PlanFacts;
use crate::resolve::Setting;

/// The trainer means the last twentieth of the losses for a run's training loss; a branch takes all of these steps
/// itself, however short its cool-down is.
const TAIL_FRACTION: u64 = 20;

/// Tells each cell the shortest horizon of its shape and setting: a warm-up that is a share of the steps is a share
/// of these, so that it is the same along a trunk and ends before the first branch.
pub(crate) fn share_warmup(cells: &mut [(&Setting, MaybeCell)]) {
    let key = |setting: &Setting, shape: &ModelShape| {
        (std::ptr::from_ref(setting), shape.n_layer, shape.d_model, shape.n_head, shape.d_ff)
    };
    let mut shortest = HashMap::new();
    for (setting, cell) in cells.iter() {
        if let Ok(cell) = cell {
            let least = shortest.entry(key(setting, &cell.shape)).or_insert(cell.steps);
            *least = cell.steps.min(*least);
        }
    }
    for (setting, cell) in cells {
        if let Ok(cell) = cell {
            cell.warmup_of_steps = shortest[&key(setting, &cell.shape)];
        }
    }
}

/// Makes trunks and branches of `runs`, all of which start from initial weights, and returns what a person should
/// know of it.
///
/// What is on the disk stays what it is: a run that is over or has checkpoints keeps the start that it had. A horizon
/// whose trunk can no longer give the checkpoint (the horizon is newer than the trunk's end) begins at the nearest
/// one before that is left, or else from initial weights, and is then a trunk for the shorter ones that are in the
/// same place.
pub(crate) fn graft(runs: &mut [PlannedRun], facts: &PlanFacts) -> Vec<String> {
    let mut families: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (idx, run) in runs.iter().enumerate() {
        families.entry(family(&run.run.train)).or_default().push(idx);
    }
    let frozen = Frozen::of(facts);
    let mut late = Late::default();
    let n_runs = runs.len();
    let n_families = families.len();
    for (name, mut members) in families {
        members.sort_by_key(|&idx| std::cmp::Reverse(runs[idx].run.train.total_steps()));
        let longest = runs[members[0]].run.id.clone();
        let cluster = frozen.clusters.get(&name).cloned().unwrap_or(longest);
        let mut trunks: Vec<Trunk> = Vec::new();
        for idx in members {
            let run = &mut runs[idx].run;
            run.cell.cluster = Some(cluster.clone());
            let steps = run.train.total_steps();
            let start =
                frozen.start(&name, steps).unwrap_or_else(|| start(&run.train, &trunks, facts, &mut late));
            run.train.start = start.clone();
            run.id = RunId::of(&run.train);
            match start {
                Start::Init => {
                    trunks.push(Trunk { idx, id: run.id.clone(), spec: run.train.clone(), keep: Vec::new() })
                }
                Start::Branch { parent, step } => {
                    if let Some(trunk) = trunks.iter_mut().find(|trunk| trunk.id == parent) {
                        trunk.keep.push(step);
                    }
                    // What a run shares with others is not its own to give up.
                    run.early_stop = None;
                }
            }
        }
        for Trunk { idx, mut keep, .. } in trunks {
            keep.sort_unstable();
            keep.dedup();
            let run = &mut runs[idx].run;
            if !keep.is_empty() {
                run.early_stop = None;
            }
            run.keep_steps = keep;
        }
    }
    let mut warnings = late.warnings();
    if n_families == n_runs {
        warnings.push(
            "`train.trunk` shares nothing: no two runs differ in their horizon alone (hint: several horizons of one size; in an IsoFLOP grid `shared-sizes = true`)"
                .to_string(),
        );
    }
    warnings
}

/// A run that others may branch from.
struct Trunk {
    idx: usize,
    id: RunId,
    spec: TrainSpec,
    keep: Vec<u64>,
}

/// Where a run begins whose form on the disk, if any, is not known from an earlier plan.
fn start(train: &TrainSpec, trunks: &[Trunk], facts: &PlanFacts, late: &mut Late) -> Start {
    if is_on_disk(&RunId::of(train), facts) {
        return Start::Init;
    }
    let Some(step) = branch_step(train) else { return Start::Init };
    let branch = |trunk: &Trunk, step| Start::Branch { parent: trunk.id.clone(), step };
    let on_disk = trunks
        .iter()
        .map(|trunk| branch(trunk, step))
        .find(|start| is_on_disk(&RunId::of(&TrainSpec { start: start.clone(), ..train.clone() }), facts));
    if let Some(start) = on_disk {
        return start;
    }
    if let Some(trunk) = trunks.iter().find(|trunk| gives(trunk, step, facts)) {
        return branch(trunk, step);
    }
    let nearest = trunks.iter().filter_map(|trunk| Some((last_kept_before(trunk, step, facts)?, trunk)));
    match nearest.max_by_key(|(step, _)| *step) {
        Some((step, trunk)) => {
            late.from_checkpoint += 1;
            branch(trunk, step)
        }
        None => {
            late.from_init += usize::from(!trunks.is_empty());
            Start::Init
        }
    }
}

/// The step at which a run's own path begins: its cool-down, or its last twentieth where that is longer. `None` where
/// there is nothing before it, or no such schedule.
fn branch_step(train: &TrainSpec) -> Option<u64> {
    let Schedule::Wsd { cooldown_steps } = train.recipe.schedule else { return None };
    let steps = train.total_steps();
    let own = cooldown_steps.max(steps / TAIL_FRACTION).max(1);
    steps.checked_sub(own).filter(|step| *step > 0)
}

/// Whether the run is over or was begun, so that it goes on from what is its own.
fn is_on_disk(id: &RunId, facts: &PlanFacts) -> bool {
    facts.over.contains_key(id) || facts.checkpoints.get(id).is_some_and(|steps| !steps.is_empty())
}

/// Whether the trunk has the checkpoint or will pass there. Where it diverged before, the branch stays what it is:
/// it would diverge as well.
fn gives(trunk: &Trunk, step: u64, facts: &PlanFacts) -> bool {
    let kept = facts.checkpoints.get(&trunk.id);
    if kept.is_some_and(|steps| steps.contains(&step)) {
        return true;
    }
    match facts.over.get(&trunk.id) {
        Some(Outcome::Diverged { step: end }) => step >= *end,
        Some(Outcome::Finished) => false,
        Some(Outcome::Stopped { .. }) | None => {
            kept.and_then(|steps| steps.last()).is_none_or(|newest| *newest < step)
        }
    }
}

/// The last checkpoint before `step` that stays, on the part of the trunk where the rate is constant. What a trunk
/// that is not over has may be gone in a moment.
fn last_kept_before(trunk: &Trunk, step: u64, facts: &PlanFacts) -> Option<u64> {
    facts.over.get(&trunk.id)?;
    let end = branch_step(&trunk.spec)?.min(step);
    facts.checkpoints.get(&trunk.id)?.range(1..=end).next_back().copied()
}

/// What is the same in all horizons of one trunk.
fn family(train: &TrainSpec) -> String {
    let mut train = train.clone();
    train.start = Start::Init;
    for phase in &mut train.phases {
        phase.steps = 0;
    }
    if let Schedule::Wsd { cooldown_steps } = &mut train.recipe.schedule {
        *cooldown_steps = 0;
    }
    hash12(&train)
}

/// What the plan on the disk says of runs that are on the disk.
#[derive(Default)]
struct Frozen {
    starts: HashMap<(String, u64), Start>,
    clusters: HashMap<String, RunId>,
}

impl Frozen {
    fn of(facts: &PlanFacts) -> Frozen {
        let mut frozen = Frozen::default();
        for planned in facts.frozen.iter().flat_map(|plan| &plan.runs) {
            let run = &planned.run;
            if !is_on_disk(&run.id, facts) {
                continue;
            }
            let name = family(&run.train);
            frozen.starts.insert((name.clone(), run.train.total_steps()), run.train.start.clone());
            frozen.clusters.extend(run.cell.cluster.clone().map(|cluster| (name, cluster)));
        }
        frozen
    }

    fn start(&self, family: &str, steps: u64) -> Option<Start> {
        self.starts.get(&(family.to_string(), steps)).cloned()
    }
}

/// Horizons that came too late for their trunk.
#[derive(Default)]
struct Late {
    from_checkpoint: usize,
    from_init: usize,
}

impl Late {
    fn warnings(&self) -> Vec<String> {
        let say = |n: usize, how: &str| {
            (n > 0).then(|| {
                format!(
                    "{n} of the horizons came too late for {} trunk, which kept no checkpoint there: {how}",
                    if n == 1 { "its" } else { "their" }
                )
            })
        };
        let from_checkpoint = say(self.from_checkpoint, "trained from the nearest one before that is left");
        let from_init = say(self.from_init, "trained from initial weights");
        from_checkpoint.into_iter().chain(from_init).collect()
    }
}

/// The run that each run depends on, by position in `runs`; `None` for one that depends on no other there.
pub(crate) fn parents(runs: &[&PlannedRun]) -> Vec<Option<usize>> {
    let place: HashMap<&RunId, usize> =
        runs.iter().enumerate().map(|(idx, run)| (&run.run.id, idx)).collect();
    let parent = |run: &&PlannedRun| match &run.run.train.start {
        Start::Init => None,
        Start::Branch { parent, .. } => place.get(parent).copied(),
    };
    runs.iter().map(parent).collect()
}
