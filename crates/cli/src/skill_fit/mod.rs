//! What the runs of a sweep say of their skills: everything of `fit`'s skills, mixtures and capacity that the rows
//! allow, and for each part that they do not allow the reason. Reads no files.
//!
//! Reading order: what is asked and what comes out (here), which rows may be compared ([`rows`]), the parts
//! ([`mix`], [`capacity`], [`viable`]), and all of it as the report reads it ([`report`]).

mod rows;

mod capacity;
mod mix;
mod viable;

mod report;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use anyhow::Result;
use scalelaw_findings::Viable;
use scalelaw_findings::capacity::CapacityConclusion;
use scalelaw_findings::mixture::best::BestMixture;
use scalelaw_findings::mixture::fraction::FractionCurve;
use scalelaw_findings::mixture::mixing_law::MixingConclusion;
use scalelaw_findings::skills::SkillSpec;
use scalelaw_findings::skills::conclusion::SkillConclusion;
use scalelaw_findings::skills::validation::{ValidationConclusion, ValidationMix, validation};
use scalelaw_fit::FitError;
use scalelaw_results::{Collected, LossColumn};
use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::count::CountRule;
use scalelaw_schema::plan::Plan;
use scalelaw_schema::sweep::SkillTarget;
use scalelaw_schema::table::LossTable;
use serde::{Deserialize, Serialize};

use rows::Texts;

/// What a person asks beside what the sweep's own file asks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SkillAsk {
    /// Which column plays the aggregate; the mean held-out loss where absent.
    pub aggregate: Option<String>,
    /// How N and C are counted; as the plan says where absent.
    pub count_rule: Option<CountRule>,
    /// Targets beside the plan's, and instead of them where one skill has both.
    pub targets: BTreeMap<String, SkillTarget>,
    /// Whether the choice of validation text is judged in a sweep that was not made for it.
    pub validation: bool,
    /// How skills are fitted.
    pub spec: SkillSpec,
}

/// All that is known of a sweep's skills. The content of `skills.json`, and of `fit --skill --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkillFindings {
    /// Version of this format.
    pub schema_version: u32,
    /// The sweep.
    pub sweep: String,
    /// Column that plays the aggregate.
    pub aggregate: String,
    /// Optima, residuals and labels.
    pub skills: Option<SkillConclusion>,
    /// What a wrong validation text costs.
    pub validation: Option<ValidationConclusion>,
    /// N* against the fraction of each corpus.
    pub fractions: Vec<FractionCurve>,
    /// Mixing laws.
    pub mixing: Option<MixingConclusion>,
    /// Best mixture for each use.
    pub best: Vec<UseMixture>,
    /// Bits per parameter of each skill that is a set of facts.
    pub capacity: Vec<SkillCapacity>,
    /// Least investment for each target.
    pub viable: Vec<SkillViable>,
    /// Parts that the rows do not allow, each with its reason.
    pub absent: Vec<Absent>,
    /// Losses by text, for the points of the report's curves. Not printed.
    #[serde(skip)]
    pub tables: Vec<LossTable>,
}

/// The best mixture for a use that the sweep names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UseMixture {
    /// The use.
    pub name: String,
    /// Its mixture.
    pub mixture: BestMixture,
}

/// Knowledge capacity by one skill's facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkillCapacity {
    /// The skill.
    pub skill: String,
    /// What was found.
    pub found: CapacityConclusion,
}

/// The least investment by which a skill reaches its target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkillViable {
    /// The skill.
    pub skill: String,
    /// What it is to reach.
    pub goal: SkillTarget,
    /// How an accuracy was turned into a likelihood, where one was asked for.
    pub link: Option<scalelaw_findings::skills::link::Link>,
    /// What reaches it.
    pub found: Viable,
}

/// A part that the rows do not allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// The part: a key of this object, with the skill or the use where it is of one.
    pub part: String,
    /// Why.
    pub why: String,
}

/// Everything that the rows allow; `None` where no run was judged by a skill.
///
/// # Errors
/// Where what a person asked for names what is not there.
pub fn conclude(plan: &Plan, collected: &Collected, ask: &SkillAsk) -> Result<Option<SkillFindings>> {
    let Some(texts) = Texts::of(plan, collected, ask)? else { return Ok(None) };
    let mut findings = SkillFindings {
        schema_version: SCHEMA_VERSION,
        sweep: plan.sweep.clone(),
        aggregate: texts.aggregate.to_string(),
        skills: None,
        validation: None,
        fractions: Vec::new(),
        mixing: None,
        best: Vec::new(),
        capacity: Vec::new(),
        viable: Vec::new(),
        absent: Vec::new(),
        tables: Vec::new(),
    };
    for (skill, why) in &texts.unlearned {
        findings.leave_out(format!("skills: {skill}"), why.clone());
    }
    match texts.mixed() {
        // Sizes are compared among runs that differ in nothing else.
        Some(why) => findings.leave_out("skills", why),
        None => {
            let (aggregate, skills) = texts.tables()?;
            let has_budgets = aggregate.rows.iter().any(|row| row.budget.is_some());
            if has_budgets {
                let found = scalelaw_findings::skills::skills(&aggregate, &skills, &ask.spec);
                findings.skills = findings.unless_refused("skills", found)?;
            } else {
                findings.leave_out(
                    "skills",
                    "no run names a budget (hint: a grid of kind `isoflop`)".to_string(),
                );
            }
            if has_budgets && (plan.kind == "validation" || ask.validation) {
                let sets = texts.sets()?;
                let found = validation(&sets, &asked_mixtures(plan, &sets, &mut findings), &ask.spec);
                findings.validation = findings.unless_refused("validation", found)?;
            }
            findings.tables = std::iter::once(aggregate).chain(skills).collect();
        }
    }
    mix::conclude(plan, &texts, ask, &mut findings)?;
    capacity::conclude(plan, &texts, ask, &mut findings);
    viable::conclude(plan, &texts, ask, &mut findings)?;
    Ok(Some(findings))
}

impl SkillFindings {
    fn leave_out(&mut self, part: impl Into<String>, why: String) {
        self.absent.push(Absent { part: part.into(), why });
    }

    /// A refusal is a reason to leave a part out, any other error an error.
    fn unless_refused<T>(&mut self, part: &str, found: Result<T, FitError>) -> Result<Option<T>> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(FitError::Refused { why, settle }) => {
                let settle = settle.join("; ");
                let hint = if settle.is_empty() { String::new() } else { format!(" (hint: {settle})") };
                self.leave_out(part, format!("{why}{hint}"));
                Ok(None)
            }
            Err(other) => Err(other.into()),
        }
    }
}

/// The uses of a sweep as mixtures of its validation sets; a use with a text that is no set is left out.
fn asked_mixtures(plan: &Plan, sets: &[LossTable], findings: &mut SkillFindings) -> Vec<ValidationMix> {
    let mut asked = Vec::new();
    for (name, weights) in &plan.uses {
        let sum: f64 = weights.values().sum();
        let place = |text: &String| sets.iter().position(|set| rows::is_of(&set.loss_name, text));
        match weights.keys().find(|text| place(text).is_none()) {
            Some(unknown) => {
                findings.leave_out(format!("validation: {name}"), format!("no run was judged by `{unknown}`"))
            }
            None => {
                let mut of_sets = vec![0.0; sets.len()];
                for (text, weight) in weights {
                    if let Some(place) = place(text) {
                        of_sets[place] += weight / sum;
                    }
                }
                asked.push(ValidationMix { name: name.clone(), weights: of_sets });
            }
        }
    }
    asked
}

/// The column of a text: a skill by its name alone, else what `LossColumn` reads.
fn column_of(name: &str, skills: &[String]) -> LossColumn {
    if skills.iter().any(|skill| skill == name) {
        return LossColumn::Skill(name.to_string());
    }
    name.parse().unwrap_or_else(|never: std::convert::Infallible| match never {})
}
