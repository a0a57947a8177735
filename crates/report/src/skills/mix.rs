//! Mixtures: N* against the fraction of a skill, the mixing law, and the best mixture.

use scalelaw_findings::mixture::best::BestMixture;
use scalelaw_findings::mixture::fraction::FractionCurve;
use scalelaw_findings::mixture::mixing_law::MixingConclusion;

use super::table::{Table, head};
use super::{Part, SkillReport};
use crate::chart::{Axis, Chart, Mark, Series, Shape, Stroke, Swatch};
use crate::color::Color;
use crate::format;
use crate::scale::{Scale, ScaleKind, TickText};

/// The part, where there is anything of mixtures.
pub fn part(report: &SkillReport) -> Option<Part> {
    if report.fractions.is_empty() && report.mixing.is_none() {
        return None;
    }
    let mut tables = Vec::new();
    if !report.fractions.is_empty() {
        tables.push(slopes(report.fractions));
    }
    let mut notes: Vec<String> = report.fractions.iter().flat_map(|curve| curve.warnings.clone()).collect();
    if let Some(found) = report.mixing {
        tables.push(laws(found));
        notes.extend(found.refused.iter().map(|(text, why)| format!("No mixing law of {text}: {why}.")));
    }
    for best in report.best {
        tables.push(best_table(best));
        if let Some(beyond) = &best.extrapolated {
            notes.push(format!(
                "Beyond what was tried the laws would go on to {} of {}: an extrapolation, and where to try next.",
                beyond.shares.iter().map(|share| percent(*share)).collect::<Vec<_>>().join(", "),
                best.shares.iter().map(|share| share.source.as_str()).collect::<Vec<_>>().join(", ")
            ));
        }
    }
    Some(Part {
        id: "mix",
        link: "Mixtures",
        title: "Mixtures of training data",
        lead: String::new(),
        charts: chart(report.fractions).into_iter().collect(),
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
                    format::flops(point.optimum.budget),
                    format::si(n)
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
    let with = |value: Option<f64>, interval: &Option<scalelaw_fit::conclusion::Interval>| {
        value.map_or(format::UNKNOWN.to_string(), |value| {
            let ends = interval.as_ref().map_or(String::new(), |i| format!(" {}", format::interval(i)));
            format!("{}{ends}", format::estimate(value, interval.as_ref()))
        })
    };
    let has_theory = curves.iter().any(|curve| curve.theory.is_some());
    let rows = curves
        .iter()
        .map(|curve| {
            let n_inside = curve.points.iter().filter(|point| point.optimum.n.is_some()).count();
            let mut cells = vec![
                curve.skill.clone(),
                format!("{n_inside} of {}", curve.points.len()),
                with(curve.slope, &curve.slope_interval),
                with(curve.slope_by_law, &curve.slope_by_law_interval),
            ];
            cells.extend(has_theory.then(|| with(curve.theory, &curve.theory_interval)));
            cells
        })
        .collect();
    let mut titles = head(&["Skill", "#Minima", "#Measured", "#By the law of f·D"]);
    let mut note = "Minima: how many lie inside of their sizes. Measured: through those minima. By the law of f·D: E + A/N^alpha + B/(f·D)^beta fitted to the same runs, whose slope in theory is beta/(alpha + beta).".to_string();
    if has_theory {
        titles.extend(head(&["#Theory"]));
        note += " Theory: the same of the skill's own IsoFLOP sweep.";
    }
    note += " Theory holds where nothing but the skill's own data teaches it.";
    Table { title: "How N* grows with the fraction: d ln N* / d ln f".to_string(), head: titles, rows, note }
}

fn laws(found: &MixingConclusion) -> Table {
    let mut titles = head(&["Text", "#c", "#k"]);
    titles.extend(found.sources.iter().map(|source| format!("#t of {source}")));
    titles.extend(head(&["#Error held out", "#Error of the mean", "#Residuals"]));
    let rows = found
        .laws
        .iter()
        .map(|law| {
            let ends = |i: &Option<scalelaw_fit::conclusion::Interval>| {
                i.as_ref().map_or(String::new(), |i| format!(" {}", format::interval(i)))
            };
            let mut cells = vec![
                law.text.clone(),
                format!("{}{}", format::estimate(law.c, law.c_interval.as_ref()), ends(&law.c_interval)),
                format::significant(law.k, 3),
            ];
            cells.extend(law.t.iter().zip(&law.t_intervals).map(|(t, interval)| {
                format!("{}{}", format::estimate(*t, interval.as_ref()), ends(interval))
            }));
            cells.push(format::significant(law.held_out_mae, 2));
            cells.push(format::significant(law.baseline_mae, 2));
            cells.push(format!("{} %", format::significant(100.0 * law.rms_log_residual, 2)));
            cells
        })
        .collect();
    Table {
        title: format!("Mixing law over {} mixtures: L = c + k·exp(Σ t·r)", found.n_mixtures),
        head: titles,
        rows,
        note: format!(
            "Losses and errors in nats per token. t below zero: more of that source lowers the loss; the t of a text sum to zero and k is taken at the mean mixture. Error held out: mean absolute error of each mixture predicted from the others, beside that of predicting their mean. {} % intervals from {} draws.",
            format::percent_level(found.level),
            found.draws
        ),
    }
}

fn best_table(best: &BestMixture) -> Table {
    let uses: Vec<String> =
        best.weights.iter().map(|(text, weight)| format!("{text} {}", percent(*weight))).collect();
    let rows = best
        .shares
        .iter()
        .map(|share| {
            vec![
                share.source.clone(),
                percent(share.share),
                share.interval.as_ref().map_or(format::UNKNOWN.to_string(), |i| {
                    format!("[{}, {}]", percent(i.low), percent(i.high))
                }),
                format!("{} to {}", percent(share.tried[0]), percent(share.tried[1])),
                if share.on_boundary { "at the end of what was tried" } else { "inside" }.to_string(),
            ]
        })
        .collect();
    let ends = |interval: &Option<scalelaw_fit::conclusion::Interval>| {
        interval.as_ref().map_or(String::new(), |i| format!(" {}", format::interval(i)))
    };
    Table {
        title: format!("Best mixture for {}", uses.join(", ")),
        head: head(&["Source", "#Share", "#Interval", "#Tried", "Place"]),
        rows,
        note: format!(
            "Weighted loss {}{} nats per token, {}{} below the best mixture that was trained, by the laws.",
            format::loss(best.loss),
            ends(&best.loss_interval),
            format::significant(best.gain, 2),
            ends(&best.gain_interval)
        ),
    }
}

fn percent(share: f64) -> String {
    format!("{} %", format::fixed(100.0 * share, 1))
}
