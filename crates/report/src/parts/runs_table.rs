//! The table of all runs, and the runs that are not in the fit, with the reasons.

use std::collections::BTreeSet;

use scalelaw_schema::model::ModelSpec;

use crate::input::ReportInput;
use crate::runs::{Run, Status};
use crate::text;
use crate::text::html::{escape, wide_minus};
use crate::text::table::{Cell, Table};

/// More corpora than this would make the table unreadable; `scalelaw export` writes them all.
const MOST_CORPORA: usize = 4;

/// A cell: what is shown, and the number that it is sorted by.
struct SortedCell {
    html: String,
    number: Option<f64>,
}

/// The HTML of the table, which is sorted by its numbers.
pub fn html(runs: &[Run]) -> String {
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

fn cell_html((cell, title): (&SortedCell, &String)) -> String {
    let class = if title.starts_with('#') { " class=\"num\"" } else { "" };
    let number =
        cell.number.filter(|x| x.is_finite()).map_or(String::new(), |x| format!(" data-v=\"{x:.6e}\""));
    format!("<td{class}{number}>{}</td>", cell.html)
}

fn cells(run: &Run, has_rows: bool, has_budgets: bool, corpora: &[String]) -> Vec<SortedCell> {
    let plain = |html: String| SortedCell { html, number: None };
    let number = |value: Option<f64>, show: &dyn Fn(f64) -> String| match value.filter(|x| x.is_finite()) {
        Some(x) => SortedCell { html: wide_minus(&show(x)), number: Some(x) },
        None => {
            SortedCell { html: format!("<span class=\"unknown\">{}</span>", text::UNKNOWN), number: None }
        }
    };
    let row = run.row;
    let mut cells = vec![plain(name(run)), plain(outcome(run))];
    if has_rows {
        let shape = row.map(|row| (row.n_layer, row.d_model)).or_else(|| {
            run.planned.map(|planned| {
                let ModelSpec::Transformer(shape) = &planned.run.train.model;
                (shape.n_layer, shape.d_model)
            })
        });
        cells.push(match shape {
            Some((layers, width)) => {
                SortedCell { html: format!("{layers}×{width}"), number: Some((layers * width) as f64) }
            }
            None => number(None, &text::si),
        });
    }
    cells.push(number(Some(run.n), &text::si));
    cells.push(number(Some(run.d), &text::si));
    cells.push(number(Some(run.c), &text::flops));
    cells.push(number(Some(run.d / run.n), &|x| text::significant(x, 3)));
    if has_budgets {
        cells.push(number(run.budget, &text::flops));
    }
    cells.push(number(run.loss, &text::loss));
    cells.push(number(run.fitted, &text::loss));
    cells.push(number(run.residual, &text::residual));
    for corpus in corpora {
        cells.push(number(row.and_then(|row| row.losses.get(corpus)).copied(), &text::loss));
    }
    if has_rows {
        cells.push(number(row.and_then(|row| row.bpb), &text::loss));
        cells.push(number(run.lr, &|x| text::significant(x, 3)));
        cells.push(number(run.seed.map(|seed| seed as f64), &|_| {
            run.seed.map_or(String::new(), |s| s.to_string())
        }));
        cells.push(number(row.map(|row| row.wall_seconds), &text::duration));
        cells.push(number(row.and_then(|row| row.tokens_per_second), &text::si));
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
        Status::Finished if run.excluded.is_some() => ("left", "finished, excluded"),
        Status::Finished => ("good", "finished"),
        Status::Diverged { .. } => ("bad", "diverged"),
        Status::Stopped { .. } => ("left", "stopped early"),
        Status::Failed { .. } => ("bad", "failed"),
        Status::Waiting => ("left", "not run yet"),
    };
    format!("<span class=\"state {class}\">{text}</span>")
}

/// Everything that was planned or given and is not in the fit.
pub fn excluded(input: &ReportInput, runs: &[Run]) -> Table {
    let mut rows: Vec<[&str; 2]> = Vec::new();
    let mut whys: Vec<String> = Vec::new();
    let mut add = |what, outcome, why: String| {
        rows.push([what, outcome]);
        whys.push(why);
    };
    for cell in input.plan.iter().flat_map(|plan| &plan.dropped) {
        add(cell.cell.as_str(), "dropped from the plan", cell.why.clone());
    }
    let mut named: BTreeSet<&str> = BTreeSet::new();
    for run in runs {
        let outcome_and_why = match (&run.status, &run.excluded) {
            (Status::Diverged { step }, _) => {
                Some(("diverged", format!("the loss diverged at step {}", text::count(*step))))
            }
            (Status::Stopped { step, why }, _) => {
                Some(("stopped early", format!("at step {}: {why}", text::count(*step))))
            }
            (Status::Failed { why }, _) => Some(("failed", why.clone())),
            (Status::Waiting, _) => Some(("not run yet", "it has no record".to_string())),
            (Status::Finished, Some(why)) => Some(("excluded from the fit", why.clone())),
            (Status::Finished, None) if run.loss.is_none() => {
                Some(("excluded from the fit", "it has no held-out loss".to_string()))
            }
            (Status::Finished, None) => None,
        };
        if let Some((outcome, why)) = outcome_and_why {
            add(run.name.as_str(), outcome, why);
        }
        named.insert(&run.id);
        named.insert(&run.name);
    }
    let mut others: BTreeSet<(&str, &str)> = BTreeSet::new();
    for row in input.problems.iter().chain(&input.table.excluded).chain(input.excluded_by_fit()) {
        if !named.contains(row.name.as_str()) && others.insert((&row.name, &row.why)) {
            add(row.name.as_str(), "excluded from the fit", row.why.clone());
        }
    }
    let rows = rows.into_iter().zip(whys).map(|([what, outcome], why)| {
        vec![Cell::Code(what.to_string()), Cell::Prose(outcome.to_string()), Cell::Prose(why)]
    });
    Table {
        class: "plain wrap",
        ..Table::new("Excluded runs", &["Run or cell", "Outcome", "Reason"], rows.collect())
    }
}
