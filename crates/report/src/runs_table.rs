//! The table of all runs, and what was left out of the fit and why.

use std::collections::BTreeSet;

use scalelaw_schema::model::ModelSpec;

use crate::ReportInput;
use crate::format;
use crate::html::{self, escape, prose};
use crate::runs::{Run, Status};

/// More corpora than this would make the table unreadable; the CSV has them all.
const MOST_CORPORA: usize = 4;

/// A cell: what is shown, and the number that it is sorted by.
struct Cell {
    html: String,
    number: Option<f64>,
}

/// The HTML of the section.
pub fn section(input: &ReportInput, runs: &[Run]) -> String {
    format!("{}{}", table(runs), left_out(input, runs))
}

fn table(runs: &[Run]) -> String {
    if runs.is_empty() {
        return "<p>There are no runs.</p>".to_string();
    }
    let corpora: Vec<String> = {
        let names: BTreeSet<&String> =
            runs.iter().filter_map(|run| run.row).flat_map(|row| row.losses.keys()).collect();
        if names.len() > 1 { names.into_iter().take(MOST_CORPORA).cloned().collect() } else { Vec::new() }
    };
    let has_budgets = runs.iter().any(|run| run.budget.is_some());
    let has_rows = runs.iter().any(|run| run.row.is_some());
    let mut head = vec!["Run".to_string(), "Outcome".to_string()];
    head.extend(has_rows.then(|| "#Layers×width".to_string()));
    head.extend(["#N, parameters", "#D, tokens", "#C, FLOPs", "#D/N"].map(String::from));
    head.extend(has_budgets.then(|| "#Budget, FLOPs".to_string()));
    head.extend(["#Loss, nats/token", "#Fitted", "#Residual"].map(String::from));
    head.extend(corpora.iter().map(|name| format!("#Loss on {}", escape(name))));
    if has_rows {
        head.extend(["#bpb", "#LR", "#Seed", "#Time", "#Tokens/s"].map(String::from));
    }
    let head_html: String = head
        .iter()
        .map(|title| {
            let class = if title.starts_with('#') { " class=\"num\"" } else { "" };
            format!("<th scope=\"col\"{class}>{}</th>", title.trim_start_matches('#'))
        })
        .collect();
    let rows: String = runs
        .iter()
        .enumerate()
        .map(|(idx, run)| {
            let cells: String =
                cells(run, has_rows, has_budgets, &corpora).iter().zip(&head).map(cell_html).collect();
            format!("<tr data-r=\"{idx}\">{cells}</tr>\n")
        })
        .collect();
    format!(
        "<div class=\"scroll tall\"><table class=\"runs sort\"><thead><tr>{head_html}</tr></thead><tbody>\n{rows}</tbody></table></div>"
    )
}

fn cell_html((cell, title): (&Cell, &String)) -> String {
    let class = if title.starts_with('#') { " class=\"num\"" } else { "" };
    let number =
        cell.number.filter(|x| x.is_finite()).map_or(String::new(), |x| format!(" data-v=\"{x:.6e}\""));
    format!("<td{class}{number}>{}</td>", cell.html)
}

fn cells(run: &Run, has_rows: bool, has_budgets: bool, corpora: &[String]) -> Vec<Cell> {
    let text = |html: String| Cell { html, number: None };
    let number = |value: Option<f64>, show: &dyn Fn(f64) -> String| match value.filter(|x| x.is_finite()) {
        Some(x) => Cell { html: show(x), number: Some(x) },
        None => Cell { html: format!("<span class=\"unknown\">{}</span>", format::UNKNOWN), number: None },
    };
    let row = run.row;
    let mut cells = vec![text(name(run)), text(outcome(run))];
    if has_rows {
        let shape = row.map(|row| (row.n_layer, row.d_model)).or_else(|| {
            run.planned.map(|planned| {
                let ModelSpec::Transformer(shape) = &planned.run.train.model;
                (shape.n_layer, shape.d_model)
            })
        });
        cells.push(match shape {
            Some((layers, width)) => {
                Cell { html: format!("{layers}×{width}"), number: Some((layers * width) as f64) }
            }
            None => number(None, &format::si),
        });
    }
    cells.push(number(Some(run.n), &format::si));
    cells.push(number(Some(run.d), &format::si));
    cells.push(number(Some(run.c), &format::flops));
    cells.push(number(Some(run.d / run.n), &|x| format::significant(x, 3)));
    if has_budgets {
        cells.push(number(run.budget, &format::flops));
    }
    cells.push(number(run.loss, &format::loss));
    cells.push(number(run.fitted, &format::loss));
    cells.push(number(run.residual, &format::residual));
    for corpus in corpora {
        cells.push(number(row.and_then(|row| row.losses.get(corpus)).copied(), &format::loss));
    }
    if has_rows {
        cells.push(number(row.and_then(|row| row.bpb), &format::loss));
        cells.push(number(run.lr, &|x| format::significant(x, 3)));
        cells.push(number(run.seed.map(|seed| seed as f64), &|_| {
            run.seed.map_or(String::new(), |s| s.to_string())
        }));
        cells.push(number(row.map(|row| row.wall_seconds), &format::duration));
        cells.push(number(row.and_then(|row| row.tokens_per_second), &format::si));
    }
    cells
}

/// The readable part and, set back, the id.
fn name(run: &Run) -> String {
    match run.name.strip_suffix(run.id.as_str()) {
        Some(readable) => format!("<code>{}<small>{}</small></code>", escape(readable), escape(&run.id)),
        None if run.row.is_some() || run.planned.is_some() => {
            format!("<code>{} <small>{}</small></code>", escape(&run.name), escape(&run.id))
        }
        None => format!("<code>{}</code>", escape(&run.name)),
    }
}

fn outcome(run: &Run) -> String {
    let (class, text) = match &run.status {
        Status::Finished if run.excluded.is_some() => ("left", "finished, left out"),
        Status::Finished => ("good", "finished"),
        Status::Diverged { .. } => ("bad", "diverged"),
        Status::Stopped { .. } => ("left", "stopped early"),
        Status::Failed { .. } => ("bad", "failed"),
        Status::Waiting => ("left", "not run yet"),
    };
    format!("<span class=\"state {class}\">{text}</span>")
}

/// `(what, stage, why)` of everything that was asked for and is not in the fit.
pub fn left_out_rows(input: &ReportInput, runs: &[Run]) -> Vec<[String; 3]> {
    let mut rows: Vec<[String; 3]> = Vec::new();
    for cell in input.plan.iter().flat_map(|plan| &plan.dropped) {
        rows.push([cell.cell.clone(), "dropped from the plan".to_string(), cell.why.clone()]);
    }
    let mut named: BTreeSet<&str> = BTreeSet::new();
    for run in runs {
        let stage_and_why = match (&run.status, &run.excluded) {
            (Status::Diverged { step }, _) => {
                Some(("diverged", format!("the loss left every bound at step {}", format::count(*step))))
            }
            (Status::Stopped { step, why }, _) => {
                Some(("stopped early", format!("at step {}: {why}", format::count(*step))))
            }
            (Status::Failed { why }, _) => Some(("failed", why.clone())),
            (Status::Waiting, _) => Some(("not run yet", "it has no record".to_string())),
            (Status::Finished, Some(why)) => Some(("left out of the fit", why.clone())),
            (Status::Finished, None) if run.loss.is_none() => {
                Some(("left out of the fit", "it has no held-out loss".to_string()))
            }
            (Status::Finished, None) => None,
        };
        if let Some((stage, why)) = stage_and_why {
            rows.push([run.name.clone(), stage.to_string(), why]);
        }
        named.insert(&run.id);
        named.insert(&run.name);
    }
    let mut others: BTreeSet<(&str, &str)> = BTreeSet::new();
    for row in input.problems.iter().chain(&input.table.excluded).chain(input.excluded_by_fit()) {
        if !named.contains(row.name.as_str()) && others.insert((&row.name, &row.why)) {
            rows.push([row.name.clone(), "left out of the fit".to_string(), row.why.clone()]);
        }
    }
    rows
}

fn left_out(input: &ReportInput, runs: &[Run]) -> String {
    let rows = left_out_rows(input, runs);
    if rows.is_empty() {
        return "<p class=\"note\">Nothing was left out: every planned run is in the fit.</p>".to_string();
    }
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|[what, stage, why]| vec![format!("<code>{}</code>", escape(what)), prose(stage), prose(why)])
        .collect();
    format!(
        "<h3>Left out, and why</h3>{}",
        html::table("plain wrap", &["Run or cell", "What became of it", "Why"], &cells)
    )
}
