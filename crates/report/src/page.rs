//! The page: sections in their order, styles, and the small script that makes it answer.

use crate::ReportInput;
use crate::chart::Chart;
use crate::color;
use crate::html::escape;
use crate::runs::{self, Run};
use crate::{
    curves, frontier, isoflop, learning_rate, loss, plan_table, provenance, reading, residuals, runs_table,
    skills, summary, svg,
};

/// A part of the page with its place in the table of contents.
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
    add("results", "Results", "What came out", summary::section(input, runs));
    add("plan", "Plan", "Plan", input.plan.map_or(String::new(), plan_table::section));
    add("curves", "Curves", "Learning curves", figures(&curves::charts(runs, input.curves)));
    add("learning-rate", "Learning rate", "Learning rate", learning_rate_section(input, runs));
    add("isoflop", "IsoFLOP", "IsoFLOP curves", isoflop_section(input, runs));
    add("loss", "Loss", "Loss against N, D and C", figures(&loss::charts(input, runs)));
    add("residuals", "Residuals", "Residuals", figures(&residuals::charts(input, runs)));
    add("frontier", "Frontier", "Compute-optimal frontier", figures(&frontier::charts(input, runs)));
    for part in input.skills.iter().flat_map(|report| skills::parts(report)) {
        add(part.id, part.link, part.title, skills::html(&part, figure));
    }
    add("runs", "Runs", "Runs", runs_table::section(input, runs));
    add("provenance", "Provenance", "Provenance", provenance::section(input));
    add("reading", "How to read", "How to read this", reading::section().to_string());
    sections
}

fn isoflop_section(input: &ReportInput, runs: &[Run]) -> String {
    isoflop::chart(input, runs).map_or(String::new(), |chart| {
        format!("<div class=\"charts\">{}<div>{}</div></div>", figure(&chart), isoflop::minima_table(input))
    })
}

fn learning_rate_section(input: &ReportInput, runs: &[Run]) -> String {
    let tables = learning_rate::tables(input, runs);
    match learning_rate::chart(input, runs) {
        Some(chart) => format!("<div class=\"charts\">{}</div>{tables}", figure(&chart)),
        None => tables,
    }
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
