//! All answers of a sweep, one after the other.

use scalelaw_findings::Findings;

use super::{curve_health, learning_rate, scaling, skills};
use crate::SkillReport;

/// The answers at `width` columns, with an empty line between them.
pub fn text(findings: &Findings, width: usize) -> String {
    let law = match &findings.learning_rate {
        Some(conclusion) => learning_rate::text(conclusion, width),
        None => scaling::text(crate::scaling(&findings.scaling), width),
    };
    let health = findings.curve_health.as_ref().map(|health| curve_health::text(health, width));
    let skills = findings.skills.as_ref().map(|found| skills::text(&SkillReport::of(found), width));
    let answers = [Some(law), health, skills].into_iter().flatten().filter(|answer| !answer.is_empty());
    answers.collect::<Vec<_>>().join("\n")
}
