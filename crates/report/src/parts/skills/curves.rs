//! IsoFLOP curves of every text: its losses against N at each budget, the parabola, the fitted law, the minima.

use scalelaw_findings::Surface;
use scalelaw_findings::skills::conclusion::{SkillConclusion, TextFit};
use scalelaw_schema::table::{LossRow, LossTable};

use super::optima;
use crate::draw::chart::{Axis, Chart, Mark, Series, Shape, Stroke, Swatch};
use crate::draw::color::Color;
use crate::draw::scale::{Scale, ScaleKind, TickText};
use crate::runs;
use crate::text;

const SAMPLES: usize = 48;

/// A chart for each text whose table is known.
pub fn charts(tables: &[LossTable], found: &SkillConclusion) -> Vec<Chart> {
    optima::texts(found)
        .enumerate()
        .filter_map(|(idx, (text, ..))| {
            let table = tables.iter().find(|table| table.loss_name == text.name)?;
            chart(idx, text, table, found)
        })
        .collect()
}

fn chart(idx: usize, text: &TextFit, table: &LossTable, found: &SkillConclusion) -> Option<Chart> {
    let rows = || table.rows.iter().filter(|row| row.budget.is_some());
    let x = Scale::over(ScaleKind::Log, rows().map(|row| row.n))?;
    let y = Scale::over(ScaleKind::Linear, rows().map(|row| row.loss))?;
    let surface = text.fit.as_ref().and_then(Surface::new);
    let mut laws = Vec::new();
    let mut series: Vec<Series> = Vec::new();
    for (place, budget) in found.budgets.iter().enumerate() {
        let (color, shape) = runs::budget_sign(place, found.budgets.len());
        let mut members: Vec<&LossRow> =
            rows().filter(|row| row.budget.is_some_and(|b| runs::is_near(b, budget.budget))).collect();
        members.sort_by(|a, b| a.n.total_cmp(&b.n));
        let (Some(first), Some(last)) = (members.first(), members.last()) else { continue };
        let along = Scale { kind: ScaleKind::Log, low: first.n, high: last.n };
        let mut marks = Vec::new();
        let minimum = text.by_minima.get(place);
        if let Some(c) =
            minimum.and_then(|minimum| minimum.parabola).filter(|c| c.iter().all(|c| c.is_finite()))
        {
            let points =
                along.samples(SAMPLES).map(|n| [n, (c[0] + n.ln() * (c[1] + n.ln() * c[2])).exp()]).collect();
            marks.push(Mark::line(points, color, Stroke::Solid));
        }
        if let Some(surface) = &surface {
            // D falls along a budget as the first and the last run say.
            let slope = (last.d / first.d).ln() / (last.n / first.n).ln();
            let d = |n: f64| first.d * (n / first.n).powf(if slope.is_finite() { slope } else { -1.0 });
            let points: Vec<[f64; 2]> =
                along.samples(SAMPLES).filter_map(|n| Some([n, surface.loss(n, d(n))?])).collect();
            laws.push(Mark::line(points, color, Stroke::Thin));
        }
        marks.extend(members.iter().map(|row| Mark::Point {
            at: [row.n, row.loss],
            shape,
            color,
            run: None,
            title: format!(
                "{}\nN: {}\nD: {}\nloss: {}",
                row.name,
                text::si(row.n),
                text::si(row.d),
                text::loss(row.loss)
            ),
        }));
        if let Some((n, loss)) = minimum.and_then(|minimum| minimum.n.zip(minimum.loss)) {
            let title = format!("Minimum of the parabola\nN*: {}\nloss: {}", text::si(n), text::loss(loss));
            marks.push(Mark::Point { at: [n, loss], shape: Shape::Ring, color, run: None, title });
        }
        let label = format!("{} FLOPs", text::flops(budget.budget));
        series.push(Series::named(label, Swatch::Point(color, shape), marks));
    }
    if !laws.is_empty() {
        let sign = Swatch::Line(Color::Muted, Stroke::Thin);
        series.push(Series::named("Fitted law", sign, laws));
    }
    Some(Chart {
        name: format!("skill-curves-{idx}").into(),
        title: format!("{}: loss against size at constant compute", text.name),
        caption: "Full lines: parabola of log loss in log N; ring: its minimum, where it lies inside the sizes; dotted: the law fitted to all budgets.".to_string(),
        x: Axis { title: "N, parameters".to_string(), scale: x, text: TickText::Si },
        y: Axis { title: "Loss, nats per token".to_string(), scale: y, text: TickText::Plain },
        series,
        ramp: None,
    })
}
