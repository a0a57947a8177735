//! The same rows under every way of counting: how the exponents of Kaplan and of Hoffmann are reconciled.

use scalelaw_fit::CountedExponent;
use scalelaw_fit::conclusion::Interval;

use crate::text;
use crate::text::table::{Cell, Table};

/// The exponent of N* by each rule.
pub fn by_count_rule(exponents: &[CountedExponent], width: usize) -> String {
    let cell = |a: Option<f64>, interval: &Option<Interval>| match a {
        Some(a) => Cell::Estimate(a, interval.clone()),
        None => Cell::Text(text::UNKNOWN.to_string()),
    };
    let rows = exponents
        .iter()
        .map(|counted| {
            let law = match &counted.refused {
                Some(why) => Cell::Why(why.clone()),
                None => cell(counted.a, &counted.interval),
            };
            let minima = cell(counted.a_isoflop, &counted.interval_isoflop);
            vec![Cell::Text(counted.count_rule.to_string()), law, minima]
        })
        .collect();
    let head = ["N and C counted as", "#a by the law", "#a by IsoFLOP minima"];
    Table::new("Exponent of N*, a, by count rule", &head, rows).terminal(width)
}
