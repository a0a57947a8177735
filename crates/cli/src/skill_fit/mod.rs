//! What is known of a sweep's skills, for the page and as text.

mod report;
mod text;

pub use report::ReportFindings;
use scalelaw_findings::{SkillCapacity, SkillFindings, SkillViable, UseMixture};
pub use text::render;
