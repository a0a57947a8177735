//! Sums over runs, and the wall-clock time of a schedule on several slots.

use std::collections::VecDeque;

use scalelaw_schema::plan::{PlanTotal, PlannedRun};
use scalelaw_schema::sweep::CostChoice;

use crate::cost::energy::energy_and_money;
use crate::grid::trunk::parents;

/// Sums over runs that are started in this order on `slots` slots, each as soon as a slot is free and, for a branch,
/// its trunk has reached the step where it begins. A trunk that is not among the runs has already ended.
pub(crate) fn totals<'a>(
    runs: impl IntoIterator<Item = &'a PlannedRun>,
    slots: usize,
    cost: Option<&CostChoice>,
) -> PlanTotal {
    let runs: Vec<&PlannedRun> = runs.into_iter().collect();
    let sum = |of: fn(&PlannedRun) -> f64| runs.iter().map(|run| of(run)).sum();
    let parents = parents(&runs);
    let jobs: Option<Vec<Job>> = runs
        .iter()
        .zip(&parents)
        .map(|(run, parent)| {
            let after = parent.map(|parent| {
                let trunk = &runs[parent].run.train;
                let steps = (trunk.total_steps() - trunk.first_step()).max(1);
                let share =
                    run.run.train.first_step().saturating_sub(trunk.first_step()) as f64 / steps as f64;
                (parent, share.min(1.0))
            });
            Some(Job { seconds: run.estimate.seconds?, after })
        })
        .collect();
    let wall_seconds = jobs.map(|jobs| wall_seconds(&jobs, slots));
    let has_branches = runs.iter().any(|run| run.run.train.first_step() > 0);
    let (kwh, money) = energy_and_money(wall_seconds, cost);
    PlanTotal {
        n_runs: runs.len(),
        flops: sum(PlannedRun::spent_c),
        flops_separate: has_branches.then(|| sum(|run| run.c)),
        tokens: sum(PlannedRun::spent_d),
        wall_seconds,
        disk_bytes: sum(|run| run.estimate.disk_bytes),
        kwh,
        money,
        currency: money.and(cost.and_then(|cost| cost.currency.clone())),
    }
}

/// One run in a schedule.
struct Job {
    seconds: f64,
    /// Position of the job that must have completed this share of its own first.
    after: Option<(usize, f64)>,
}

/// Seconds until the last of these jobs ends, if each free slot takes the first job that can begin.
fn wall_seconds(jobs: &[Job], slots: usize) -> f64 {
    let mut free_at = vec![0.0f64; slots.max(1)];
    let mut began: Vec<Option<f64>> = vec![None; jobs.len()];
    let mut left: VecDeque<usize> = (0..jobs.len()).collect();
    while !left.is_empty() {
        let Some(slot) = free_at.iter_mut().min_by(|a, b| a.total_cmp(b)) else { break };
        // When a job can begin, if that is known.
        let ready = |&idx: &usize| match jobs[idx].after {
            None => Some(0.0),
            Some((parent, share)) => began[parent].map(|began| began + share * jobs[parent].seconds),
        };
        let place = left.iter().position(|idx| ready(idx).is_some_and(|at| at <= *slot)).or_else(|| {
            // None can begin now: the slot waits for the first that can.
            let waiting = left.iter().enumerate().filter_map(|(place, idx)| Some((place, ready(idx)?)));
            waiting.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(place, _)| place)
        });
        // No job waits for a later one, since trunks come before their branches.
        let Some(idx) = left.remove(place.unwrap_or(0)) else { break };
        let begin = ready(&idx).unwrap_or(0.0).max(*slot);
        began[idx] = Some(begin);
        *slot = begin + jobs[idx].seconds;
    }
    free_at.into_iter().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_schedule_ends_when_its_last_slot_does() {
        // By hand: slot 1 takes 1, 3; slot 2 takes 2, 4.
        let wall = |seconds: &[f64], slots| {
            let jobs: Vec<Job> = seconds.iter().map(|&seconds| Job { seconds, after: None }).collect();
            wall_seconds(&jobs, slots)
        };
        assert_eq!(wall(&[1.0, 2.0, 3.0, 4.0], 2), 6.0);
        assert_eq!(wall(&[1.0, 2.0, 3.0, 4.0], 1), 10.0);
        assert_eq!(wall(&[1.0, 2.0], 8), 2.0);
        assert_eq!(wall(&[], 2), 0.0);
    }

    #[test]
    fn a_branch_waits_for_its_trunk_and_lets_others_go_before() {
        // A trunk of 10 whose branches can begin at 4 and 8, and another of 6 with one at 3.
        let jobs =
            [(10.0, None), (1.0, Some((0, 0.4))), (2.0, Some((0, 0.8))), (6.0, None), (1.0, Some((3, 0.5)))];
        let jobs = jobs.map(|(seconds, after)| Job { seconds, after });
        // One slot: nothing ever waits.
        assert_eq!(wall_seconds(&jobs, 1), 20.0);
        // Two: the second takes the other trunk (0 to 6), then the branches at 6 and 8 (7 idle) or 7.
        assert_eq!(wall_seconds(&jobs, 2), 10.0);
        // Five: the last branch ends at 8 + 2, the trunk at 10.
        assert_eq!(wall_seconds(&jobs, 5), 10.0);
        assert_eq!(wall_seconds(&jobs[..3], 2), 10.0);
    }
}
