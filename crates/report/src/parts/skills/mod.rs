//! Skills: which want a larger model and which want more data than the mixture as a whole.

mod curves;
pub mod optima;
mod residuals;

use scalelaw_findings::skills::conclusion::{Label, SkillConclusion};
use scalelaw_schema::table::LossTable;

use crate::parts::part::Part;
use crate::text;

/// The part.
pub fn part(tables: &[LossTable], found: &SkillConclusion) -> Part {
    let mut charts = residuals::charts(found);
    charts.extend(optima::charts(found));
    charts.extend(curves::charts(tables, found));
    let mut notes = vec![format!("Rule of the labels: {}.", found.rule)];
    notes.push(format!(
        "Every skill is compared with `{}`. Intervals come from {} of the runs' noise, the same for all texts; those of the parabolas include noise, but not the bias of a parabola where the sizes are off the optimum or alpha and beta differ.",
        found.aggregate.name,
        text::counted(found.draws, "draw")
    ));
    notes.extend(found.warnings.iter().cloned());
    Part {
        id: "skills",
        link: "Skills",
        title: "What each skill wants more of",
        lead: lead(found),
        charts,
        tables: vec![residuals::table(found), optima::table(found)],
        notes,
    }
}

/// Who wants what, in a sentence per label.
fn lead(found: &SkillConclusion) -> String {
    let of = |label: Label| -> Vec<&str> {
        found.residuals.iter().filter(|r| r.label == label).map(|r| r.skill.as_str()).collect()
    };
    let wants = |label, what: &str| {
        let skills = of(label);
        let verb = if skills.len() == 1 { "does" } else { "do" };
        let who = match skills.len() {
            n if n > 1 && n == found.residuals.len() => format!("all {n} skills"),
            _ => listed(&skills),
        };
        (!skills.is_empty()).then(|| {
            let aggregate = &found.aggregate.name;
            format!("At the same compute, {who} {verb} best with {what} than the aggregate, `{aggregate}`.")
        })
    };
    let undecided = of(Label::Undecided);
    let sentences = [
        wants(Label::CapacityHungry, "a larger model and less data"),
        wants(Label::DataHungry, "a smaller model and more data"),
        (!undecided.is_empty()).then(|| format!("Undecided: {}.", listed(&undecided))),
    ];
    sentences.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// `a`, `a and b`, `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => names.concat(),
    }
}
