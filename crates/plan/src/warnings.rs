//! What the user should know before starting.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;

use scalelaw_schema::lr_rule::RulePoint;
use scalelaw_schema::plan::{Plan, PlannedRun};
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::sweep::SweepSpec;
use scalelaw_schema::text::{bytes, counted, si};

use crate::cost::limits::unknown_sums;
use crate::facts::PlanFacts;

/// Training tokens that each token set must hold so that no run reads one twice: the largest D times weight over
/// the runs, by content hash.
pub fn tokens_needed(plan: &Plan) -> BTreeMap<String, u64> {
    let mut needed: BTreeMap<String, u64> = BTreeMap::new();
    for (hash, tokens) in plan.runs.iter().flat_map(reads) {
        let most = needed.entry(hash.to_string()).or_default();
        *most = tokens.max(*most);
    }
    needed
}

fn reads(run: &PlannedRun) -> impl Iterator<Item = (&str, u64)> {
    let tokens = run.run.train.tokens() as f64;
    let sources = &run.run.train.mixture.sources;
    sources.iter().map(move |source| (source.tokens.as_str(), (tokens * source.weight).ceil() as u64))
}

/// Corpora that will be read more than once.
pub(crate) fn repeats(plan: &Plan, facts: &PlanFacts) -> Vec<String> {
    let needed = tokens_needed(plan);
    let mut warnings = Vec::new();
    for ((_, name), corpus) in &facts.corpora {
        let (Some(held), Some(&most)) = (corpus.train_tokens, needed.get(&corpus.tokens)) else { continue };
        if most <= held {
            continue;
        }
        let n_runs = plan
            .runs
            .iter()
            .filter(|run| reads(run).any(|(hash, tokens)| hash == corpus.tokens && tokens > held))
            .count();
        warnings.push(format!(
            "corpus `{name}` has {} training tokens: {n_runs} of {} read it more than once, at most {:.1} times",
            si(held as f64),
            counted(plan.runs.len(), "run"),
            most as f64 / held.max(1) as f64
        ));
    }
    warnings
}

/// Runs for which the measured learning-rate rule is extrapolated: outside its range, or of another kind than the runs
/// that it was measured on.
pub(crate) fn beyond_rule(plan: &Plan) -> Vec<String> {
    let Some(rule) = &plan.lr_rule else { return Vec::new() };
    let mut outside: Vec<Vec<String>> = Vec::new();
    let mut contexts = BTreeSet::new();
    let mut has_other_schedule = false;
    for planned in &plan.runs {
        let train = &planned.run.train;
        let phase = train.phase_at(0);
        contexts.insert(phase.context_len);
        has_other_schedule |= discriminant(&train.recipe.schedule) != discriminant(&rule.schedule);
        outside.push(rule.outside(RulePoint {
            n: train.model.params().total() as f64,
            d: train.tokens() as f64,
            batch_tokens: phase.batch_tokens() as f64,
        }));
    }
    outside.retain(|names| !names.is_empty());
    let name = format!("the learning-rate rule of sweep `{}`", rule.sweep);
    let mut warnings = Vec::new();
    // The last one: the largest run is the farthest out.
    if let Some(names) = outside.last() {
        warnings.push(format!(
            "{name} is extrapolated for {} of {}, for example {}",
            outside.len(),
            counted(plan.runs.len(), "run"),
            names.join(", ")
        ));
    }
    contexts.retain(|context_len| !rule.context_len.contains(context_len));
    if !contexts.is_empty() {
        let list = |lengths: &mut dyn Iterator<Item = &usize>| {
            lengths.map(usize::to_string).collect::<Vec<_>>().join(" and ")
        };
        let (measured, used) = (list(&mut rule.context_len.iter()), list(&mut contexts.iter()));
        warnings.push(format!("{name} was measured at context length {measured}, not {used}"));
    }
    if has_other_schedule {
        warnings.push(format!("{name} was measured with a different schedule"));
    }
    warnings
}

/// Limits that cannot be checked, and a disk without enough space.
pub(crate) fn resources(plan: &Plan, sweep: &SweepSpec, facts: &PlanFacts) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(limits) = &sweep.limits {
        for limit in unknown_sums(limits, &plan.total) {
            warnings.push(format!(
                "`limits.{limit}` cannot be checked: the plan has no estimate of it (hint: this needs a measured speed, and `[cost]` for energy and money)"
            ));
        }
    }
    if let Some(free) = facts.free_disk_bytes
        && plan.total.disk_bytes > free as f64
    {
        warnings.push(format!(
            "the runs need {} of disk but only {} are free (hint: `keep = \"none\"`)",
            bytes(plan.total.disk_bytes),
            bytes(free as f64)
        ));
    }
    warnings
}

/// Started runs that the plan on the disk has and this one has not.
pub(crate) fn left_behind(plan: &Plan, facts: &PlanFacts) -> Vec<String> {
    let Some(frozen) = &facts.frozen else { return Vec::new() };
    let ids: BTreeSet<&RunId> = plan.runs.iter().map(|run| &run.run.id).collect();
    let n_lost = frozen
        .runs
        .iter()
        .filter(|run| facts.started.contains(&run.run.id) && !ids.contains(&run.run.id))
        .count();
    match n_lost {
        0 => Vec::new(),
        1 => vec![
            "1 started run is no longer in the plan because the sweep or its text changed; its folder is kept, and the fit still uses it"
                .to_string(),
        ],
        n => vec![format!(
            "{n} started runs are no longer in the plan because the sweep or its text changed; their folders are kept, and the fit still uses them"
        )],
    }
}
