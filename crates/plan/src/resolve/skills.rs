//! The skills that runs are evaluated on, checked. Whether a skill of that name exists is known only to the caller
//! that opens its suite.

use std::collections::BTreeMap;

use scalelaw_schema::eval::{EvalRequest, EvalSpec};
use scalelaw_schema::sweep::{MeasureChoice, SkillTarget, SweepSpec, TokenizerChoice};

use crate::error::PlanError;
use crate::facts::PlanFacts;
use crate::resolve::settings::Setting;

/// Refuses invalid numbers and names under `[measure]`.
pub(crate) fn check(sweep: &SweepSpec) -> Result<(), PlanError> {
    let Some(measure) = &sweep.measure else { return Ok(()) };
    if measure.skills.is_empty() {
        return Err(PlanError::at(
            "measure.skills",
            "`skills` is empty (hint: name a skill, or remove `[measure]`)",
        ));
    }
    for (skill_idx, name) in measure.skills.iter().enumerate() {
        if measure.skills[..skill_idx].contains(name) {
            return Err(PlanError::at(
                format!("measure.skills[{skill_idx}]"),
                format!("`{name}` is listed twice (hint: remove one)"),
            ));
        }
    }
    for (key, items, instead) in [
        ("items", measure.items, "remove it to use the whole suite"),
        ("items-during", measure.items_during, "remove `eval.during` to skip evaluations during a run"),
    ] {
        if items == Some(0) {
            let message = format!("`0` must be at least 1 (hint: {instead})");
            return Err(PlanError::at(format!("measure.{key}"), message));
        }
    }
    check_uses(measure)?;
    check_targets(measure)
}

/// The evaluations on skills of a run under each tokenizer.
pub(crate) fn skill_evals(
    sweep: &SweepSpec,
    facts: &PlanFacts,
    settings: &[Setting],
) -> Result<BTreeMap<TokenizerChoice, Vec<EvalRequest>>, PlanError> {
    let mut evals: BTreeMap<TokenizerChoice, Vec<EvalRequest>> = BTreeMap::new();
    let shortest = settings.iter().map(|setting| setting.context_len).min();
    let skills = sweep.measure.iter().flat_map(|measure| measure.skills.iter().enumerate());
    for (skill_idx, name) in skills {
        for &tokenizer in &sweep.data.tokenizer.0 {
            let Some(spec) = facts.suites.get(&(tokenizer, name.clone())) else { continue };
            if let (EvalSpec::Skill { context_len, .. }, Some(shortest)) = (spec, shortest)
                && *context_len > shortest
            {
                return Err(PlanError::at(
                    format!("measure.skills[{skill_idx}]"),
                    format!(
                        "the longest item of `{name}` has {context_len} tokens but `model.context-len` is {shortest} (hint: a longer context, or shorter items in the skill's manifest)"
                    ),
                ));
            }
            let request = EvalRequest { name: name.clone(), spec: spec.clone() };
            evals.entry(tokenizer).or_default().push(request);
        }
    }
    Ok(evals)
}

fn check_uses(measure: &MeasureChoice) -> Result<(), PlanError> {
    for (name, weights) in &measure.uses {
        let path = format!("measure.uses.{name}");
        if weights.is_empty() {
            return Err(PlanError::at(
                path,
                format!("the use `{name}` has no skill (hint: `{name} = {{ {} = 1 }}`)", measure.skills[0]),
            ));
        }
        for (skill, &weight) in weights {
            let path = format!("{path}.{skill}");
            check_is_measured(measure, skill, &path)?;
            if !(weight.is_finite() && weight > 0.0) {
                return Err(PlanError::at(
                    path,
                    format!(
                        "weight {weight} of `{skill}` must be positive (hint: remove a skill that does not count)"
                    ),
                ));
            }
        }
    }
    Ok(())
}

fn check_targets(measure: &MeasureChoice) -> Result<(), PlanError> {
    for (skill, target) in &measure.targets {
        let path = format!("measure.targets.{skill}");
        check_is_measured(measure, skill, &path)?;
        let (key, x, bound) = match *target {
            SkillTarget::Nll(x) if !(x.is_finite() && x > 0.0) => {
                ("nll", x, "positive: nats per answer token")
            }
            // No finite suite can show that every item is right.
            SkillTarget::Accuracy(x) if !(x > 0.0 && x < 1.0) => {
                ("accuracy", x, "above 0 and below 1: a share of the items (hint: `0.9`)")
            }
            _ => continue,
        };
        return Err(PlanError::at(format!("{path}.{key}"), format!("`{x}` must be {bound}")));
    }
    Ok(())
}

fn check_is_measured(measure: &MeasureChoice, skill: &str, path: &str) -> Result<(), PlanError> {
    if measure.skills.iter().any(|name| name == skill) {
        return Ok(());
    }
    let known: Vec<String> = measure.skills.iter().map(|name| format!("`{name}`")).collect();
    Err(PlanError::at(
        path,
        format!("unknown skill `{skill}`, expected one of those in `measure.skills`: {}", known.join(", ")),
    ))
}
