//! Chooses among laws by rolling back-tests inside the rows given: which one predicted larger compute best
//! from smaller. Rows that evaluate a choice take no part in it.

use rayon::prelude::*;
use scalelaw_schema::table::LossTable;

use super::backtest::{self, Test};
use super::identify;
use crate::conclusion::{Choice, LawBacktest};
use crate::laws::{self, ScalingLaw};
use crate::objective::Objective;
use crate::row::Rows;
use crate::stats::quantile;

/// Origins below which laws are not averaged: the weights would be noise.
const LEAST_ORIGINS: usize = 3;
/// Most rounds of the search for weights, should it not converge before.
const MOST_ROUNDS: usize = 2000;

/// Laws that the rows identify, the best first, with how they did, and how to average them.
pub(crate) struct Ranking {
    pub laws: Vec<&'static dyn ScalingLaw>,
    pub choice: Choice,
    /// Laws with their weights, and the tests of their average; the best law alone where too few
    /// origins can be compared. Empty where no law can be fitted.
    pub average: Vec<(&'static dyn ScalingLaw, f64)>,
    /// Back-tests of the average, each origin predicted by weights of the others.
    pub average_tests: Vec<Test>,
}

/// Ranks every law of [`laws::ALL`].
pub(crate) fn rank(table: &LossTable, objective: Objective) -> Ranking {
    let rows = Rows::of(table);
    let candidates: Vec<&'static dyn ScalingLaw> =
        laws::ALL.iter().copied().filter(|law| identify::check(*law, &rows).is_ok()).collect();
    let tested: Vec<(&'static dyn ScalingLaw, Vec<Test>)> =
        candidates.par_iter().map(|law| (*law, backtest::tests(*law, &rows, objective))).collect();
    let scores = scores(&tested);
    let mut order: Vec<usize> = (0..tested.len()).collect();
    // Untested laws last, in the order of the list.
    order.sort_by(|&x, &y| {
        let score = |idx: usize| scores[idx].unwrap_or(f64::INFINITY);
        score(x).total_cmp(&score(y))
    });
    let tested: Vec<(&'static dyn ScalingLaw, Vec<Test>)> =
        order.iter().map(|&idx| tested[idx].clone()).collect();
    let backtests = tested
        .iter()
        .filter_map(|(law, tests)| {
            let are = backtest::mean_error(tests)?;
            Some(LawBacktest { law: law.name().into(), predictions: tests.len(), are })
        })
        .collect();
    let (average, average_tests) = average(&tested);
    let method = match (scores.iter().any(Option::is_some), average.len() > 1) {
        (true, true) => {
            "rolling back-tests: rows of less compute predict those of more; the law is the one of least error, \
             predictions and held-out errors are of the average with these weights"
        }
        (true, false) => "rolling back-tests: rows of less compute predict those of more",
        (false, _) => "the order of the list: too few rows for back-tests",
    };
    let weights = average.iter().map(|(law, weight)| (law.name().to_owned(), *weight)).collect();
    Ranking {
        laws: tested.iter().map(|(law, _)| *law).collect(),
        choice: Choice { method: method.into(), backtests, weights },
        average,
        average_tests,
    }
}

/// Weights of the average of log predictions with the least squared error of the back-tests, none
/// negative and of sum one (stacking: Breiman 1996, Machine Learning 24), and the tests of the average.
///
/// Each origin weighs the same, in units of the best law's error there. Nothing is tuned: laws that err
/// to opposite sides get weights by which their errors cancel.
fn average(
    tested: &[(&'static dyn ScalingLaw, Vec<Test>)],
) -> (Vec<(&'static dyn ScalingLaw, f64)>, Vec<Test>) {
    let Some((best, best_tests)) = tested.first() else { return (Vec::new(), Vec::new()) };
    let alone = (vec![(*best, 1.0)], best_tests.clone());
    let key = |test: &Test| (test.origin, test.row);
    // Laws that predicted all that the best law did; one of two with equal predictions.
    let mut laws: Vec<(&'static dyn ScalingLaw, Vec<Test>)> = Vec::new();
    for (law, tests) in tested {
        let found: Vec<Test> = best_tests
            .iter()
            .filter_map(|best| tests.iter().find(|test| key(test) == key(best)).copied())
            .collect();
        let is_same =
            |other: &[Test]| other.iter().zip(&found).all(|(x, y)| (x.error - y.error).abs() < 1e-6);
        if found.len() == best_tests.len() && !laws.iter().any(|(_, other)| is_same(other)) {
            laws.push((*law, found));
        }
    }
    let mut origins: Vec<usize> = best_tests.iter().map(|test| test.origin).collect();
    origins.dedup();
    if origins.len() < LEAST_ORIGINS || laws.len() < 2 {
        return alone;
    }
    let errors: Vec<&[Test]> = laws.iter().map(|(_, tests)| tests.as_slice()).collect();
    let weights = stack(&errors, &origins);
    let mut average_tests = Vec::new();
    for origin in &origins {
        let others: Vec<usize> = origins.iter().copied().filter(|other| other != origin).collect();
        let weights = stack(&errors, &others);
        for (idx, test) in best_tests.iter().enumerate().filter(|(_, test)| test.origin == *origin) {
            let sum = |get: fn(&Test) -> f64| {
                weights.iter().zip(&errors).map(|(w, tests)| w * get(&tests[idx])).sum()
            };
            average_tests.push(Test { error: sum(|test| test.error), sd: sum(|test| test.sd), ..*test });
        }
    }
    let average = laws.iter().zip(&weights).map(|((law, _), weight)| (*law, *weight));
    // A share below this moves no prediction.
    let kept: Vec<(&'static dyn ScalingLaw, f64)> = average.filter(|(_, weight)| *weight > 1e-3).collect();
    let sum: f64 = kept.iter().map(|(_, weight)| weight).sum();
    (kept.into_iter().map(|(law, weight)| (law, weight / sum)).collect(), average_tests)
}

/// The weights, by exact steps that move weight between two laws until none lowers the error.
fn stack(errors: &[&[Test]], origins: &[usize]) -> Vec<f64> {
    let k = errors.len();
    let mut gram = vec![vec![0.0; k]; k];
    for origin in origins {
        let at: Vec<usize> = (0..errors[0].len()).filter(|&idx| errors[0][idx].origin == *origin).collect();
        let mean = |tests: &[Test]| {
            at.iter().map(|&idx| tests[idx].error.abs()).sum::<f64>() / at.len().max(1) as f64
        };
        let unit = errors.iter().map(|tests| mean(tests)).fold(f64::INFINITY, f64::min).max(1e-12);
        for i in 0..k {
            for j in 0..k {
                let product: f64 = at.iter().map(|&idx| errors[i][idx].error * errors[j][idx].error).sum();
                gram[i][j] += product / (unit * unit * at.len().max(1) as f64);
            }
        }
    }
    let mut weights = vec![1.0 / k as f64; k];
    for _ in 0..MOST_ROUNDS {
        let mut moved = 0.0_f64;
        for i in 0..k {
            for j in 0..i {
                let slope = |x: usize| (0..k).map(|y| gram[x][y] * weights[y]).sum::<f64>();
                let curvature = gram[i][i] + gram[j][j] - 2.0 * gram[i][j];
                if curvature.is_nan() || curvature <= 1e-12 * (gram[i][i] + gram[j][j]) {
                    continue;
                }
                let step = ((slope(j) - slope(i)) / curvature).clamp(-weights[i], weights[j]);
                weights[i] += step;
                weights[j] -= step;
                moved = moved.max(step.abs());
            }
        }
        if moved < 1e-9 {
            break;
        }
    }
    weights
}

/// Mean over origins of ln(error / the median law's error there): an origin that is hard for all laws
/// decides no more than another, and a law that cannot be fitted at an early one is not favoured.
fn scores(tested: &[(&'static dyn ScalingLaw, Vec<Test>)]) -> Vec<Option<f64>> {
    let errors: Vec<Vec<(usize, f64)>> = tested.iter().map(|(_, tests)| by_origin(tests)).collect();
    let typical = |origin: usize| {
        let at: Vec<f64> =
            errors.iter().flatten().filter(|found| found.0 == origin).map(|found| found.1).collect();
        quantile::median(&at)
    };
    errors
        .iter()
        .map(|origins| {
            let ratios: Vec<f64> = origins
                .iter()
                .filter_map(|(origin, error)| Some((error.max(1e-12) / typical(*origin)?.max(1e-12)).ln()))
                .collect();
            (!ratios.is_empty()).then(|| ratios.iter().sum::<f64>() / ratios.len() as f64)
        })
        .collect()
}

/// Mean absolute error of ln loss at each origin.
fn by_origin(tests: &[Test]) -> Vec<(usize, f64)> {
    let mut found: Vec<(usize, f64, f64)> = Vec::new();
    for test in tests {
        match found.last_mut() {
            Some(last) if last.0 == test.origin => {
                last.1 += test.error.abs();
                last.2 += 1.0;
            }
            _ => found.push((test.origin, test.error.abs(), 1.0)),
        }
    }
    found.into_iter().map(|(origin, sum, count)| (origin, sum / count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tests(errors: &[f64]) -> Vec<Test> {
        let test =
            |(row, error): (usize, &f64)| Test { origin: row / 2, row, error: *error, sd: 1.0, decades: 0.1 };
        errors.iter().enumerate().map(test).collect()
    }

    #[test]
    fn errors_to_opposite_sides_cancel() {
        let (high, low, bad) = (
            tests(&[0.1, 0.1, 0.1, 0.1, 0.1, 0.1]),
            tests(&[-0.3, -0.3, -0.3, -0.3, -0.3, -0.3]),
            tests(&[2.0, -2.0, 2.0, -2.0, 2.0, -2.0]),
        );
        let weights = stack(&[&high, &low, &bad], &[0, 1, 2]);
        for (found, expected) in weights.iter().zip([0.75, 0.25, 0.0]) {
            assert!((found - expected).abs() < 1e-6, "{weights:?}");
        }
    }
}
