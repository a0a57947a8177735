//! Knowledge capacity from the scores of skills whose items are facts.

use std::collections::BTreeSet;

use scalelaw_schema::plan::Plan;
use scalelaw_schema::score::{FactSpace, SkillScore};
use scalelaw_schema::skill::TokenClass;
use scalelaw_schema::table::{Counting, ResultRow};
use serde::{Deserialize, Serialize};

use super::{CapacityConclusion, CapacityRun, FactLoss, capacity};
use crate::skills::SkillSpec;
use crate::texts::{Absences, Texts};

/// Significant figures of exposures: horizons are whole steps, so runs meant alike differ in the fourth.
const EXPOSURE_FIGURES: usize = 2;

/// Knowledge capacity by one skill's facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkillCapacity {
    /// The skill.
    pub skill: String,
    /// What was found.
    pub found: CapacityConclusion,
}

/// Bits per parameter by each skill whose items are facts.
pub(crate) fn answer(
    plan: &Plan,
    texts: &Texts,
    spec: &SkillSpec,
    absent: &mut Absences,
) -> Vec<SkillCapacity> {
    let mut answers = Vec::new();
    for skill in &texts.skills {
        let scores = || texts.finished().filter_map(|row| Some((row, row.skills.get(skill)?)));
        let Some(space) = scores().find_map(|(_, score)| score.facts) else { continue };
        if space.pass_tokens.is_none() {
            let why = "it is not known how many tokens state each fact once, so neither are the exposures";
            absent.add(format!("capacity: {skill}"), why.to_string());
            continue;
        }
        let runs: Vec<CapacityRun> = scores()
            .filter_map(|(row, score)| {
                Some(CapacityRun {
                    name: row.run_id.to_string(),
                    n: texts.evidence.count_rule.n(&row.model()),
                    exposures: exposures(row, skill, &score.facts?)?,
                    seed: Some(row.seed),
                    facts: vec![fact(score, &score.facts?)],
                })
            })
            .collect();
        let distinct: BTreeSet<u64> = runs.iter().map(|run| run.exposures.to_bits()).collect();
        if distinct.is_empty() {
            let why = format!("no run was trained on a corpus `{skill}`");
            absent.add(format!("capacity: {skill}"), why);
            continue;
        }
        let mut found = capacity(&plan.sweep, Counting::Rule(texts.evidence.count_rule), &runs, spec.level);
        if runs.iter().flat_map(|run| &run.facts).any(|fact| fact.what != "value") {
            found.notes.push(
                "names and values both count, as in the published definition; the order in which names come holds no bits that could be known".to_string(),
            );
        }
        answers.push(SkillCapacity { skill: skill.clone(), found });
    }
    answers
}

/// How often each fact was read, on the mean: training tokens of the skill over those that state each once.
pub(crate) fn exposures(row: &ResultRow, skill: &str, space: &FactSpace) -> Option<f64> {
    let exposures = row.tokens as f64 * row.shares.get(skill)? / space.pass_tokens?;
    // By way of its decimals, so that what is printed is as short as what is meant.
    let rounded: f64 = format!("{exposures:.*e}", EXPOSURE_FIGURES - 1).parse().ok()?;
    Some(rounded).filter(|exposures| *exposures > 0.0 && exposures.is_finite())
}

/// One fact: its values and, where the loss of names was measured, its name.
///
/// A name is one of `2^key_bits`, and the facts come in random order: `ln(n_facts)` nats of it nobody can know.
/// Both entropy and loss are taken beyond those, so that the bits are those of the published definition,
/// `n_facts · (key_bits − p1/ln 2)`, and a model that knows every name knows all of them.
pub(crate) fn fact(score: &SkillScore, space: &FactSpace) -> FactLoss {
    let n_facts = space.n_facts as f64;
    let value = FactLoss {
        what: "value".to_string(),
        n_facts,
        entropy_bits: space.value_bits,
        nll_nats: space.answers_per_fact as f64 * score.nll_per_answer.value,
    };
    let name_bits = space.key_bits - n_facts.log2();
    match score.classes.get(&TokenClass::Key) {
        // Where every name has a value there is nothing to know of names.
        Some(key) if name_bits > 0.0 => FactLoss {
            what: "name and value".to_string(),
            entropy_bits: value.entropy_bits + name_bits,
            nll_nats: value.nll_nats + key.loss_per_item - n_facts.ln(),
            ..value
        },
        _ => value,
    }
}
