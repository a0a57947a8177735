//! Learning curves: training loss against FLOPs and against tokens, binned so that pages stay small.

use std::collections::BTreeMap;

use scalelaw_schema::metrics::TRAIN_LOSS;
use scalelaw_schema::table::MetricPoint;

use crate::draw::chart::{Axis, Chart, Mark, Ramp, Series, Shape, Stroke, Swatch};
use crate::draw::color::Color;
use crate::draw::scale::{Scale, ScaleKind, TickText};
use crate::runs::{Run, Status};
use crate::text;

/// Places of all curves of one chart together; each run gets its share, within the two bounds.
const PLACES: usize = 80_000;
/// More places than the drawing has units across would not be seen.
const MOST_PER_RUN: usize = 200;
const LEAST_PER_RUN: usize = 40;

/// The two charts, or none where no run has a curve.
pub fn charts(runs: &[Run], curves: &[MetricPoint]) -> Vec<Chart> {
    let mut by_run: BTreeMap<&str, Vec<&MetricPoint>> = BTreeMap::new();
    for point in curves.iter().filter(|p| p.metric == TRAIN_LOSS && p.value.is_finite() && p.value > 0.0) {
        by_run.entry(point.run_id.as_str()).or_default().push(point);
    }
    let curves: Vec<(usize, Vec<&MetricPoint>)> = runs
        .iter()
        .enumerate()
        .filter_map(|(idx, run)| by_run.remove(run.id.as_str()).map(|points| (idx, points)))
        .collect();
    if curves.is_empty() {
        return Vec::new();
    }
    let flops: fn(&MetricPoint) -> f64 = |point| point.flops;
    let tokens: fn(&MetricPoint) -> f64 = |point| point.tokens as f64;
    [
        (
            "learning-curves-flops",
            "Learning curves against compute",
            "Training FLOPs so far",
            TickText::Power,
            flops,
        ),
        (
            "learning-curves-tokens",
            "Learning curves against data",
            "Training tokens so far",
            TickText::Si,
            tokens,
        ),
    ]
    .into_iter()
    .filter_map(|(name, title, x_title, text, of)| {
        chart(runs, &curves, name, title, Axis { title: x_title.to_string(), scale: NO_SCALE, text }, of)
    })
    .collect()
}

/// Replaced as soon as the points are known.
const NO_SCALE: Scale = Scale { kind: ScaleKind::Log, low: 1.0, high: 10.0 };

fn chart(
    runs: &[Run],
    curves: &[(usize, Vec<&MetricPoint>)],
    name: &'static str,
    title: &str,
    mut x: Axis,
    of: fn(&MetricPoint) -> f64,
) -> Option<Chart> {
    let most = (PLACES / curves.len()).clamp(LEAST_PER_RUN, MOST_PER_RUN);
    let lines: Vec<(usize, Vec<[f64; 2]>)> = curves
        .iter()
        .map(|(idx, points)| {
            let mut points: Vec<[f64; 2]> =
                points.iter().map(|p| [of(p), p.value]).filter(|p| p[0] > 0.0).collect();
            points.sort_by(|a, b| a[0].total_cmp(&b[0]));
            (*idx, bin_means(&points, most))
        })
        .collect();
    let ends: Vec<(usize, [f64; 2])> = lines
        .iter()
        .filter_map(|(idx, line)| {
            runs[*idx].loss.zip(line.last()).map(|(loss, last)| (*idx, [last[0], loss]))
        })
        .collect();
    x.scale = Scale::over(ScaleKind::Log, lines.iter().flat_map(|(_, line)| line.iter().map(|p| p[0])))?;
    // A diverged run would press all others together at the bottom; it may leave the frame instead.
    let well = |idx: &usize| !matches!(runs[*idx].status, Status::Diverged { .. });
    let is_any_well = lines.iter().any(|(idx, _)| well(idx));
    let seen = lines.iter().filter(|(idx, _)| well(idx) || !is_any_well);
    let y = Scale::over(
        ScaleKind::Log,
        seen.flat_map(|(_, line)| line.iter().map(|p| p[1])).chain(ends.iter().map(|(_, at)| at[1])),
    )?;
    let sizes = Scale::over(ScaleKind::Log, curves.iter().map(|(idx, _)| runs[*idx].n))?;
    let color = |run: &Run| Color::Size(Color::step_at(sizes.inner_share(run.n)));

    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (idx, line) in &lines {
        let run = &runs[*idx];
        if let Status::Diverged { .. } = run.status {
            let last = line.last().copied();
            bad.push(line_of(*idx, line, Color::Bad, Stroke::Thin));
            // Its last loss may lie far above the frame; the sign then stands at the frame's edge.
            let end = last.map(|[x, loss]| [x, loss.min(y.value(0.97))]);
            bad.extend(end.map(|at| point_of(*idx, run, at, Color::Bad, Shape::Cross)));
        } else {
            good.push(line_of(*idx, line, color(run), Stroke::Hair));
        }
    }
    let finals: Vec<Mark> = ends
        .iter()
        .filter(|(idx, _)| well(idx))
        .map(|(idx, at)| point_of(*idx, &runs[*idx], *at, color(&runs[*idx]), Shape::Circle))
        .collect();
    let mut series = vec![Series::named("Training loss", Swatch::Line(Color::Size(3), Stroke::Hair), good)];
    if !finals.is_empty() {
        series.push(Series::named(
            "Held-out loss at the end",
            Swatch::Point(Color::Size(3), Shape::Circle),
            finals,
        ));
    }
    if !bad.is_empty() {
        series.push(Series::named("Diverged", Swatch::Point(Color::Bad, Shape::Cross), bad));
    }
    Some(Chart {
        name: name.into(),
        title: title.to_string(),
        caption: format!(
            "Both axes are logarithmic. A curve is the training loss of each step's batch, averaged within at most {most} stretches of equal ratio; the point at its end is the held-out loss that is fitted."
        ),
        x,
        y: Axis { title: "Loss, nats per token".to_string(), scale: y, text: TickText::Plain },
        series,
        ramp: Some(size_ramp(runs, curves.iter().map(|(idx, _)| *idx))?),
    })
}

fn size_ramp(runs: &[Run], idxs: impl Iterator<Item = usize>) -> Option<Ramp> {
    let mut sizes: Vec<f64> = idxs.map(|idx| runs[idx].n).collect();
    sizes.sort_by(f64::total_cmp);
    Some(Ramp {
        title: "N, parameters".to_string(),
        ends: [text::si(*sizes.first()?), text::si(*sizes.last()?)],
    })
}

fn line_of(idx: usize, line: &[[f64; 2]], color: Color, stroke: Stroke) -> Mark {
    Mark::Line { points: line.to_vec(), color, stroke, run: Some(idx), title: None }
}

fn point_of(idx: usize, run: &Run, at: [f64; 2], color: Color, shape: Shape) -> Mark {
    Mark::Point { at, shape, color, run: Some(idx), title: run.title() }
}

/// Means of x and y (of their logarithms for x) within at most `most` bins of equal ratio in x. The first
/// and the last point stay as they are, so that a curve begins and ends where the run did.
pub fn bin_means(points: &[[f64; 2]], most: usize) -> Vec<[f64; 2]> {
    let [Some(first), Some(last)] = [points.first(), points.last()] else { return Vec::new() };
    if points.len() <= most || most < 3 || last[0] <= first[0] {
        return points.to_vec();
    }
    let n_bins = most - 2;
    let width = (last[0] / first[0]).ln() / n_bins as f64;
    let mut means = vec![*first];
    let (mut bin, mut n, mut sums) = (0, 0.0, [0.0_f64, 0.0]);
    for point in &points[1..points.len() - 1] {
        let now = (((point[0] / first[0]).ln() / width) as usize).min(n_bins - 1);
        if now != bin && n > 0.0 {
            means.push([(sums[0] / n).exp(), sums[1] / n]);
            (n, sums) = (0.0, [0.0, 0.0]);
        }
        bin = now;
        n += 1.0;
        sums = [sums[0] + point[0].ln(), sums[1] + point[1]];
    }
    if n > 0.0 {
        means.push([(sums[0] / n).exp(), sums[1] / n]);
    }
    means.push(*last);
    means
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binning_keeps_the_ends_the_bound_and_the_mean() {
        let points: Vec<[f64; 2]> =
            (1..=5000).map(|i| [i as f64, 3.0 + if i % 2 == 0 { 0.1 } else { -0.1 }]).collect();
        let binned = bin_means(&points, 200);
        assert!(binned.len() <= 200, "{}", binned.len());
        assert_eq!((binned[0], *binned.last().unwrap()), (points[0], points[4999]));
        let late = &binned[binned.len() - 20..binned.len() - 1];
        // Each late bin holds over a hundred points of alternating sign.
        assert!(late.iter().all(|p| (p[1] - 3.0).abs() < 0.005), "{late:?}");
        assert!(binned.windows(2).all(|pair| pair[0][0] < pair[1][0]));
        assert_eq!(bin_means(&points[..50], 200), points[..50]);
        assert_eq!(bin_means(&[], 200), Vec::<[f64; 2]>::new());
    }
}
