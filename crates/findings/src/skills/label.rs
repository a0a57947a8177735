//! Labels: which skills differ from the aggregate, with the chance of any wrong label held down by Holm's
//! procedure.

use super::conclusion::{Approach, Label, Residual};
use super::draws::Draws;
use scalelaw_fit::conclusion::Interval;

/// What Holm's procedure says of one hypothesis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Holm {
    pub is_rejected: bool,
    /// Adjusted p-value.
    pub p: f64,
    /// Level of the interval that excludes zero if and only if the hypothesis is rejected.
    pub level: f64,
}

/// Holm's step-down procedure (1979, Scandinavian Journal of Statistics 6(2)) at a family level.
///
/// The smallest p-value is held against α/m, the next against α/(m − 1), and so on to the first that is
/// not smaller; α = 1 − level. Whatever the skills have in common, and they share all runs, the chance
/// that any label is wrong stays below α; Bonferroni's procedure, which holds all against α/m, labels less.
pub(crate) fn holm(p_values: &[Option<f64>], level: f64) -> Vec<Option<Holm>> {
    let mut order: Vec<(usize, f64)> =
        p_values.iter().enumerate().filter_map(|(idx, p)| Some((idx, (*p)?))).collect();
    order.sort_by(|x, y| x.1.total_cmp(&y.1));
    let alpha = 1.0 - level;
    let mut found = vec![None; p_values.len()];
    let (mut adjusted, mut stopped_at): (f64, Option<f64>) = (0.0, None);
    for (rank, (idx, p)) in order.iter().enumerate() {
        let n_left = (order.len() - rank) as f64;
        adjusted = adjusted.max((p * n_left).min(1.0));
        let is_rejected = stopped_at.is_none() && *p < alpha / n_left;
        if !is_rejected {
            stopped_at.get_or_insert(n_left);
        }
        let divisor = stopped_at.unwrap_or(n_left);
        found[*idx] = Some(Holm { is_rejected, p: adjusted, level: 1.0 - alpha / divisor });
    }
    found
}

/// A skill's pooled residual by the approach that decides, and the other approach's beside it.
pub(crate) struct Evidence<'a> {
    pub by: Approach,
    pub draws: &'a Draws,
    pub other: Option<&'a Residual>,
}

/// A label with its reasons.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Labelled {
    pub label: Label,
    pub interval: Option<Interval>,
    pub p: Option<f64>,
    pub why: String,
}

/// The labels of all skills; `evidence` is absent where a skill has no residual.
pub(crate) fn labels(evidence: &[Option<Evidence>], level: f64) -> Vec<Labelled> {
    let p_values: Vec<Option<f64>> =
        evidence.iter().map(|evidence| evidence.as_ref()?.draws.p_value()).collect();
    let holm = holm(&p_values, level);
    evidence.iter().zip(holm).map(|(evidence, holm)| label(evidence.as_ref(), holm)).collect()
}

fn label(evidence: Option<&Evidence>, holm: Option<Holm>) -> Labelled {
    let undecided =
        |why: &str| Labelled { label: Label::Undecided, interval: None, p: None, why: why.to_owned() };
    let Some(evidence) = evidence else {
        return undecided("no budget shows both optima inside its sizes, or one of them beyond");
    };
    let Some(holm) = holm else {
        return undecided("too few runs to know their noise: the residual has no interval");
    };
    let interval = evidence.draws.interval(holm.level);
    let estimate = evidence.draws.estimate;
    let with = |label, why: String| Labelled { label, interval: interval.clone(), p: Some(holm.p), why };
    if !holm.is_rejected {
        return with(Label::Undecided, "the interval of the ratio includes 1".to_owned());
    }
    let opposed = evidence
        .other
        .and_then(|other| other.interval.as_ref())
        .is_some_and(|interval| if estimate > 0.0 { interval.high < 0.0 } else { interval.low > 0.0 });
    if opposed {
        return with(
            Label::Undecided,
            "the approaches contradict each other: the law and the parabolas lie on different sides of 1"
                .to_owned(),
        );
    }
    if estimate > 0.0 {
        with(Label::CapacityHungry, "the interval of the ratio lies above 1".to_owned())
    } else {
        with(Label::DataHungry, "the interval of the ratio lies below 1".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holms_procedure_gives_his_own_adjusted_values() {
        // By hand: 0.01·4, max(0.04, 0.02·3), max(0.06, 0.03·2), max(0.06, 0.04·1).
        let p = [Some(0.04), None, Some(0.01), Some(0.03), Some(0.02)];
        let found = holm(&p, 0.95);
        let adjusted: Vec<Option<f64>> = found.iter().map(|holm| holm.as_ref().map(|holm| holm.p)).collect();
        for (found, expected) in adjusted.iter().zip([Some(0.06), None, Some(0.04), Some(0.06), Some(0.06)]) {
            assert_eq!(found.is_some(), expected.is_some());
            let far = found.zip(expected).map_or(0.0, |(x, y)| (x - y).abs());
            assert!(far < 1e-12, "{adjusted:?}");
        }
        let rejected: Vec<bool> = found.iter().flatten().map(|holm| holm.is_rejected).collect();
        assert_eq!(rejected, [false, true, false, false]);
        // The one rejected was held against 0.05/4, the others against 0.05/3, where the procedure stopped.
        assert!((found[2].as_ref().unwrap().level - 0.9875).abs() < 1e-12);
        assert!((found[0].as_ref().unwrap().level - (1.0 - 0.05 / 3.0)).abs() < 1e-12);
    }

    #[test]
    fn one_skill_is_held_against_the_plain_level() {
        assert!(holm(&[Some(0.049)], 0.95)[0].as_ref().unwrap().is_rejected);
        assert!(!holm(&[Some(0.051)], 0.95)[0].as_ref().unwrap().is_rejected);
    }

    #[test]
    fn a_label_needs_its_interval_and_no_contradiction() {
        let draws = |estimate: f64| {
            let mut rng = scalelaw_fit::bootstrap::stream(1, 0);
            let drawn: Vec<f64> = (0..2000)
                .map(|_| estimate + 0.1 * scalelaw_fit::simulate::standard_normal(&mut rng))
                .collect();
            Draws::new(estimate, drawn, 30.0, &std::sync::Arc::default(), "by hand")
        };
        let against = Residual {
            log_ratio: -0.5,
            interval: Some(Interval {
                low: -0.9,
                high: -0.1,
                level: 0.95,
                method: "by hand".into(),
                resamples: 0,
            }),
            bound: None,
            n_budgets: 3,
        };
        let check = |estimate: f64, other: Option<&Residual>, expected: Label| {
            let draws = draws(estimate);
            let found = labels(&[Some(Evidence { by: Approach::Surface, draws: &draws, other })], 0.95);
            assert_eq!(found[0].label, expected, "{estimate}: {}", found[0].why);
        };
        check(0.5, None, Label::CapacityHungry);
        check(-0.5, None, Label::DataHungry);
        check(-0.5, Some(&against), Label::DataHungry);
        check(0.05, None, Label::Undecided);
        check(0.5, Some(&against), Label::Undecided);
        assert_eq!(labels(&[None], 0.95)[0].label, Label::Undecided);
    }
}
