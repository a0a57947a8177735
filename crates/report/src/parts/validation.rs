//! What a wrong validation text costs.

use scalelaw_findings::validation::ValidationConclusion;

use super::part::Part;
use crate::text;
use crate::text::table::{Cell, Table};

/// The part.
pub fn part(found: &ValidationConclusion) -> Part {
    let spreads = found
        .spreads
        .iter()
        .map(|spread| {
            let percent = |x: f64| text::percent(x, 0);
            vec![
                text::flops(spread.budget),
                format!("{}{}", if spread.is_bound { "≥ " } else { "" }, percent(spread.spread)),
                spread
                    .interval
                    .as_ref()
                    .map_or(text::UNKNOWN.to_string(), |i| text::ends([i.low, i.high], percent)),
                spread.largest.clone(),
                spread.smallest.clone(),
            ]
        })
        .collect();
    let share = |x: f64| text::percent(x, 1);
    let regrets = found
        .regrets
        .iter()
        .map(|regret| {
            vec![
                Cell::Text(text::flops(regret.budget)),
                Cell::Text(regret.target.clone()),
                Cell::Text(regret.chosen.clone()),
                Cell::Estimate(regret.nats, regret.nats_interval.clone()),
                Cell::Text(text::or_unknown(regret.flops_share, share)),
                Cell::Text(
                    regret
                        .flops_interval
                        .as_ref()
                        .map_or(text::UNKNOWN.to_string(), |i| text::ends([i.low, i.high], share)),
                ),
            ]
        })
        .collect();
    let moved_by = ["#Budget, FLOPs", "#max N* / min N* − 1", "#Interval", "Largest N* by", "Smallest N* by"];
    let regret_head = [
        "#Budget, FLOPs",
        "Evaluated on",
        "Size chosen by",
        "#Loss above the best, nats",
        "#Compute saved by the right size",
        "#Interval",
    ];
    Part {
        id: "validation",
        link: "Validation",
        title: "What the choice of validation text decides",
        lead: lead(found),
        charts: Vec::new(),
        tables: vec![
            Table::new(
                format!("How far N* moves over mixtures of {}", found.sets.join(", ")),
                &moved_by,
                spreads,
            ),
            Table::new("Regret of the wrong size", &regret_head, regrets),
        ],
        notes: found.notes.clone(),
    }
}

/// The widest spread and the largest regret.
fn lead(found: &ValidationConclusion) -> String {
    let widest = found.spreads.iter().max_by(|x, y| x.spread.total_cmp(&y.spread)).map(|spread| {
        format!(
            "Between {} and {} the best size at {} FLOPs moves by {}{}.",
            spread.smallest,
            spread.largest,
            text::flops(spread.budget),
            if spread.is_bound { "at least " } else { "" },
            text::percent(spread.spread, 0)
        )
    });
    let costliest = found.regrets.iter().max_by(|x, y| x.nats.total_cmp(&y.nats)).map(|regret| {
        format!(
            "The largest regret is {} nats: {} at the size that {} chooses, {} FLOPs.",
            text::estimate(regret.nats, regret.nats_interval.as_ref()),
            regret.target,
            regret.chosen,
            text::flops(regret.budget)
        )
    });
    widest.into_iter().chain(costliest).collect::<Vec<_>>().join(" ")
}
