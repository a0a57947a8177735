//! The plan minus the runs that have ended. Pure: no files, no clock.

use std::collections::{BTreeMap, BTreeSet};

use scalelaw_schema::plan::PlannedRun;
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::run_id::RunId;

use crate::folder::is_ended;

/// The runs that still have to be trained, in the order of the plan, each id once.
pub fn outstanding<'a>(runs: &'a [PlannedRun], ended: &BTreeMap<RunId, Outcome>) -> Vec<&'a RunSpec> {
    let mut seen = BTreeSet::new();
    let is_done = |run: &RunSpec| ended.get(&run.id).is_some_and(|outcome| is_ended(run, outcome));
    runs.iter().map(|planned| &planned.run).filter(|run| !is_done(run) && seen.insert(&run.id)).collect()
}

#[cfg(test)]
mod tests {
    use scalelaw_schema::plan::Estimate;
    use scalelaw_schema::run::EarlyStop;

    use super::*;
    use crate::folder::testing::run_spec;

    fn planned(seed: u64) -> PlannedRun {
        let estimate = Estimate { seconds: None, memory_bytes: 0.0, disk_bytes: 0.0, kwh: None, money: None };
        PlannedRun { run: run_spec(seed), n: 1.0, d: 1.0, c: 1.0, estimate }
    }

    #[test]
    fn ended_runs_are_left_out_and_a_run_that_is_planned_twice_is_listed_once() {
        let runs = [planned(3), planned(1), planned(2), planned(1), planned(4)];
        let seeds = |ended: &BTreeMap<RunId, Outcome>, runs: &[PlannedRun]| -> Vec<u64> {
            outstanding(runs, ended).iter().map(|run| run.train.seed).collect()
        };
        assert_eq!(seeds(&BTreeMap::from([(run_spec(2).id, Outcome::Finished)]), &runs), [3, 1, 4]);
        // A run that was stopped early has ended as long as it has its rule.
        let stopped = Outcome::Stopped { step: 9, why: String::new() };
        let ended = BTreeMap::from([(run_spec(2).id, stopped)]);
        assert_eq!(seeds(&ended, &runs), [3, 1, 2, 4]);
        let mut runs = runs;
        runs[2].run.early_stop = Some(EarlyStop { at: 0.5, margin: 0.1 });
        assert_eq!(seeds(&ended, &runs), [3, 1, 4]);
    }
}
