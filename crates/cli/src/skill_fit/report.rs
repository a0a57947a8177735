//! The findings as the page takes them.

use scalelaw_findings::Viable;
use scalelaw_findings::capacity::CapacityConclusion;
use scalelaw_findings::mixture::best::BestMixture;
use scalelaw_report::skills::SkillReport;
use scalelaw_schema::sweep::SkillTarget;

use super::{SkillFindings, SkillViable};

/// Findings in the shapes that a [`SkillReport`] borrows.
pub struct ReportFindings<'a> {
    findings: &'a SkillFindings,
    best: Vec<BestMixture>,
    capacity: Vec<(String, CapacityConclusion)>,
    viable: Vec<(String, Viable)>,
    notes: Vec<String>,
}

impl<'a> ReportFindings<'a> {
    pub fn of(findings: &'a SkillFindings) -> ReportFindings<'a> {
        ReportFindings {
            best: findings.best.iter().map(|best| best.mixture.clone()).collect(),
            capacity: findings.capacity.iter().map(|one| (one.skill.clone(), one.found.clone())).collect(),
            viable: findings.viable.iter().map(|one| (label(one), one.found.clone())).collect(),
            notes: findings.absent.iter().map(|absent| format!("{}: {}", absent.part, absent.why)).collect(),
            findings,
        }
    }

    pub fn report(&self) -> SkillReport<'_> {
        SkillReport {
            tables: &self.findings.tables,
            conclusion: self.findings.skills.as_ref(),
            fractions: &self.findings.fractions,
            mixing: self.findings.mixing.as_ref(),
            best: &self.best,
            validation: self.findings.validation.as_ref(),
            capacity: &self.capacity,
            viable: &self.viable,
            absent: &self.notes,
        }
    }
}

/// A skill with its target, where that is no likelihood: those stand beside it.
fn label(viable: &SkillViable) -> String {
    match viable.goal {
        SkillTarget::Nll(_) => viable.skill.clone(),
        SkillTarget::Accuracy(accuracy) => format!("{}, accuracy {accuracy}", viable.skill),
    }
}
