//! Fits scaling laws to tables of losses, with honest intervals. Pure `f64`: no files, no clock, no
//! random state but the seeds it is given.
//!
//! Reading order: what is asked ([`spec`], [`objective`]); the laws ([`laws`], [`jet`]) and the rows as they see
//! them ([`row`]); the search ([`search`], [`minimise`]) and what it refuses ([`identify`]); intervals ([`interval`],
//! [`profile`], [`bootstrap`], `noise`) and predictions (`predict`, `backtest`, `choose`); the other approaches
//! ([`isoflop`], `curve`); what a design will tell ([`power`]); and what is concluded ([`conclusion`]).
//! How exact, fast and calibrated all this is: `README.md`.

// Matrices are indexed as in their formulas.
#![allow(clippy::needless_range_loop)]

pub mod objective;
pub mod spec;

pub mod jet;
pub mod laws;
pub mod row;

pub mod identify;
pub mod minimise;
pub mod one_law;
pub mod search;

pub mod bootstrap;
pub mod interval;
mod noise;
pub mod profile;
pub mod quantile;

mod backtest;
mod choose;
mod predict;

pub mod linear;

mod akima;
mod curve;
mod diagnose;
pub mod frontier;
pub mod isoflop;

pub mod counting;
pub mod power;
pub mod simulate;

pub mod conclusion;
pub mod csv_table;

#[cfg(test)]
mod published;
#[cfg(test)]
mod whatever;

use std::collections::BTreeMap;

use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::table::{ExcludedRow, LossRow, LossTable};

use conclusion::{Approach2, Choice, Conclusion, Disagreement, Fit, Frontier};
pub use counting::exponents_by_count;
pub use laws::{ScalingLaw, law};
pub use objective::Objective;
pub use power::power;
use predict::Predictor;
use row::{Point, Rows};
pub use simulate::{KnownLaw, parse_law_with_params};
pub use spec::{FitError, FitSpec, LawChoice, PredictAt};

/// Fits what `spec` asks for to the rows of `table`. `seconds` is left to the caller, who has a clock.
///
/// # Errors
/// [`FitError::Refused`] where the rows cannot tell, with the runs that would settle it;
/// otherwise what is wrong with `spec`.
pub fn fit(table: &LossTable, spec: &FitSpec) -> Result<Conclusion, FitError> {
    check_spec(spec)?;
    let whole = finite_rows(table);
    let approach1 = curve::envelope(&whole);
    let (table, said) = curve::choose_rows(whole, spec.objective);
    let (fits, choice) = match &spec.law {
        LawChoice::Named(name) => (vec![one_law::fit(laws::find(name)?, &table, spec)?], None),
        LawChoice::Auto => {
            let (fit, choice) = chosen(&table, spec)?;
            (vec![fit], Some(choice))
        }
        LawChoice::All => {
            let ranking = choose::rank(&table, spec.objective);
            let (fits, errors): (Vec<_>, Vec<_>) =
                ranking.laws.iter().map(|law| one_law::fit(*law, &table, spec)).partition(Result::is_ok);
            let fits: Vec<Fit> = fits.into_iter().flatten().collect();
            if fits.is_empty() {
                return Err(first_refusal(&table, errors.into_iter().filter_map(Result::err)));
            }
            (fits, Some(ranking.choice))
        }
    };
    let approach2 = isoflop::approach2(
        &table,
        isoflop::Draws { n: spec.bootstrap.min(2000), seed: spec.seed, level: spec.level },
    );
    let warnings = said.into_iter().chain(contradiction(&fits[0], approach2.as_ref())).collect();
    let disagreement = disagreements(&table, &fits[0], approach1.as_ref(), approach2.as_ref());
    Ok(Conclusion {
        schema_version: SCHEMA_VERSION,
        source: table.source.clone(),
        count_rule: table.count_rule.clone(),
        loss_name: table.loss_name.clone(),
        n_rows: table.rows.len(),
        warnings,
        fits,
        approach1,
        approach2,
        disagreement,
        excluded: table.excluded,
        choice,
        seconds: None,
    })
}

/// The least value of the objective of the law `name` over the rows; `None` without such a law or where it
/// has no minimum. The bare search, without anything said of it.
pub fn minimum(table: &LossTable, name: &str, objective: Objective) -> Option<f64> {
    search::search(law(name)?, &Rows::of(&finite_rows(table)), objective).map(|minimum| minimum.value)
}

/// The loss of a run of `n` parameters on `d` tokens by the law `name`, fitted to the rows: the number that [`fit`]
/// predicts without its intervals, a hundred times faster. `None` where the rows cannot tell.
pub fn predicted_loss(table: &LossTable, name: &str, objective: Objective, n: f64, d: f64) -> Option<f64> {
    let (law, rows) = (law(name)?, Rows::of(&finite_rows(table)));
    identify::check(law, &rows).ok()?;
    let theta = search::search(law, &rows, objective)?.theta;
    let at = Point::new(n, d, 6.0 * n * d);
    Some(law.log_loss(&theta, &at.relative_to(&rows.centre)).exp())
}

/// Parameters of `n` bootstrap resamples of the law `name`, each refitted to its own minimum.
pub fn refits(table: &LossTable, name: &str, objective: Objective, n: usize, seed: u64) -> Vec<Vec<f64>> {
    let table = finite_rows(table);
    let rows = Rows::of(&table);
    let Some((law, found)) = law(name).and_then(|law| Some((law, search::search(law, &rows, objective)?)))
    else {
        return Vec::new();
    };
    let problem = minimise::Problem::new(law, &rows, objective);
    bootstrap::refits(&problem, &found.theta, &bootstrap::Units::of(&table), n, seed)
        .iter()
        .map(|theta| law.params(theta, &rows.centre))
        .collect()
}

/// The law that back-tests choose, fitted; its predictions and held-out errors are of the average that
/// they choose. Rows held out take no part in the choice that they judge.
fn chosen(table: &LossTable, spec: &FitSpec) -> Result<(Fit, Choice), FitError> {
    let ranking = choose::rank(table, spec.objective);
    let mut errors = Vec::new();
    for law in &ranking.laws {
        let spec_alone = FitSpec { holdout_compute: None, predict: Vec::new(), ..spec.clone() };
        match one_law::fit(*law, table, &spec_alone) {
            Err(error) => errors.push(error),
            Ok(mut fit) => {
                let rows = Rows::of(table);
                if let Some(predictor) = Predictor::average(&ranking, &rows, spec.objective, spec.level) {
                    fit.predictions = one_law::predictions(&predictor, *law, &fit, &rows, &spec.predict);
                }
                fit.holdout = spec
                    .holdout_compute
                    .and_then(|share| predict::split(table, share))
                    .and_then(|(below, above)| predict::hold_out_average(&below, &above, spec.objective));
                return Ok((fit, ranking.choice));
            }
        }
    }
    Err(first_refusal(table, errors))
}

/// Why no law can be fitted: Chinchilla's reason, which is about N and D, where it has one.
fn first_refusal(table: &LossTable, errors: impl IntoIterator<Item = FitError>) -> FitError {
    identify::check(&laws::Chinchilla, &Rows::of(table)).err().or(errors.into_iter().next()).unwrap_or_else(
        || FitError::Refused {
            why: "no law can be fitted".into(),
            settle: vec!["add runs at other sizes and budgets".into()],
        },
    )
}

pub(crate) fn check_spec(spec: &FitSpec) -> Result<(), FitError> {
    let bad = |what, value, why| Err(FitError::BadSetting { what, value, why });
    if !(spec.level > 0.0 && spec.level < 1.0) {
        return bad("the level", spec.level, "it must lie between 0 and 1 (hint: 0.95)");
    }
    if let Some(share) = spec.holdout_compute
        && !(share > 0.0 && share < 1.0)
    {
        return bad(
            "the quantile of compute to hold out above",
            share,
            "it must lie between 0 and 1 (hint: 0.8)",
        );
    }
    if let Objective::LogHuber(delta) | Objective::Huber(delta) = spec.objective
        && !(delta > 0.0 && delta.is_finite())
    {
        return bad("the objective's delta", delta, "it must be positive (hint: 1e-3)");
    }
    for at in &spec.predict {
        let numbers = match *at {
            PredictAt::ND(n, d) => vec![n, d],
            PredictAt::C(c) => vec![c],
        };
        if let Some(&number) = numbers.iter().find(|number| !(**number > 0.0 && number.is_finite())) {
            return bad("a number to predict at", number, "it must be positive");
        }
    }
    Ok(())
}

/// The table without rows that hold a number no logarithm takes; those are listed as left out.
pub fn finite_rows(table: &LossTable) -> LossTable {
    let is_good = |row: &LossRow| {
        let optional = [row.budget, row.unique_tokens].into_iter().flatten();
        [row.n, row.d, row.c, row.loss].into_iter().chain(optional).all(|x| x > 0.0 && x.is_finite())
    };
    let mut clean = table.clone();
    clean.rows.retain(is_good);
    clean.excluded.extend(table.rows.iter().filter(|row| !is_good(row)).map(|row| ExcludedRow {
        name: row.name.clone(),
        why: "a number of it is not finite and positive".into(),
    }));
    clean
}

/// A warning where the law's frontier and the IsoFLOP minima exclude each other.
fn contradiction(fit: &Fit, approach2: Option<&Approach2>) -> Option<String> {
    let (law, minima) = (fit.optimum.as_ref()?, approach2?.frontier.as_ref()?);
    let (of_law, of_minima) = (law.intervals.get("a")?, minima.intervals.get("a")?);
    let is_apart = of_law.high < of_minima.low || of_minima.high < of_law.low;
    is_apart.then(|| {
        format!(
            "the approaches contradict each other: a is {:.3} to {:.3} by {} and {:.3} to {:.3} by the IsoFLOP minima; \
             parabolas are biased where alpha and beta differ or the sizes are off the optimum, laws where their form is wrong",
            of_law.low, of_law.high, fit.law, of_minima.low, of_minima.high
        )
    })
}

/// The exponent and the best size at the largest budget, by each approach; empty with one approach alone.
fn disagreements(
    table: &LossTable,
    fit: &Fit,
    envelope: Option<&Frontier>,
    approach2: Option<&Approach2>,
) -> Vec<Disagreement> {
    let minima = approach2.and_then(|approach2| approach2.frontier.as_ref());
    let approaches: Vec<(&str, &Frontier)> =
        [(fit.law.as_str(), fit.optimum.as_ref()), ("envelope", envelope), ("isoflop", minima)]
            .into_iter()
            .filter_map(|(name, frontier)| Some((name, frontier?)))
            .collect();
    if approaches.len() < 2 {
        return Vec::new();
    }
    let c = one_law::largest_budget(table);
    let each = |of: &dyn Fn(&Frontier) -> f64| -> BTreeMap<String, f64> {
        approaches.iter().map(|(name, frontier)| ((*name).to_owned(), of(frontier))).collect()
    };
    [
        Disagreement { quantity: "a".into(), values: each(&|frontier| frontier.a) },
        Disagreement { quantity: format!("N* at {c:.2e} FLOPs"), values: each(&|frontier| frontier.n(c)) },
    ]
    .into_iter()
    .filter(|item| item.values.values().all(|value| value.is_finite()))
    .collect()
}
