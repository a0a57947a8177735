//! What came out, on one screen: the law, the exponents, whether the approaches agree, what it cost; or the
//! refusal.

use std::collections::{BTreeMap, BTreeSet};

use scalelaw_fit::conclusion::{Conclusion, Fit, FitStatus, Interval, PredictionKind};

use crate::ReportInput;
use crate::agreement;
use crate::equation;
use crate::format;
use crate::html::{self, escape, prose};
use crate::runs::{Run, Status};

/// A named number with its unit and what is to be known of it.
pub struct Figure {
    /// Name.
    pub label: String,
    /// Number with its unit.
    pub value: String,
    /// Its interval.
    pub interval: Option<Interval>,
    /// Whether it is a count, written as `129K`.
    pub is_count: bool,
    /// A line below.
    pub note: String,
}

impl Figure {
    /// `[low, high]`, written as the number is; empty where there is no interval.
    pub fn interval_text(&self) -> String {
        match &self.interval {
            Some(i) if self.is_count => format!("[{}, {}]", format::si(i.low), format::si(i.high)),
            Some(i) => format::interval(i),
            None => String::new(),
        }
    }
}

/// The HTML of the section.
pub fn section(input: &ReportInput, runs: &[Run]) -> String {
    let mut html = match (input.conclusion, input.fit()) {
        (Ok(conclusion), Some(fit)) => concluded(input, conclusion, fit),
        (Ok(_), None) => refused("The fit made no law of this table."),
        (Err(reason), _) => refused(reason),
    };
    html.push_str(&tiles(&effort(input, runs), "effort"));
    let warnings = warnings(input);
    if !warnings.is_empty() {
        let items: String = warnings.iter().map(|text| format!("<li>{}</li>", prose(text))).collect();
        html.push_str(&format!(
            "<div class=\"warn\"><h3>Know before using these numbers</h3><ul>{items}</ul></div>"
        ));
    }
    html
}

/// What a person must know before using the numbers, each thing once.
pub fn warnings<'a>(input: &ReportInput<'a>) -> BTreeSet<&'a str> {
    let of_conclusion = input.conclusion.ok().into_iter().flat_map(|conclusion| &conclusion.warnings);
    let of_fit = input.fit().into_iter().flat_map(|fit| &fit.notes);
    let found = input.fit().and_then(|fit| fit.diagnostics.as_ref()).into_iter().flat_map(|d| &d.findings);
    of_conclusion.chain(of_fit).chain(found).map(String::as_str).collect()
}

/// A refusal in parts: why, and what would settle it. The hint of a refusal, `(hint: a; b)`, is such a list.
pub fn refusal_parts(reason: &str) -> (String, Vec<String>) {
    let text = reason.trim().strip_prefix("the fit is refused: ").unwrap_or(reason.trim());
    match text.strip_suffix(')').and_then(|text| text.split_once(" (hint: ")) {
        Some((why, hint)) => (why.to_string(), hint.split("; ").map(str::to_string).collect()),
        None => (text.to_string(), Vec::new()),
    }
}

fn refused(reason: &str) -> String {
    let (why, settle) = refusal_parts(reason);
    let paragraphs: String = why
        .split('\n')
        .filter(|line| !line.trim().is_empty())
        .map(|line| format!("<p>{}</p>", prose(line)))
        .collect();
    let items: String = settle.iter().map(|text| format!("<li>{}</li>", prose(text))).collect();
    let settle =
        if items.is_empty() { items } else { format!("<h3>What would settle it</h3><ul>{items}</ul>") };
    format!(
        "<div class=\"refused\"><p class=\"lead\">No law is concluded from these runs.</p>{paragraphs}{settle}</div>"
    )
}

fn concluded(input: &ReportInput, conclusion: &Conclusion, fit: &Fit) -> String {
    let mut html = String::new();
    if let Some(text) = headline(fit) {
        html.push_str(&format!("<p class=\"lead\">{}</p>", escape(&text)));
    }
    let values: BTreeMap<String, String> =
        fit.params.iter().map(|(name, value)| (name.clone(), value_text(fit, name, *value))).collect();
    html.push_str(&format!(
        "<div class=\"law\"><div class=\"eq\"><p>{}</p><p>{}</p></div>{}</div>",
        equation::typeset(&fit.equation, &BTreeMap::new()),
        equation::typeset(&fit.equation, &values),
        parameters(fit)
    ));
    html.push_str(&tiles(&exponents(input, fit), "key"));
    html.push_str(&agreement::approaches(input, conclusion, fit));
    html.push_str(&agreement::laws(conclusion));
    html.push_str(&predictions(input, fit));
    html.push_str(&format!("<p class=\"note\">{}</p>", prose(&method(fit, conclusion))));
    html
}

/// One sentence that a newcomer can act on.
pub fn headline(fit: &Fit) -> Option<String> {
    let frontier = fit.optimum.as_ref().filter(|f| f.a.is_finite() && f.b.is_finite())?;
    let times = |exponent: f64, key: &str| {
        let factor = |x: f64| format::fixed(10f64.powf(x), 1);
        let range = frontier
            .intervals
            .get(key)
            .map_or(String::new(), |i| format!(" ({} to {})", factor(i.low), factor(i.high)));
        (factor(exponent), range)
    };
    let ((n, n_range), (d, d_range)) = (times(frontier.a, "a"), times(frontier.b, "b"));
    Some(format!(
        "Ten times the compute is best spent on {n} times the parameters{n_range} and {d} times the tokens{d_range}."
    ))
}

fn value_text(fit: &Fit, name: &str, value: f64) -> String {
    format::estimate(value, fit.intervals.get(name))
}

fn parameters(fit: &Fit) -> String {
    let rows: Vec<Vec<String>> = params_in_order(fit)
        .into_iter()
        .map(|(name, value)| {
            vec![
                format!("<i>{}</i>", equation::symbol(name)),
                value_text(fit, name, value),
                interval_html(fit.intervals.get(name)),
            ]
        })
        .collect();
    html::table("plain", &["Parameter", "#Value", "#Interval"], &rows)
}

/// Parameters in the order in which the equation names them.
pub fn params_in_order(fit: &Fit) -> Vec<(&str, f64)> {
    let names: Vec<&str> = fit.equation.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let mut params: Vec<(&str, f64)> =
        fit.params.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    params.sort_by_key(|(name, _)| names.iter().position(|x| x == name).unwrap_or(usize::MAX));
    params
}

/// An interval with its method in a tooltip.
pub fn interval_html(interval: Option<&Interval>) -> String {
    match interval.filter(|i| i.low.is_finite() && i.high.is_finite()) {
        Some(interval) => format!(
            "<span class=\"ci\" title=\"{}\">{}</span>",
            escape(&format::interval_method(interval)),
            format::interval(interval)
        ),
        None => format!("<span class=\"unknown\">{}</span>", format::UNKNOWN),
    }
}

/// Exponents and the optimum at the largest budget.
pub fn exponents(input: &ReportInput, fit: &Fit) -> Vec<Figure> {
    let mut figures = Vec::new();
    if let Some(frontier) = &fit.optimum {
        for (name, label, value) in [("a", "Exponent of N*", frontier.a), ("b", "Exponent of D*", frontier.b)]
        {
            let interval = frontier.intervals.get(name);
            figures.push(Figure {
                label: label.to_string(),
                value: format::estimate(value, interval),
                interval: interval.cloned(),
                is_count: false,
                note: format!("{} grows as C to this power", if name == "a" { "N*" } else { "D*" }),
            });
        }
    }
    let optimum = input.surface().zip(input.largest_compute()).and_then(|(s, c)| s.optimum(c, input.level()));
    if let (Some(optimum), Some(surface)) = (optimum, input.surface()) {
        let own = fit.optimum.as_ref().and_then(|o| o.intervals.get("log10_n_at_largest_budget"));
        let optimum = match own {
            Some(log10_n) => surface.with_log10_n(optimum, log10_n),
            None => optimum,
        };
        let at = format!("at {} FLOPs", format::flops(optimum.c));
        figures.push(Figure {
            label: "Tokens per parameter".to_string(),
            value: format::estimate(
                optimum.tokens_per_param.value,
                optimum.tokens_per_param.interval.as_ref(),
            ),
            interval: optimum.tokens_per_param.interval,
            is_count: false,
            note: format!("D*/N* {at}"),
        });
        figures.push(Figure {
            label: "Best size".to_string(),
            value: format::si(optimum.n.value),
            interval: optimum.n.interval,
            is_count: true,
            note: format!("N*, parameters, {at}"),
        });
        figures.push(Figure {
            label: "Loss to expect there".to_string(),
            value: format::estimate(optimum.loss.value, optimum.loss.interval.as_ref()),
            interval: optimum.loss.interval,
            is_count: false,
            note: match input.table.measure.unit.text() {
                Some(unit) => format!("{unit}, of the law"),
                None => "of the law".to_string(),
            },
        });
    }
    figures
}

/// What was spent on it.
pub fn effort(input: &ReportInput, runs: &[Run]) -> Vec<Figure> {
    let count = |of: fn(&Status) -> bool| runs.iter().filter(|run| of(&run.status)).count();
    let kinds = [
        (count(|s| *s == Status::Finished), "finished"),
        (count(|s| matches!(s, Status::Diverged { .. })), "diverged"),
        (count(|s| matches!(s, Status::Stopped { .. })), "stopped early"),
        (count(|s| matches!(s, Status::Failed { .. })), "failed"),
        (count(|s| *s == Status::Waiting), "not run yet"),
    ];
    let kinds: Vec<String> =
        kinds.iter().filter(|(n, _)| *n > 0).map(|(n, kind)| format!("{n} {kind}")).collect();
    let figure = |label: &str, value: String, note: String| Figure {
        label: label.to_string(),
        value,
        interval: None,
        is_count: false,
        note,
    };
    let mut figures = vec![figure("Runs", format::count(runs.len() as u64), kinds.join(", "))];
    if !input.rows.is_empty() {
        let flops: f64 = input.rows.iter().map(|row| row.flops_spent).sum();
        let seconds: f64 = input.rows.iter().map(|row| row.wall_seconds).sum();
        let devices: BTreeSet<&str> = input.rows.iter().map(|row| row.device.as_str()).collect();
        let note = match input.rows.iter().any(|row| row.cluster != row.run_id) {
            true => {
                let separate: f64 = input.rows.iter().map(|row| row.flops_path.total()).sum();
                format!(
                    "FLOPs spent on training by trunks and branches, {} as separate runs",
                    format::flops(separate)
                )
            }
            false => "FLOPs spent on training".to_string(),
        };
        figures.push(figure("Compute", format::flops(flops), note));
        figures.push(figure(
            "Time",
            format::duration(seconds),
            "of training, summed over the runs".to_string(),
        ));
        let names = devices.into_iter().collect::<Vec<_>>();
        figures.push(figure(
            if names.len() == 1 { "Device" } else { "Devices" },
            names.first().map_or(String::new(), |first| (*first).to_string()),
            match names.len() {
                0 | 1 => String::new(),
                n => format!("and {}: {}", n - 1, names[1..].join(", ")),
            },
        ));
    }
    figures
}

fn tiles(figures: &[Figure], class: &str) -> String {
    let tiles: String = figures
        .iter()
        .map(|figure| {
            let interval = figure.interval.as_ref().map_or(String::new(), |interval| {
                let method = escape(&format::interval_method(interval));
                format!("<span class=\"ci\" title=\"{method}\">{}</span>", figure.interval_text())
            });
            let long = if figure.value.chars().count() > 14 { " class=\"long\"" } else { "" };
            format!(
                "<div><dt>{}</dt><dd{long}>{} {interval}</dd><dd class=\"sub\">{}</dd></div>",
                escape(&figure.label),
                escape(&figure.value),
                escape(&figure.note)
            )
        })
        .collect();
    format!("<dl class=\"tiles {class}\">{tiles}</dl>")
}

/// Losses that were asked to be predicted.
fn predictions(input: &ReportInput, fit: &Fit) -> String {
    if fit.predictions.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = fit
        .predictions
        .iter()
        .map(|prediction| {
            let kind = match prediction.kind {
                PredictionKind::Interpolation => "inside what was measured".to_string(),
                PredictionKind::Extrapolation => {
                    format!("{} decades of compute beyond", format::fixed(prediction.decades_beyond, 2))
                }
            };
            vec![
                format::si(prediction.n),
                format::si(prediction.d),
                format::flops(prediction.c),
                format::estimate(prediction.loss, prediction.interval.as_ref()),
                interval_html(prediction.interval.as_ref()),
                kind,
            ]
        })
        .collect();
    let loss = format!("#Loss{}", input.table.measure.unit.suffix());
    let head = ["#N, parameters", "#D, tokens", "#C, FLOPs", &loss, "#Interval of one run", "Where"];
    format!("<h3>Predictions</h3>{}", html::table("plain", &head, &rows))
}

/// How the numbers were made, in one line that is also printed.
pub fn method(fit: &Fit, conclusion: &Conclusion) -> String {
    let status = match fit.status {
        FitStatus::Converged => "the search converged",
        FitStatus::AtBound => "the search ended with a parameter at its bound",
        FitStatus::Stopped => "the search stopped before it found a minimum",
    };
    let methods: BTreeSet<String> = fit
        .intervals
        .values()
        .chain(fit.optimum.iter().flat_map(|frontier| frontier.intervals.values()))
        .map(format::interval_method)
        .collect();
    let intervals = match methods.is_empty() {
        true => "No intervals could be made".to_string(),
        false => format!("In brackets: {}", methods.into_iter().collect::<Vec<_>>().join("; or ")),
    };
    // Then the brackets are not made of the resamples that the bands are made of.
    let is_other =
        fit.intervals.values().any(|interval| interval.resamples == 0) && !fit.resamples.is_empty();
    let bands = if is_other {
        let n = format::counted(fit.resamples.len(), "bootstrap resample");
        format!(" Bands in the charts and the interval of the loss: percentiles of {n}.")
    } else {
        String::new()
    };
    let holdout = fit.holdout.as_ref().map_or(String::new(), |holdout| {
        format!(
            " Of {} held out by compute, the loss was predicted to {} % on average and {} % at worst.",
            format::counted(holdout.rows, "row"),
            format::significant(100.0 * holdout.are, 2),
            format::significant(100.0 * holdout.max, 2)
        )
    });
    format!(
        "Law {} fitted to {} by {}; {status}; root mean square of the residuals {} % of the loss. {intervals}.{bands}{holdout} N and C counted by the rule `{}`; loss: {}{}.",
        fit.law,
        format::counted(conclusion.n_rows, "row"),
        fit.objective_name,
        format::significant(100.0 * fit.rms_log_residual, 2),
        conclusion.count_rule,
        conclusion.loss_name,
        conclusion.unit().map_or(String::new(), |unit| format!(", {unit}"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_taken_apart() {
        let (why, settle) = refusal_parts(
            "the fit is refused: 4 runs cannot tell 5 parameters (hint: add a budget; add sizes)",
        );
        assert_eq!(why, "4 runs cannot tell 5 parameters");
        assert_eq!(settle, ["add a budget", "add sizes"]);
        assert_eq!(refusal_parts("no rows"), ("no rows".to_string(), Vec::new()));
    }
}
