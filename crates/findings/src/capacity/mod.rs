//! Knowledge capacity: bits that a model has stored, per parameter, from the loss on the facts it was trained on.
//!
//! Allen-Zhu and Li 2024 (arXiv:2404.05405), definition 2.2: `R(F) = [N·log2(N0/e^p1) + N·log2(S0/e^p2)]/P` for N
//! people, N0 possible names, S0 possible sets of attributes, p1 and p2 the mean summed loss (nats) of name and
//! attribute tokens. Each term is `facts · (entropy − loss)` in bits, so one formula serves every task: for a lookup
//! of keys to 8-bit values, `facts · (8 − loss/ln 2)`. A lower bound of what is stored, and below zero for a model
//! that is confidently wrong.

pub(crate) mod answer;

use std::collections::BTreeMap;
use std::f64::consts::LN_2;

use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::table::Counting;
use serde::{Deserialize, Serialize};

use scalelaw_fit::conclusion::Interval;
use scalelaw_fit::stats::quantile;

pub use answer::SkillCapacity;
pub(crate) use answer::answer;

/// Bits of one person's attributes in the published biographies: gender 2, birth date 12·28·200, city 200,
/// university 300, major 100, employer 263; the employer's city follows from the employer.
pub fn biography_attribute_bits() -> f64 {
    (2.0 * (12.0 * 28.0 * 200.0) * 200.0 * 300.0 * 100.0 * 263.0_f64).log2()
}

/// Bits of one person's name: 400 first, 400 middle and 1,000 last names.
pub fn biography_name_bits() -> f64 {
    (400.0 * 400.0 * 1000.0_f64).log2()
}

/// Share of known facts above which the number of facts, not the model's capacity, is the limit.
const NEARLY_ALL: f64 = 0.95;

/// Facts of one kind, and how well a model knows them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FactLoss {
    /// What the facts are, such as `name`, `attributes` or `value`.
    pub what: String,
    /// Facts in the training data.
    pub n_facts: f64,
    /// Entropy of one fact to someone who knows nothing, bits.
    pub entropy_bits: f64,
    /// Mean loss of one fact, summed over its tokens, nats.
    pub nll_nats: f64,
}

impl FactLoss {
    /// Bits learned: `n_facts · (entropy − loss)`.
    pub fn learned_bits(&self) -> f64 {
        self.n_facts * (self.entropy_bits - self.nll_nats / LN_2)
    }

    /// Total bits: `n_facts · entropy`.
    pub fn total_bits(&self) -> f64 {
        self.n_facts * self.entropy_bits
    }
}

/// One trained model with the facts it was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapacityRun {
    /// Its name.
    pub name: String,
    /// Parameters.
    pub n: f64,
    /// Times that each fact was seen in training.
    pub exposures: f64,
    /// Seed, where known: runs that differ in nothing else are one cell.
    pub seed: Option<u64>,
    /// The facts by kind.
    pub facts: Vec<FactLoss>,
}

/// Bits per parameter against exposures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapacityConclusion {
    /// Version of this format.
    pub schema_version: u32,
    /// Where the runs came from.
    pub source: String,
    /// How N was counted.
    pub count_rule: Counting,
    /// Every run.
    pub runs: Vec<RunCapacity>,
    /// One for each number of exposures, rising.
    pub by_exposures: Vec<CapacityAt>,
    /// Level of the intervals.
    pub level: f64,
    /// How the numbers are to be read.
    pub notes: Vec<String>,
}

/// What one run stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunCapacity {
    /// Its name.
    pub name: String,
    /// Parameters.
    pub n: f64,
    /// Exposures.
    pub exposures: f64,
    /// Facts of all kinds.
    pub n_facts: f64,
    /// Bits learned.
    pub learned_bits: f64,
    /// Learned bits over parameters.
    pub bits_per_param: f64,
    /// Learned bits over all bits.
    pub share_known: f64,
}

/// The most that any cell stored per parameter, at one number of exposures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapacityAt {
    /// Exposures.
    pub exposures: f64,
    /// Mean over the seeds of the cell (size and number of facts) that stores most per parameter.
    pub bits_per_param: f64,
    /// Student's t over that cell's seeds, where it has two or more; the choice of the best cell is not in it.
    pub interval: Option<Interval>,
    /// Parameters of that cell.
    pub n: f64,
    /// Facts of that cell.
    pub n_facts: f64,
    /// Learned bits over all bits in that cell.
    pub share_known: f64,
    /// Whether the cell knows nearly all of its facts: then its capacity is at least this.
    pub is_bound: bool,
    /// Runs in that cell.
    pub n_runs: usize,
}

/// Bits per parameter of every run, and the most at each number of exposures. Runs without parameters, exposures
/// or facts are left out and named in the notes.
pub fn capacity(source: &str, count_rule: Counting, runs: &[CapacityRun], level: f64) -> CapacityConclusion {
    let mut notes = Vec::new();
    let mut cells: BTreeMap<(u64, u64, u64), Vec<RunCapacity>> = BTreeMap::new();
    let mut all = Vec::new();
    for run in runs {
        let Some(found) = of_run(run) else {
            notes.push(format!("run `{}` is excluded: a number of it is not finite and positive", run.name));
            continue;
        };
        // Positive floats are ordered as their bits are.
        let key = (found.exposures.to_bits(), found.n.to_bits(), found.n_facts.to_bits());
        cells.entry(key).or_default().push(found.clone());
        all.push(found);
    }
    let mut best: BTreeMap<u64, CapacityAt> = BTreeMap::new();
    for ((exposures, ..), runs) in &cells {
        let found = at(runs, level);
        if best.get(exposures).is_none_or(|other| found.bits_per_param > other.bits_per_param) {
            best.insert(*exposures, found);
        }
    }
    if best.values().any(|found| found.is_bound) {
        notes.push(format!(
            "where more than {:.0} % of the facts are known the number of facts is the limit: capacity is at least what is shown (hint: more facts or smaller models)",
            100.0 * NEARLY_ALL
        ));
    }
    CapacityConclusion {
        schema_version: SCHEMA_VERSION,
        source: source.to_owned(),
        count_rule,
        runs: all,
        by_exposures: best.into_values().collect(),
        level,
        notes,
    }
}

fn of_run(run: &CapacityRun) -> Option<RunCapacity> {
    let learned_bits: f64 = run.facts.iter().map(FactLoss::learned_bits).sum();
    let total: f64 = run.facts.iter().map(FactLoss::total_bits).sum();
    let n_facts: f64 = run.facts.iter().map(|facts| facts.n_facts).sum();
    let is_good = [run.n, run.exposures, total, n_facts].iter().all(|x| *x > 0.0 && x.is_finite());
    (is_good && learned_bits.is_finite()).then(|| RunCapacity {
        name: run.name.clone(),
        n: run.n,
        exposures: run.exposures,
        n_facts,
        learned_bits,
        bits_per_param: learned_bits / run.n,
        share_known: learned_bits / total,
    })
}

/// A cell of runs that differ in the seed alone; never empty.
fn at(runs: &[RunCapacity], level: f64) -> CapacityAt {
    let n = runs.len() as f64;
    let mean = |of: fn(&RunCapacity) -> f64| runs.iter().map(of).sum::<f64>() / n;
    let bits = mean(|run| run.bits_per_param);
    let share = mean(|run| run.share_known);
    let interval = (runs.len() > 1).then(|| {
        let square: f64 = runs.iter().map(|run| (run.bits_per_param - bits).powi(2)).sum();
        let half = quantile::student_at(level, n - 1.0) * (square / (n - 1.0) / n).sqrt();
        let method = format!("Student's t over {} seeds", runs.len());
        Interval { low: bits - half, high: bits + half, level, method, resamples: 0 }
    });
    CapacityAt {
        exposures: runs[0].exposures,
        bits_per_param: bits,
        interval,
        n: runs[0].n,
        n_facts: runs[0].n_facts,
        share_known: share,
        is_bound: share > NEARLY_ALL,
        n_runs: runs.len(),
    }
}

#[cfg(test)]
mod tests {
    use scalelaw_schema::count::CountRule;

    use super::*;

    fn lookup(n_facts: f64, nll_nats: f64) -> FactLoss {
        FactLoss { what: "value".into(), n_facts, entropy_bits: 8.0, nll_nats }
    }

    fn run(n: f64, exposures: f64, seed: u64, facts: Vec<FactLoss>) -> CapacityRun {
        CapacityRun { name: format!("{n} {exposures} {seed}"), n, exposures, seed: Some(seed), facts }
    }

    #[test]
    fn a_memoriser_of_k_facts_has_exactly_their_bits() {
        // A table of k of 1,000 pairs, uniform over 256 values for every other key.
        for k in [0.0, 1.0, 250.0, 1000.0] {
            let nll = (1000.0 - k) / 1000.0 * 256_f64.ln();
            let found = lookup(1000.0, nll).learned_bits();
            assert!((found - 8.0 * k).abs() < 1e-9, "{k}: {found}");
        }
    }

    #[test]
    fn the_published_formula_is_the_sum_over_kinds_of_facts() {
        assert!((biography_attribute_bits() - 47.6).abs() < 0.05, "{}", biography_attribute_bits());
        let (n, p1, p2) = (10_000.0, 3.0, 7.0);
        let parts = [
            FactLoss { what: "name".into(), n_facts: n, entropy_bits: biography_name_bits(), nll_nats: p1 },
            FactLoss {
                what: "attributes".into(),
                n_facts: n,
                entropy_bits: biography_attribute_bits(),
                nll_nats: p2,
            },
        ];
        let found: f64 = parts.iter().map(FactLoss::learned_bits).sum();
        let by_hand =
            n * (1.6e8 / p1.exp()).log2() + n * (2.0_f64.powf(biography_attribute_bits()) / p2.exp()).log2();
        assert!((found / by_hand - 1.0).abs() < 1e-12, "{found}, by hand {by_hand}");
    }

    #[test]
    fn the_most_per_parameter_is_found_at_each_number_of_exposures() {
        let half = 0.5 * 256_f64.ln();
        let runs = [
            // 2 bits per parameter, by two seeds that know 0.4 and 0.6 of 5,000 facts.
            run(1e4, 100.0, 0, vec![lookup(5000.0, 1.2 * half)]),
            run(1e4, 100.0, 1, vec![lookup(5000.0, 0.8 * half)]),
            // All of 1,000 facts: 0.8 bits per parameter.
            run(1e4, 100.0, 0, vec![lookup(1000.0, 0.0)]),
            run(1e4, 10.0, 0, vec![lookup(1000.0, 0.0)]),
            run(0.0, 10.0, 0, vec![lookup(1000.0, 0.0)]),
        ];
        let found = capacity("by hand", Counting::Rule(CountRule::Exact), &runs, 0.95);
        assert_eq!(found.runs.len(), 4);
        let [ten, hundred] = &found.by_exposures[..] else { panic!("{found:?}") };
        assert!((ten.bits_per_param - 0.8).abs() < 1e-12 && ten.is_bound && ten.interval.is_none());
        assert!((hundred.bits_per_param - 2.0).abs() < 1e-12 && !hundred.is_bound, "{hundred:?}");
        // 1.6 and 2.4 bits: t of 12.706 at one degree of freedom times 0.4.
        let interval = hundred.interval.as_ref().unwrap();
        assert!((interval.high - 2.0 - 12.706_204_7 * 0.4).abs() < 1e-5, "{interval:?}");
        assert!(found.notes.iter().any(|note| note.contains("excluded")));
    }
}
