//! Whether learning curves of runs that differ in their seed alone agree.

use scalelaw_findings::CurveHealth;
use scalelaw_findings::curve_health::{Comparison, FALSE_ALARM};

use super::part::Part;
use crate::text;
use crate::text::table::{Cell, Table};

/// The answer as a part of the report.
pub fn part(health: &CurveHealth) -> Part {
    let (lead, tables, notes) = match health {
        CurveHealth::Unknown { why } => (String::new(), Vec::new(), vec![text::capitalised(why)]),
        CurveHealth::Compared(found) => (sentence(found), table(found), vec![method(found)]),
    };
    Part {
        id: "curve-health",
        link: "Curve health",
        title: "Do equal runs have equal learning curves?",
        lead,
        charts: Vec::new(),
        tables,
        notes,
    }
}

/// What was found, in one sentence.
pub fn sentence(found: &Comparison) -> String {
    let compared = text::counted(found.n_compared, "run");
    match found.off.len() {
        0 => {
            format!("Of {compared} compared with their siblings, none is off by more than the seeds explain.")
        }
        n => format!(
            "Of {compared} compared with their siblings, {n} {} off by more than the seeds explain.",
            if n == 1 { "is" } else { "are" }
        ),
    }
}

/// The runs that are off; no table where none is.
pub fn table(found: &Comparison) -> Vec<Table> {
    if found.off.is_empty() {
        return Vec::new();
    }
    let rows = found
        .off
        .iter()
        .map(|off| {
            vec![
                Cell::Code(off.folder.clone()),
                Cell::Text(text::residual(off.offset.ln_1p())),
                Cell::Text(text::fixed(off.t, 1)),
                Cell::Text(off.n_siblings.to_string()),
            ]
        })
        .collect();
    let head = ["Run", "#Training loss against siblings", "#Standard errors", "#Siblings"];
    vec![Table::new("Runs off their siblings", &head, rows)]
}

fn method(found: &Comparison) -> String {
    let others = match found.n_not_compared {
        0 => String::new(),
        1 => " 1 run with fewer than two siblings is not compared.".to_string(),
        n => format!(" {} with fewer than two siblings are not compared.", text::counted(n, "run")),
    };
    format!(
        "Mean log of the training loss over the second half of the steps, beside runs that differ in the seed alone; their spread is {} of the loss ({} degrees of freedom). Student's t; the chance that any healthy run is named is at most {}.{others}",
        text::percent(found.seed_sd, 2),
        found.df,
        text::percent(FALSE_ALARM, 0)
    )
}
