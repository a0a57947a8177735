//! The plan minus what is over. Pure: no files, no clock.

use std::collections::BTreeSet;

use scalelaw_schema::plan::PlannedRun;
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::run_id::RunId;

/// The runs that still have to be trained, in the plan's order, each id once.
pub fn outstanding<'a>(runs: &'a [PlannedRun], over: &BTreeSet<RunId>) -> Vec<&'a RunSpec> {
    let mut seen = BTreeSet::new();
    runs.iter()
        .map(|planned| &planned.run)
        .filter(|run| !over.contains(&run.id) && seen.insert(&run.id))
        .collect()
}

#[cfg(test)]
mod tests {
    use scalelaw_schema::plan::Estimate;

    use super::*;
    use crate::folder::tests::run_spec;

    fn planned(seed: u64) -> PlannedRun {
        let estimate = Estimate { seconds: None, memory_bytes: 0.0, disk_bytes: 0.0, kwh: None, money: None };
        PlannedRun { run: run_spec(seed), n: 1.0, d: 1.0, c: 1.0, estimate }
    }

    #[test]
    fn what_is_over_is_left_out_and_a_run_planned_twice_stands_once() {
        let runs = [planned(3), planned(1), planned(2), planned(1), planned(4)];
        let over = BTreeSet::from([run_spec(2).id]);
        let seeds: Vec<u64> = outstanding(&runs, &over).iter().map(|run| run.train.seed).collect();
        assert_eq!(seeds, [3, 1, 4]);
    }
}
