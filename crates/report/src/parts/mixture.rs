//! Mixtures: N* against the fraction of a skill, the mixing law, and the best mixture.

use scalelaw_findings::mixture::best::BestMixture;
use scalelaw_findings::mixture::fraction::FractionCurve;
use scalelaw_findings::mixture::mixing_law::MixingConclusion;
use scalelaw_fit::conclusion::Interval;

use super::part::Part;
use super::skills::optima::size;
use crate::draw::chart::{Axis, Chart, Mark, Series, Shape, Stroke, Swatch};
use crate::draw::color::Color;
use crate::draw::scale::{Scale, ScaleKind, TickText};
use crate::text;
use crate::text::table::{Cell, Table};

/// The part, where there is anything of mixtures.
pub fn part(
    fractions: &[FractionCurve],
    mixing: Option<&MixingConclusion>,
    best: &[(&str, &BestMixture)],
) -> Option<Part> {
    if fractions.is_empty() && mixing.is_none() {
        return None;
    }
    let mut tables = Vec::new();
    if !fractions.is_empty() {
        tables.push(slopes(fractions));
        tables.push(minima(fractions));
    }
    let mut notes: Vec<String> = fractions.iter().flat_map(|curve| curve.warnings.clone()).collect();
    if let Some(found) = mixing {
        tables.push(laws(found));
        notes.extend(found.refused.iter().map(|(text, why)| format!("No mixing law of {text}: {why}.")));
    }
    for (name, best) in best {
        tables.push(best_table(name, best));
        if let Some(beyond) = &best.extrapolated {
            notes.push(format!(
                "Beyond the tested range the laws point to {}: an extrapolation, and where to test next.",
                beyond
                    .shares
                    .iter()
                    .zip(&best.shares)
                    .map(|(share, of)| format!("{} {}", of.source, percent(*share)))
                    .collect::<Vec<_>>()
                    .join(", ")
            ));
        }
    }
    Some(Part {
        id: "mix",
        link: "Mixtures",
        title: "Mixtures of training data",
        lead: String::new(),
        charts: chart(fractions).into_iter().collect(),
        tables,
        notes,
    })
}

fn chart(curves: &[FractionCurve]) -> Option<Chart> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let x = Scale::over(ScaleKind::Log, points().map(|point| point.fraction))?;
    let values = points().flat_map(|point| {
        let ends = point.optimum.n_interval.as_ref().map(|i| [i.low, i.high]);
        point.optimum.n.into_iter().chain(ends.into_iter().flatten())
    });
    let y = Scale::over(ScaleKind::Log, values)?;
    let mut series = Vec::new();
    for (idx, curve) in curves.iter().enumerate() {
        let (color, shape) = (Color::Skill(idx), Shape::of(idx));
        let mut marks = Vec::new();
        let mut budgets: Vec<f64> = curve.points.iter().map(|point| point.optimum.budget).collect();
        budgets.sort_by(f64::total_cmp);
        budgets.dedup();
        for budget in budgets {
            let known: Vec<(f64, f64)> = curve
                .points
                .iter()
                .filter(|point| point.optimum.budget == budget)
                .filter_map(|point| Some((point.fraction, point.optimum.n?)))
                .collect();
            if let (Some(slope), Some(first), Some(last)) = (curve.slope, known.first(), known.last()) {
                let n = known.len() as f64;
                let mean = |of: fn(&(f64, f64)) -> f64| known.iter().map(of).sum::<f64>() / n;
                let at = |f: f64| (mean(|p| p.1.ln()) + slope * (f.ln() - mean(|p| p.0.ln()))).exp();
                marks.push(Mark::line([first.0, last.0].map(|f| [f, at(f)]).to_vec(), color, Stroke::Dashed));
            }
        }
        for point in &curve.points {
            let Some(n) = point.optimum.n else { continue };
            if let Some(interval) = &point.optimum.n_interval {
                let ends = [interval.low, interval.high].map(|n| [point.fraction, n]).to_vec();
                marks.push(Mark::line(ends, color, Stroke::Hair));
            }
            marks.push(Mark::Point {
                at: [point.fraction, n],
                shape,
                color,
                run: None,
                title: format!(
                    "{}\nfraction: {}\nC: {} FLOPs\nN*: {}",
                    curve.skill,
                    percent(point.fraction),
                    text::flops(point.optimum.budget),
                    text::si(n)
                ),
            });
        }
        series.push(Series::named(&curve.skill, Swatch::Point(color, shape), marks));
    }
    Some(Chart {
        name: "mix-fraction".into(),
        title: "Best size against the fraction of a skill's data".to_string(),
        caption: "Minima of the parabolas at fixed compute with their intervals; dashed: the slope through them. A fraction without a point has its minimum at the edge of its sizes.".to_string(),
        x: Axis { title: "Fraction of the skill's data".to_string(), scale: x, text: TickText::Plain },
        y: Axis { title: "N*, parameters".to_string(), scale: y, text: TickText::Si },
        series,
        ramp: None,
    })
}

fn slopes(curves: &[FractionCurve]) -> Table {
    let with = |value: Option<f64>, interval: &Option<Interval>| match value {
        Some(value) => Cell::Estimate(value, interval.clone()),
        None => Cell::Text(text::UNKNOWN.to_string()),
    };
    let has_theory = curves.iter().any(|curve| curve.theory.is_some());
    let rows = curves
        .iter()
        .map(|curve| {
            let n_inside = curve.points.iter().filter(|point| point.optimum.n.is_some()).count();
            let mut cells = vec![
                Cell::Text(curve.skill.clone()),
                Cell::Text(format!("{n_inside} of {}", curve.points.len())),
                with(curve.slope, &curve.slope_interval),
                with(curve.slope_by_law, &curve.slope_by_law_interval),
            ];
            cells.extend(has_theory.then(|| with(curve.theory, &curve.theory_interval)));
            cells
        })
        .collect();
    let mut head = vec!["Skill", "#Minima", "#Measured", "#By the law of f·D"];
    let mut note = "Minima: how many lie inside their sizes. Measured: through those minima. By the law of f·D: E + A/N^alpha + B/(f·D)^beta fitted to the same runs, whose slope in theory is beta/(alpha + beta).".to_string();
    if has_theory {
        head.push("#Theory");
        note += " Theory: the same for the skill's own IsoFLOP sweep.";
    }
    note += " Theory holds where nothing but the skill's own data teaches it.";
    Table::new("How N* grows with the fraction: d ln N* / d ln f", &head, rows).with_note(note)
}

fn minima(curves: &[FractionCurve]) -> Table {
    let rows = curves
        .iter()
        .flat_map(|curve| curve.points.iter().map(move |point| (curve, point)))
        .map(|(curve, point)| {
            vec![
                Cell::Text(curve.skill.clone()),
                Cell::Text(percent(point.fraction)),
                Cell::Text(text::flops(point.optimum.budget)),
                size(&point.optimum),
            ]
        })
        .collect();
    let head = ["Skill", "#Fraction", "#Budget, FLOPs", "#N*, parabola"];
    Table::new("Best size at each fraction", &head, rows)
}

fn laws(found: &MixingConclusion) -> Table {
    let of_sources: Vec<String> = found.sources.iter().map(|source| format!("#t of {source}")).collect();
    let head: Vec<&str> = ["Text", "#c", "#k"]
        .into_iter()
        .chain(of_sources.iter().map(String::as_str))
        .chain(["#Error held out", "#Error of the mean", "#Residuals"])
        .collect();
    let rows = found
        .laws
        .iter()
        .map(|law| {
            let mut cells = vec![
                Cell::Text(law.text.clone()),
                Cell::Estimate(law.c, law.c_interval.clone()),
                Cell::Text(text::significant(law.k, 3)),
            ];
            let slopes = law.t.iter().zip(&law.t_intervals);
            cells.extend(slopes.map(|(t, interval)| Cell::Estimate(*t, interval.clone())));
            cells.push(Cell::Text(text::significant(law.held_out_mae, 2)));
            cells.push(Cell::Text(text::significant(law.baseline_mae, 2)));
            cells.push(Cell::Text(format!("{} %", text::significant(100.0 * law.rms_log_residual, 2))));
            cells
        })
        .collect();
    let title =
        format!("Mixing law over {}: L = c + k·exp(Σ t·r)", text::counted(found.n_mixtures, "mixture"));
    Table::new(title, &head, rows).with_note(format!(
        "Losses and errors in nats per token. t below zero: more of that source lowers the loss; the t of a text sum to zero and k is taken at the mean mixture. Error held out: mean absolute error of each mixture predicted from the others, beside that of predicting their mean. {} % intervals from {}.",
        text::level(found.level),
        text::counted(found.draws, "draw")
    ))
}

fn best_table(name: &str, best: &BestMixture) -> Table {
    let weights: Vec<String> =
        best.weights.iter().map(|(text, weight)| format!("{text} {}", percent(*weight))).collect();
    let rows = best
        .shares
        .iter()
        .map(|share| {
            let ends = share.interval.as_ref().map(|i| text::ends([i.low, i.high], percent));
            let place = if share.on_boundary { "at the end of the tested range" } else { "inside" };
            vec![
                share.source.clone(),
                percent(share.share),
                ends.unwrap_or(text::UNKNOWN.to_string()),
                format!("{} to {}", percent(share.tried[0]), percent(share.tried[1])),
                place.to_string(),
            ]
        })
        .collect();
    let with = |value: String, interval: &Option<Interval>| match interval {
        Some(interval) => format!("{value} {}", text::interval(interval)),
        None => value,
    };
    let title = format!("Best mixture for {name} ({})", weights.join(", "));
    Table::new(title, &["Source", "#Share", "#Interval", "#Tested", "Place"], rows).with_note(format!(
        "Weighted loss {} nats per token, {} below the best mixture that was trained, by the laws.",
        with(text::loss(best.loss), &best.loss_interval),
        with(text::significant(best.gain, 2), &best.gain_interval)
    ))
}

fn percent(share: f64) -> String {
    text::percent(share, 1)
}
