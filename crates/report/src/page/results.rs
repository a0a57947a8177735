//! What came out, on one screen: the law, its exponents, whether the approaches agree and what it cost; or why there
//! is no law and what would settle it.

use std::collections::BTreeMap;

use scalelaw_fit::conclusion::{Conclusion, Fit};

use crate::input::{Refusal, ReportInput};
use crate::parts::figure::Figure;
use crate::parts::{comparison, effort, scaling};
use crate::runs::Run;
use crate::text;
use crate::text::equation;
use crate::text::html::{self, escape, prose};

/// The HTML of the section.
pub fn section(input: &ReportInput, runs: &[Run]) -> String {
    let mut html = match (input.scaling, input.fit()) {
        (Ok(conclusion), Some(fit)) => concluded(input, conclusion, fit),
        (Ok(_), None) => refused(Refusal { why: "no law was fitted to this table", settle: &[] }),
        (Err(refusal), _) => refused(refusal),
    };
    html.push_str(&tiles(&effort::figures(input, runs), "effort"));
    let caveats = input.scaling.map(scaling::caveats).unwrap_or_default();
    if !caveats.is_empty() {
        html.push_str(&format!("<div class=\"warn\"><h3>Caveats</h3>{}</div>", list("", caveats)));
    }
    html
}

fn refused(refusal: Refusal) -> String {
    let paragraphs: String = refusal
        .why
        .split('\n')
        .filter(|line| !line.trim().is_empty())
        .map(|line| format!("<p>{}</p>", prose(line)))
        .collect();
    let settle = match refusal.settle {
        [] => String::new(),
        settle => format!("<h3>What would settle it</h3>{}", list("", settle.iter().map(String::as_str))),
    };
    format!(
        "<div class=\"refused\"><p class=\"lead\">No law is concluded from these runs.</p>{paragraphs}{settle}</div>"
    )
}

fn concluded(input: &ReportInput, conclusion: &Conclusion, fit: &Fit) -> String {
    let mut html = String::new();
    if let Some(text) = scaling::headline(fit) {
        html.push_str(&format!("<p class=\"lead\">{}</p>", escape(&text)));
    }
    let values: BTreeMap<String, String> = fit
        .params
        .iter()
        .map(|(name, value)| (name.clone(), text::estimate(*value, fit.intervals.get(name))))
        .collect();
    html.push_str(&format!(
        "<div class=\"law\"><div class=\"eq\"><p>{}</p><p>{}</p></div>{}</div>",
        equation::typeset(&fit.equation, &BTreeMap::new()),
        equation::typeset(&fit.equation, &values),
        scaling::parameters(conclusion, fit).html()
    ));
    let mut figures = scaling::exponents(fit);
    figures.extend(scaling::optimum(input, fit));
    html.push_str(&tiles(&figures, "key"));
    html.push_str(&comparison::approaches(conclusion, fit, input.largest_compute()).html());
    let sentences = comparison::sentences(conclusion, fit);
    if !sentences.is_empty() {
        html.push_str(&list(" class=\"agree\"", sentences.iter().map(String::as_str)));
    }
    html.push_str(&comparison::laws(conclusion).html());
    html.push_str(&scaling::predictions(conclusion, fit).html());
    html.push_str(&format!("<p class=\"note\">{}</p>", prose(&scaling::method(fit, conclusion))));
    html
}

fn list<'a>(attributes: &str, items: impl IntoIterator<Item = &'a str>) -> String {
    let items: String = items.into_iter().map(|text| format!("<li>{}</li>", prose(text))).collect();
    format!("<ul{attributes}>{items}</ul>")
}

fn tiles(figures: &[Figure], class: &str) -> String {
    let tiles: String = figures
        .iter()
        .map(|figure| {
            let interval = figure.interval.as_ref().map_or(String::new(), |interval| {
                let method = escape(&text::interval_method(interval));
                format!(
                    "<span class=\"ci\" title=\"{method}\">{}</span>",
                    html::wide_minus(&figure.interval_text())
                )
            });
            let long = if figure.value.chars().count() > 14 { " class=\"long\"" } else { "" };
            format!(
                "<div><dt>{}</dt><dd{long}>{} {interval}</dd><dd class=\"sub\">{}</dd></div>",
                escape(&figure.label),
                html::wide_minus(&escape(&figure.value)),
                escape(&figure.note)
            )
        })
        .collect();
    format!("<dl class=\"tiles {class}\">{tiles}</dl>")
}
