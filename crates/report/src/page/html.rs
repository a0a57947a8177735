//! The page: sections in their order, styles, and the small script that makes it answer.

use scalelaw_schema::plan::Plan;

use super::results;
use crate::draw::chart::Chart;
use crate::draw::{color, svg};
use crate::input::ReportInput;
use crate::parts::part::Part;
use crate::parts::{
    self, curves, frontier, isoflop, learning_rate, loss, plan, provenance, reading, residuals, runs_table,
};
use crate::runs::{self, Run};
use crate::text::html::{escape, prose};
use crate::text::table::Table;

/// Columns of a table that stands beside a chart.
const MOST_COLUMNS_BESIDE: usize = 5;

/// A section of the page with its place in the table of contents.
struct Section {
    id: &'static str,
    title: &'static str,
    /// Its name in the table of contents, one or two words.
    link: &'static str,
    html: String,
}

/// The whole document.
pub fn page(input: &ReportInput) -> String {
    let runs = runs::join(input);
    let sections = sections(input, &runs);
    let links: String =
        sections.iter().map(|section| format!("<a href=\"#{}\">{}</a>", section.id, section.link)).collect();
    let body: String = sections
        .iter()
        .map(|section| {
            format!("<section id=\"{}\"><h2>{}</h2>\n{}</section>\n", section.id, section.title, section.html)
        })
        .collect();
    let question = input
        .plan
        .and_then(|plan| plan.question.as_ref())
        .map_or(String::new(), |question| format!("<p class=\"question\">{}</p>", escape(question)));
    let name = escape(input.name());
    let colors = color::css();
    let style = include_str!("style.css");
    let script = include_str!("script.js");
    let made = escape(&format!("Made {} by {}", input.generated, input.program));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>{name}: scaling report</title>\n<style>\n{colors}{style}</style>\n</head>\n<body>\n<nav aria-label=\"Parts of the report\"><div>{links}</div><button type=\"button\" id=\"theme\" hidden>Dark</button></nav>\n<main>\n<header><p class=\"kind\">Scaling report</p><h1>{name}</h1>{question}<p class=\"made\">{made}</p></header>\n{body}</main>\n<div id=\"tip\" role=\"status\" hidden></div>\n<script>\n{script}</script>\n</body>\n</html>\n"
    )
}

fn sections(input: &ReportInput, runs: &[Run]) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut add = |id, link, title, html: String| {
        if !html.is_empty() {
            sections.push(Section { id, title, link, html });
        }
    };
    add("results", "Results", "What came out", results::section(input, runs));
    add("plan", "Plan", "Plan", input.plan.map_or(String::new(), plan_section));
    add("curves", "Curves", "Learning curves", figures(&curves::charts(runs, input.curves)));
    add("learning-rate", "Learning rate", "Learning rate", learning_rate_section(input, runs));
    add("isoflop", "IsoFLOP", "IsoFLOP curves", isoflop_section(input, runs));
    add("loss", "Loss", "Loss against N, D and C", figures(&loss::charts(input, runs)));
    add("residuals", "Residuals", "Residuals", figures(&residuals::charts(input, runs)));
    add("frontier", "Frontier", "Compute-optimal frontier", figures(&frontier::charts(input, runs)));
    for part in parts::of(input) {
        add(part.id, part.link, part.title, part_section(&part));
    }
    add("runs", "Runs", "Runs", runs_section(input, runs));
    add("provenance", "Provenance", "Provenance", provenance_section(input));
    add("reading", "How to read", "How to read this", reading_section());
    sections
}

fn plan_section(plan: &Plan) -> String {
    let tables: String = plan::tables(plan).iter().map(Table::html).collect();
    format!(
        "<p>{}</p><details><summary>All planned runs</summary>{tables}{}</details>",
        prose(&plan::sentence(plan)),
        notes(&plan.warnings)
    )
}

fn isoflop_section(input: &ReportInput, runs: &[Run]) -> String {
    let minima = input.scaling.map_or(String::new(), |conclusion| isoflop::minima(conclusion).html());
    isoflop::chart(input, runs).map_or(String::new(), |chart| {
        format!("<div class=\"charts\">{}<div>{minima}</div></div>", figure(&chart))
    })
}

fn learning_rate_section(input: &ReportInput, runs: &[Run]) -> String {
    let tables: String = learning_rate::tables(input, runs).iter().map(Table::html).collect();
    match learning_rate::chart(input, runs) {
        Some(chart) => format!("<div class=\"charts\">{}</div>{tables}", figure(&chart)),
        None => tables,
    }
}

fn part_section(part: &Part) -> String {
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
    html + &notes(&part.notes)
}

/// A paragraph each, ended as sentences are.
fn notes(notes: &[String]) -> String {
    notes
        .iter()
        .map(|note| {
            let stop = if note.ends_with('.') { "" } else { "." };
            format!("<p class=\"note\">{}{stop}</p>", prose(note))
        })
        .collect()
}

fn runs_section(input: &ReportInput, runs: &[Run]) -> String {
    let excluded = runs_table::excluded(input, runs);
    let excluded = match excluded.rows.is_empty() {
        true => "<p class=\"note\">No run is excluded: every planned run is in the fit.</p>".to_string(),
        false => excluded.html(),
    };
    format!("{}{excluded}", runs_table::html(runs))
}

fn provenance_section(input: &ReportInput) -> String {
    let items: String = provenance::facts(input)
        .iter()
        .map(|(what, value)| format!("<dt>{what}</dt><dd>{}</dd>", escape(value)))
        .collect();
    format!(
        "<dl class=\"facts\">{items}</dl>{}<p class=\"note\">Optimizer, schedule, context and batch are those of the first planned run; the plan and each run's own file have them for every run.</p>",
        provenance::corpora(input).html()
    )
}

fn reading_section() -> String {
    let items: String = reading::TERMS
        .iter()
        .map(|(term, meaning)| format!("<dt>{term}</dt><dd>{}</dd>", prose(meaning)))
        .collect();
    format!("<dl class=\"reading\">{items}</dl>")
}

fn figures(charts: &[Chart]) -> String {
    if charts.is_empty() {
        return String::new();
    }
    format!("<div class=\"charts\">{}</div>", charts.iter().map(figure).collect::<String>())
}

fn figure(chart: &Chart) -> String {
    format!(
        "<figure id=\"figure-{}\"><h3>{}</h3>\n{}\n{}<figcaption>{}</figcaption></figure>\n",
        chart.name,
        escape(&chart.title),
        svg::inline(chart),
        svg::legend(chart),
        escape(&chart.caption)
    )
}
