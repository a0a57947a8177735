//! The best size of every text against compute.

use scalelaw_findings::skills::conclusion::{Edge, SkillConclusion, SkillOptimum, TextFit};

use crate::draw::chart::{Axis, Chart, Mark, Series, Shape, Stroke, Swatch};
use crate::draw::color::Color;
use crate::draw::scale::{Scale, ScaleKind, TickText};
use crate::text;
use crate::text::table::{Cell, Table};

/// The aggregate, then the skills, each with its sign.
pub fn texts(found: &SkillConclusion) -> impl Iterator<Item = (&TextFit, Color, Shape)> {
    let skills = found.skills.iter().enumerate();
    std::iter::once((&found.aggregate, Color::Ink, Shape::Cross))
        .chain(skills.map(|(idx, text)| (text, Color::Skill(idx), Shape::of(idx))))
}

/// N* and D* against compute, a chart each.
pub fn charts(found: &SkillConclusion) -> Vec<Chart> {
    let n = chart(found, "skill-optima-n", "Best size of each skill, N*(C)", "N*, parameters", |optimum| {
        (optimum.n, optimum.n_interval.as_ref().map(|i| [i.low, i.high]))
    });
    let d = chart(
        found,
        "skill-optima-d",
        "Best amount of data of each skill, D*(C)",
        "D*, training tokens",
        |o| (o.d, o.d_interval.as_ref().map(|i| [i.low, i.high])),
    );
    n.into_iter().chain(d).collect()
}

type Of = fn(&SkillOptimum) -> (Option<f64>, Option<[f64; 2]>);

fn chart(found: &SkillConclusion, name: &'static str, title: &str, axis: &str, of: Of) -> Option<Chart> {
    let all = || texts(found).flat_map(|(text, ..)| text.by_surface.iter().chain(&text.by_minima));
    let x = Scale::over(ScaleKind::Log, all().map(|optimum| optimum.budget))?;
    let values = all().flat_map(|optimum| {
        let (value, ends) = of(optimum);
        value.into_iter().chain(ends.into_iter().flatten())
    });
    let y = Scale::over(ScaleKind::Log, values)?;
    let mut series = Vec::new();
    for (text, color, shape) in texts(found) {
        let mut marks = Vec::new();
        let known: Vec<(f64, f64, Option<[f64; 2]>)> = text
            .by_surface
            .iter()
            .filter_map(|optimum| {
                let (value, ends) = of(optimum);
                Some((optimum.budget, value?, ends))
            })
            .collect();
        let band: Vec<[f64; 3]> =
            known.iter().filter_map(|(c, _, ends)| ends.map(|[low, high]| [*c, low, high])).collect();
        if band.len() > 1 {
            marks.push(Mark::Band { points: band, color });
        }
        let line: Vec<[f64; 2]> = known.iter().map(|(c, value, _)| [*c, *value]).collect();
        marks.push(Mark::line(line, color, Stroke::Solid));
        marks.extend(text.by_minima.iter().filter_map(|optimum| {
            let (value, ends) = of(optimum);
            let value = value?;
            let ends = ends.map_or(String::new(), |ends| format!(" {}", text::ends(ends, text::si)));
            Some(Mark::Point {
                at: [optimum.budget, value],
                shape,
                color,
                run: None,
                title: format!(
                    "{}, minimum of the parabola\nC: {} FLOPs\n{axis}: {}{ends}",
                    text.name,
                    text::flops(optimum.budget),
                    text::si(value)
                ),
            })
        }));
        series.push(Series::named(&text.name, Swatch::Point(color, shape), marks));
    }
    Some(Chart {
        name: name.into(),
        title: title.to_string(),
        caption: format!(
            "Lines with {} % bands: by the fitted laws; points: by the parabola of each budget. Where a point or a piece of a line is missing, the optimum lies at or beyond the edge of the sizes that were trained.",
            text::level(found.level)
        ),
        x: Axis { title: "C, training FLOPs".to_string(), scale: x, text: TickText::Power },
        y: Axis { title: axis.to_string(), scale: y, text: TickText::Si },
        series,
        ramp: None,
    })
}

/// All optima with their intervals.
pub fn table(found: &SkillConclusion) -> Table {
    let mut rows = Vec::new();
    for (text, ..) in texts(found) {
        for (idx, budget) in found.budgets.iter().enumerate() {
            let (law, parabola) = (text.by_surface.get(idx), text.by_minima.get(idx));
            let there = law.filter(|o| o.n.is_some()).or(parabola);
            let unknown = || Cell::Text(text::UNKNOWN.to_string());
            rows.push(vec![
                Cell::Text(text.name.clone()),
                Cell::Text(text::flops(budget.budget)),
                law.map_or_else(unknown, size),
                parabola.map_or_else(unknown, size),
                Cell::Text(text::or_unknown(there.and_then(|o| o.d), text::si)),
                Cell::Text(text::or_unknown(there.and_then(|o| o.loss), text::loss)),
            ]);
        }
    }
    let unfitted: Vec<String> = texts(found)
        .filter_map(|(text, ..)| text.why_no_fit.as_ref().map(|why| format!("{}: {why}.", text.name)))
        .collect();
    let head = ["Text", "#Budget, FLOPs", "#N*, fitted law", "#N*, parabola", "#D* there", "#Loss there"];
    let sizes: Vec<String> = found
        .budgets
        .iter()
        .map(|budget| {
            let [smallest, largest] = [budget.smallest, budget.largest].map(text::si);
            format!("{smallest} to {largest} at {}", text::flops(budget.budget))
        })
        .collect();
    let note = format!(
        "N in parameters, D in tokens, loss in nats per token; {} % intervals. Sizes trained: {}. An end of an interval that equals the smallest or the largest size is open. {}",
        text::level(found.level),
        sizes.join(", "),
        unfitted.join(" ")
    );
    Table::new("Best size of each text at each budget", &head, rows).with_note(note.trim_end())
}

/// N* with its interval, or why there is none.
pub fn size(optimum: &SkillOptimum) -> Cell {
    match (optimum.n, optimum.edge, &optimum.why_none) {
        (Some(n), ..) => {
            let ends =
                optimum.n_interval.as_ref().map_or(String::new(), |i| format!(" {}", text::si_interval(i)));
            Cell::Text(format!("{}{ends}", text::si(n)))
        }
        (None, Some(Edge::Smallest), _) => Cell::Text("at the smallest size".to_string()),
        (None, Some(Edge::Largest), _) => Cell::Text("at the largest size".to_string()),
        (None, None, Some(why)) => Cell::Why(why.clone()),
        (None, None, None) => Cell::Text("none".to_string()),
    }
}
