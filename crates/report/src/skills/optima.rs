//! The best size of every text against compute.

use scalelaw_findings::skills::conclusion::{Edge, SkillConclusion, SkillOptimum, TextFit};

use super::table::{Table, head};
use crate::chart::{Axis, Chart, Mark, Series, Shape, Stroke, Swatch};
use crate::color::Color;
use crate::format;
use crate::scale::{Scale, ScaleKind, TickText};

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
            let ends = ends
                .map_or(String::new(), |[low, high]| format!(" [{}, {}]", format::si(low), format::si(high)));
            Some(Mark::Point {
                at: [optimum.budget, value],
                shape,
                color,
                run: None,
                title: format!(
                    "{}, minimum of the parabola\nC: {} FLOPs\n{axis}: {}{ends}",
                    text.name,
                    format::flops(optimum.budget),
                    format::si(value)
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
            format::percent_level(found.level)
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
            let tokens = law.filter(|o| o.n.is_some()).or(parabola);
            rows.push(vec![
                text.name.clone(),
                format::flops(budget.budget),
                format!("{} to {}", format::si(budget.smallest), format::si(budget.largest)),
                law.map_or(format::UNKNOWN.to_string(), size),
                parabola.map_or(format::UNKNOWN.to_string(), size),
                format::or_unknown(tokens.and_then(|o| o.d), format::si),
                format::or_unknown(tokens.and_then(|o| o.loss), format::loss),
            ]);
        }
    }
    let unfitted: Vec<String> = texts(found)
        .filter_map(|(text, ..)| text.why_no_fit.as_ref().map(|why| format!("{}: {why}.", text.name)))
        .collect();
    Table {
        title: "Best size of each text at each budget".to_string(),
        head: head(&[
            "Text",
            "#Budget, FLOPs",
            "#Sizes trained",
            "#N*, fitted law",
            "#N*, parabola",
            "#D* there",
            "#Loss there",
        ]),
        rows,
        note: format!(
            "N in parameters, D in tokens, loss in nats per token; {} % intervals. An end that equals the smallest or the largest size is open. {}",
            format::percent_level(found.level),
            unfitted.join(" ")
        )
        .trim_end()
        .to_string(),
    }
}

/// N* with its interval, or why there is none.
fn size(optimum: &SkillOptimum) -> String {
    match (optimum.n, optimum.edge, &optimum.why_none) {
        (Some(n), ..) => {
            let ends = optimum
                .n_interval
                .as_ref()
                .map_or(String::new(), |i| format!(" [{}, {}]", format::si(i.low), format::si(i.high)));
            format!("{}{ends}", format::si(n))
        }
        (None, Some(Edge::Smallest), _) => "none: at the smallest size".to_string(),
        (None, Some(Edge::Largest), _) => "none: at the largest size".to_string(),
        (None, None, Some(why)) => format!("none: {why}"),
        (None, None, None) => "none".to_string(),
    }
}
