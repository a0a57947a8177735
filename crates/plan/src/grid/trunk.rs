//! Trunks and branches: runs that differ only in their horizon share their path (Hägele et al. 2024,
//! arXiv:2405.18392). Before its cool-down, a run with the schedule `wsd` does not depend on its horizon. So the
//! shortest horizon is trained from initial weights, and each longer one continues from the point where the next
//! shorter one began its cool-down: what all have before their cool-downs is the trunk, computed once. The weights are
//! bit-identical to those of separate runs.
//!
//! The longest run could be the trunk and the others its branches, for the same FLOPs. But this way the cheap
//! runs come first, a horizon can be added at the end of the trunk, and the budgets of an IsoFLOP grid can be
//! planned one after the other.

use std::collections::{BTreeMap, HashMap};

use scalelaw_schema::canonical::hash12;
use scalelaw_schema::model::ModelSpec;
use scalelaw_schema::plan::PlannedRun;
use scalelaw_schema::recipe::Schedule;
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run::Keep;
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::text::counted;
use scalelaw_schema::train_spec::{Start, TrainSpec, tail_steps};

use crate::facts::PlanFacts;
use crate::grid::cell::GridCell;
use crate::resolve::settings::Setting;

/// Gives each cell the shortest horizon of its shape and setting. Its rate by rule and a warm-up that is a share of the
/// steps are chosen for that one, so that they are the same along a trunk, the warm-up ends before the first branch,
/// and a longer horizon that is added changes neither.
pub(crate) fn share_recipe(cells: &mut [(&Setting, GridCell)]) {
    let key = |setting: &Setting, model: &ModelSpec| (std::ptr::from_ref(setting), model.clone());
    let mut shortest = HashMap::new();
    for (setting, cell) in cells.iter() {
        if let Ok(cell) = &cell.cell {
            let least = shortest.entry(key(setting, &cell.model)).or_insert(cell.steps);
            *least = cell.steps.min(*least);
        }
    }
    for (setting, cell) in cells {
        if let Ok(cell) = &mut cell.cell {
            cell.recipe_steps = shortest[&key(setting, &cell.model)];
        }
    }
}

/// Lets the runs that differ only in their horizon share their path, and returns warnings. All of `runs` start from
/// initial weights.
///
/// What is on the disk does not change: a run that is completed or has checkpoints keeps the start that it had. A run
/// whose shorter neighbour no longer has the checkpoint (it was completed before this horizon was added) continues
/// from a still shorter one that has, or else starts from initial weights.
pub(crate) fn graft(runs: &mut [PlannedRun], facts: &PlanFacts) -> Vec<String> {
    let mut families: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (idx, run) in runs.iter().enumerate() {
        families.entry(family(&run.run.train)).or_default().push(idx);
    }
    let mut warnings = Vec::new();
    if families.len() == runs.len() {
        warnings.push(
            "`train.trunk` has no effect: no two runs differ only in their horizon (hint: several horizons of one size; in an IsoFLOP grid `shared-sizes = true`)"
                .to_string(),
        );
    }
    let frozen = Frozen::of(facts);
    let mut n_late = 0;
    for (name, mut members) in families {
        members.sort_by_key(|&idx| runs[idx].run.train.total_steps());
        let mut cluster = frozen.clusters.get(&name).cloned();
        // Those that are shorter than the current one.
        let mut before: Vec<Link> = Vec::new();
        for idx in members {
            let run = &mut runs[idx].run;
            let frozen = frozen.starts.get(&(name.clone(), run.train.total_steps()));
            run.train.start = match frozen {
                Some(start) => start.clone(),
                None => start(&run.train, &before, facts),
            };
            run.id = RunId::of(&run.train);
            run.cell.cluster = Some(cluster.get_or_insert_with(|| run.id.clone()).clone());
            if let Some(last) = before.last()
                && !is_on_disk(&run.id, facts)
                && run.train.start != last.branch()
            {
                n_late += 1;
            }
            if let Some(parent) = before.iter_mut().find(|link| run.train.start == link.branch()) {
                parent.is_needed = true;
            }
            let step = branch_step(&run.train);
            before.extend(step.map(|step| Link { idx, id: run.id.clone(), step, is_needed: false }));
        }
        let n_links = before.len();
        for (link_idx, link) in before.into_iter().enumerate() {
            let run = &mut runs[link.idx].run;
            // The last one keeps its checkpoint for a longer horizon that may come.
            let is_last = link_idx + 1 == n_links && run.keep == Keep::Weights;
            if link.is_needed || is_last {
                run.keep_steps = vec![link.step];
            }
        }
    }
    if n_late > 0 {
        let start = if n_late == 1 { "it starts" } else { "they start" };
        warnings.push(format!(
            "{} added too late to share the whole trunk: the next shorter run is completed and its checkpoint is gone, so {start} earlier, at worst from initial weights",
            counted(n_late, "horizon")
        ));
    }
    warnings
}

/// A run that a longer one may branch from.
struct Link {
    idx: usize,
    id: RunId,
    /// Where its cool-down begins.
    step: u64,
    is_needed: bool,
}

impl Link {
    fn branch(&self) -> Start {
        Start::Branch { parent: self.id.clone(), step: self.step }
    }
}

/// Where a run begins that is in no earlier plan.
fn start(train: &TrainSpec, before: &[Link], facts: &PlanFacts) -> Start {
    if is_on_disk(&RunId::of(train), facts) {
        return Start::Init;
    }
    // The longest of the shorter ones first: it leaves the fewest steps to train.
    let links = || before.iter().rev();
    let id = |link: &&Link| RunId::of(&TrainSpec { start: link.branch(), ..train.clone() });
    links()
        .find(|link| is_on_disk(&id(link), facts))
        .or_else(|| links().find(|link| has_checkpoint(link, facts)))
        .map_or(Start::Init, Link::branch)
}

/// The step at which a run leaves the path that longer ones share: its cool-down, or the steps that its training loss is
/// averaged over if they are more, so that a branch takes all of these itself. `None` if there is nothing before it, or the schedule is not `wsd`.
fn branch_step(train: &TrainSpec) -> Option<u64> {
    let Schedule::Wsd { cooldown_steps } = train.recipe.schedule else { return None };
    let steps = train.total_steps();
    let own = cooldown_steps.max(tail_steps(steps));
    steps.checked_sub(own).filter(|step| *step > train.first_step())
}

/// Whether the run is completed or has checkpoints, so that it resumes from its own.
fn is_on_disk(id: &RunId, facts: &PlanFacts) -> bool {
    facts.over.contains_key(id) || facts.checkpoints.get(id).is_some_and(|steps| !steps.is_empty())
}

/// Whether the run has the checkpoint or will still reach it. If it diverged before that, the longer one stays a
/// branch of it: it would diverge as well, and the runner reports that.
fn has_checkpoint(link: &Link, facts: &PlanFacts) -> bool {
    let kept = facts.checkpoints.get(&link.id);
    if kept.is_some_and(|steps| steps.contains(&link.step)) {
        return true;
    }
    match facts.over.get(&link.id) {
        Some(Outcome::Diverged { step: end }) => link.step >= *end,
        Some(Outcome::Finished) => false,
        Some(Outcome::Stopped { .. }) | None => {
            kept.and_then(|steps| steps.last()).is_none_or(|newest| *newest < link.step)
        }
    }
}

/// Hash of what is the same in all horizons of one trunk.
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

/// What the plan on the disk says about runs that have checkpoints or are completed.
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
