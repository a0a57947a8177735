//! The plan minus what is over. Pure: no files, no clock.

use std::collections::{BTreeMap, BTreeSet};

use scalelaw_schema::plan::PlannedRun;
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::run_id::RunId;

use crate::folder::is_over;

/// The runs that still have to be trained, in the plan's order, each id once.
pub fn outstanding<'a>(runs: &'a [PlannedRun], over: &BTreeMap<RunId, Outcome>) -> Vec<&'a RunSpec> {
    let mut seen = BTreeSet::new();
    let is_over = |run: &RunSpec| over.get(&run.id).is_some_and(|outcome| is_over(run, outcome));
    runs.iter().map(|planned| &planned.run).filter(|run| !is_over(run) && seen.insert(&run.id)).collect()
}

#[cfg(test)]
mod tests {
    use scalelaw_schema::plan::Estimate;
    use scalelaw_schema::run::EarlyStop;

    use super::*;
    use crate::folder::tests::run_spec;

    fn planned(seed: u64) -> PlannedRun {
        let estimate = Estimate { seconds: None, memory_bytes: 0.0, disk_bytes: 0.0, kwh: None, money: None };
        PlannedRun { run: run_spec(seed), n: 1.0, d: 1.0, c: 1.0, estimate }
    }

    #[test]
    fn what_is_over_is_left_out_and_a_run_planned_twice_stands_once() {
        let runs = [planned(3), planned(1), planned(2), planned(1), planned(4)];
        let seeds = |over: &BTreeMap<RunId, Outcome>, runs: &[PlannedRun]| -> Vec<u64> {
            outstanding(runs, over).iter().map(|run| run.train.seed).collect()
        };
        assert_eq!(seeds(&BTreeMap::from([(run_spec(2).id, Outcome::Finished)]), &runs), [3, 1, 4]);
        // One that was stopped early is over as long as the rule stands.
        let stopped = Outcome::Stopped { step: 9, why: String::new() };
        let over = BTreeMap::from([(run_spec(2).id, stopped)]);
        assert_eq!(seeds(&over, &runs), [3, 1, 2, 4]);
        let mut runs = runs;
        runs[2].run.early_stop = Some(EarlyStop { at: 0.5, margin: 0.1 });
        assert_eq!(seeds(&over, &runs), [3, 1, 4]);
    }
}
