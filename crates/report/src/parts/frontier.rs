//! The compute-optimal frontier: N*(C), D*(C) and tokens per parameter, by each approach, with bands.

use scalelaw_findings::{Estimate, Optimum};
use scalelaw_fit::conclusion::Frontier;

use crate::draw::chart::{Axis, Chart, Mark, Series, Shape, Stroke, Swatch};
use crate::draw::color::Color;
use crate::draw::scale::{Scale, ScaleKind, TickText};
use crate::input::ReportInput;
use crate::runs::Run;
use crate::text;

/// The frontier is drawn this factor beyond the largest budget, marked as not measured.
const BEYOND: f64 = 10.0;
const SAMPLES: usize = 32;

/// One quantity along the frontier.
struct Quantity {
    name: &'static str,
    title: &'static str,
    axis: &'static str,
    of_optimum: fn(&Optimum) -> &Estimate,
    of_frontier: fn(&Frontier, f64) -> f64,
    of_run: fn(&Run) -> f64,
}

const QUANTITIES: [Quantity; 3] = [
    Quantity {
        name: "frontier-n",
        title: "Best size, N*(C)",
        axis: "N*, parameters",
        of_optimum: |optimum| &optimum.n,
        of_frontier: |frontier, c| frontier.n(c),
        of_run: |run| run.n,
    },
    Quantity {
        name: "frontier-d",
        title: "Best amount of data, D*(C)",
        axis: "D*, training tokens",
        of_optimum: |optimum| &optimum.d,
        of_frontier: |frontier, c| frontier.d(c),
        of_run: |run| run.d,
    },
    Quantity {
        name: "frontier-tokens-per-parameter",
        title: "Tokens per parameter at the optimum",
        axis: "D*/N*, tokens per parameter",
        of_optimum: |optimum| &optimum.tokens_per_param,
        of_frontier: |frontier, c| frontier.d(c) / frontier.n(c),
        of_run: |run| run.d / run.n,
    },
];

/// The charts, or none where no approach has a frontier.
pub fn charts(input: &ReportInput, runs: &[Run]) -> Vec<Chart> {
    let Ok(conclusion) = input.scaling else { return Vec::new() };
    let law = input.fit().and_then(|fit| fit.optimum.as_ref());
    let second = conclusion.approach2.as_ref().and_then(|approach| approach.frontier.as_ref());
    let first = conclusion.approach1.as_ref();
    let measured: Vec<(usize, &Run)> =
        runs.iter().enumerate().filter(|(_, run)| run.fitted_point().is_some()).collect();
    let Some(inner) = Scale::over(ScaleKind::Log, measured.iter().map(|(_, run)| run.c)) else {
        return Vec::new();
    };
    if law.or(second).or(first).is_none() {
        return Vec::new();
    }
    let largest = measured.iter().map(|(_, run)| run.c).fold(0.0, f64::max);
    let x = Scale { high: largest * BEYOND, ..inner };
    let optima: Vec<Optimum> = input
        .surface()
        .iter()
        .flat_map(|surface| x.samples(SAMPLES).filter_map(|c| surface.optimum(c, input.level())))
        .collect();
    let approaches = [
        (first, "Approach 1, envelope of curves", Color::Approach1, Stroke::Dashed),
        (second, "Approach 2, through the minima", Color::Approach2, Stroke::Dashed),
        (law, "Approach 3, the fitted law", Color::Law, Stroke::Solid),
    ];
    QUANTITIES
        .iter()
        .filter_map(|quantity| {
            let value = |run: &Run| (quantity.of_run)(run);
            let minima: Vec<(f64, f64)> = minima(input, runs, quantity);
            let lines: Vec<Vec<[f64; 2]>> = approaches
                .iter()
                .map(|(frontier, ..)| {
                    frontier.map_or(Vec::new(), |frontier| {
                        x.samples(2).map(|c| [c, (quantity.of_frontier)(frontier, c)]).collect()
                    })
                })
                .collect();
            let y = Scale::over(
                ScaleKind::Log,
                measured
                    .iter()
                    .map(|(_, run)| value(run))
                    .chain(lines.iter().flatten().map(|p| p[1]))
                    .chain(minima.iter().map(|m| m.1)),
            )?;
            let mut series = vec![Series::unnamed(vec![Mark::Beyond {
                x: largest,
                text: "beyond what was measured".to_string(),
            }])];
            series.push(Series::named(
                "Runs",
                Swatch::Point(Color::Faint, Shape::Circle),
                measured
                    .iter()
                    .map(|(idx, run)| Mark::Point {
                        at: [run.c, value(run)],
                        shape: Shape::Circle,
                        color: Color::Faint,
                        run: Some(*idx),
                        title: run.title(),
                    })
                    .collect(),
            ));
            let band: Vec<[f64; 3]> = optima
                .iter()
                .filter_map(|o| (quantity.of_optimum)(o).interval.as_ref().map(|i| [o.c, i.low, i.high]))
                .collect();
            if !band.is_empty() {
                let marks = vec![Mark::Band { points: band, color: Color::Law }];
                series.push(Series::named(input.band_label(), Swatch::Band(Color::Law), marks));
            }
            for ((_, label, color, stroke), line) in approaches.iter().zip(lines) {
                if !line.is_empty() {
                    let marks = vec![Mark::line(line, *color, *stroke)];
                    series.push(Series::named(*label, Swatch::Line(*color, *stroke), marks));
                }
            }
            if !minima.is_empty() {
                let marks = minima
                    .iter()
                    .map(|(c, value)| Mark::Point {
                        at: [*c, *value],
                        shape: Shape::Ring,
                        color: Color::Approach2,
                        run: None,
                        title: format!(
                            "Minimum of the parabola\nC: {} FLOPs\n{}: {}",
                            text::flops(*c),
                            quantity.axis,
                            text::si(*value)
                        ),
                    })
                    .collect();
                series.push(Series::named("Minima of the parabolas", Swatch::Point(Color::Approach2, Shape::Ring), marks));
            }
            Some(Chart {
                name: quantity.name.into(),
                title: quantity.title.to_string(),
                caption: format!(
                    "Shaded on the right: up to {BEYOND:.0} times the largest run, where nothing was measured and the lines are extrapolations."
                ),
                x: Axis { title: "C, training FLOPs".to_string(), scale: x, text: TickText::Power },
                y: Axis { title: quantity.axis.to_string(), scale: y, text: TickText::Si },
                series,
                ramp: None,
            })
        })
        .collect()
}

/// `(C, value)` at the parabolas' minima; D there is interpolated between the runs of the budget.
fn minima(input: &ReportInput, runs: &[Run], quantity: &Quantity) -> Vec<(f64, f64)> {
    input
        .minima()
        .iter()
        .filter_map(|minimum| {
            let n = minimum.n?;
            let mut known: Vec<[f64; 2]> = runs
                .iter()
                .filter(|run| {
                    run.budget.is_some_and(|b| crate::runs::is_near(b, minimum.budget))
                        && run.fitted_point().is_some()
                })
                .map(|run| [run.n.ln(), (quantity.of_run)(run).ln()])
                .collect();
            known.sort_by(|a, b| a[0].total_cmp(&b[0]));
            let pair = known.windows(2).find(|pair| pair[0][0] <= n.ln() && n.ln() <= pair[1][0])?;
            let width = pair[1][0] - pair[0][0];
            let share = if width > 0.0 { (n.ln() - pair[0][0]) / width } else { 0.0 };
            Some((minimum.budget, (pair[0][1] + share * (pair[1][1] - pair[0][1])).exp()))
        })
        .collect()
}
