//! What is known of a sweep's skills, as the report reads it.

use scalelaw_findings::Viable;
use scalelaw_findings::capacity::CapacityConclusion;
use scalelaw_findings::mixture::best::BestMixture;
use scalelaw_findings::mixture::fraction::FractionCurve;
use scalelaw_findings::mixture::mixing_law::MixingConclusion;
use scalelaw_findings::skills::conclusion::SkillConclusion;
use scalelaw_findings::skills::validation::ValidationConclusion;
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
