//! Minimum viable investment: the least that reaches each skill's target.

use scalelaw_findings::{Investment, Price, Viable};
use scalelaw_schema::sweep::SkillTarget;

use super::part::Part;
use crate::draw::chart::{Axis, Chart, Mark, Series, Shape, Stroke, Swatch};
use crate::draw::color::Color;
use crate::draw::scale::{Scale, ScaleKind, TickText};
use crate::skill_report::TargetReport;
use crate::text;
use crate::text::table::Table;

/// The part, where a target was named.
pub fn part(all: &[TargetReport]) -> Option<Part> {
    if all.is_empty() {
        return None;
    }
    let mut rows = Vec::new();
    let investments = || all.iter().flat_map(|target| ways(target.found)).filter_map(|(_, one)| one.as_ref());
    let prices = || investments().filter_map(|one| one.price.as_ref());
    let (has_time, has_money) = (prices().count() > 0, prices().any(|price| price.money.is_some()));
    for target in all {
        for (way, investment) in ways(target.found) {
            let mut cells = vec![
                name(target),
                text::loss(target.found.target.loss),
                text::percent(target.found.target.probability, 0),
                way.to_string(),
            ];
            let number = |of: &dyn Fn(&Investment) -> String| investment.as_ref().map_or(String::new(), of);
            cells.push(number(&|one| text::si(one.n)));
            cells.push(number(&|one| text::si(one.d)));
            cells.push(number(&|one| text::flops(one.flops)));
            let price = investment.as_ref().and_then(|one| one.price.as_ref());
            if has_time {
                cells.push(price.map_or(String::new(), |price| text::duration(price.seconds)));
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
    let rates = all.iter().filter_map(|target| {
        let price = target.found.cheapest.as_ref()?.price.as_ref()?;
        let rate = text::flop_rate(price.flops_per_second);
        Some(format!(
            "{}: time at {rate}, the rate of the runs of N = {}.",
            name(target),
            text::si(price.at_n)
        ))
    });
    let unreached = all
        .iter()
        .filter_map(|target| Some(format!("{}: {}.", name(target), target.found.why_none.as_ref()?)));
    let notes = rates.chain(unreached).collect();
    Some(Part {
        id: "viable",
        link: "Targets",
        title: "Minimum viable investment",
        lead: String::new(),
        charts: chart(all).into_iter().collect(),
        tables: vec![Table::new("The least that reaches each target", &titles, rows).with_note(
            "For a single run: the probability includes the uncertainty of the fitted law and the noise of a run. Least N keeps to the tested range of data, least D to that of sizes.",
        )],
        notes,
    })
}

/// A skill, with its goal where the target loss does not say it.
fn name(target: &TargetReport) -> String {
    match target.goal {
        SkillTarget::Nll(_) => target.skill.to_string(),
        SkillTarget::Accuracy(accuracy) => format!("{}, accuracy {accuracy}", target.skill),
    }
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
    let amount = text::significant(price.money?, 3);
    Some(price.currency.as_ref().map_or(amount.clone(), |currency| format!("{amount} {currency}")))
}

fn place(one: &Investment) -> String {
    match (one.decades_beyond > 0.0, one.is_beyond_sizes) {
        (true, _) => format!("{} decades beyond the largest run", text::fixed(one.decades_beyond, 1)),
        (false, true) => "outside the tested sizes or data".to_string(),
        (false, false) => "inside the measured range".to_string(),
    }
}

fn chart(all: &[TargetReport]) -> Option<Chart> {
    let points = || all.iter().flat_map(|target| &target.found.line);
    let x = Scale::over(ScaleKind::Log, points().map(|one| one.n))?;
    let y = Scale::over(ScaleKind::Log, points().map(|one| one.d))?;
    let series = all
        .iter()
        .enumerate()
        .filter(|(_, target)| !target.found.line.is_empty())
        .map(|(idx, target)| {
            let (skill, found) = (name(target), target.found);
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
                    text::si(one.n),
                    text::si(one.d),
                    text::flops(one.flops)
                ),
            }));
            let label = format!("{skill} ≤ {}", text::loss(found.target.loss));
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
