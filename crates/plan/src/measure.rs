//! What a sweep says of the skills that judge its runs, checked. Whether a skill of that name exists is known to who
//! opens its suite.

use std::collections::BTreeSet;

use scalelaw_schema::sweep::{MeasureChoice, SkillTarget, SweepSpec};

use crate::error::PlanError;

/// Refuses numbers and names under `[measure]` that cannot be.
pub(crate) fn check(sweep: &SweepSpec) -> Result<(), PlanError> {
    let Some(measure) = &sweep.measure else { return Ok(()) };
    if measure.skills.is_empty() {
        return Err(PlanError::at(
            "measure.skills",
            "it names no skill (hint: leave `[measure]` out where nothing is judged)",
        ));
    }
    for (skill_idx, name) in measure.skills.iter().enumerate() {
        if measure.skills[..skill_idx].contains(name) {
            return Err(PlanError::at(
                format!("measure.skills[{skill_idx}]"),
                format!("`{name}` stands twice (hint: leave one of them)"),
            ));
        }
    }
    for (key, items, instead) in [
        ("items", measure.items, "leave it out for the whole suite"),
        (
            "items-during",
            measure.items_during,
            "leave `eval.during` out where nothing is judged during a run",
        ),
    ] {
        if items == Some(0) {
            let message = format!("`0` items tell nothing: at least 1 (hint: {instead})");
            return Err(PlanError::at(format!("measure.{key}"), message));
        }
    }
    check_uses(measure)?;
    check_targets(measure)
}

/// Refuses a `validation` grid whose runs are judged by fewer than two texts: corpora that every run is judged on, and
/// skills.
pub(crate) fn check_texts(sweep: &SweepSpec) -> Result<(), PlanError> {
    let mut mixtures = sweep.data.mixture.0.iter().map(|mixture| mixture.keys().collect::<BTreeSet<_>>());
    let mut corpora = mixtures.next().unwrap_or_default();
    for mixture in mixtures {
        corpora.retain(|name| mixture.contains(name));
    }
    corpora.extend(sweep.eval.iter().flat_map(|eval| eval.corpora.iter().flatten()));
    let skills = sweep.measure.iter().flat_map(|measure| &measure.skills);
    let texts: Vec<String> = corpora.into_iter().chain(skills).map(|name| format!("`{name}`")).collect();
    if texts.len() >= 2 {
        return Ok(());
    }
    let judged = match texts.as_slice() {
        [] => "no text is common to all runs".to_string(),
        texts => format!("the runs are judged by {} alone", texts.join(", ")),
    };
    Err(PlanError::at(
        "grid.kind",
        format!(
            "{judged}, and the choice of a text takes two or more (hint: name skills in `measure.skills`, or corpora in `eval.corpora`)"
        ),
    ))
}

fn check_uses(measure: &MeasureChoice) -> Result<(), PlanError> {
    for (name, weights) in &measure.uses {
        let path = format!("measure.uses.{name}");
        if weights.is_empty() {
            return Err(PlanError::at(
                path,
                format!(
                    "the use `{name}` weighs no skill (hint: `{name} = {{ {} = 1 }}`)",
                    measure.skills[0]
                ),
            ));
        }
        for (skill, &weight) in weights {
            let path = format!("{path}.{skill}");
            check_is_judged(measure, skill, &path)?;
            if !(weight.is_finite() && weight > 0.0) {
                return Err(PlanError::at(
                    path,
                    format!(
                        "weight {weight} of `{skill}` must be positive (hint: leave out a skill that does not count)"
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
        check_is_judged(measure, skill, &path)?;
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

fn check_is_judged(measure: &MeasureChoice, skill: &str, path: &str) -> Result<(), PlanError> {
    if measure.skills.iter().any(|name| name == skill) {
        return Ok(());
    }
    let known: Vec<String> = measure.skills.iter().map(|name| format!("`{name}`")).collect();
    Err(PlanError::at(
        path,
        format!("unknown skill `{skill}`, expected one of those in `measure.skills`: {}", known.join(", ")),
    ))
}
