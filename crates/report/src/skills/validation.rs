//! What a wrong validation text costs.

use scalelaw_findings::validation::ValidationConclusion;

use super::Part;
use super::table::{Table, head};
use crate::format;

/// The part.
pub fn part(found: &ValidationConclusion) -> Part {
    let sets: Vec<String> = found.sets.clone();
    let spreads = found
        .spreads
        .iter()
        .map(|spread| {
            let percent = |x: f64| format!("{} %", format::fixed(100.0 * x, 0));
            vec![
                format::flops(spread.budget),
                format!("{}{}", if spread.is_bound { "≥ " } else { "" }, percent(spread.spread)),
                spread.interval.as_ref().map_or(format::UNKNOWN.to_string(), |i| {
                    format!("[{}, {}]", percent(i.low), percent(i.high))
                }),
                spread.largest.clone(),
                spread.smallest.clone(),
            ]
        })
        .collect();
    let regrets = found
        .regrets
        .iter()
        .map(|regret| {
            let share = |x: f64| format!("{} %", format::fixed(100.0 * x, 1));
            let ends =
                regret.nats_interval.as_ref().map_or(String::new(), |i| format!(" {}", format::interval(i)));
            vec![
                format::flops(regret.budget),
                regret.target.clone(),
                regret.chosen.clone(),
                format!("{}{ends}", format::estimate(regret.nats, regret.nats_interval.as_ref())),
                format::or_unknown(regret.flops_share, share),
                regret.flops_interval.as_ref().map_or(format::UNKNOWN.to_string(), |i| {
                    format!("[{}, {}]", share(i.low), share(i.high))
                }),
            ]
        })
        .collect();
    let widest = found.spreads.iter().max_by(|x, y| x.spread.total_cmp(&y.spread));
    Part {
        id: "validation",
        link: "Validation",
        title: "What the choice of validation text decides",
        lead: widest.map_or(String::new(), |spread| {
            format!(
                "Between {} and {} the best size at {} FLOPs moves by {} %.",
                spread.smallest,
                spread.largest,
                format::flops(spread.budget),
                format::fixed(100.0 * spread.spread, 0)
            )
        }),
        charts: Vec::new(),
        tables: vec![
            Table {
                title: format!("How far N* moves over mixtures of {}", sets.join(", ")),
                head: head(&[
                    "#Budget, FLOPs",
                    "#max N* / min N* − 1",
                    "#Interval",
                    "Largest N* by",
                    "Smallest N* by",
                ]),
                rows: spreads,
                note: String::new(),
            },
            Table {
                title: "Regret of the wrong size".to_string(),
                head: head(&[
                    "#Budget, FLOPs",
                    "What counts",
                    "Size chosen by",
                    "#Loss above the best, nats",
                    "#Compute that the right size spares",
                    "#Interval",
                ]),
                rows: regrets,
                note: String::new(),
            },
        ],
        notes: found.notes.clone(),
    }
}
