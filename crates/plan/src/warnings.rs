//! What a person should know before starting.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;

use scalelaw_schema::lr_rule::RulePoint;
use scalelaw_schema::plan::{Plan, PlannedRun};
use scalelaw_schema::run_id::{RunId, si};
use scalelaw_schema::sweep::SweepSpec;

use crate::facts::PlanFacts;
use crate::limits::unknowable;

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
            "corpus `{name}` holds {} training tokens: {n_runs} of {} runs read it more than once, at most {:.1} times",
            si(held as f64),
            plan.runs.len(),
            most as f64 / held.max(1) as f64
        ));
    }
    warnings
}

/// Runs for which the measured learning-rate rule is a guess: outside of its range, or of another kind than the runs
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
            "{name} is used outside of its range for {} of {} runs, such as {}",
            outside.len(),
            plan.runs.len(),
            names.join(", ")
        ));
    }
    contexts.retain(|context_len| !rule.context_len.contains(context_len));
    if !contexts.is_empty() {
        let measured = &rule.context_len;
        warnings.push(format!("{name} was measured at contexts of {measured:?} tokens, not of {contexts:?}"));
    }
    if has_other_schedule {
        warnings.push(format!("{name} was measured with another schedule"));
    }
    warnings
}

/// Limits that cannot be checked, and a disk that is too small.
pub(crate) fn resources(plan: &Plan, sweep: &SweepSpec, facts: &PlanFacts) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(limits) = &sweep.limits {
        for limit in unknowable(limits, &plan.total) {
            warnings.push(format!(
                "`limits.{limit}` is not checked: the plan does not know it (hint: it takes a measured speed, and for energy and money the values under `[cost]`)"
            ));
        }
    }
    if let Some(free) = facts.free_disk_bytes
        && plan.total.disk_bytes > free as f64
    {
        warnings.push(format!(
            "the runs need {} bytes on the disk, and {} are free (hint: `keep = \"none\"`)",
            si(plan.total.disk_bytes),
            si(free as f64)
        ));
    }
    warnings
}

/// Runs of started budgets that the plan on the disk has and this one has not.
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
        n => vec![format!(
            "{n} runs that have started are no part of the plan any more, since the sweep or its text has changed; what they left stays where it is"
        )],
    }
}
