//! A fitted law as a surface: the loss at any N and D, and the band of its resamples there.

use scalelaw_fit::ComputeModel;
use scalelaw_fit::Point;
use scalelaw_fit::conclusion::Fit;
use scalelaw_fit::laws::{ScalingLaw, Variable, law};
use scalelaw_fit::stats::{percentiles, tail_of};

/// A fit with its law looked up, ready to be evaluated at many points.
pub struct Surface<'a> {
    /// The fit.
    pub fit: &'a Fit,
    pub(crate) law: &'static dyn ScalingLaw,
    pub(crate) compute: Option<ComputeModel>,
    /// Fitted parameters in the law's order.
    pub(crate) params: Vec<f64>,
    /// Resampled parameters in the law's order.
    pub(crate) resamples: Vec<Vec<f64>>,
}

impl<'a> Surface<'a> {
    /// None where the law is not one of `fit`'s, lacks a parameter, or needs more than N, D and C.
    pub fn new(fit: &'a Fit) -> Option<Surface<'a>> {
        let law = law(&fit.law)?;
        let compute = compute_model(fit);
        // Of distinct tokens (U) nothing need be known: where no row says otherwise, data is fresh.
        let is_given = |variable: &Variable| {
            matches!(variable, Variable::N | Variable::D | Variable::U)
                || (*variable == Variable::C && compute.is_some())
        };
        if !law.variables().iter().all(is_given) {
            return None;
        }
        let order: Vec<usize> = law
            .param_names()
            .iter()
            .map(|name| fit.params.keys().position(|key| key == name))
            .collect::<Option<_>>()?;
        let in_order = |theta: &[f64]| -> Option<Vec<f64>> {
            order.iter().map(|idx| theta.get(*idx).copied()).collect()
        };
        let params = in_order(&fit.params.values().copied().collect::<Vec<f64>>())?;
        let resamples = fit.resamples.iter().filter_map(|theta| in_order(theta)).collect();
        Some(Surface { fit, law, compute, params, resamples })
    }

    /// Fitted loss of `n` parameters on `d` fresh tokens, nats per token.
    pub fn loss(&self, n: f64, d: f64) -> Option<f64> {
        Some(self.law.loss(&self.params, &self.point(n, d))).filter(|loss| loss.is_finite())
    }

    /// The middle `level` of the resamples' losses: where the law lies, not where a single run would.
    pub fn band(&self, n: f64, d: f64, level: f64) -> Option<(f64, f64)> {
        let point = self.point(n, d);
        self.middle(self.resamples.iter().map(|params| self.law.loss(params, &point)).collect(), level)
    }

    /// Ends of the middle `level` of `values`, one per resample; none for too few of them.
    pub(crate) fn middle(&self, values: Vec<f64>, level: f64) -> Option<(f64, f64)> {
        percentiles(values, self.tail(level)).map(|found| (found.low, found.high))
    }

    /// Share of the resamples that the fit itself left below an interval of this level.
    ///
    /// A fit may take its ends further out than `(1 − level)/2`, to make up for few runs. Its share is
    /// read off one of its intervals, so that bands and intervals of one report mean the same. Where the
    /// fit's intervals are not from resamples, the share is the plain one.
    fn tail(&self, level: f64) -> f64 {
        let plain = tail_of(level);
        let resampled = self.fit.intervals.iter().filter(|(_, interval)| interval.resamples > 0);
        let found = resampled.into_iter().find_map(|(name, interval)| {
            let place = self.fit.params.keys().position(|key| key == name)?;
            let mut values: Vec<f64> =
                self.fit.resamples.iter().filter_map(|theta| theta.get(place).copied()).collect();
            values.sort_by(f64::total_cmp);
            let above = values.partition_point(|x| *x < interval.low);
            let (below, last) = (above.checked_sub(1)?, values.len().checked_sub(1)?);
            let (low, high) = (values[below], *values.get(above)?);
            let share = if high > low { (interval.low - low) / (high - low) } else { 0.0 };
            ((interval.level - level).abs() < 1e-9).then_some((below as f64 + share) / last as f64)
        });
        found.filter(|tail| *tail < plain).unwrap_or(plain)
    }

    pub(crate) fn point(&self, n: f64, d: f64) -> Point {
        match &self.compute {
            Some(compute) => compute.point(n, d),
            // No law that comes here looks at C.
            None => Point::new(n, d, n * d),
        }
    }
}

/// How C follows from N and D in the fitted table: as the fit says, else as its frontier implies.
fn compute_model(fit: &Fit) -> Option<ComputeModel> {
    let diagnostics = fit.diagnostics.as_ref();
    let told = diagnostics.and_then(|found| found.compute_k.zip(found.compute_kappa));
    if let Some((k, kappa)) = told {
        return Some(ComputeModel { ln_k: k.ln(), kappa });
    }
    // With N* = p·C^a, D* = q·C^b and C = k·N^kappa·D: b = 1 − kappa·a and 1 = k·p^kappa·q.
    let frontier = fit.optimum.as_ref()?;
    let kappa = (1.0 - frontier.b) / frontier.a;
    let ln_k = -kappa * frontier.n_coefficient.ln() - frontier.d_coefficient.ln();
    (kappa.is_finite() && ln_k.is_finite()).then_some(ComputeModel { ln_k, kappa })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::testing::fit;

    #[test]
    fn the_surface_is_the_law() {
        let fit = fit(Vec::new());
        let found = Surface::new(&fit).unwrap().loss(1e6, 1e8).unwrap();
        let by_hand = 1.8172 + 482.01 / 1e6_f64.powf(0.3478) + 2085.43 / 1e8_f64.powf(0.3658);
        assert!((found - by_hand).abs() < 1e-12, "{found}, by hand {by_hand}");
    }

    #[test]
    fn the_compute_model_follows_from_the_frontier() {
        let compute = compute_model(&fit(Vec::new())).unwrap();
        assert!(
            (compute.kappa - 1.0).abs() < 1e-12 && (compute.ln_k.exp() - 6.0).abs() < 1e-9,
            "{compute:?}"
        );
    }

    #[test]
    fn bands_leave_out_as_many_resamples_as_the_fits_intervals() {
        // 101 resamples of E in equal steps: the loss of each is known up to a constant.
        let resamples =
            (0..=100).map(|i| vec![482.01, 2085.43, 1.0 + f64::from(i) / 100.0, 0.3478, 0.3658]).collect();
        let mut fit = fit(resamples);
        let base = 482.01 / 1e6_f64.powf(0.3478) + 2085.43 / 1e8_f64.powf(0.3658) + 1.0;
        let mut check = |low: f64, expected: f64| {
            let interval = scalelaw_fit::conclusion::Interval {
                low,
                high: 1.95,
                level: 0.9,
                method: "by hand".to_string(),
                resamples: 101,
            };
            fit.intervals = [("E".to_string(), interval)].into();
            let (found, _) = Surface::new(&fit).unwrap().band(1e6, 1e8, 0.9).unwrap();
            assert!((found - base - expected).abs() < 1e-9, "{low}: {found}");
        };
        check(1.05, 0.05);
        check(1.013, 0.013);
        // An interval narrower than its level says would be a mistake: the plain share is kept.
        check(1.2, 0.05);
    }

    #[test]
    fn a_law_that_is_not_known_is_no_surface() {
        let mut unknown = fit(Vec::new());
        unknown.law = "mystery".to_string();
        assert!(Surface::new(&unknown).is_none());
    }
}
