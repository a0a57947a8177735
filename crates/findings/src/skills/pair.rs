//! A skill beside the aggregate: residuals of each budget and their mean, by both approaches.

use super::budget::Budget;
use super::conclusion::{Approach, Bound, Edge, Residual, ResidualBy};
use super::draws::Draws;
use super::fitted_text::FittedText;

/// Residuals of one skill by both approaches.
pub(crate) struct Pair {
    pub surface: PairBy,
    pub minima: PairBy,
}

/// By one approach.
pub(crate) struct PairBy {
    /// Residual of each budget and whether it is a bound.
    budgets: Vec<Option<(Draws, Option<Bound>)>>,
    /// Their mean, whether it is a bound, and over how many budgets.
    pub pooled: Option<(Draws, Option<Bound>, usize)>,
}

impl Pair {
    pub fn of(skill: &FittedText, aggregate: &FittedText, budgets: &[Budget]) -> Self {
        let by = |by| PairBy::of(&skill.best(by, budgets), &aggregate.best(by, budgets), budgets, by);
        Self { surface: by(Approach::Surface), minima: by(Approach::Minima) }
    }
}

impl PairBy {
    fn of(skill: &[Option<Draws>], aggregate: &[Option<Draws>], budgets: &[Budget], by: Approach) -> Self {
        let found: Vec<Option<(Draws, Option<Bound>)>> = budgets
            .iter()
            .zip(skill.iter().zip(aggregate))
            .map(|(budget, (skill, aggregate))| {
                let (skill, aggregate) = (skill.as_ref()?, aggregate.as_ref()?);
                if budget.edge(aggregate.estimate).is_some() {
                    return None;
                }
                let bound = budget.edge(skill.estimate).map(|edge| match edge {
                    Edge::Smallest => Bound::AtMost,
                    Edge::Largest => Bound::AtLeast,
                });
                Some((skill.less(aggregate), bound))
            })
            .collect();
        let kept: Vec<&(Draws, Option<Bound>)> = found.iter().flatten().collect();
        let bounds: Vec<Bound> = kept.iter().filter_map(|(_, bound)| *bound).collect();
        let bound = bounds
            .first()
            .map(|first| if bounds.iter().all(|bound| bound == first) { *first } else { Bound::Mixed });
        let draws: Vec<&Draws> = kept.iter().map(|(draws, _)| draws).collect();
        // The law's residuals are of one fit; those of the parabolas add their degrees of freedom.
        let df = match by {
            Approach::Surface => draws.iter().map(|draws| draws.df()).fold(f64::INFINITY, f64::min),
            Approach::Minima => draws.iter().map(|draws| draws.df().max(0.0)).sum(),
        };
        let pooled = Draws::mean(&draws, df).map(|pooled| (pooled, bound, kept.len()));
        Self { budgets: found, pooled }
    }

    pub fn describe(&self, level: f64) -> ResidualBy {
        let residual = |draws: &Draws, bound: Option<Bound>, n_budgets| Residual {
            log_ratio: draws.estimate,
            interval: draws.interval(level),
            bound,
            n_budgets,
        };
        ResidualBy {
            budgets: self
                .budgets
                .iter()
                .map(|found| found.as_ref().map(|(draws, bound)| residual(draws, *bound, 1)))
                .collect(),
            pooled: self.pooled.as_ref().map(|(draws, bound, n)| residual(draws, *bound, *n)),
        }
    }
}
