//! Intervals of a law's parameters and of its frontier, by the bootstrap or by the profile.
//!
//! Which is reported is a matter of how many independent runs there are. With [`PLENTY`] of them for
//! each parameter the bootstrap needs no model of the noise and its percentiles are what the literature
//! prints (Besiroglu et al. 2024). With fewer, resamples lose whole sizes or budgets and their
//! percentiles are far too wide or, of a residual kind, too narrow; the profile with Fisher's F keeps
//! its level down to designs of 3 budgets by 5 sizes (`examples/coverage.rs`).

use std::collections::BTreeMap;

use super::profile::{Profile, Profiler};
use crate::conclusion::LOG10_N;
use crate::frontier::ComputeModel;
use crate::laws::ScalingLaw;
use crate::row::Point;
use crate::stats::{Interval, LEAST_RESAMPLES, percentiles, quantile, tail_of};

/// Independent runs for each parameter above which the bootstrap's percentiles are reported.
const PLENTY: usize = 40;

/// A function of theta.
type OfTheta<'a> = Box<dyn Fn(&[f64]) -> f64 + Sync + 'a>;

/// A function of theta whose interval is wanted.
pub(super) struct Quantity<'a> {
    pub name: &'static str,
    /// Where its range ends.
    bounds: (f64, f64),
    /// Whether `of` is its logarithm: a coefficient may be of any magnitude.
    is_ln: bool,
    of: OfTheta<'a>,
}

impl Quantity<'_> {
    fn value(&self, raw: f64) -> f64 {
        if self.is_ln { raw.exp() } else { raw }
    }
}

/// Every parameter of the law, and of its frontier at `ln_c` where it has one.
pub(super) fn quantities<'a>(
    law: &'a dyn ScalingLaw,
    centre: &'a Point,
    compute: &'a ComputeModel,
    ln_c: f64,
    smallest_loss: f64,
) -> Vec<Quantity<'a>> {
    const ANY: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
    let mut all = Vec::new();
    for (idx, &name) in law.param_names().iter().enumerate() {
        let axis = law.axes().iter().find(|axis| axis.name == name && !axis.in_losses);
        let is_floor = name == "E" || name == "c";
        let is_position = name == "d";
        let bounds = match axis {
            Some(axis) if !is_position => (axis.low, axis.high),
            // Above the smallest loss a floor is refuted by that row.
            _ if is_floor => (0.0, smallest_loss),
            _ if is_position => (0.0, f64::INFINITY),
            _ => ANY,
        };
        let is_ln = axis.is_none() && !is_floor;
        let of = move |theta: &[f64]| {
            let value = law.params(theta, centre)[idx];
            if is_ln { value.ln() } else { value }
        };
        all.push(Quantity { name, bounds, is_ln, of: Box::new(of) });
    }
    let optimum = move |theta: &[f64]| {
        law.trade_off(&law.params(theta, centre)).and_then(|law| compute.optimum(&law, ln_c))
    };
    let kappa = compute.kappa;
    let frontier: [(&'static str, (f64, f64), OfTheta); 3] = [
        ("a", (0.0, 1.0 / kappa), Box::new(move |theta| optimum(theta).map_or(f64::NAN, |found| found.0))),
        (
            "b",
            (0.0, 1.0),
            Box::new(move |theta| optimum(theta).map_or(f64::NAN, |found| 1.0 - kappa * found.0)),
        ),
        (
            LOG10_N,
            ANY,
            Box::new(move |theta| optimum(theta).map_or(f64::NAN, |found| found.1 / std::f64::consts::LN_10)),
        ),
    ];
    for (name, bounds, of) in frontier {
        all.push(Quantity { name, bounds, is_ln: false, of });
    }
    all
}

/// What intervals are computed from.
pub(super) struct Evidence<'a> {
    pub level: f64,
    pub n_units: usize,
    pub n_params: usize,
    /// What was resampled, in words.
    pub what: &'static str,
    /// Theta of the fit that is reported.
    pub theta: &'a [f64],
    /// Theta of each resample.
    pub resamples: &'a [Vec<f64>],
    pub profiler: Option<&'a Profiler<'a>>,
}

/// Intervals of one kind by name, and what could not be bounded.
#[derive(Default)]
pub(super) struct Intervals {
    pub reported: BTreeMap<String, Interval>,
    pub profiles: BTreeMap<String, Interval>,
    /// Names of quantities whose profile does not end, or ends at a bound of the search.
    pub unbounded: Vec<&'static str>,
    /// Quantities that the rows do not constrain: the profile reaches from bound to bound.
    pub unknown: Vec<&'static str>,
    /// Quantities whose reported value lies outside the profile: the robust fit and the least-squares
    /// fit differ by more than noise.
    pub disagrees_with_robust_fit: Vec<&'static str>,
}

impl Evidence<'_> {
    /// Whether the bootstrap is reported.
    pub fn is_plenty(&self) -> bool {
        self.resamples.len() >= LEAST_RESAMPLES && self.n_units >= PLENTY * self.n_params
    }

    /// Intervals of all quantities.
    pub fn intervals(&self, quantities: &[Quantity]) -> Intervals {
        let mut found = Intervals::default();
        for quantity in quantities {
            let name = quantity.name.to_owned();
            let point = (quantity.of)(self.theta);
            if !point.is_finite() {
                continue;
            }
            let profile = self.profile(quantity, point, &mut found);
            let reported = if self.is_plenty() { self.percentiles(quantity) } else { profile.clone() };
            if let Some(interval) = reported {
                found.reported.insert(name.clone(), interval);
            }
            if let Some(interval) = profile {
                found.profiles.insert(name, interval);
            }
        }
        found
    }

    fn profile(&self, quantity: &Quantity, point: f64, found: &mut Intervals) -> Option<Interval> {
        let profiler = self.profiler?;
        let Profile { low, high, .. } = profiler.interval(&*quantity.of, quantity.bounds, self.level)?;
        // A floor of zero is no failure to bound it.
        let at_low = low.is_none_or(|low| low <= quantity.bounds.0 && quantity.bounds.0 > 0.0);
        let at_high = high.is_none_or(|high| high >= quantity.bounds.1);
        if at_low || at_high {
            found.unbounded.push(quantity.name);
        }
        if at_low && at_high && !quantity.is_ln {
            found.unknown.push(quantity.name);
        }
        let mut method = format!("profile likelihood over {}, Fisher's F", profiler.what());
        let (low, high) = (low?, high?);
        let disagrees = point < low || point > high;
        let (mut low, mut high) = (quantity.value(low.min(point)), quantity.value(high.max(point)));
        if disagrees {
            found.disagrees_with_robust_fit.push(quantity.name);
            // Outliers, or another form: the reported fit's own spread counts as well.
            if let Some(own) = self.percentiles(quantity) {
                (low, high) = (low.min(own.low), high.max(own.high));
                method += ", and the bootstrap of the reported fit";
            }
        }
        (low.is_finite() && high.is_finite()).then_some(Interval {
            low,
            high,
            level: self.level,
            method,
            resamples: 0,
        })
    }

    /// Percentiles of the resamples, the tails moved outwards for the number of units: a bootstrap's
    /// spread is too small by `√((n − p)/n)` and has normal tails where Student's are due (Hesterberg
    /// 2015, arXiv:1411.5279, section 4.4.3). At 240 rows this is 1 % of the width.
    fn percentiles(&self, quantity: &Quantity) -> Option<Interval> {
        let values = self.resamples.iter().map(|theta| quantity.value((quantity.of)(theta))).collect();
        let (n, p) = (self.n_units as f64, self.n_params as f64);
        let df = (n - p).max(1.0);
        let t = quantile::student(tail_of(self.level), df);
        let found = percentiles(values, quantile::normal_cdf(t * (n / df).sqrt()))?;
        Some(Interval {
            low: found.low,
            high: found.high,
            level: self.level,
            method: format!("bootstrap over {}, expanded percentiles", self.what),
            resamples: found.n,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::LOG10_N;
    use crate::spec::FitSpec;
    use crate::testing::isoflop_sweep;

    /// The study is `examples/coverage.rs`; this is its shadow, for a change that breaks the intervals.
    #[test]
    fn intervals_of_simulated_sweeps_hold_the_truth_at_their_level() {
        let law = "chinchilla:E=1.8172,A=2000,B=400,alpha=0.45,beta=0.28,noise=0.01";
        let truth = crate::parse_law_with_params(law).unwrap();
        let budgets =
            |n: i32| (0..n).map(|i| 1e16 * 10f64.powf(3.0 * f64::from(i) / f64::from(n - 1))).collect();
        for (n_budgets, n_sizes, n_seeds) in [(3, 5, 1), (4, 5, 2), (5, 7, 3)] {
            let budgets: Vec<f64> = budgets(n_budgets);
            let design = isoflop_sweep(law, &budgets, n_sizes, n_seeds, 0);
            let found =
                crate::power(&design, &truth, 200, &FitSpec { bootstrap: 0, ..FitSpec::new() }).unwrap();
            for name in ["alpha", "beta", "a", LOG10_N] {
                let coverage = found.expected[name].coverage.unwrap();
                // Of 100 draws at 95 %, fewer than 88 or all 100 come by chance once in 300 times each.
                assert!(
                    (0.88..1.0).contains(&coverage),
                    "{n_budgets}x{n_sizes}x{n_seeds} {name}: {coverage}"
                );
            }
        }
    }
}
