//! The report as Markdown: results, minima, skills, runs, excluded runs, provenance. No charts.

use scalelaw_fit::conclusion::{Conclusion, Fit};

use crate::input::ReportInput;
use crate::parts::figure::Figure;
use crate::parts::{self, comparison, effort, isoflop, learning_rate, provenance, runs_table, scaling};
use crate::runs::{self, Run, Status};
use crate::text;
use crate::text::markdown::{code, escape};
use crate::text::table::{Cell, Table};

/// The file's text.
pub fn markdown(input: &ReportInput) -> String {
    let runs = runs::join(input);
    let mut text = format!("# Scaling report: {}\n\n", escape(input.name()));
    if let Some(question) = input.plan.and_then(|plan| plan.question.as_ref()) {
        text.push_str(&format!("{}\n\n", escape(question)));
    }
    text.push_str("## What came out\n\n");
    match (input.scaling, input.fit()) {
        (Ok(conclusion), Some(fit)) => text.push_str(&concluded(input, conclusion, fit)),
        (Ok(_), None) => text.push_str("No law is concluded from these runs.\n\n"),
        (Err(refusal), _) => {
            let why = escape(&text::capitalised(refusal.why));
            text.push_str(&format!("No law is concluded from these runs.\n\n{why}\n\n"));
            text.push_str(&list("What would settle it", refusal.settle.iter().map(String::as_str)));
        }
    }
    text.push_str(&figures(&effort::figures(input, &runs)));
    if let Ok(conclusion) = input.scaling {
        text.push_str(&list("Caveats", scaling::caveats(conclusion)));
    }
    for table in learning_rate::tables(input, &runs) {
        text.push_str(&table.markdown(2));
    }
    if let Ok(conclusion) = input.scaling {
        text.push_str(&isoflop::minima(conclusion).markdown(2));
    }
    for part in parts::of(input) {
        text.push_str(&format!("## {}\n\n", part.title));
        if !part.lead.is_empty() {
            text.push_str(&format!("**{}**\n\n", escape(&part.lead)));
        }
        part.tables.iter().for_each(|table| text.push_str(&table.markdown(3)));
        part.notes
            .iter()
            .for_each(|note| text.push_str(&format!("{}\n\n", escape(&text::capitalised(note)))));
    }
    text.push_str(&run_table(&runs).markdown(2));
    text.push_str(&runs_table::excluded(input, &runs).markdown(2));
    text.push_str("## Provenance\n\n");
    for (what, value) in provenance::facts(input) {
        text.push_str(&format!("- {what}: {}\n", escape(&value)));
    }
    text.push('\n');
    text.push_str(&provenance::corpora(input).markdown(3));
    text
}

fn concluded(input: &ReportInput, conclusion: &Conclusion, fit: &Fit) -> String {
    let mut text = String::new();
    if let Some(headline) = scaling::headline(fit) {
        text.push_str(&format!("**{headline}**\n\n"));
    }
    text.push_str(&format!("{}\n\n", code(&fit.equation)));
    text.push_str(&scaling::parameters(conclusion, fit).markdown(3));
    text.push_str(&figures(&scaling::exponents(fit)));
    text.push_str(&figures(&scaling::optimum(input, fit)));
    text.push_str(&comparison::approaches(conclusion, fit, input.largest_compute()).markdown(3));
    let sentences = comparison::sentences(conclusion, fit);
    sentences.iter().for_each(|sentence| text.push_str(&format!("- {}\n", escape(sentence))));
    text.push('\n');
    text.push_str(&comparison::laws(conclusion).markdown(3));
    text.push_str(&scaling::predictions(conclusion, fit).markdown(3));
    text.push_str(&format!("{}\n\n", escape(&scaling::method(fit, conclusion))));
    text
}

fn run_table(runs: &[Run]) -> Table {
    let rows = runs
        .iter()
        .map(|run| {
            let outcome = match &run.status {
                Status::Finished => "finished".to_string(),
                Status::Diverged { step } => format!("diverged at step {}", text::count(*step)),
                Status::Stopped { step, .. } => format!("stopped early at step {}", text::count(*step)),
                Status::Failed { .. } => "failed".to_string(),
                Status::Waiting => "not run yet".to_string(),
            };
            let numbers = [
                text::si(run.n),
                text::si(run.d),
                text::flops(run.c),
                text::or_unknown(run.loss, text::loss),
                text::or_unknown(run.residual, text::residual),
            ];
            let mut cells = vec![Cell::Code(run.name.clone()), Cell::Text(outcome)];
            cells.extend(numbers.map(Cell::Text));
            cells
        })
        .collect();
    let head = ["Run", "Outcome", "N, parameters", "D, tokens", "C, FLOPs", "Loss, nats/token", "Residual"];
    Table::new("Runs", &head, rows)
}

fn figures(figures: &[Figure]) -> String {
    let mut text = String::new();
    for figure in figures {
        let interval = match figure.interval {
            Some(_) => format!(" {}", figure.interval_text()),
            None => String::new(),
        };
        let note =
            if figure.note.is_empty() { String::new() } else { format!(" ({})", escape(&figure.note)) };
        text.push_str(&format!("- {}: {}{interval}{note}\n", figure.label, escape(&figure.value)));
    }
    text.push('\n');
    text
}

/// A list under its title; nothing where it is empty.
fn list<'a>(title: &str, items: impl IntoIterator<Item = &'a str>) -> String {
    let items: String = items.into_iter().map(|item| format!("- {}\n", escape(item))).collect();
    if items.is_empty() { items } else { format!("{title}:\n\n{items}\n") }
}
