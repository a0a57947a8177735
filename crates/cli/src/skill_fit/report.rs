//! The findings as the report reads them.

use scalelaw_report::{SkillReport, TargetReport};

use super::SkillFindings;

impl SkillFindings {
    /// Borrowed for a report.
    pub fn for_report(&self) -> SkillReport<'_> {
        SkillReport {
            tables: &self.tables,
            conclusion: self.skills.as_ref(),
            validation: self.validation.as_ref(),
            fractions: &self.fractions,
            mixing: self.mixing.as_ref(),
            best: self.best.iter().map(|best| (best.name.as_str(), &best.mixture)).collect(),
            capacity: self.capacity.iter().map(|one| (one.skill.as_str(), &one.found)).collect(),
            targets: self
                .viable
                .iter()
                .map(|one| TargetReport { skill: &one.skill, goal: one.goal, found: &one.found })
                .collect(),
            absent: self.absent.iter().map(|absent| (absent.part.as_str(), absent.why.as_str())).collect(),
        }
    }
}
