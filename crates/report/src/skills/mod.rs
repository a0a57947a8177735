//! Skills: what the same runs say when they are judged skill by skill. Charts and tables; the page and the
//! Markdown write the same tables.

mod capacity;
mod curves;
mod mix;
mod optima;
mod residuals;
mod table;
mod validation;
mod viable;

use scalelaw_findings::Viable;
use scalelaw_findings::capacity::CapacityConclusion;
use scalelaw_findings::mixture::best::BestMixture;
use scalelaw_findings::mixture::fraction::FractionCurve;
use scalelaw_findings::mixture::mixing_law::MixingConclusion;
use scalelaw_findings::skills::conclusion::{Label, SkillConclusion};
use scalelaw_findings::validation::ValidationConclusion;
use scalelaw_schema::table::LossTable;

use crate::chart::Chart;
use crate::html::prose;
pub(crate) use table::Table;

/// Columns of a table that stands beside a chart.
const MOST_COLUMNS_BESIDE: usize = 5;

/// What is known of skills; whatever is absent is left out of the report.
#[derive(Debug, Clone, Copy, Default)]
pub struct SkillReport<'a> {
    /// Losses by text, for the points of the curves.
    pub tables: &'a [LossTable],
    /// Optima, residuals and labels.
    pub conclusion: Option<&'a SkillConclusion>,
    /// N* against the fraction of each skill.
    pub fractions: &'a [FractionCurve],
    /// Mixing laws.
    pub mixing: Option<&'a MixingConclusion>,
    /// Best mixtures, one for each use.
    pub best: &'a [BestMixture],
    /// What a wrong validation text costs.
    pub validation: Option<&'a ValidationConclusion>,
    /// Bits per parameter by skill.
    pub capacity: &'a [(String, CapacityConclusion)],
    /// Minimum viable investments by skill.
    pub viable: &'a [(String, Viable)],
    /// What the runs do not allow, each with its reason.
    pub absent: &'a [String],
}

/// A part of the report.
pub(crate) struct Part {
    pub id: &'static str,
    pub link: &'static str,
    pub title: &'static str,
    /// One sentence in plain text that says what came out; empty where there is none.
    pub lead: String,
    pub charts: Vec<Chart>,
    pub tables: Vec<Table>,
    /// Things to know, in plain text.
    pub notes: Vec<String>,
}

/// The parts that have something to show, in the report's order.
pub(crate) fn parts(report: &SkillReport) -> Vec<Part> {
    let mut parts = Vec::new();
    if let Some(found) = report.conclusion {
        parts.push(skills(report, found));
    }
    parts.extend(mix::part(report));
    parts.extend(report.validation.map(validation::part));
    parts.extend(capacity::part(report.capacity));
    parts.extend(viable::part(report.viable));
    if !report.absent.is_empty() {
        parts.push(Part {
            id: "skills-absent",
            link: "Left out",
            title: "What these runs do not show of skills",
            lead: String::new(),
            charts: Vec::new(),
            tables: Vec::new(),
            notes: report.absent.to_vec(),
        });
    }
    parts
}

/// All charts of the report.
pub(crate) fn charts(report: &SkillReport) -> Vec<Chart> {
    parts(report).into_iter().flat_map(|part| part.charts).collect()
}

fn skills(report: &SkillReport, found: &SkillConclusion) -> Part {
    let mut charts = residuals::charts(found);
    charts.extend(optima::charts(found));
    charts.extend(curves::charts(report.tables, found));
    let mut notes = vec![format!("Rule of the labels: {}.", found.rule)];
    notes.push(format!(
        "Every skill is compared with `{}`. Intervals come from {} draws of the runs' noise, the same for all texts; those of the parabolas hold their noise, not the bias of a parabola where the sizes are off the optimum or alpha and beta differ.",
        found.aggregate.name, found.draws
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

fn lead(found: &SkillConclusion) -> String {
    let of = |label: Label| -> Vec<&str> {
        found.residuals.iter().filter(|r| r.label == label).map(|r| r.skill.as_str()).collect()
    };
    let parts: Vec<String> =
        [(Label::CapacityHungry, "larger models"), (Label::DataHungry, "more data"), (Label::Undecided, "")]
            .into_iter()
            .filter_map(|(label, wants)| {
                let skills = of(label);
                let (names, verb) = (skills.join(", "), if skills.len() == 1 { "wants" } else { "want" });
                match label {
                    _ if skills.is_empty() => None,
                    Label::Undecided => Some(format!("undecided: {names}")),
                    _ => Some(format!(
                        "{names} {verb} {wants} than `{}` at the same compute",
                        found.aggregate.name
                    )),
                }
            })
            .collect();
    format!("{}.", parts.join("; "))
}

/// The HTML of a part, without its heading; `figure` draws a chart.
pub(crate) fn html(part: &Part, figure: impl Fn(&Chart) -> String) -> String {
    let mut html = String::new();
    if !part.lead.is_empty() {
        html.push_str(&format!("<p class=\"lead\">{}</p>", prose(&part.lead)));
    }
    let figures: String = part.charts.iter().map(figure).collect();
    let mut tables = part.tables.iter();
    // A single chart would fill the page: its first table stands beside it, or nothing where half a page is not wide
    // enough for that.
    let is_narrow = part.tables.first().is_some_and(|table| table.head.len() <= MOST_COLUMNS_BESIDE);
    let beside = match part.charts.len() {
        1 if is_narrow => format!("<div>{}</div>", tables.next().map_or(String::new(), Table::html)),
        1 => "<div></div>".to_string(),
        _ => String::new(),
    };
    if !part.charts.is_empty() {
        html.push_str(&format!("<div class=\"charts\">{figures}{beside}</div>"));
    }
    tables.for_each(|table| html.push_str(&table.html()));
    for note in &part.notes {
        let stop = if note.ends_with('.') { "" } else { "." };
        html.push_str(&format!("<p class=\"note\">{}{stop}</p>", prose(note)));
    }
    html
}
