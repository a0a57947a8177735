//! All answers of a sweep, one after the other.

use scalelaw_findings::Findings;

use super::{learning_rate, scaling, skills};
use crate::SkillReport;

/// The answers at `width` columns, with an empty line between them.
pub fn text(findings: &Findings, width: usize) -> String {
    let law = match &findings.learning_rate {
        Some(conclusion) => learning_rate::text(conclusion, width),
        None => scaling::text(crate::scaling(&findings.scaling), width),
    };
    match &findings.skills {
        Some(found) => format!("{law}\n{}", skills::text(&SkillReport::of(found), width)),
        None => law,
    }
}
