//! The power of a planned sweep: its losses are drawn from a known law, and each draw is fitted as the real one will
//! be.

use std::collections::BTreeMap;

use rayon::prelude::*;
use scalelaw_schema::table::LossTable;
use serde::{Deserialize, Serialize};

use super::simulate::KnownLaw;
use crate::conclusion::{Conclusion, LOG10_N};
use crate::error::FitError;
use crate::frontier::ComputeModel;
use crate::law_fit;
use crate::row::{Point, Rows};
use crate::spec::FitSpec;
use crate::stats::{Interval, quantile, standard_normal, stream};

/// The intervals to expect of a design.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Power {
    /// Draws of the sweep.
    pub draws: usize,
    /// Runs in the design.
    pub runs: usize,
    /// Share of the draws that the fitter refused.
    pub refused: f64,
    /// The most frequent refusal.
    pub why_refused: Option<String>,
    /// The interval to expect of each parameter, of the frontier's `a`, of `log10_n_at_largest_budget`, and of the
    /// loss at each run to predict.
    pub expected: BTreeMap<String, Expected>,
}

/// The interval to expect of one quantity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// Its value under the law that was assumed; absent where the fitted law has no such quantity.
    pub truth: Option<f64>,
    /// Median of the lower ends.
    pub low: f64,
    /// Median of the upper ends.
    pub high: f64,
    /// Median width.
    pub width: f64,
    /// Width that nine draws in ten do not exceed.
    pub width90: f64,
    /// Level of the intervals.
    pub level: f64,
    /// Share of all draws that gave an interval.
    pub found: f64,
    /// Share of those that held the truth.
    pub coverage: Option<f64>,
}

/// Draws the losses of the runs in `design` from `truth` and fits each draw as `spec` says.
///
/// Losses in `design` are not read. The bootstrap of `spec` is skipped where the fitter reports the profile.
///
/// # Errors
/// What is wrong with `spec`; a refusal of every draw is no error but `refused = 1`.
pub fn power(design: &LossTable, truth: &KnownLaw, draws: usize, spec: &FitSpec) -> Result<Power, FitError> {
    spec.check()?;
    let results: Vec<Result<Conclusion, FitError>> = (0..draws)
        .into_par_iter()
        .map(|draw| {
            let mut table = design.clone();
            let mut rng = stream(spec.seed, draw as u64);
            for row in &mut table.rows {
                let loss = truth.law.loss(&truth.params, &Point::of(row));
                row.loss = loss * (truth.noise * standard_normal(&mut rng)).exp();
            }
            law_fit::fit(&table, &FitSpec { holdout_compute: None, ..spec.clone() })
        })
        .collect();
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut found: BTreeMap<String, Vec<Interval>> = BTreeMap::new();
    for result in &results {
        match result {
            Err(FitError::Refused { why, .. }) => *reasons.entry(why.clone()).or_default() += 1,
            Err(other) => return Err(other.clone()),
            Ok(conclusion) => {
                let fit = &conclusion.fits[0];
                let frontier = fit.optimum.iter().flat_map(|frontier| &frontier.intervals);
                for (name, interval) in fit.intervals.iter().chain(frontier) {
                    found.entry(name.clone()).or_default().push(interval.clone());
                }
                for (idx, prediction) in fit.predictions.iter().enumerate() {
                    if let Some(interval) = &prediction.interval {
                        found.entry(loss_name(idx)).or_default().push(interval.clone());
                    }
                }
            }
        }
    }
    let truths = truths(design, truth, spec);
    let n_refused: usize = reasons.values().sum();
    let expected = found
        .into_iter()
        .filter_map(|(name, intervals)| {
            let expected = expect(&intervals, truths.get(&name).copied(), draws)?;
            Some((name, expected))
        })
        .collect();
    Ok(Power {
        draws,
        runs: design.rows.len(),
        refused: n_refused as f64 / draws.max(1) as f64,
        why_refused: reasons.into_iter().max_by_key(|(_, count)| *count).map(|(why, _)| why),
        expected,
    })
}

/// Name under which the loss at the run with that place in `spec.predict` is found.
pub fn loss_name(idx: usize) -> String {
    format!("loss at prediction {}", idx + 1)
}

fn expect(intervals: &[Interval], truth: Option<f64>, draws: usize) -> Option<Expected> {
    let column = |get: fn(&Interval) -> f64| {
        let mut values: Vec<f64> = intervals.iter().map(get).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let widths = column(|interval| interval.high - interval.low);
    let n_covered = |truth: f64| intervals.iter().filter(|i| i.low <= truth && truth <= i.high).count();
    Some(Expected {
        truth,
        low: quantile::of_sorted(&column(|interval| interval.low), 0.5)?,
        high: quantile::of_sorted(&column(|interval| interval.high), 0.5)?,
        width: quantile::of_sorted(&widths, 0.5)?,
        width90: quantile::of_sorted(&widths, 0.9)?,
        level: intervals.first()?.level,
        found: intervals.len() as f64 / draws.max(1) as f64,
        coverage: truth.map(|truth| n_covered(truth) as f64 / intervals.len() as f64),
    })
}

/// Values under the assumed law.
fn truths(design: &LossTable, truth: &KnownLaw, spec: &FitSpec) -> BTreeMap<String, f64> {
    let names = truth.law.param_names().iter().map(|name| (*name).to_owned());
    let mut truths: BTreeMap<String, f64> = names.zip(truth.params.iter().copied()).collect();
    let compute = ComputeModel::of(&Rows::of(design));
    let largest = law_fit::largest_budget(design).ln();
    let trade_off = truth.law.trade_off(&truth.params);
    if let Some((a, ln_n)) = trade_off.and_then(|law| compute.optimum(&law, largest)) {
        truths.insert("a".into(), a);
        truths.insert("b".into(), 1.0 - compute.kappa * a);
        truths.insert(LOG10_N.into(), ln_n / std::f64::consts::LN_10);
    }
    let optimum_at = |ln_c: f64| trade_off.and_then(|law| compute.optimum(&law, ln_c));
    for (idx, at) in spec.predict.iter().enumerate() {
        let loss = truth.law.loss(&truth.params, &law_fit::point_of(*at, &compute, &optimum_at));
        truths.insert(loss_name(idx), loss);
    }
    truths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::PredictAt;
    use crate::testing::isoflop_sweep;

    const LAW: &str = "chinchilla:E=1.8,A=480,B=2100,alpha=0.35,beta=0.37,noise=0.01";

    fn expect_of(n_seeds: usize) -> Power {
        let design = isoflop_sweep(LAW, &[1e16, 1e17, 1e18, 1e19], 5, n_seeds, 0);
        let truth = crate::parse_law_with_params(LAW).unwrap();
        let predict = vec![PredictAt::C(1e20)];
        power(&design, &truth, 40, &FitSpec { bootstrap: 0, predict, ..FitSpec::new() }).unwrap()
    }

    #[test]
    fn more_seeds_promise_narrower_intervals_that_hold_the_truth() {
        let (one, four) = (expect_of(1), expect_of(4));
        for name in ["alpha", "beta", "a", LOG10_N] {
            let (one, four) = (&one.expected[name], &four.expected[name]);
            // Twice as narrow but for the tails of Student's t, which makes it more.
            let ratio = one.width / four.width;
            assert!((1.7..3.0).contains(&ratio), "{name}: {ratio}");
            // 40 draws at 95 %: below 85 % is a chance of one in two hundred.
            assert!(four.coverage.unwrap() >= 0.85, "{name}: {four:?}");
        }
        assert!(four.expected[&loss_name(0)].coverage.is_none_or(|share| share > 0.5));
        assert_eq!(four.refused, 0.0);
    }

    #[test]
    fn a_design_that_does_not_identify_the_law_is_refused_in_every_draw() {
        let design = isoflop_sweep(LAW, &[1e18], 7, 1, 0);
        let truth = crate::parse_law_with_params(LAW).unwrap();
        let found = power(&design, &truth, 5, &FitSpec { bootstrap: 0, ..FitSpec::new() }).unwrap();
        assert_eq!(found.refused, 1.0);
        assert!(found.why_refused.unwrap().contains("one budget"));
    }
}
