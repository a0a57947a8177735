//! An estimate with its draws under the runs' noise: intervals with Student's tails, and p-values that
//! agree with them.

use std::sync::Arc;

use scalelaw_fit::conclusion::Interval;
use scalelaw_fit::stats::{quantile, tail_of};

/// Fewer draws do not resolve the ends of an interval.
pub(crate) const LEAST_DRAWS: usize = 100;

/// The normal number of each draw and run.
pub(crate) type Gaussians = Vec<Vec<f64>>;

/// An estimate with its draws under the runs' noise.
#[derive(Debug, Clone)]
pub(crate) struct Draws {
    /// From the losses as measured.
    pub estimate: f64,
    /// From each draw of the noise, in the order of the draws; not a number where a draw has none.
    drawn: Vec<f64>,
    /// The finite ones of them, rising.
    sorted: Vec<f64>,
    /// Runs less parameters; without one there is no interval.
    df: f64,
    /// Degrees of freedom of the draws' variance; at most `df`.
    effective: f64,
    /// The random numbers behind the draws.
    gaussians: Arc<Gaussians>,
    /// Range of possible values.
    range: (f64, f64),
    /// What was drawn, in words.
    method: &'static str,
}

impl Draws {
    /// `df` is the number of runs less the parameters fitted to them.
    pub fn new(
        estimate: f64,
        draws: impl IntoIterator<Item = f64>,
        df: f64,
        gaussians: &Arc<Gaussians>,
        method: &'static str,
    ) -> Self {
        let drawn: Vec<f64> = draws.into_iter().collect();
        let mut sorted: Vec<f64> = drawn.iter().copied().filter(|x| x.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let effective = satterthwaite(&drawn, gaussians).map_or(df, |effective| effective.min(df));
        let range = (f64::NEG_INFINITY, f64::INFINITY);
        Self { estimate, drawn, sorted, df, effective, gaussians: gaussians.clone(), range, method }
    }

    /// Runs less parameters.
    pub fn df(&self) -> f64 {
        self.df
    }

    /// The same with intervals clipped to `low` and `high`.
    pub fn within(self, low: f64, high: f64) -> Self {
        Self { range: (low, high), ..self }
    }

    /// This less `other`, draw by draw: what both have in common cancels.
    pub fn less(&self, other: &Self) -> Self {
        let drawn = self.drawn.iter().zip(&other.drawn).map(|(x, y)| x - y);
        Self::new(self.estimate - other.estimate, drawn, self.df.min(other.df), &self.gaussians, self.method)
    }

    /// The mean of several, draw by draw; absent where there are none.
    pub fn mean(all: &[&Self], df: f64) -> Option<Self> {
        Self::weighted(all, &vec![1.0 / all.len() as f64; all.len()], df)
    }

    /// The sum of several, each times its factor, draw by draw; absent where there are none.
    pub fn weighted(all: &[&Self], factors: &[f64], df: f64) -> Option<Self> {
        let first = all.first()?;
        let sum = |of: &dyn Fn(&Self) -> f64| all.iter().zip(factors).map(|(x, factor)| factor * of(x)).sum();
        // A part without noise of its own leaves the sum without an interval.
        let n_draws = all.iter().map(|draws| draws.drawn.len()).min()?;
        let drawn = (0..n_draws).map(|draw| sum(&|draws| draws.drawn[draw]));
        Some(Self::new(sum(&|draws| draws.estimate), drawn, df, &first.gaussians, first.method))
    }

    /// Percentiles of the draws, their distances from the estimate stretched from the normal's quantile to
    /// that of Student's t: the noise is known from the residuals alone, and mostly from those of the runs
    /// with the most influence.
    pub fn interval(&self, level: f64) -> Option<Interval> {
        if self.df < 1.0 || self.sorted.len() < LEAST_DRAWS || !self.estimate.is_finite() {
            return None;
        }
        let tail = tail_of(level);
        let stretch = quantile::student(1.0 - tail, self.effective) / quantile::normal(1.0 - tail);
        let (low, high) = quantile::between_tails(&self.sorted, tail)?;
        let end = |drawn: f64| {
            (self.estimate + stretch * (drawn - self.estimate)).clamp(self.range.0, self.range.1)
        };
        let (low, high) = (end(low).min(self.estimate), end(high).max(self.estimate));
        let method = format!("{}, percentiles with Student's tails", self.method);
        (low.is_finite() && high.is_finite()).then_some(Interval {
            low,
            high,
            level,
            method,
            resamples: self.sorted.len(),
        })
    }

    /// One less the level of the narrowest interval that holds zero; not below one over the draws.
    pub fn p_value(&self) -> Option<f64> {
        self.interval(0.5)?;
        let holds_zero = |p: f64| self.interval(1.0 - p).is_none_or(|i| i.low <= 0.0 && 0.0 <= i.high);
        let (mut inside, mut outside) = (1.0 / self.sorted.len() as f64, 1.0);
        if !holds_zero(inside) {
            return Some(inside);
        }
        for _ in 0..40 {
            let middle = 0.5 * (inside + outside);
            if holds_zero(middle) { inside = middle } else { outside = middle }
        }
        Some(inside)
    }
}

/// Degrees of freedom of the variance `Σ u_i²`, u_i the share of run i in the draws, by Satterthwaite's rule
/// (1946, Biometrics Bulletin 2(6)): twice its square over its own variance, which is `⅔ Σ u_i⁴` for normal
/// noise. A wild bootstrap takes each run's variance from its own residual, so where few runs dominate an
/// estimate its variance is known less well than runs less parameters would suggest (Bell and McCaffrey 2002,
/// Survey Methodology 28(2)). `None` without draws.
fn satterthwaite(drawn: &[f64], gaussians: &Gaussians) -> Option<f64> {
    let kept: Vec<(f64, &Vec<f64>)> =
        drawn.iter().copied().zip(gaussians).filter(|(x, _)| x.is_finite()).collect();
    let n = kept.len() as f64;
    let n_runs = kept.first()?.1.len();
    let mean = kept.iter().map(|(x, _)| x).sum::<f64>() / n;
    let mut shares = vec![0.0; n_runs];
    for (x, gaussians) in &kept {
        for (share, g) in shares.iter_mut().zip(*gaussians) {
            *share += (x - mean) * g / n;
        }
    }
    let squares: f64 = shares.iter().map(|u| u * u).sum();
    let fourths: f64 = shares.iter().map(|u| u.powi(4)).sum();
    (fourths > 0.0).then(|| (3.0 * squares * squares / fourths).max(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use scalelaw_fit::stats::standard_normal;
    use scalelaw_fit::stats::stream;

    fn normal(mean: f64, sd: f64, df: f64) -> Draws {
        let mut rng = stream(3, 0);
        let drawn = (0..200_000).map(|_| mean + sd * standard_normal(&mut rng));
        Draws::new(mean, drawn, df, &Arc::default(), "by hand")
    }

    #[test]
    fn normal_draws_give_the_interval_of_students_t() {
        let interval = normal(1.0, 0.5, 10.0).interval(0.95).unwrap();
        // t at 0.975 and 10 degrees of freedom is 2.2281; 200,000 draws leave about 0.4 % of a width.
        let by_hand = 0.5 * 2.228_138_9;
        for (found, expected) in [(interval.low, 1.0 - by_hand), (interval.high, 1.0 + by_hand)] {
            assert!((found - expected).abs() < 0.01, "{found}, by hand {expected}");
        }
        assert!(normal(1.0, 0.5, 0.5).interval(0.95).is_none(), "no noise is known without residuals");
    }

    #[test]
    fn the_p_value_agrees_with_the_interval() {
        // With estimate 2.2281 sd and 10 degrees of freedom the 95 % interval ends at zero.
        let p = normal(2.228_138_9, 1.0, 10.0).p_value().unwrap();
        assert!((p - 0.05).abs() < 0.003, "{p}");
        assert!((normal(0.0, 1.0, 10.0).p_value().unwrap() - 1.0).abs() < 0.01);
    }

    #[test]
    fn few_runs_that_decide_leave_few_degrees_of_freedom() {
        let mut rng = stream(4, 0);
        let gaussians: Arc<Gaussians> =
            Arc::new((0..20_000).map(|_| (0..30).map(|_| standard_normal(&mut rng)).collect()).collect());
        // k runs with equal shares: 3·k²/k by hand, cut at runs less parameters.
        for (k, expected) in [(1, 3.0), (4, 12.0), (30, 25.0)] {
            let drawn = gaussians.iter().map(|g| g[..k].iter().sum::<f64>());
            let found = Draws::new(0.0, drawn, 25.0, &gaussians, "by hand").effective;
            assert!((found / expected - 1.0).abs() < 0.1, "{k}: {found}, by hand {expected}");
        }
    }

    #[test]
    fn an_interval_stays_inside_of_what_is_possible() {
        let interval = normal(0.9, 0.5, 10.0).within(0.0, 1.0).interval(0.95).unwrap();
        assert_eq!((interval.low, interval.high), (0.0, 1.0));
    }
}
