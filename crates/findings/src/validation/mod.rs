//! The cost of choosing the size by the wrong text: how far N* moves when the aggregate is a different mixture
//! of the validation sets, and the regret of training that size (Roberts et al. 2025, arXiv:2503.10061,
//! section 5).
//!
//! The theory has N* of a mixture between the optima of its sets, so the extremes are single sets; mixtures
//! are fitted all the same, each as a text of its own.

mod answer;
mod regret;

#[cfg(test)]
mod tests;

pub(crate) use answer::answer;
pub use regret::Regret;

use std::collections::BTreeMap;

use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::measure::Measure;
use scalelaw_schema::table::{Counting, ExcludedRow, LossRow, LossTable};
use serde::{Deserialize, Serialize};

use crate::skills::budget::Budget;
use crate::skills::conclusion::{BudgetSizes, TextFit};
use crate::skills::draws::Draws;
use crate::skills::fitted_text::FittedText;
use crate::skills::noise::SharedNoise;
use crate::skills::text_law::TextLaw;
use crate::skills::{SkillSpec, check, refuse};
use regret::regret;
use scalelaw_fit::FitError;
use scalelaw_fit::conclusion::Interval;

/// A mixture of validation sets with its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValidationMix {
    /// Its name.
    pub name: String,
    /// Weight of each set, in the order of the sets; they sum to one.
    pub weights: Vec<f64>,
}

/// The effect of the choice of validation text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ValidationConclusion {
    /// Version of this format.
    pub schema_version: u32,
    /// Where the rows came from.
    pub source: String,
    /// How N and C were counted.
    pub count_rule: Counting,
    /// The validation sets.
    pub sets: Vec<String>,
    /// The budgets, rising.
    pub budgets: Vec<BudgetSizes>,
    /// The mixtures tried: each set alone, each pair in halves, all alike, and those asked for.
    pub mixtures: Vec<ValidationMix>,
    /// Optima of each mixture, in the same order.
    pub texts: Vec<TextFit>,
    /// How far N* moves, one for each budget with two laws or more.
    pub spreads: Vec<Spread>,
    /// What each single set or mixture asked for loses by the size that another chooses.
    pub regrets: Vec<Regret>,
    /// Level of the intervals.
    pub level: f64,
    /// How the numbers are to be read.
    pub notes: Vec<String>,
}

/// How far N* moves over the mixtures at one budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// FLOPs.
    pub budget: f64,
    /// The mixture of the largest N*.
    pub largest: String,
    /// The mixture of the smallest N*.
    pub smallest: String,
    /// `max N* / min N* − 1`.
    pub spread: f64,
    /// Its interval, widened for having chosen the extremes among all pairs of mixtures.
    pub interval: Option<Interval>,
    /// Whether an optimum at the edge of the sizes makes it a lower bound.
    pub is_bound: bool,
}

/// The table of the weighted mean of several losses, over the runs that have them all.
///
/// `parts` pairs each table with its weight; those of weight zero are not read. A run that lacks one of the
/// losses is listed as excluded.
pub fn mixed(parts: &[(&LossTable, f64)], name: &str) -> Option<LossTable> {
    let parts: Vec<&(&LossTable, f64)> = parts.iter().filter(|(_, weight)| *weight > 0.0).collect();
    let (first, others) = parts.split_first()?;
    let others: Vec<(BTreeMap<&str, &LossRow>, f64)> = others
        .iter()
        .map(|(table, weight)| (table.rows.iter().map(|row| (row.name.as_str(), row)).collect(), *weight))
        .collect();
    let sum = first.1 + others.iter().map(|(_, weight)| weight).sum::<f64>();
    let mut table = LossTable {
        loss_name: name.to_owned(),
        measure: Measure::of_user(name),
        rows: Vec::new(),
        ..first.0.clone()
    };
    for row in &first.0.rows {
        let losses: Option<Vec<f64>> = others
            .iter()
            .map(|(rows, weight)| rows.get(row.name.as_str()).map(|row| row.loss * weight))
            .collect();
        match losses {
            Some(losses) => {
                let loss = (row.loss * first.1 + losses.iter().sum::<f64>()) / sum;
                table.rows.push(LossRow { loss, ..row.clone() });
            }
            None => table.excluded.push(ExcludedRow {
                name: row.name.clone(),
                why: format!("it lacks a loss that `{name}` is made of"),
            }),
        }
    }
    Some(table)
}

/// How far the optimum moves with the choice of validation text, and what that costs.
///
/// `sets` hold the same runs under the same names; `asked` are mixtures of interest, such as that of the
/// use in mind.
///
/// # Errors
/// [`FitError::Refused`] with fewer than two sets, without budgets, or where weights do not fit the sets.
pub fn validation(
    sets: &[LossTable],
    asked: &[ValidationMix],
    spec: &SkillSpec,
) -> Result<ValidationConclusion, FitError> {
    let law = check(spec)?;
    if sets.len() < 2 {
        return refuse("with one validation set there is no choice to compare", "name two or more");
    }
    for mix in asked {
        let sum: f64 = mix.weights.iter().sum();
        if mix.weights.len() != sets.len()
            || (sum - 1.0).abs() > 1e-6
            || mix.weights.iter().any(|weight| weight.is_nan() || *weight < 0.0)
        {
            return refuse(
                &format!(
                    "the weights of mixture `{}` are not {} numbers that sum to 1",
                    mix.name,
                    sets.len()
                ),
                "give one weight for each validation set",
            );
        }
    }
    let sets: Vec<LossTable> = sets.iter().map(scalelaw_fit::finite_rows).collect();
    let budgets = Budget::all(&sets[0]);
    if budgets.is_empty() {
        return refuse("no run names a budget", "train a grid of kind `isoflop`");
    }
    let names: Vec<String> = sets.iter().map(|set| set.loss_name.clone()).collect();
    let mixtures = mixtures(&names, asked);
    let tables: Vec<LossTable> = mixtures
        .iter()
        .filter_map(|mix| mixed(&sets.iter().zip(mix.weights.iter().copied()).collect::<Vec<_>>(), &mix.name))
        .collect();
    let all: Vec<&LossTable> = tables.iter().collect();
    let noise = SharedNoise::of(&all, spec.draws, spec.seed);
    let fitted: Vec<FittedText> =
        tables.iter().map(|table| FittedText::of(table, law, &budgets, &noise, spec.level)).collect();
    let laws: Vec<(&str, &TextLaw)> = mixtures
        .iter()
        .zip(&fitted)
        .filter_map(|(mix, text)| Some((mix.name.as_str(), text.law.as_ref().ok()?)))
        .collect();
    // Pairs in halves show how N* moves in between; candidates for the choice are the sets and the mixtures asked for.
    let candidates: Vec<(&str, &TextLaw)> = laws
        .iter()
        .filter(|(name, _)| names.iter().chain(asked.iter().map(|mix| &mix.name)).any(|known| known == name))
        .copied()
        .collect();
    let regrets = budgets
        .iter()
        .flat_map(|budget| {
            candidates
                .iter()
                .flat_map(|target| candidates.iter().map(move |chosen| (*target, *chosen)))
                .filter_map(|(target, chosen)| {
                    (target.0 != chosen.0).then(|| regret(budget, target, chosen, spec.level))?
                })
        })
        .collect();
    Ok(ValidationConclusion {
        schema_version: SCHEMA_VERSION,
        source: sets[0].source.clone(),
        count_rule: sets[0].count_rule,
        budgets: budgets.iter().map(Budget::sizes).collect(),
        spreads: budgets.iter().filter_map(|budget| spread(budget, &laws, spec.level)).collect(),
        texts: tables
            .iter()
            .zip(&fitted)
            .map(|(table, text)| text.describe(table, &budgets, spec.level))
            .collect(),
        sets: names,
        mixtures: mixtures.clone(),
        regrets,
        level: spec.level,
        notes: notes(laws.len()),
    })
}

fn notes(n_texts: usize) -> Vec<String> {
    let n_pairs = n_texts * n_texts.saturating_sub(1) / 2;
    vec![
        format!(
            "the interval of max N*/min N* - 1 is taken at Bonferroni's level for {n_pairs} pairs, since the extremes were chosen by looking"
        ),
        "a regret cannot be negative, so noise alone makes it positive where two optima nearly agree"
            .to_owned(),
        "optima are held inside the sizes that were trained: nothing is extrapolated".to_owned(),
    ]
}

/// Each set alone, each pair in halves, all alike, and those asked for.
fn mixtures(names: &[String], asked: &[ValidationMix]) -> Vec<ValidationMix> {
    let n = names.len();
    let of = |name: String, members: &[usize]| {
        let weights =
            (0..n).map(|idx| if members.contains(&idx) { 1.0 / members.len() as f64 } else { 0.0 }).collect();
        ValidationMix { name, weights }
    };
    let mut all: Vec<ValidationMix> = (0..n).map(|idx| of(names[idx].clone(), &[idx])).collect();
    for i in 0..n {
        for j in i + 1..n {
            all.push(of(format!("{} + {}", names[i], names[j]), &[i, j]));
        }
    }
    if n > 2 {
        all.push(of("all alike".to_owned(), &(0..n).collect::<Vec<_>>()));
    }
    all.extend(asked.iter().cloned());
    all
}

fn spread(budget: &Budget, laws: &[(&str, &TextLaw)], level: f64) -> Option<Spread> {
    let found: Vec<(&str, Draws)> = laws
        .iter()
        .filter_map(|(name, law)| Some((*name, law.of_params(|params| law.best(params, budget))?)))
        .collect();
    let order = |x: &&(&str, Draws), y: &&(&str, Draws)| x.1.estimate.total_cmp(&y.1.estimate);
    let (largest, smallest) = (found.iter().max_by(order)?, found.iter().min_by(order)?);
    if largest.0 == smallest.0 {
        return None;
    }
    let difference = largest.1.less(&smallest.1).within(0.0, f64::INFINITY);
    let n_pairs = (found.len() * (found.len() - 1) / 2) as f64;
    // Stated as a level of the whole: whichever pair had been the extreme, its interval holds.
    let interval = difference.interval(1.0 - (1.0 - level) / n_pairs).map(|interval| Interval {
        low: interval.low.exp() - 1.0,
        high: interval.high.exp() - 1.0,
        level,
        method: format!("{}, Bonferroni's level for {n_pairs} pairs", interval.method),
        ..interval
    });
    let is_at_edge = |draws: &Draws| budget.edge(draws.estimate).is_some();
    Some(Spread {
        budget: budget.flops,
        largest: largest.0.to_owned(),
        smallest: smallest.0.to_owned(),
        spread: difference.estimate.exp() - 1.0,
        interval,
        is_bound: is_at_edge(&largest.1) || is_at_edge(&smallest.1),
    })
}
