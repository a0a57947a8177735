//! Minimum viable investment: the least that reaches each skill's target.

use scalelaw_findings::{Investment, Price, Viable};

use super::Part;
use super::table::{Table, head};
use crate::chart::{Axis, Chart, Mark, Series, Shape, Stroke, Swatch};
use crate::color::Color;
use crate::format;
use crate::scale::{Scale, ScaleKind, TickText};

/// The part, where a target was named.
pub fn part(all: &[(String, Viable)]) -> Option<Part> {
    if all.is_empty() {
        return None;
    }
    let mut rows = Vec::new();
    let investments = || all.iter().flat_map(|(_, found)| ways(found)).filter_map(|(_, one)| one.as_ref());
    let prices = || investments().filter_map(|one| one.price.as_ref());
    let (has_time, has_money) = (prices().count() > 0, prices().any(|price| price.money.is_some()));
    for (skill, found) in all {
        for (way, investment) in ways(found) {
            let mut cells = vec![
                skill.clone(),
                format::loss(found.target.loss),
                format!("{} %", format::fixed(100.0 * found.target.probability, 0)),
                way.to_string(),
            ];
            let number = |of: &dyn Fn(&Investment) -> String| investment.as_ref().map_or(String::new(), of);
            cells.push(number(&|one| format::si(one.n)));
            cells.push(number(&|one| format::si(one.d)));
            cells.push(number(&|one| format::flops(one.flops)));
            let price = investment.as_ref().and_then(|one| one.price.as_ref());
            if has_time {
                cells.push(price.map_or(String::new(), |price| format::duration(price.seconds)));
            }
            if has_money {
                cells.push(price.and_then(money).unwrap_or_default());
            }
            cells.push(investment.as_ref().map_or("not reached".to_string(), place));
            rows.push(cells);
        }
    }
    let mut titles =
        vec!["Skill", "#Target loss", "#Probability", "Way", "#N, parameters", "#D, tokens", "#FLOPs"];
    titles.extend(has_time.then_some("#Time"));
    titles.extend(has_money.then_some("#Money"));
    titles.push("Place");
    let rate = match has_time {
        true => " Time: of one run, at the FLOPs per second that this sweep's runs of the nearest size had.",
        false => "",
    };
    Some(Part {
        id: "viable",
        link: "Viable",
        title: "Minimum viable investment",
        lead: String::new(),
        charts: chart(all).into_iter().collect(),
        tables: vec![Table {
            title: "The least that reaches each target".to_string(),
            head: head(&titles),
            rows,
            note: format!(
                "For a single run: the fitted law's doubt and the noise of a run are both in the probability. Least N keeps to the data that was tried, least D to the sizes that were.{rate}"
            ),
        }],
        notes: all
            .iter()
            .filter_map(|(skill, found)| Some(format!("{skill}: {}.", found.why_none.as_ref()?)))
            .collect(),
    })
}

/// The ways to reach a target.
fn ways(found: &Viable) -> [(&'static str, &Option<Investment>); 4] {
    [
        ("cheapest", &found.cheapest),
        ("compute-optimal path", &found.on_path),
        ("least N", &found.least_n),
        ("least D", &found.least_d),
    ]
}

fn money(price: &Price) -> Option<String> {
    let amount = format::significant(price.money?, 3);
    Some(price.currency.as_ref().map_or(amount.clone(), |currency| format!("{amount} {currency}")))
}

fn place(one: &Investment) -> String {
    match (one.decades_beyond > 0.0, one.is_beyond_sizes) {
        (true, _) => format!("{} decades beyond the largest run", format::fixed(one.decades_beyond, 1)),
        (false, true) => "sizes or data that were not tried".to_string(),
        (false, false) => "inside of what was measured".to_string(),
    }
}

fn chart(all: &[(String, Viable)]) -> Option<Chart> {
    let points = || all.iter().flat_map(|(_, found)| &found.line);
    let x = Scale::over(ScaleKind::Log, points().map(|one| one.n))?;
    let y = Scale::over(ScaleKind::Log, points().map(|one| one.d))?;
    let series = all
        .iter()
        .enumerate()
        .filter(|(_, (_, found))| !found.line.is_empty())
        .map(|(idx, (skill, found))| {
            let color = Color::Skill(idx);
            let line = found.line.iter().map(|one| [one.n, one.d]).collect();
            let mut marks = vec![Mark::line(line, color, Stroke::Solid)];
            marks.extend(found.cheapest.iter().map(|one| Mark::Point {
                at: [one.n, one.d],
                shape: Shape::of(idx),
                color,
                run: None,
                title: format!(
                    "{skill}, cheapest\nN: {}\nD: {}\nC: {} FLOPs",
                    format::si(one.n),
                    format::si(one.d),
                    format::flops(one.flops)
                ),
            }));
            let label = format!("{skill} ≤ {}", format::loss(found.target.loss));
            Series::named(label, Swatch::Point(color, Shape::of(idx)), marks)
        })
        .collect();
    Some(Chart {
        name: "viable".into(),
        title: "Models and data that just reach the target".to_string(),
        caption: "On each line the target is reached with its probability; the point needs the fewest FLOPs."
            .to_string(),
        x: Axis { title: "N, parameters".to_string(), scale: x, text: TickText::Si },
        y: Axis { title: "D, training tokens".to_string(), scale: y, text: TickText::Si },
        series,
        ramp: None,
    })
}
