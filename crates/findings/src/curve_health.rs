//! Is any run's learning curve off its siblings' by more than the seeds explain?
//!
//! Siblings differ in their seed alone. A run's height is the mean of `ln(training loss)` over the second half of its
//! steps. It is compared with the mean height of its `k − 1` siblings; by chance the difference has the variance
//! `sd² · k/(k − 1)`, with `sd` pooled over the groups that the run is no member of, so that a run cannot hide behind
//! the scatter that it makes. Student's t, two-sided, Bonferroni over the runs compared. Two
//! runs cannot say which of them is off: they add to the spread and are not compared.

use std::collections::{BTreeMap, BTreeSet};

use scalelaw_fit::stats::quantile;
use scalelaw_schema::canonical::hash12;
use scalelaw_schema::metrics::TRAIN_LOSS;
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::train_spec::{Start, TrainSpec};
use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;

/// Chance that any run of a healthy sweep is named.
pub const FALSE_ALARM: f64 = 0.01;
/// Degrees of freedom below which a spread of seeds is not believed.
const LEAST_DF: usize = 3;
/// Runs of a group, of which one can be told from the others.
const LEAST_RUNS: usize = 3;

/// Whether the runs' curves agree with those of their siblings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CurveHealth {
    /// They were compared.
    Compared(Comparison),
    /// The spread of seeds is not known.
    Unknown {
        /// Why, and what would settle it.
        why: String,
    },
}

/// The curves beside those of their siblings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Runs with two siblings or more, and enough other groups for a spread.
    pub n_compared: usize,
    /// Finished runs that were not compared.
    pub n_not_compared: usize,
    /// Spread between siblings, as a share of the loss, pooled over all groups.
    pub seed_sd: f64,
    /// Degrees of freedom of `seed_sd`.
    pub df: usize,
    /// Runs off their siblings, the farthest first.
    pub off: Vec<OffCurve>,
}

/// A run whose curve is off.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OffCurve {
    /// The run.
    pub run: RunId,
    /// Its folder.
    pub folder: String,
    /// Its height over the mean of its siblings, as a share of the loss: 0.1 is ten percent higher.
    pub offset: f64,
    /// The same in standard errors.
    pub t: f64,
    /// Siblings that it was compared with.
    pub n_siblings: usize,
}

/// Heights of the runs of one group.
struct Group {
    runs: Vec<(RunId, f64)>,
}

impl Group {
    fn mean_without(&self, without: usize) -> f64 {
        let others = self.runs.iter().enumerate().filter(|(idx, _)| *idx != without);
        others.map(|(_, (_, height))| height).sum::<f64>() / (self.runs.len() - 1) as f64
    }

    /// The run farthest from the mean of its siblings, by its place, and how far; `None` with fewer than three.
    fn farthest(&self) -> Option<(usize, f64)> {
        if self.runs.len() < LEAST_RUNS {
            return None;
        }
        let differences = self
            .runs
            .iter()
            .enumerate()
            .map(|(place, (_, height))| (place, height - self.mean_without(place)));
        differences.max_by(|(_, x), (_, y)| x.abs().total_cmp(&y.abs()))
    }

    /// Sum of squares about the mean, and its degrees of freedom.
    fn spread(&self) -> (f64, usize) {
        let mean = self.runs.iter().map(|(_, height)| height).sum::<f64>() / self.runs.len() as f64;
        (self.runs.iter().map(|(_, height)| (height - mean).powi(2)).sum(), self.runs.len() - 1)
    }
}

/// Compares every finished run of the plan with its siblings.
pub fn answer(evidence: &Evidence) -> CurveHealth {
    let groups = groups(evidence);
    let n_finished = evidence.finished().count();
    let in_groups: usize = groups.iter().map(|group| group.runs.len()).sum();
    let spreads: Vec<(f64, usize)> = groups.iter().map(Group::spread).collect();
    let total = spreads.iter().fold((0.0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    let comparable: Vec<usize> = (0..groups.len())
        .filter(|&idx| groups[idx].runs.len() >= LEAST_RUNS && total.1 - spreads[idx].1 >= LEAST_DF)
        .collect();
    let n_compared: usize = comparable.iter().map(|&idx| groups[idx].runs.len()).sum();
    if n_compared == 0 {
        let why = format!(
            "the spread of seeds is not known: {in_groups} of {n_finished} finished runs have a sibling that differs in its seed alone (hint: three seeds for two or more cells)"
        );
        return CurveHealth::Unknown { why };
    }
    let mut off = Vec::new();
    for &idx in &comparable {
        let df = total.1 - spreads[idx].1;
        let sd = ((total.0 - spreads[idx].0).max(0.0) / df as f64).sqrt();
        let limit = quantile::student(1.0 - 0.5 * FALSE_ALARM / n_compared as f64, df as f64);
        let mut group = Group { runs: groups[idx].runs.clone() };
        // The farthest first and then the others without it: an outlier must not accuse its siblings.
        while let Some((place, difference)) = group.farthest() {
            let k = group.runs.len() as f64;
            let error = sd * (k / (k - 1.0)).sqrt();
            if difference.abs() <= limit * error {
                break;
            }
            let (run, _) = group.runs.remove(place);
            let folder = evidence.row(&run).map_or_else(|| run.to_string(), |row| row.folder.clone());
            let (offset, t) = (difference.exp_m1(), difference / error);
            off.push(OffCurve { run, folder, offset, t, n_siblings: group.runs.len() });
        }
    }
    off.sort_by(|a, b| b.t.abs().total_cmp(&a.t.abs()));
    let seed_sd = (total.0 / total.1 as f64).sqrt();
    CurveHealth::Compared(Comparison {
        n_compared,
        n_not_compared: n_finished - n_compared,
        seed_sd,
        df: total.1,
        off,
    })
}

/// Finished runs of the plan with a curve, grouped by all that decides their weights but the seed; groups of one are
/// no groups.
fn groups(evidence: &Evidence) -> Vec<Group> {
    let mut curves: BTreeMap<&RunId, BTreeMap<u64, f64>> = BTreeMap::new();
    for point in evidence.curves.iter().filter(|point| point.metric == TRAIN_LOSS && point.value > 0.0) {
        curves.entry(&point.run_id).or_default().insert(point.step, point.value.ln());
    }
    let finished: BTreeSet<&RunId> = evidence.finished().map(|row| &row.run_id).collect();
    let mut siblings: BTreeMap<String, Vec<Sibling>> = BTreeMap::new();
    for planned in &evidence.plan.runs {
        let (id, train) = (&planned.run.id, &planned.run.train);
        if let Some(curve) = curves.get(id).filter(|_| finished.contains(id)) {
            let alike = TrainSpec { seed: 0, start: Start::Init, ..train.clone() };
            let sibling = Sibling { run: id, half: train.total_steps() / 2, curve };
            siblings.entry(hash12(&alike)).or_default().push(sibling);
        }
    }
    siblings.into_values().filter(|runs| runs.len() > 1).filter_map(|runs| heights(&runs)).collect()
}

/// A run of a group with the logarithm of its loss by step.
struct Sibling<'a> {
    run: &'a RunId,
    /// Half of its steps.
    half: u64,
    curve: &'a BTreeMap<u64, f64>,
}

/// Means over the steps of the second half that all of them logged.
fn heights(siblings: &[Sibling]) -> Option<Group> {
    let first = &siblings[0];
    let is_shared = |step: &u64| siblings.iter().all(|sibling| sibling.curve.contains_key(step));
    let steps: Vec<u64> =
        first.curve.range(first.half + 1..).map(|(step, _)| *step).filter(is_shared).collect();
    let mean =
        |curve: &BTreeMap<u64, f64>| steps.iter().map(|step| curve[step]).sum::<f64>() / steps.len() as f64;
    let runs = siblings.iter().map(|sibling| (sibling.run.clone(), mean(sibling.curve)));
    (!steps.is_empty()).then(|| Group { runs: runs.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{evidence, plan_of, point};

    /// Groups of three seeds, each about its own height, with one run `shift` above it.
    fn health(heights: &[[f64; 3]], shift: f64) -> CurveHealth {
        let plan = plan_of(heights.len(), 3);
        let mut curves = Vec::new();
        for (idx, planned) in plan.runs.iter().enumerate() {
            let off = if idx == 4 { shift } else { 0.0 };
            let height = heights[idx / 3][idx % 3] + off;
            for step in 1..=20 {
                // Only the second half counts.
                let height = if step <= 10 { 5.0 - idx as f64 } else { height };
                curves.push(point(&planned.run.id, step, height.exp()));
            }
        }
        answer(&Evidence { curves, ..evidence(plan.clone(), crate::tests::rows_of(&plan)) })
    }

    const HEIGHTS: [[f64; 3]; 3] = [[0.50, 0.51, 0.52], [0.70, 0.71, 0.72], [0.90, 0.91, 0.92]];

    #[test]
    fn a_run_off_its_siblings_by_more_than_the_seeds_explain_is_named() {
        let CurveHealth::Compared(found) = health(&HEIGHTS, 0.0) else { panic!() };
        // Each group scatters by 0.01 with two degrees of freedom.
        assert!((found.seed_sd - 0.01).abs() < 1e-12, "{found:?}");
        assert_eq!((found.n_compared, found.n_not_compared, found.df), (9, 0, 6));
        assert_eq!(found.off, []);
        let CurveHealth::Compared(found) = health(&HEIGHTS, 0.2) else { panic!() };
        let [off] = &found.off[..] else { panic!("{found:?}") };
        // The mean of its siblings is 0.71, its own height 0.91; the other groups scatter by 0.01, times √(3/2).
        assert!((off.offset - 0.2f64.exp_m1()).abs() < 1e-9, "{off:?}");
        assert!((off.t - 0.2 / (0.01 * 1.5f64.sqrt())).abs() < 1e-6, "{off:?}");
        assert_eq!(off.n_siblings, 2);
    }

    #[test]
    fn without_a_spread_of_seeds_nothing_is_said_of_any_run() {
        let CurveHealth::Unknown { why } = health(&HEIGHTS[..1], 0.0) else { panic!() };
        assert!(why.contains("3 of 3 finished runs"), "{why}");
    }

    #[test]
    fn a_healthy_sweep_raises_a_false_alarm_once_in_a_hundred() {
        let mut rng = scalelaw_fit::stats::stream(1, 0);
        let n_alarms = (0..1000)
            .filter(|_| {
                let heights: Vec<[f64; 3]> = (0..4)
                    .map(|_| [0; 3].map(|_| 1.0 + 0.01 * scalelaw_fit::stats::standard_normal(&mut rng)))
                    .collect();
                matches!(health(&heights, 0.0), CurveHealth::Compared(found) if !found.off.is_empty())
            })
            .count();
        // Two of a group's three runs are often off together, so fewer alarms than Bonferroni allows.
        assert!((1..=18).contains(&n_alarms), "{n_alarms} of 1000");
    }
}
