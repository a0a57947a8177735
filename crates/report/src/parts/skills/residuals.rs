//! Residuals as a forest plot, and the labels that follow.

use scalelaw_findings::skills::conclusion::{Approach, Bound, Residual, SkillConclusion};
use scalelaw_fit::conclusion::Interval;

use crate::draw::chart::{Axis, Chart, Mark, Series, Shape, Side, Stroke, Swatch};
use crate::draw::color::Color;
use crate::draw::scale::{Scale, ScaleKind, TickText};
use crate::text;
use crate::text::table::Table;

/// The forest plot: N* of each skill over the aggregate's, by both approaches.
pub fn charts(found: &SkillConclusion) -> Vec<Chart> {
    let n = found.residuals.len() as f64;
    let rows: Vec<(f64, &str, String, [Option<&Residual>; 2])> = found
        .residuals
        .iter()
        .enumerate()
        .map(|(idx, residual)| {
            let by = [residual.by_surface.pooled.as_ref(), residual.by_minima.pooled.as_ref()];
            // The first skill on top.
            (
                n - idx as f64,
                residual.skill.as_str(),
                format!("{}: {}", residual.skill, residual.label.name()),
                by,
            )
        })
        .collect();
    let ends = rows.iter().flat_map(|row| row.3.iter().flatten()).flat_map(|residual| {
        let interval = residual.interval.as_ref();
        [residual.log_ratio, interval.map_or(0.0, |i| i.low), interval.map_or(0.0, |i| i.high)]
    });
    let Some(x) = Scale::over(ScaleKind::Log, ends.chain([0.0]).map(f64::exp)) else { return Vec::new() };
    let y = Scale { kind: ScaleKind::Linear, low: 0.4, high: n + 0.75 };
    let kinds = [
        ("By the fitted laws", Color::Law, Shape::Square, 0.0, Stroke::Solid),
        ("By the parabolas", Color::Approach2, Shape::Ring, -0.24, Stroke::Hair),
    ];
    let mut series = vec![Series::unnamed(vec![Mark::Upright { x: 1.0, color: Color::Muted }])];
    for (which, (label, color, shape, shift, stroke)) in kinds.into_iter().enumerate() {
        let mut marks = Vec::new();
        for (place, skill, _, by) in &rows {
            let Some(residual) = by[which] else { continue };
            if let Some(interval) = &residual.interval {
                let points = [interval.low, interval.high].map(|x| [x.exp(), place + shift]).to_vec();
                marks.push(Mark::line(points, color, stroke));
            }
            marks.push(Mark::Point {
                at: [residual.ratio(), place + shift],
                shape,
                color,
                run: None,
                title: format!("{skill}, {}\nN*/N*: {}", label.to_lowercase(), text(residual)),
            });
        }
        if !marks.is_empty() {
            series.push(Series::named(label, Swatch::Point(color, shape), marks));
        }
    }
    let names = rows.iter().map(|(place, _, name, _)| Mark::Label {
        at: [x.low, place + 0.12],
        text: name.clone(),
        color: Color::Ink,
        side: Side::Above,
    });
    series.push(Series::unnamed(names.collect()));
    vec![Chart {
        name: "skill-residuals".into(),
        title: "Residuals: each skill's best size against the aggregate's".to_string(),
        caption: format!(
            "N* of the skill over N* of {} at the same compute, mean over the budgets, with {} % intervals. Right of 1 a skill wants the larger model, left of 1 more data. The label is decided at the level of Holm's procedure, which may be stricter than the interval drawn.",
            found.aggregate.name,
            text::level(found.level)
        ),
        x: Axis {
            title: "N* of the skill / N* of the aggregate".to_string(),
            scale: x,
            text: TickText::Plain,
        },
        y: Axis { title: String::new(), scale: y, text: TickText::Hidden },
        series,
        ramp: None,
    }]
}

/// The labels with what decided them.
pub fn table(found: &SkillConclusion) -> Table {
    let rows = found
        .residuals
        .iter()
        .map(|residual| {
            vec![
                residual.skill.clone(),
                residual.label.name().to_string(),
                residual.pooled().map_or(text::UNKNOWN.to_string(), ratio),
                residual.label_interval.as_ref().map_or(text::UNKNOWN.to_string(), |i| {
                    format!("{} at {} %", ratios(i), text::level(i.level))
                }),
                text::or_unknown(residual.p_holm, |p| text::significant(p, 2)),
                residual.by_minima.pooled.as_ref().map_or(text::UNKNOWN.to_string(), text),
                match residual.label_by {
                    Some(Approach::Surface) => format!("by the fitted laws: {}", residual.why),
                    Some(Approach::Minima) => format!("by the parabolas: {}", residual.why),
                    None => residual.why.clone(),
                },
            ]
        })
        .collect();
    let head =
        ["Skill", "Label", "#N* / N*", "#Interval of the label", "#p, Holm", "#By the parabolas", "Why"];
    Table::new("Labels", &head, rows).with_note("N*/N*: the skill's best size over the aggregate's, averaged over the budgets as a logarithm. A sign of at least or at most stands where an optimum lies at or beyond the edge of the sizes. p is adjusted by Holm's procedure and not resolved below one over the draws.")
}

/// A residual as a ratio with its interval.
fn text(residual: &Residual) -> String {
    let ends = residual.interval.as_ref().map_or(String::new(), |i| format!(" {}", ratios(i)));
    format!("{}{ends}", ratio(residual))
}

/// A residual as a ratio.
fn ratio(residual: &Residual) -> String {
    let sign = match residual.bound {
        None => "",
        Some(Bound::AtLeast) => "≥ ",
        Some(Bound::AtMost) => "≤ ",
        Some(Bound::Mixed) => "about ",
    };
    format!("{sign}{}", text::significant(residual.ratio(), 3))
}

fn ratios(interval: &Interval) -> String {
    text::ends([interval.low.exp(), interval.high.exp()], |x| text::significant(x, 3))
}
