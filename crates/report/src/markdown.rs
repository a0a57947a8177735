//! The report as Markdown: results, minima, runs, what was left out, provenance. No charts.

use scalelaw_fit::conclusion::{Conclusion, Fit, Interval};

use crate::ReportInput;
use crate::agreement;
use crate::format;
use crate::learning_rate;
use crate::provenance;
use crate::runs::{self, Run, Status};
use crate::runs_table;
use crate::skills;
use crate::summary::{self, Figure};

/// The file's text.
pub fn markdown(input: &ReportInput) -> String {
    let runs = runs::join(input);
    let mut text = format!("# Scaling report: {}\n\n", escape(input.name()));
    if let Some(question) = input.plan.and_then(|plan| plan.question.as_ref()) {
        text.push_str(&format!("{}\n\n", escape(question)));
    }
    text.push_str("## What came out\n\n");
    match (input.conclusion, input.fit()) {
        (Ok(conclusion), Some(fit)) => text.push_str(&concluded(input, conclusion, fit)),
        (Ok(_), None) => text.push_str("No law is concluded from these runs.\n\n"),
        (Err(reason), _) => {
            let (why, settle) = summary::refusal_parts(reason);
            text.push_str(&format!("No law is concluded from these runs.\n\n{}\n\n", escape(&why)));
            if !settle.is_empty() {
                let items: String = settle.iter().map(|item| format!("- {}\n", escape(item))).collect();
                text.push_str(&format!("What would settle it:\n\n{items}\n"));
            }
        }
    }
    text.push_str(&figures(&summary::effort(input, &runs)));
    let warnings: String =
        summary::warnings(input).iter().map(|warning| format!("- {}\n", escape(warning))).collect();
    if !warnings.is_empty() {
        text.push_str(&format!("Know before using these numbers:\n\n{warnings}\n"));
    }
    text.push_str(&learning_rates(input, &runs));
    text.push_str(&minima(input));
    for part in input.skills.iter().flat_map(|report| skills::parts(report)) {
        text.push_str(&format!("## {}\n\n", part.title));
        if !part.lead.is_empty() {
            text.push_str(&format!("**{}**\n\n", escape(&part.lead)));
        }
        part.tables.iter().for_each(|table| text.push_str(&table.markdown()));
        part.notes.iter().for_each(|note| text.push_str(&format!("{}\n\n", escape(note))));
    }
    text.push_str(&run_table(&runs));
    let left_out = runs_table::left_out_rows(input, &runs);
    if !left_out.is_empty() {
        text.push_str("## Left out, and why\n\n");
        text.push_str(&table(
            &["Run or cell", "What became of it", "Why"],
            &left_out.iter().map(|row| row.iter().map(|cell| escape(cell)).collect()).collect::<Vec<_>>(),
        ));
    }
    text.push_str("## Provenance\n\n");
    for (what, value) in provenance::facts(input) {
        text.push_str(&format!("- {what}: {}\n", escape(&value)));
    }
    for (name, hash) in provenance::corpora(input) {
        text.push_str(&format!("- Text {}: `{hash}`\n", escape(&name)));
    }
    text
}

fn concluded(input: &ReportInput, conclusion: &Conclusion, fit: &Fit) -> String {
    let mut text = String::new();
    if let Some(headline) = summary::headline(fit) {
        text.push_str(&format!("**{headline}**\n\n"));
    }
    text.push_str(&format!("`{}`\n\n", fit.equation.replace('`', "'")));
    let rows: Vec<Vec<String>> = summary::params_in_order(fit)
        .into_iter()
        .map(|(name, value)| {
            let interval = fit.intervals.get(name);
            vec![name.to_string(), format::estimate(value, interval), interval_text(interval)]
        })
        .collect();
    text.push_str(&table(&["Parameter", "Value", "Interval"], &rows));
    text.push_str(&figures(&summary::exponents(input, fit)));
    let rows: Vec<Vec<String>> = agreement::frontiers(conclusion, fit)
        .into_iter()
        .map(|(name, frontier)| {
            let with = |value: f64, key: &str| {
                let interval = frontier.intervals.get(key);
                format!(
                    "{} {}",
                    format::estimate(value, interval),
                    interval.map_or(String::new(), format::interval)
                )
            };
            vec![escape(&name), with(frontier.a, "a"), with(frontier.b, "b")]
        })
        .collect();
    text.push_str(&table(&["Approach", "Exponent of N*, a", "Exponent of D*, b"], &rows));
    for disagreement in &conclusion.disagreement {
        if let Some(sentence) = agreement::disagreement_text(disagreement, fit) {
            text.push_str(&format!("- {}\n", escape(&sentence)));
        }
    }
    text.push_str(&format!("\n{}\n\n", escape(&summary::method(fit, conclusion))));
    text
}

fn learning_rates(input: &ReportInput, runs: &[Run]) -> String {
    let mut text = String::new();
    for part in learning_rate::parts(input, runs) {
        let rows: Vec<Vec<String>> =
            part.rows.iter().map(|row| row.iter().map(|cell| escape(cell)).collect()).collect();
        let head: Vec<&str> = part.head.iter().map(|title| title.trim_start_matches('#')).collect();
        text.push_str(&format!("## {}\n\n{}{}\n\n", part.title, table(&head, &rows), escape(&part.note)));
    }
    text
}

fn minima(input: &ReportInput) -> String {
    if input.minima().is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = input
        .minima()
        .iter()
        .map(|minimum| {
            vec![
                format::flops(minimum.budget),
                minimum.n_sizes.to_string(),
                match (minimum.n, &minimum.why_none) {
                    (Some(n), _) => format::si(n),
                    (None, why) => format!("none: {}", escape(why.as_deref().unwrap_or(format::UNKNOWN))),
                },
                format::or_unknown(minimum.n_akima, format::si),
                format::or_unknown(minimum.loss, format::loss),
            ]
        })
        .collect();
    let head = ["Budget, FLOPs", "Sizes", "N*, parabola", "N*, Akima", "Loss, nats/token"];
    format!("## Best size at each budget\n\n{}", table(&head, &rows))
}

fn run_table(runs: &[Run]) -> String {
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            let outcome = match &run.status {
                Status::Finished => "finished".to_string(),
                Status::Diverged { step } => format!("diverged at step {step}"),
                Status::Failed { .. } => "failed".to_string(),
                Status::Waiting => "not run yet".to_string(),
            };
            vec![
                format!("`{}`", run.name.replace('`', "'")),
                outcome,
                format::si(run.n),
                format::si(run.d),
                format::flops(run.c),
                format::or_unknown(run.loss, format::loss),
                format::or_unknown(run.residual, format::residual),
            ]
        })
        .collect();
    let head = ["Run", "Outcome", "N, parameters", "D, tokens", "C, FLOPs", "Loss, nats/token", "Residual"];
    format!("## Runs\n\n{}", table(&head, &rows))
}

fn figures(figures: &[Figure]) -> String {
    let mut text = String::new();
    for figure in figures {
        let interval =
            figure.interval.as_ref().map_or(String::new(), |_| format!(" {}", figure.interval_text()));
        let note =
            if figure.note.is_empty() { String::new() } else { format!(" ({})", escape(&figure.note)) };
        text.push_str(&format!("- {}: {}{interval}{note}\n", figure.label, escape(&figure.value)));
    }
    text.push('\n');
    text
}

fn interval_text(interval: Option<&Interval>) -> String {
    interval.map_or_else(|| format::UNKNOWN.to_string(), format::interval)
}

pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(head.to_vec());
    text.push_str(&line(vec!["---"; head.len()]));
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text.push('\n');
    text
}

/// A user's text cannot open HTML, end a cell or start a line of its own.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('|', "\\|").replace(['\n', '\r'], " ")
}
