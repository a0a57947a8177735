//! Knowledge capacity: bits per parameter against exposures.

use scalelaw_findings::capacity::CapacityConclusion;

use super::part::Part;
use crate::draw::chart::{Axis, Chart, Mark, Series, Shape, Stroke, Swatch};
use crate::draw::color::Color;
use crate::draw::scale::{Scale, ScaleKind, TickText};
use crate::text;
use crate::text::table::{Cell, Table};

/// Published capacity in bits per parameter by exposures (Allen-Zhu and Li 2024, arXiv:2404.05405).
const PUBLISHED: [[f64; 2]; 2] = [[100.0, 1.0], [1000.0, 2.0]];

/// The part, where any skill is a set of facts.
pub fn part(all: &[(&str, &CapacityConclusion)]) -> Option<Part> {
    if all.is_empty() {
        return None;
    }
    let leads: Vec<String> = all
        .iter()
        .filter_map(|(skill, found)| {
            let at = found.by_exposures.last()?;
            Some(format!(
                "{skill}: {}{} bits per parameter at {} exposures.",
                if at.is_bound { "at least " } else { "" },
                text::estimate(at.bits_per_param, at.interval.as_ref()),
                text::significant(at.exposures, 3)
            ))
        })
        .collect();
    let notes: std::collections::BTreeSet<&String> = all.iter().flat_map(|(_, found)| &found.notes).collect();
    Some(Part {
        id: "capacity",
        link: "Capacity",
        title: "Knowledge capacity",
        lead: leads.join(" "),
        charts: all.iter().enumerate().filter_map(|(idx, (skill, found))| chart(idx, skill, found)).collect(),
        tables: all.iter().map(|(skill, found)| table(skill, found)).collect(),
        notes: notes.into_iter().cloned().collect(),
    })
}

fn table(skill: &str, found: &CapacityConclusion) -> Table {
    let rows = found
        .by_exposures
        .iter()
        .map(|at| {
            let bits = text::estimate(at.bits_per_param, at.interval.as_ref());
            vec![
                Cell::Text(text::significant(at.exposures, 3)),
                Cell::Text(format!("{}{bits}", if at.is_bound { "≥ " } else { "" })),
                Cell::Interval(at.interval.clone()),
                Cell::Text(text::si(at.n)),
                Cell::Text(text::si(at.n_facts)),
                Cell::Text(text::percent(at.share_known, 0)),
                Cell::Text(at.n_runs.to_string()),
            ]
        })
        .collect();
    let head = ["#Exposures", "#Bits per parameter", "#Interval", "#N", "#Facts", "#Known", "#Seeds"];
    Table::new(format!("{skill}: the most stored at each number of exposures"), &head, rows).with_note(format!(
        "Bits per parameter: facts times (entropy less loss), over N counted as {}. {} % intervals over seeds; they leave out that the best cell was chosen.",
        found.count_rule,
        text::level(found.level)
    ))
}

fn chart(idx: usize, skill: &str, found: &CapacityConclusion) -> Option<Chart> {
    let exposures = found.runs.iter().map(|run| run.exposures);
    let x = Scale::over(ScaleKind::Log, exposures.clone())?;
    let inside = |at: &[f64; 2]| at[0] >= x.low && at[0] <= x.high;
    let published: Vec<[f64; 2]> = PUBLISHED.into_iter().filter(inside).collect();
    let values = found.runs.iter().map(|run| run.bits_per_param).chain(published.iter().map(|p| p[1]));
    let y = Scale::over(ScaleKind::Linear, values.chain([0.0]))?;
    let mut sizes: Vec<f64> = found.runs.iter().map(|run| run.n).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    let mut series = Vec::new();
    if !published.is_empty() {
        let marks = published
            .iter()
            .map(|at| Mark::Point {
                at: *at,
                shape: Shape::Ring,
                color: Color::Muted,
                run: None,
                title: format!("Published: {} bits per parameter at {} exposures", at[1], at[0]),
            })
            .collect();
        let label = "Published (Allen-Zhu and Li 2024)";
        series.push(Series::named(label, Swatch::Point(Color::Muted, Shape::Ring), marks));
    }
    for (idx, n) in sizes.iter().enumerate() {
        let (color, shape) = (Color::Size(Color::step(idx, sizes.len())), Shape::of(idx));
        let marks = found
            .runs
            .iter()
            .filter(|run| run.n == *n)
            .map(|run| Mark::Point {
                at: [run.exposures, run.bits_per_param],
                shape,
                color,
                run: None,
                title: format!(
                    "{}\nN: {}\nfacts: {}\nknown: {} %\nbits per parameter: {}",
                    run.name,
                    text::si(run.n),
                    text::si(run.n_facts),
                    text::fixed(100.0 * run.share_known, 0),
                    text::significant(run.bits_per_param, 3)
                ),
            })
            .collect();
        series.push(Series::named(format!("N = {}", text::si(*n)), Swatch::Point(color, shape), marks));
    }
    // Where every size has exposures of its own, the most at each of them is no choice among sizes.
    let cells: std::collections::BTreeSet<(u64, u64)> =
        found.runs.iter().map(|run| (run.exposures.to_bits(), run.n.to_bits())).collect();
    let mut caption = "Each point is a run.".to_string();
    if cells.len() > found.by_exposures.len() {
        let best: Vec<[f64; 2]> =
            found.by_exposures.iter().map(|at| [at.exposures, at.bits_per_param]).collect();
        series.push(Series::named(
            "Most at each number of exposures",
            Swatch::Line(Color::Law, Stroke::Solid),
            vec![Mark::line(best, Color::Law, Stroke::Solid)],
        ));
        caption.push_str(
            " The line joins the cells (size and number of facts, mean over seeds) that stored most per parameter.",
        );
    }
    Some(Chart {
        name: format!("capacity-{idx}").into(),
        title: format!("{skill}: bits stored per parameter against exposures"),
        caption,
        x: Axis { title: "Exposures of each fact".to_string(), scale: x, text: TickText::Si },
        y: Axis { title: "Bits per parameter".to_string(), scale: y, text: TickText::Plain },
        series,
        ramp: None,
    })
}
