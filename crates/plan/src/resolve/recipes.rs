//! How runs are trained: optimizer, rates, schedule, early stopping.

use scalelaw_schema::lr_rule::LrRule;
use scalelaw_schema::recipe::Parametrisation;
use scalelaw_schema::run::EarlyStop;
use scalelaw_schema::sweep::{Length, ParametrisationChoice, ScheduleChoice, TrainChoice};

use crate::error::PlanError;
use crate::facts::PlanFacts;
use crate::resolve::values::{check_product, counts, numbers, positive};

/// AdamW's decays and weight decay as in Llama and Hoffmann et al. 2022, with a second decay that small
/// batches need (Porian et al. 2024).
const BETA1: f64 = 0.9;
/// See [`BETA1`].
pub(crate) const BETA2: f64 = 0.95;
/// See [`BETA1`].
const WEIGHT_DECAY: f64 = 0.1;
/// End of the cosine over its peak.
const FINAL_FRACTION: f64 = 0.1;
/// Share of the steps that is warm-up: Porian et al. 2024 show that a long one bends the exponents.
pub(crate) const WARMUP_FRACTION: f64 = 0.1;
/// Longest warm-up that the default gives, steps.
pub(crate) const WARMUP_STEPS_MAX: u64 = 2000;
/// Share of the steps after which a run is checked for early stopping.
const EARLY_STOP_AT: f64 = 0.5;

/// One combination of the recipe's swept values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RecipeChoice {
    pub lr: LrChoice,
    pub beta1: f64,
    /// Defaults to the measured rule's, or [`BETA2`].
    pub beta2: Option<f64>,
    pub weight_decay: f64,
    pub seed: u64,
}

/// The peak learning rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum LrChoice {
    /// As written.
    Fixed(f64),
    /// This factor times the rule's.
    ByRule(f64),
}

/// Every combination of the recipe's swept values.
pub(crate) fn recipes(train: &TrainChoice) -> Result<Vec<RecipeChoice>, PlanError> {
    if train.lr.is_some() && train.lr_factor.is_some() {
        return Err(PlanError::at(
            "train.lr-factor",
            "`lr-factor` multiplies the rule's rate and `lr` replaces it (hint: remove one of the two)",
        ));
    }
    let is_positive = |x: f64| x > 0.0;
    let is_decay = |x: f64| (0.0..1.0).contains(&x);
    let lrs: Vec<LrChoice> = match &train.lr {
        Some(axis) => {
            let values = numbers(Some(axis), 0.0, "train.lr", "positive", is_positive)?;
            values.into_iter().map(LrChoice::Fixed).collect()
        }
        None => {
            let values = numbers(train.lr_factor.as_ref(), 1.0, "train.lr-factor", "positive", is_positive)?;
            values.into_iter().map(LrChoice::ByRule).collect()
        }
    };
    let beta1s = numbers(train.beta1.as_ref(), BETA1, "train.beta1", "at least 0 and below 1", is_decay)?;
    let beta2s: Vec<Option<f64>> = match &train.beta2 {
        Some(axis) => {
            let values = numbers(Some(axis), BETA2, "train.beta2", "at least 0 and below 1", is_decay)?;
            values.into_iter().map(Some).collect()
        }
        None => vec![None],
    };
    let weight_decays =
        numbers(train.weight_decay.as_ref(), WEIGHT_DECAY, "train.weight-decay", "at least 0", |x| x >= 0.0)?;
    let seeds = counts(train.seed.as_ref(), 0.0, "train.seed", 0)?;

    check_product("train", &[lrs.len(), beta1s.len(), beta2s.len(), weight_decays.len(), seeds.len()])?;
    let mut recipes = Vec::new();
    for &lr in &lrs {
        for &beta1 in &beta1s {
            for &beta2 in &beta2s {
                for &weight_decay in &weight_decays {
                    for &seed in &seeds {
                        recipes.push(RecipeChoice { lr, beta1, beta2, weight_decay, seed });
                    }
                }
            }
        }
    }
    Ok(recipes)
}

/// The rule of `facts`, refused if it was measured under another parametrisation, where its rates mean something
/// else.
pub(crate) fn lr_rule(train: &TrainChoice, facts: &PlanFacts) -> Result<Option<LrRule>, PlanError> {
    if train.lr_rule.is_some() && train.lr.is_some() {
        return Err(PlanError::at(
            "train.lr-rule",
            "`lr` replaces the rule's rate (hint: remove one of the two)",
        ));
    }
    let Some(rule) = facts.lr_rule.as_ref().filter(|_| train.lr_rule.is_some()) else { return Ok(None) };
    rule.check().map_err(|error| PlanError::at("train.lr-rule", error.to_string()))?;
    let wanted = parametrisation(train)?;
    if rule.parametrisation != wanted {
        let message = format!(
            "the rule was measured under the parametrisation {} but this sweep uses {wanted} (hint: measure one with `kind = \"lr\"`)",
            rule.parametrisation
        );
        return Err(PlanError::at("train.lr-rule", message));
    }
    Ok(Some(rule.clone()))
}

pub(crate) fn parametrisation(train: &TrainChoice) -> Result<Parametrisation, PlanError> {
    let parametrisation = match train.parametrisation {
        None | Some(ParametrisationChoice::Standard) => Parametrisation::Standard,
        Some(ParametrisationChoice::Mup { base_width }) => Parametrisation::MuP { base_width },
        Some(ParametrisationChoice::CompleteP { base_width, base_depth, alpha }) => {
            Parametrisation::CompleteP { base_width, base_depth, alpha: alpha.unwrap_or(1.0) }
        }
    };
    parametrisation.check().map_err(|error| PlanError::at("train.parametrisation", error.to_string()))?;
    Ok(parametrisation)
}

pub(crate) fn schedule(train: &TrainChoice) -> Result<ScheduleChoice, PlanError> {
    let schedule = train.schedule.unwrap_or(ScheduleChoice::Cosine { final_fraction: FINAL_FRACTION });
    match schedule {
        ScheduleChoice::Cosine { final_fraction } if !(0.0..=1.0).contains(&final_fraction) => {
            Err(PlanError::at(
                "train.schedule.cosine.final-fraction",
                format!("`{final_fraction}` must be between 0 and 1"),
            ))
        }
        ScheduleChoice::Wsd { cooldown } => {
            length(cooldown, "train.schedule.wsd.cooldown")?;
            Ok(schedule)
        }
        _ => Ok(schedule),
    }
}

pub(crate) fn trunk(train: &TrainChoice) -> Result<bool, PlanError> {
    let trunk = train.trunk.unwrap_or(false);
    if trunk && !matches!(train.schedule, Some(ScheduleChoice::Wsd { .. })) {
        return Err(PlanError::at(
            "train.trunk",
            "`trunk` needs the schedule `wsd`, whose rate is constant until a run cools down (hint: `schedule = { wsd = { cooldown = { fraction = 0.2 } } }`)",
        ));
    }
    if trunk && train.early_stop.is_some() {
        return Err(PlanError::at(
            "train.early-stop",
            "`early-stop` cannot be combined with `trunk`: branches depend on every run (hint: remove one)",
        ));
    }
    Ok(trunk)
}

pub(crate) fn early_stop(train: &TrainChoice) -> Result<Option<EarlyStop>, PlanError> {
    let Some(choice) = train.early_stop else { return Ok(None) };
    let margin = positive(Some(choice.margin), 0.0, "train.early-stop.margin")?;
    let at = choice.at.unwrap_or(EARLY_STOP_AT);
    if !(at > 0.0 && at < 1.0) {
        return Err(PlanError::at(
            "train.early-stop.at",
            format!("`{at}` must be above 0 and below 1: it is a share of the steps"),
        ));
    }
    Ok(Some(EarlyStop { at, margin }))
}

/// Refuses a share of the steps that leaves none.
pub(crate) fn length(length: Length, path: &str) -> Result<Length, PlanError> {
    match length {
        Length::Fraction(fraction) if !(0.0..1.0).contains(&fraction) => Err(PlanError::at(
            format!("{path}.fraction"),
            format!("`{fraction}` must be at least 0 and below 1: it is a share of the steps"),
        )),
        _ => Ok(length),
    }
}
