//! Fits laws to a table: one law with its intervals and diagnostics, several, or the one that back-tests choose, with the
//! other approaches beside.
//!
//! Reading order: what is refused ([`check`]); one law with its intervals (`one_law`; `bootstrap`, `seed_noise`,
//! `profile`, `evidence`, `diagnose`); predictions and the choice among laws (`backtest`, `choose`, `predict`); learning
//! curves (`curve`).

mod identify;

mod bootstrap;
mod evidence;
mod one_law;
mod profile;
mod seed_noise;

mod backtest;
mod choose;
mod predict;

mod curve;
mod diagnose;

pub use bootstrap::refits;
pub use identify::check;
pub(crate) use one_law::point_of;
pub use one_law::{largest_budget, residuals, status};

use std::collections::BTreeMap;

use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::table::LossTable;

use crate::conclusion::{Approach2, Choice, Conclusion, Disagreement, Fit, Frontier};
use crate::error::FitError;
use crate::isoflop;
use crate::laws;
use crate::row::{Rows, finite_rows};
use crate::spec::{FitSpec, LawChoice};
use crate::stats::NOISE_DRAWS;
use predict::Predictor;

/// Fits what `spec` asks for to the rows of `table`. `seconds` is left to the caller, who has a clock.
///
/// # Errors
/// [`FitError::Refused`] where the rows do not identify the law, with the runs that would settle it;
/// otherwise what is wrong with `spec`.
pub fn fit(table: &LossTable, spec: &FitSpec) -> Result<Conclusion, FitError> {
    spec.check()?;
    let whole = finite_rows(table);
    let approach1 = curve::envelope(&whole);
    let (table, note) = curve::choose_rows(whole, spec.objective);
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
        isoflop::Draws { n: spec.bootstrap.min(NOISE_DRAWS), seed: spec.seed, level: spec.level },
    );
    let warnings = note.into_iter().chain(contradiction(&fits[0], approach2.as_ref())).collect();
    let disagreement = disagreements(&table, &fits[0], approach1.as_ref(), approach2.as_ref());
    Ok(Conclusion {
        schema_version: SCHEMA_VERSION,
        source: table.source.clone(),
        count_rule: table.count_rule,
        loss_name: table.loss_name.clone(),
        measure: Some(table.measure.clone()),
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

/// The law that back-tests choose, fitted; its predictions and held-out errors are of the average that
/// they choose. Held-out rows take no part in the choice that they evaluate.
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
    check(&laws::Chinchilla, &Rows::of(table)).err().or(errors.into_iter().next()).unwrap_or_else(|| {
        FitError::refused("no law can be fitted", &["add runs at other sizes and budgets"])
    })
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
    let c = largest_budget(table);
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
