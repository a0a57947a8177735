//! What is known of a sweep's skills, as the report reads it.

use scalelaw_findings::capacity::CapacityConclusion;
use scalelaw_findings::mixture::best::BestMixture;
use scalelaw_findings::mixture::fraction::FractionCurve;
use scalelaw_findings::mixture::mixing_law::MixingConclusion;
use scalelaw_findings::skills::conclusion::SkillConclusion;
use scalelaw_findings::validation::ValidationConclusion;
use scalelaw_findings::{SkillFindings, Viable};
use scalelaw_schema::sweep::SkillTarget;
use scalelaw_schema::table::LossTable;

/// What is known of skills; whatever is absent is left out of the report.
#[derive(Debug, Clone, Default)]
pub struct SkillReport<'a> {
    /// Losses by text, for the points of the curves.
    pub tables: &'a [LossTable],
    /// Optima, residuals and labels.
    pub conclusion: Option<&'a SkillConclusion>,
    /// What a wrong validation text costs.
    pub validation: Option<&'a ValidationConclusion>,
    /// N* against the fraction of each skill.
    pub fractions: &'a [FractionCurve],
    /// Mixing laws.
    pub mixing: Option<&'a MixingConclusion>,
    /// Best mixtures by the name of their use.
    pub best: Vec<(&'a str, &'a BestMixture)>,
    /// Bits per parameter by skill.
    pub capacity: Vec<(&'a str, &'a CapacityConclusion)>,
    /// The least that reaches each target.
    pub targets: Vec<TargetReport<'a>>,
    /// Questions that the runs cannot answer, each with the reason.
    pub absent: Vec<(&'a str, &'a str)>,
}

/// The least that reaches a target.
#[derive(Debug, Clone, Copy)]
pub struct TargetReport<'a> {
    /// The skill.
    pub skill: &'a str,
    /// What it is to reach.
    pub goal: SkillTarget,
    /// What reaches it.
    pub found: &'a Viable,
}

impl<'a> SkillReport<'a> {
    /// What a report reads of a sweep's skills.
    pub fn of(findings: &'a SkillFindings) -> SkillReport<'a> {
        SkillReport {
            tables: &findings.tables,
            conclusion: findings.skills.as_ref(),
            validation: findings.validation.as_ref(),
            fractions: &findings.fractions,
            mixing: findings.mixing.as_ref(),
            best: findings.best.iter().map(|best| (best.name.as_str(), &best.mixture)).collect(),
            capacity: findings.capacity.iter().map(|one| (one.skill.as_str(), &one.found)).collect(),
            targets: findings
                .viable
                .iter()
                .map(|one| TargetReport { skill: &one.skill, goal: one.goal, found: &one.found })
                .collect(),
            absent: findings
                .absent
                .iter()
                .map(|absent| (absent.part.as_str(), absent.why.as_str()))
                .collect(),
        }
    }
}
