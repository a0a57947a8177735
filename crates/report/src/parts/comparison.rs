//! Whether the approaches agree on the frontier, and the laws side by side where several were fitted.

use std::collections::BTreeMap;

use scalelaw_fit::conclusion::{Conclusion, Disagreement, Fit, Frontier};

use crate::text;
use crate::text::table::{Cell, Table};

/// Exponents per approach, and optima at the `largest` budget where it is known; no rows where the law, whose exponents
/// are shown by themselves, is the only approach.
pub fn approaches(conclusion: &Conclusion, fit: &Fit, largest: Option<f64>) -> Table {
    let frontiers = frontiers(conclusion, fit);
    let is_law_alone = frontiers.len() < 2 && fit.optimum.is_some();
    let rows = frontiers
        .into_iter()
        .filter(|_| !is_law_alone)
        .map(|(name, frontier)| {
            let with = |value: f64, key: &str| Cell::Estimate(value, frontier.intervals.get(key).cloned());
            let mut cells = vec![Cell::Text(name), with(frontier.a, "a"), with(frontier.b, "b")];
            cells.extend(largest.into_iter().flat_map(|c| {
                let (n, d) = (frontier.n(c), frontier.d(c));
                [Cell::Text(text::si(n)), Cell::Text(text::significant(d / n, 3))]
            }));
            cells
        })
        .collect();
    let mut head = vec!["Approach", "#Exponent of N*, a", "#Exponent of D*, b"];
    head.extend(largest.iter().flat_map(|_| ["#N*", "#D*/N*"]));
    Table::new("The frontier per approach", &head, rows).with_note(largest.map_or(String::new(), |c| {
        format!("N* in parameters and D*/N* in tokens per parameter, both at {} FLOPs.", text::flops(c))
    }))
}

/// Every approach that has a frontier, by name.
fn frontiers<'a>(conclusion: &'a Conclusion, fit: &'a Fit) -> Vec<(String, &'a Frontier)> {
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

/// How far the approaches are apart on each quantity, a sentence each.
pub fn sentences(conclusion: &Conclusion, fit: &Fit) -> Vec<String> {
    conclusion.disagreement.iter().filter_map(|disagreement| sentence(disagreement, fit)).collect()
}

/// One sentence on how far the approaches are apart and whether the law's interval covers it.
fn sentence(disagreement: &Disagreement, fit: &Fit) -> Option<String> {
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
            let value = if is_exponent { text::significant(*value, 3) } else { text::si(*value) };
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
        format!("a difference of {}", text::significant(high - low, 2))
    } else {
        format!("a factor of {}", text::significant(high / low, 3))
    };
    let covered = match interval_of(quantity, fit) {
        Some([from, to]) if values.iter().all(|x| (from..=to).contains(x)) => ", inside the law's interval",
        Some(_) => ", more than the law's interval covers: do not rely on either alone",
        None => "",
    };
    let name = match quantity {
        "a" => "Exponent of N*".to_string(),
        "b" => "Exponent of D*".to_string(),
        other => other.to_string(),
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

/// The laws side by side; of a law chosen before the fit, how the others did in back-tests. No rows where nobody asked
/// for a choice.
pub fn laws(conclusion: &Conclusion) -> Table {
    let choice = conclusion.choice.as_ref();
    let backtests = choice.iter().flat_map(|choice| &choice.backtests);
    let errors: BTreeMap<&str, f64> = backtests.map(|test| (test.law.as_str(), test.are)).collect();
    let percent = |x: f64| format!("{} %", text::significant(100.0 * x, 2));
    let has_weights = choice.is_some_and(|choice| !choice.weights.is_empty());
    if let ([_], Some(choice)) = (&conclusion.fits[..], choice) {
        let rows = choice
            .backtests
            .iter()
            .map(|test| {
                let weight = choice.weights.get(&test.law).copied();
                vec![test.law.clone(), percent(test.are), text::or_unknown(weight, |w| text::fixed(w, 2))]
            })
            .collect();
        return Table::new("Laws compared", &["Law", "#Error of back-tests", "#Weight"], rows)
            .with_note(format!("Chosen by {}.", choice.method));
    }
    let rows = conclusion
        .fits
        .iter()
        .filter(|_| conclusion.fits.len() > 1)
        .map(|fit| {
            let mut cells = vec![
                Cell::Text(fit.law.clone()),
                Cell::Equation(fit.equation.clone()),
                Cell::Text(percent(fit.rms_log_residual)),
                Cell::Text(text::or_unknown(errors.get(fit.law.as_str()).copied(), percent)),
                Cell::Text(text::or_unknown(fit.optimum.as_ref().map(|o| o.a), |a| text::significant(a, 3))),
            ];
            cells.extend(has_weights.then(|| {
                let weight = choice.and_then(|choice| choice.weights.get(&fit.law)).copied();
                Cell::Text(text::fixed(weight.unwrap_or(0.0), 2))
            }));
            cells
        })
        .collect();
    let mut head = vec!["Law", "Equation", "#RMS residual", "#Error of back-tests", "#Exponent of N*, a"];
    head.extend(has_weights.then_some("#Weight"));
    let how =
        choice.map_or(String::new(), |choice| format!("The first law was chosen by {}.", choice.method));
    Table { class: "plain laws", ..Table::new("Laws side by side", &head, rows).with_note(how) }
}
