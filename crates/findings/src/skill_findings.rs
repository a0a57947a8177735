//! All answers about the skills of a sweep in one value, as `findings.json` and `fit --skill` hold them.

use std::collections::BTreeMap;

use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::sweep::SkillTarget;
use scalelaw_schema::table::LossTable;
use serde::{Deserialize, Serialize};

use crate::capacity::{self, SkillCapacity};
use crate::error::FindingsError;
use crate::evidence::Evidence;
use crate::mixture::fraction::FractionCurve;
use crate::mixture::mixing_law::MixingConclusion;
use crate::mixture::{self, MixtureAnswer, UseMixture};
use crate::skills::SkillSpec;
use crate::skills::conclusion::SkillConclusion;
use crate::target::{self, SkillViable};
use crate::texts::{Absences, Absent, Texts};
use crate::validation::{self, ValidationConclusion};

/// What is asked beside what the sweep's own file asks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SkillAsk {
    /// Targets beside the plan's, and instead of them where one skill has both.
    pub targets: BTreeMap<String, SkillTarget>,
    /// Whether the choice of validation text is evaluated in a sweep that was not made for it.
    pub validation: bool,
    /// How skills are fitted.
    pub spec: SkillSpec,
}

/// All that is known of a sweep's skills. The part `skills` of `findings.json`, and the content of `fit --skill --json`.
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

/// Everything that the rows allow; `None` where no run was evaluated on a skill.
///
/// # Errors
/// Where a target names a skill that no run was evaluated on, or a setting is wrong.
pub fn answer(evidence: &Evidence, ask: &SkillAsk) -> Result<Option<SkillFindings>, FindingsError> {
    let plan = &evidence.plan;
    let Some(texts) = Texts::of(evidence) else { return Ok(None) };
    let mut absent = Absences::default();
    for (skill, why) in &texts.unlearned {
        absent.add(format!("skills: {skill}"), why.clone());
    }
    let mut tables = Vec::new();
    let (mut skills, mut validation) = (None, None);
    match texts.mixed() {
        // Sizes are compared among runs that differ in nothing else.
        Some(why) => absent.add("skills", why),
        None => {
            let (aggregate, of_skills) = texts.tables();
            if aggregate.rows.iter().any(|row| row.budget.is_some()) {
                let found = crate::skills::skills(&aggregate, &of_skills, &ask.spec);
                skills = absent.unless_refused("skills", found)?;
                if plan.kind == "validation" || ask.validation {
                    validation = validation::answer(plan, &texts, &ask.spec, &mut absent)?;
                }
            } else {
                absent.add("skills", "no run names a budget (hint: a grid of kind `isoflop`)".to_string());
            }
            tables = std::iter::once(aggregate).chain(of_skills).collect();
        }
    }
    let MixtureAnswer { fractions, mixing, best } = mixture::answer(plan, &texts, &ask.spec, &mut absent)?;
    let capacity = capacity::answer(plan, &texts, &ask.spec, &mut absent);
    let viable = target::answer(plan, &texts, &ask.targets, &ask.spec, skills.as_ref(), &mut absent)?;
    Ok(Some(SkillFindings {
        schema_version: SCHEMA_VERSION,
        sweep: plan.sweep.clone(),
        aggregate: evidence.column.to_string(),
        skills,
        validation,
        fractions,
        mixing,
        best,
        capacity,
        viable,
        absent: absent.0,
        tables,
    }))
}
