//! What is known of a sweep's skills: the parts of the report about them, without their charts.

use crate::parts;
use crate::parts::part::Part;
use crate::skill_report::SkillReport;
use crate::text::wrap;

/// Every part that has something to show.
pub fn text(report: &SkillReport, width: usize) -> String {
    let parts: Vec<String> = parts::of_skills(report).iter().map(|part| part_text(part, width)).collect();
    parts.join("\n")
}

fn part_text(part: &Part, width: usize) -> String {
    let mut blocks = vec![wrap(part.title, 0, width).to_uppercase()];
    if !part.lead.is_empty() {
        blocks[0].push_str(&wrap(&part.lead, 0, width));
    }
    blocks.extend(part.tables.iter().map(|table| table.terminal(width)).filter(|text| !text.is_empty()));
    let notes: String = part.notes.iter().map(|note| wrap(&format!("- {note}"), 2, width)).collect();
    blocks.extend((!notes.is_empty()).then_some(notes));
    blocks.join("\n")
}
