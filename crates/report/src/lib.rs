//! Renders what a sweep found: a self-contained HTML page, Markdown, stand-alone SVG charts and text for a terminal, all
//! as strings. Knows no files, no clock and no network.
//!
//! Reading order: values as text ([`text`]); charts ([`draw`]); what a report is made of ([`input`], [`skill_report`]) and
//! its runs, joined from all sources ([`runs`]); the parts, one file per question ([`parts`]); and these as a page
//! (`page`) and on a terminal ([`terminal`]). A new question is a file in `parts`, and one in `terminal` where its text
//! is more than its tables.

#![warn(missing_docs)]

pub mod text;

pub mod draw;

pub mod input;
pub mod skill_report;

pub mod runs;

pub mod parts;

mod page;
pub mod terminal;

#[cfg(test)]
#[path = "../examples/preview/testing/mod.rs"]
mod testing;
// The preview's data names this crate as everyone outside does.
#[cfg(test)]
extern crate self as scalelaw_report;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod tests;

pub use input::{Refusal, ReportInput, Scaling, scaling};
pub use skill_report::{SkillReport, TargetReport};

/// The page.
pub fn html(input: &ReportInput) -> String {
    page::html::page(input)
}

/// The same as text, without charts.
pub fn markdown(input: &ReportInput) -> String {
    page::markdown::markdown(input)
}

/// Each chart as `(name, picture)`: the name has no suffix, the picture has its own colours, legend and light paper.
pub fn svgs(input: &ReportInput) -> Vec<(String, String)> {
    let runs = runs::join(input);
    let charts = parts::charts(input, &runs);
    charts.iter().map(|chart| (chart.name.to_string(), draw::svg::alone(chart))).collect()
}
