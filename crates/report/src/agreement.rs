//! Whether the approaches agree on the frontier, and the laws side by side where several were fitted.

use std::collections::BTreeMap;

use scalelaw_fit::conclusion::{Conclusion, Disagreement, Fit, Frontier};

use crate::ReportInput;
use crate::equation;
use crate::format;
use crate::html::{self, escape, prose};
use crate::summary::interval_html;

/// Exponents and optima by each approach, and how far they are apart.
pub fn approaches(input: &ReportInput, conclusion: &Conclusion, fit: &Fit) -> String {
    let largest = input.largest_compute();
    let rows: Vec<Vec<String>> = frontiers(conclusion, fit)
        .into_iter()
        .map(|(name, frontier)| {
            let with = |value: f64, key: &str| {
                let interval = frontier.intervals.get(key);
                format!(
                    "{} {}",
                    format::estimate(value, interval),
                    interval.map_or(String::new(), |i| interval_html(Some(i)))
                )
            };
            vec![
                escape(&name),
                with(frontier.a, "a"),
                with(frontier.b, "b"),
                format::or_unknown(largest.map(|c| frontier.n(c)), format::si),
                format::or_unknown(largest.map(|c| frontier.d(c) / frontier.n(c)), |x| {
                    format::significant(x, 3)
                }),
            ]
        })
        .collect();
    if rows.len() < 2 {
        return disagreements(conclusion, fit);
    }
    let at = largest.map_or(String::new(), |c| {
        format!(
            "<p class=\"note\">N* in parameters and D*/N* in tokens per parameter, both at {} FLOPs.</p>",
            format::flops(c)
        )
    });
    format!(
        "<h3>Do the approaches agree?</h3>{}{at}{}",
        html::table(
            "plain",
            &["Approach", "#Exponent of N*, a", "#Exponent of D*, b", "#N*", "#D*/N*"],
            &rows
        ),
        disagreements(conclusion, fit)
    )
}

/// Every approach that has a frontier, by name.
pub fn frontiers<'a>(conclusion: &'a Conclusion, fit: &'a Fit) -> Vec<(String, &'a Frontier)> {
    let second = conclusion.approach2.as_ref().and_then(|approach| approach.frontier.as_ref());
    [
        (format!("3, fitted law ({})", fit.law), fit.optimum.as_ref()),
        ("2, through the IsoFLOP minima".to_string(), second),
        ("1, envelope of learning curves".to_string(), conclusion.approach1.as_ref()),
    ]
    .into_iter()
    .filter_map(|(name, frontier)| Some((name, frontier?)))
    .collect()
}

fn disagreements(conclusion: &Conclusion, fit: &Fit) -> String {
    let items: String = conclusion
        .disagreement
        .iter()
        .filter_map(|disagreement| disagreement_text(disagreement, fit))
        .map(|text| format!("<li>{}</li>", prose(&text)))
        .collect();
    if items.is_empty() { items } else { format!("<ul class=\"agree\">{items}</ul>") }
}

/// One sentence on how far the approaches are apart and whether the law's interval covers it.
pub fn disagreement_text(disagreement: &Disagreement, fit: &Fit) -> Option<String> {
    let values: Vec<f64> = disagreement.values.values().copied().filter(|x| x.is_finite()).collect();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if values.len() < 2 {
        return None;
    }
    let quantity = disagreement.quantity.as_str();
    let is_exponent = quantity == "a" || quantity == "b";
    let parts: Vec<String> = disagreement
        .values
        .iter()
        .filter(|(_, value)| value.is_finite())
        .map(|(approach, value)| {
            let value = if is_exponent { format::significant(*value, 3) } else { format::si(*value) };
            let approach = match approach.as_str() {
                "isoflop" => "the IsoFLOP minima",
                "envelope" => "the envelope of curves",
                law if law == fit.law => "the fitted law",
                other => other,
            };
            format!("{value} by {approach}")
        })
        .collect();
    let apart = if is_exponent || low <= 0.0 {
        format!("a difference of {}", format::significant(high - low, 2))
    } else {
        format!("a factor of {}", format::significant(high / low, 3))
    };
    let covered = match interval_of(quantity, fit) {
        Some([from, to]) if values.iter().all(|x| (from..=to).contains(x)) => ", inside the law's interval",
        Some(_) => ", more than the law's interval covers: do not rely on either alone",
        None => "",
    };
    let name = match quantity {
        "a" => "Exponent of N*".to_string(),
        "b" => "Exponent of D*".to_string(),
        other => other.split(' ').map(number_word).collect::<Vec<_>>().join(" "),
    };
    Some(format!("{name}: {}; {apart}{covered}.", parts.join(", ")))
}

/// The law's own interval of a quantity that approaches are compared by.
fn interval_of(quantity: &str, fit: &Fit) -> Option<[f64; 2]> {
    let intervals = &fit.optimum.as_ref()?.intervals;
    if quantity.starts_with("N* at ") {
        let interval = intervals.get("log10_n_at_largest_budget")?;
        return Some([10f64.powf(interval.low), 10f64.powf(interval.high)]);
    }
    intervals.get(quantity).map(|interval| [interval.low, interval.high])
}

/// `2.70e12` as `2.70×10¹²`; other words as they are.
fn number_word(word: &str) -> String {
    match word.parse::<f64>() {
        Ok(x) if word.contains('e') => format::flops(x),
        _ => word.to_string(),
    }
}

/// The laws side by side, where several were fitted.
pub fn laws(conclusion: &Conclusion) -> String {
    if conclusion.fits.len() < 2 {
        return String::new();
    }
    let backtests = conclusion.choice.iter().flat_map(|choice| &choice.backtests);
    let errors: BTreeMap<&str, f64> = backtests.map(|test| (test.law.as_str(), test.are)).collect();
    let percent = |x: f64| format!("{} %", format::significant(100.0 * x, 2));
    let rows: Vec<Vec<String>> = conclusion
        .fits
        .iter()
        .map(|fit| {
            vec![
                escape(&fit.law),
                equation::typeset(&fit.equation, &BTreeMap::new()),
                percent(fit.rms_log_residual),
                format::or_unknown(errors.get(fit.law.as_str()).copied(), percent),
                format::or_unknown(fit.optimum.as_ref().map(|o| o.a), |a| format::significant(a, 3)),
            ]
        })
        .collect();
    let how = conclusion.choice.as_ref().map_or(String::new(), |choice| {
        format!("<p class=\"note\">The first law was chosen by {}.</p>", escape(&choice.method))
    });
    let head = ["Law", "Equation", "#RMS residual", "#Error of back-tests", "#Exponent of N*, a"];
    format!("<h3>Laws side by side</h3>{}{how}", html::table("plain laws", &head, &rows))
}
