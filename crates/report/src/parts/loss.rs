//! Loss against N, against D and against C, with the fitted law and the band of its resamples.

use scalelaw_findings::Surface;

use crate::draw::chart::{Axis, Chart, Mark, Ramp, Series, Shape, Side, Stroke, Swatch};
use crate::draw::color::Color;
use crate::draw::scale::{Scale, ScaleKind, TickText};
use crate::input::ReportInput;
use crate::runs::{self, Run};
use crate::text;

const SAMPLES: usize = 48;
/// Values at which the other variable is held where the runs have many of them.
const N_LEVELS: usize = 4;
/// Heights at which the name of a line has room below it.
const LABEL_ROOM: std::ops::RangeInclusive<f64> = 0.13..=1.0;

/// What stands on the horizontal axis.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Along {
    N,
    D,
}

/// The three charts, as far as there are losses.
pub fn charts(input: &ReportInput, runs: &[Run]) -> Vec<Chart> {
    [along(input, runs, Along::N), along(input, runs, Along::D), along_compute(input, runs)]
        .into_iter()
        .flatten()
        .collect()
}

fn along(input: &ReportInput, runs: &[Run], along: Along) -> Option<Chart> {
    let pick = |run: &Run| if along == Along::N { (run.n, run.d) } else { (run.d, run.n) };
    let measured: Vec<(usize, &Run, f64)> =
        runs.iter().enumerate().filter_map(|(idx, run)| Some((idx, run, run.fitted_point()?))).collect();
    let x = Scale::over(ScaleKind::Log, measured.iter().map(|(_, run, _)| pick(run).0))?;
    let held = Scale::over(ScaleKind::Log, measured.iter().map(|(_, run, _)| pick(run).1))?;
    let y = Scale::over(ScaleKind::Log, measured.iter().map(|(_, _, loss)| *loss))?;
    let color = |value: f64| Color::Size(Color::step_at(held.inner_share(value)));
    let (name, x_title, held_name, held_unit) = match along {
        Along::N => ("loss-n", "N, parameters", "D", "tokens"),
        Along::D => ("loss-d", "D, training tokens", "N", "parameters"),
    };
    let points: Vec<Mark> = measured
        .iter()
        .map(|(idx, run, loss)| Mark::Point {
            at: [pick(run).0, *loss],
            shape: Shape::Circle,
            color: color(pick(run).1),
            run: Some(*idx),
            title: run.title(),
        })
        .collect();
    let mut series = Vec::new();
    if let Some(surface) = input.surface() {
        let level = input.level();
        let (mut lines, mut bands) = (Vec::new(), Vec::new());
        for value in levels(measured.iter().map(|(_, run, _)| pick(run).1).collect()) {
            let at = |x: f64| if along == Along::N { (x, value) } else { (value, x) };
            let line: Vec<[f64; 2]> = x
                .samples(SAMPLES)
                .filter_map(|x| surface.loss(at(x).0, at(x).1).map(|loss| [x, loss]))
                .collect();
            bands.push(Mark::Band { points: band(&surface, level, x, at), color: color(value) });
            let end = line.iter().rev().find(|point| LABEL_ROOM.contains(&y.share(point[1]))).copied();
            lines.push(Mark::line(line, color(value), Stroke::Solid));
            let text = format!("{held_name} = {}", text::si(value));
            lines.extend(end.map(|at| Mark::Label { at, text, color: color(value), side: Side::End }));
        }
        bands.retain(|mark| matches!(mark, Mark::Band { points, .. } if !points.is_empty()));
        if !bands.is_empty() {
            series.push(Series::named(input.band_label(), Swatch::Band(Color::Size(3)), bands));
        }
        if !lines.is_empty() {
            let label = format!("Fitted law at fixed {held_name}");
            series.push(Series::named(label, Swatch::Line(Color::Size(3), Stroke::Solid), lines));
        }
    }
    series.push(Series::named("Runs", Swatch::Point(Color::Size(3), Shape::Circle), points));
    let mut ends: Vec<f64> = measured.iter().map(|(_, run, _)| pick(run).1).collect();
    ends.sort_by(f64::total_cmp);
    Some(Chart {
        name: name.into(),
        title: format!("Loss against {}", if along == Along::N { "N" } else { "D" }),
        caption: format!(
            "Colour is {held_name} for points and lines alike: under a good fit each point lies between the lines whose {held_name} enclose its own."
        ),
        x: Axis { title: x_title.to_string(), scale: x, text: TickText::Si },
        y: Axis {
            title: format!("Held-out loss{}", input.table.measure.unit.suffix()),
            scale: y,
            text: TickText::Plain,
        },
        series,
        ramp: Some(Ramp {
            title: format!("{held_name}, {held_unit}"),
            ends: [text::si(*ends.first()?), text::si(*ends.last()?)],
        }),
    })
}

/// The values themselves where there are few, else some in equal ratios between the ends.
fn levels(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    let mut distinct = values.clone();
    // Whole steps make the tokens of equal cells differ by a little.
    distinct.dedup_by(|a, b| (*a / *b - 1.0).abs() < 0.02);
    if distinct.len() <= N_LEVELS + 1 {
        return distinct;
    }
    let [Some(low), Some(high)] = [values.first(), values.last()] else { return Vec::new() };
    Scale { kind: ScaleKind::Log, low: *low, high: *high }.samples(N_LEVELS).collect()
}

/// `[x, low, high]` along the scale; empty where the fit has no resamples.
fn band(surface: &Surface, level: f64, x: Scale, at: impl Fn(f64) -> (f64, f64)) -> Vec<[f64; 3]> {
    x.samples(SAMPLES / 2)
        .filter_map(|x| {
            let (n, d) = at(x);
            surface.band(n, d, level).map(|(low, high)| [x, low, high])
        })
        .collect()
}

fn along_compute(input: &ReportInput, runs: &[Run]) -> Option<Chart> {
    let measured: Vec<(&Run, f64)> = runs.iter().filter_map(|run| Some((run, run.fitted_point()?))).collect();
    let x = Scale::over(ScaleKind::Log, measured.iter().map(|(run, _)| run.c))?;
    let mut series = Vec::new();
    let (mut line, mut band) = (Vec::new(), Vec::new());
    if let Some(surface) = input.surface() {
        for c in x.samples(SAMPLES / 2) {
            let Some(optimum) = surface.optimum(c, input.level()) else { continue };
            line.push([c, optimum.loss.value]);
            band.extend(optimum.loss.interval.map(|interval| [c, interval.low, interval.high]));
        }
    }
    let y = Scale::over(
        ScaleKind::Log,
        measured.iter().map(|(_, loss)| *loss).chain(line.iter().map(|point| point[1])),
    )?;
    if !band.is_empty() {
        let marks = vec![Mark::Band { points: band, color: Color::Law }];
        series.push(Series::named(input.band_label(), Swatch::Band(Color::Law), marks));
    }
    if !line.is_empty() {
        let marks = vec![Mark::line(line, Color::Law, Stroke::Solid)];
        series.push(Series::named(
            "Fitted law at its best N",
            Swatch::Line(Color::Law, Stroke::Solid),
            marks,
        ));
    }
    series.extend(runs::series_by_budget(runs, |run| Some([run.c, run.fitted_point()?])));
    Some(Chart {
        name: "loss-c".into(),
        title: "Loss against C".to_string(),
        caption: "The line is the lowest loss that the law expects from a budget, with N and D chosen for it. Runs lie on it or above: their height is the price of a size that is not the best.".to_string(),
        x: Axis { title: "C, training FLOPs".to_string(), scale: x, text: TickText::Power },
        y: Axis { title: format!("Held-out loss{}", input.table.measure.unit.suffix()), scale: y, text: TickText::Plain },
        series,
        ramp: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_are_kept_and_many_become_levels_in_equal_ratios() {
        assert_eq!(levels(vec![4e6, 1e6, 1.001e6, 2e6]), [1e6, 2e6, 4e6]);
        let many = levels((0..20).map(|i| 1e3 * 2f64.powi(i)).collect());
        assert_eq!(many.len(), N_LEVELS);
        let ratio = many[1] / many[0];
        assert!(many.windows(2).all(|pair| (pair[1] / pair[0] / ratio - 1.0).abs() < 1e-9), "{many:?}");
    }
}
