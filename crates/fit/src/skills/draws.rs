//! An estimate with its draws under the runs' noise: intervals with Student's tails, and p-values that
//! agree with them.

use crate::conclusion::Interval;
use crate::quantile;

/// Fewer draws do not show the ends of an interval.
pub(crate) const LEAST_DRAWS: usize = 100;

/// A number that the runs' noise moves.
#[derive(Debug, Clone)]
pub(crate) struct Draws {
    /// From the losses as measured.
    pub estimate: f64,
    /// From each draw of the noise, in the order of the draws; not a number where a draw has none.
    drawn: Vec<f64>,
    /// The finite ones of them, rising.
    sorted: Vec<f64>,
    /// Residual degrees of freedom of the noise; without one there is no interval.
    pub df: f64,
    /// Ends of the numbers that are possible.
    range: (f64, f64),
    /// What was drawn, in words.
    method: &'static str,
}

impl Draws {
    pub fn new(estimate: f64, draws: impl IntoIterator<Item = f64>, df: f64, method: &'static str) -> Self {
        let drawn: Vec<f64> = draws.into_iter().collect();
        let mut sorted: Vec<f64> = drawn.iter().copied().filter(|x| x.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        Self { estimate, drawn, sorted, df, range: (f64::NEG_INFINITY, f64::INFINITY), method }
    }

    /// The same, no interval of which reaches beyond `low` and `high`.
    pub fn within(self, low: f64, high: f64) -> Self {
        Self { range: (low, high), ..self }
    }

    /// This less `other`, draw by draw: what both have in common cancels.
    pub fn less(&self, other: &Self) -> Self {
        let drawn = self.drawn.iter().zip(&other.drawn).map(|(x, y)| x - y);
        Self::new(self.estimate - other.estimate, drawn, self.df.min(other.df), self.method)
    }

    /// The mean of several, draw by draw; absent where there are none.
    pub fn mean(all: &[&Self], df: f64) -> Option<Self> {
        let first = all.first()?;
        let n = all.len() as f64;
        let estimate = all.iter().map(|draws| draws.estimate).sum::<f64>() / n;
        // A budget without noise of its own leaves the mean without an interval.
        let n_draws = all.iter().map(|draws| draws.drawn.len()).min()?;
        let drawn = (0..n_draws).map(|draw| all.iter().map(|draws| draws.drawn[draw]).sum::<f64>() / n);
        Some(Self::new(estimate, drawn, df, first.method))
    }

    /// Percentiles of the draws, their distances from the estimate stretched from the normal's quantile to
    /// that of Student's t: the noise is known from the residuals alone.
    pub fn interval(&self, level: f64) -> Option<Interval> {
        if self.df < 1.0 || self.sorted.len() < LEAST_DRAWS || !self.estimate.is_finite() {
            return None;
        }
        let tail = 0.5 * (1.0 - level);
        let stretch = quantile::student(1.0 - tail, self.df) / quantile::normal(1.0 - tail);
        let end = |p: f64| {
            let drawn = quantile::of_sorted(&self.sorted, p)?;
            let end = self.estimate + stretch * (drawn - self.estimate);
            Some(end.clamp(self.range.0, self.range.1))
        };
        let (low, high) = (end(tail)?.min(self.estimate), end(1.0 - tail)?.max(self.estimate));
        let method = format!("{}, percentiles with Student's tails", self.method);
        (low.is_finite() && high.is_finite()).then_some(Interval {
            low,
            high,
            level,
            method,
            resamples: self.sorted.len(),
        })
    }

    /// One less the level of the narrowest interval that holds zero; not below what the draws can show.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bootstrap::stream;
    use crate::simulate::standard_normal;

    fn normal(mean: f64, sd: f64, df: f64) -> Draws {
        let mut rng = stream(3, 0);
        Draws::new(mean, (0..200_000).map(|_| mean + sd * standard_normal(&mut rng)), df, "by hand")
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
    fn an_interval_stays_inside_of_what_is_possible() {
        let interval = normal(0.9, 0.5, 10.0).within(0.0, 1.0).interval(0.95).unwrap();
        assert_eq!((interval.low, interval.high), (0.0, 1.0));
    }
}
