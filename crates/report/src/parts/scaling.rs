//! The law that was fitted: its parameters, what it says of compute, its predictions, and how it was fitted.

use std::collections::BTreeSet;

use scalelaw_fit::conclusion::{Conclusion, Fit, FitStatus, PredictionKind};

use super::figure::Figure;
use crate::input::ReportInput;
use crate::text;
use crate::text::table::{Cell, Table};

/// One sentence to act on.
pub fn headline(fit: &Fit) -> Option<String> {
    let frontier = fit.optimum.as_ref().filter(|f| f.a.is_finite() && f.b.is_finite())?;
    let times = |exponent: f64, key: &str| {
        let factor = |x: f64| text::fixed(10f64.powf(x), 1);
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

/// Values and intervals of the law's parameters.
pub fn parameters(conclusion: &Conclusion, fit: &Fit) -> Table {
    let rows = params_in_order(fit)
        .into_iter()
        .map(|(name, value)| {
            let interval = fit.intervals.get(name);
            // The one parameter of every law that is a loss.
            let unit =
                conclusion.unit().filter(|_| name == "E").map_or(String::new(), |unit| format!(" {unit}"));
            vec![
                Cell::Symbol(name.to_string()),
                Cell::Text(text::estimate(value, interval) + &unit),
                Cell::Interval(interval.cloned()),
            ]
        })
        .collect();
    Table::new("", &["Parameter", "#Value", "#Interval"], rows)
}

/// Parameters in the order in which the equation names them.
pub fn params_in_order(fit: &Fit) -> Vec<(&str, f64)> {
    let names: Vec<&str> = fit.equation.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let mut params: Vec<(&str, f64)> =
        fit.params.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    params.sort_by_key(|(name, _)| names.iter().position(|x| x == name).unwrap_or(usize::MAX));
    params
}

/// Exponents of the law's frontier.
pub fn exponents(fit: &Fit) -> Vec<Figure> {
    let Some(frontier) = &fit.optimum else { return Vec::new() };
    [("a", "N*", frontier.a), ("b", "D*", frontier.b)]
        .into_iter()
        .map(|(name, of, value)| {
            let interval = frontier.intervals.get(name);
            Figure::estimate(
                &format!("Exponent of {of}"),
                value,
                interval,
                format!("{of} grows as C to this power"),
            )
        })
        .collect()
}

/// The law's optimum at the largest budget.
pub fn optimum(input: &ReportInput, fit: &Fit) -> Vec<Figure> {
    let Some((surface, largest)) = input.surface().zip(input.largest_compute()) else { return Vec::new() };
    let Some(optimum) = surface.optimum(largest, input.level()) else { return Vec::new() };
    let own = fit.optimum.as_ref().and_then(|o| o.intervals.get("log10_n_at_largest_budget"));
    let optimum = match own {
        Some(log10_n) => surface.with_log10_n(optimum, log10_n),
        None => optimum,
    };
    let at = format!("at {} FLOPs", text::flops(optimum.c));
    let (ratio, n, loss) = (optimum.tokens_per_param, optimum.n, optimum.loss);
    vec![
        Figure::estimate("Tokens per parameter", ratio.value, ratio.interval.as_ref(), format!("D*/N* {at}")),
        Figure {
            label: "Best size".to_string(),
            value: text::si(n.value),
            interval: n.interval,
            is_count: true,
            note: format!("N*, parameters, {at}"),
        },
        Figure::estimate(
            "Expected loss there",
            loss.value,
            loss.interval.as_ref(),
            input
                .table
                .measure
                .unit
                .text()
                .map_or("by the law".to_string(), |unit| format!("{unit}, by the law")),
        ),
    ]
}

/// Losses that were asked to be predicted.
pub fn predictions(conclusion: &Conclusion, fit: &Fit) -> Table {
    let rows = fit
        .predictions
        .iter()
        .map(|prediction| {
            let place = match prediction.kind {
                PredictionKind::Interpolation => "inside the measured range".to_string(),
                PredictionKind::Extrapolation => {
                    format!("{} decades of compute beyond", text::fixed(prediction.decades_beyond, 2))
                }
            };
            vec![
                Cell::Text(text::si(prediction.n)),
                Cell::Text(text::si(prediction.d)),
                Cell::Text(text::flops(prediction.c)),
                Cell::Text(text::estimate(prediction.loss, prediction.interval.as_ref())),
                Cell::Interval(prediction.interval.clone()),
                Cell::Text(place),
            ]
        })
        .collect();
    let loss = format!("#Loss{}", conclusion.unit().map_or(String::new(), |unit| format!(", {unit}")));
    let head = ["#N, parameters", "#D, tokens", "#C, FLOPs", &loss, "#Interval of one run", "Where"];
    Table::new("Predictions", &head, rows)
}

/// What a reader must know before using the numbers, each thing once.
pub fn caveats(conclusion: &Conclusion) -> BTreeSet<&str> {
    let of_fit = conclusion.fits.first().into_iter().flat_map(notes);
    conclusion.warnings.iter().map(String::as_str).chain(of_fit).collect()
}

/// What to know of one fit.
pub fn notes(fit: &Fit) -> impl Iterator<Item = &str> {
    let findings = fit.diagnostics.iter().flat_map(|diagnostics| &diagnostics.findings);
    fit.notes.iter().chain(findings).map(String::as_str)
}

/// How the law was fitted, in a few sentences.
pub fn method(fit: &Fit, conclusion: &Conclusion) -> String {
    let status = match fit.status {
        FitStatus::Converged => "the search converged",
        FitStatus::AtBound => "a parameter ended at its bound",
        FitStatus::Stopped => "the search stopped before it found a minimum",
    };
    let methods: BTreeSet<String> = fit
        .intervals
        .values()
        .chain(fit.optimum.iter().flat_map(|frontier| frontier.intervals.values()))
        .map(text::interval_method)
        .collect();
    let intervals = match methods.is_empty() {
        true => "No intervals could be made".to_string(),
        false => format!("In brackets: {}", methods.into_iter().collect::<Vec<_>>().join("; or ")),
    };
    // Then the brackets are not made of the resamples that the bands are made of.
    let is_other =
        fit.intervals.values().any(|interval| interval.resamples == 0) && !fit.resamples.is_empty();
    let bands = if is_other {
        let n = text::counted(fit.resamples.len(), "bootstrap resample");
        format!(" Bands in the charts and the interval of the loss: percentiles of {n}.")
    } else {
        String::new()
    };
    let holdout = fit.holdout.as_ref().map_or(String::new(), |holdout| {
        format!(
            " {} of the largest compute held out: their loss was predicted to {} % on average and {} % at worst{}.",
            text::counted(holdout.rows, "row"),
            text::significant(100.0 * holdout.are, 2),
            text::significant(100.0 * holdout.max, 2),
            holdout.coverage90.map_or(String::new(), |share| {
                format!(", {} inside their 90 % interval", text::percent(share, 0))
            })
        )
    });
    format!(
        "Law {} fitted to {} by {}; {status}; root mean square of the residuals {} % of the loss. {intervals}.{bands}{holdout} N and C counted by the rule `{}`; loss: {}{}.",
        fit.law,
        text::counted(conclusion.n_rows, "row"),
        fit.objective_name,
        text::significant(100.0 * fit.rms_log_residual, 2),
        conclusion.count_rule,
        conclusion.loss_name,
        conclusion.unit().map_or(String::new(), |unit| format!(", {unit}"))
    )
}
