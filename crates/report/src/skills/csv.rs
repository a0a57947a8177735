//! Everything about skills as one CSV: a number a row, with its interval.

use scalelaw_findings::skills::conclusion::{Approach, ResidualBy};
use scalelaw_fit::conclusion::Interval;

use super::{SkillReport, optima};
use crate::csv::line;

/// The file's text; columns: what, text, budget_flops, by, value, low, high, level, note.
pub fn csv(report: &SkillReport) -> String {
    let mut rows: Vec<Row> = Vec::new();
    if let Some(found) = report.conclusion {
        for (text, ..) in optima::texts(found) {
            for (by, all) in [("law", &text.by_surface), ("parabola", &text.by_minima)] {
                for optimum in all {
                    let note = optimum.why_none.clone().unwrap_or_default();
                    let budget = Some(optimum.budget);
                    rows.push(row(
                        "n_star",
                        &text.name,
                        budget,
                        by,
                        optimum.n,
                        optimum.n_interval.as_ref(),
                        &note,
                    ));
                    rows.push(row(
                        "d_star",
                        &text.name,
                        budget,
                        by,
                        optimum.d,
                        optimum.d_interval.as_ref(),
                        &note,
                    ));
                }
            }
        }
        for residual in &found.residuals {
            let bys = [("law", &residual.by_surface), ("parabola", &residual.by_minima)];
            for (by, of) in bys {
                residuals(
                    &mut rows,
                    &residual.skill,
                    by,
                    of,
                    &found.budgets.iter().map(|b| b.budget).collect::<Vec<_>>(),
                );
            }
            let by = match residual.label_by {
                Some(Approach::Surface) => "law",
                Some(Approach::Minima) => "parabola",
                None => "",
            };
            let note = format!("{}: {}", residual.label.name(), residual.why);
            let value = residual.pooled().map(|pooled| pooled.log_ratio);
            rows.push(row(
                "label",
                &residual.skill,
                None,
                by,
                value,
                residual.label_interval.as_ref(),
                &note,
            ));
        }
    }
    for curve in report.fractions {
        for point in &curve.points {
            let note = format!("fraction {}", point.fraction);
            let (n, interval) = (point.optimum.n, point.optimum.n_interval.as_ref());
            rows.push(row(
                "n_star_at_fraction",
                &curve.skill,
                Some(point.optimum.budget),
                "parabola",
                n,
                interval,
                &note,
            ));
        }
        rows.push(row(
            "fraction_slope",
            &curve.skill,
            None,
            "parabola",
            curve.slope,
            curve.slope_interval.as_ref(),
            "",
        ));
        let (slope, interval) = (curve.slope_by_law, curve.slope_by_law_interval.as_ref());
        rows.push(row("fraction_slope", &curve.skill, None, "law", slope, interval, ""));
    }
    if let Some(found) = report.mixing {
        for law in &found.laws {
            rows.push(row("mixing_c", &law.text, None, "", Some(law.c), law.c_interval.as_ref(), ""));
            rows.push(row("mixing_k", &law.text, None, "", Some(law.k), None, ""));
            for (source, (t, interval)) in found.sources.iter().zip(law.t.iter().zip(&law.t_intervals)) {
                rows.push(row("mixing_t", &law.text, None, "", Some(*t), interval.as_ref(), source));
            }
            rows.push(row("mixing_held_out_mae", &law.text, None, "", Some(law.held_out_mae), None, ""));
        }
    }
    for best in report.best {
        for share in &best.shares {
            rows.push(row(
                "best_share",
                &share.source,
                None,
                "",
                Some(share.share),
                share.interval.as_ref(),
                "",
            ));
        }
    }
    if let Some(found) = report.validation {
        for spread in &found.spreads {
            let note = format!("{} against {}", spread.largest, spread.smallest);
            let (value, interval) = (Some(spread.spread), spread.interval.as_ref());
            rows.push(row("validation_spread", "", Some(spread.budget), "law", value, interval, &note));
        }
        for regret in &found.regrets {
            let note = format!("size chosen by {}", regret.chosen);
            let (nats, interval) = (Some(regret.nats), regret.nats_interval.as_ref());
            rows.push(row("regret_nats", &regret.target, Some(regret.budget), "law", nats, interval, &note));
            let (share, interval) = (regret.flops_share, regret.flops_interval.as_ref());
            rows.push(row(
                "regret_flops_share",
                &regret.target,
                Some(regret.budget),
                "law",
                share,
                interval,
                &note,
            ));
        }
    }
    for (skill, run) in
        report.capacity.iter().flat_map(|(skill, found)| found.runs.iter().map(move |run| (skill, run)))
    {
        let note = format!("run {} N {} exposures {} facts {}", run.name, run.n, run.exposures, run.n_facts);
        rows.push(row("bits_per_param", skill, None, "", Some(run.bits_per_param), None, &note));
    }
    for (skill, found) in report.viable {
        if let Some(one) = &found.cheapest {
            for (what, value) in [("viable_n", one.n), ("viable_d", one.d), ("viable_flops", one.flops)] {
                rows.push(row(what, skill, None, "cheapest", Some(value), None, ""));
            }
        }
    }
    let head =
        ["what", "text", "budget_flops", "by", "value", "low", "high", "level", "note"].map(String::from);
    std::iter::once(line(&head)).chain(rows.iter().map(|row| line(row))).collect()
}

type Row = [String; 9];

fn row(
    what: &str,
    text: &str,
    budget: Option<f64>,
    by: &str,
    value: Option<f64>,
    interval: Option<&Interval>,
    note: &str,
) -> Row {
    let number = |x: Option<f64>| x.filter(|x| x.is_finite()).map_or(String::new(), |x| x.to_string());
    [
        what.to_string(),
        text.to_string(),
        number(budget),
        by.to_string(),
        number(value),
        number(interval.map(|i| i.low)),
        number(interval.map(|i| i.high)),
        number(interval.map(|i| i.level)),
        note.to_string(),
    ]
}

fn residuals(rows: &mut Vec<Row>, skill: &str, by: &str, of: &ResidualBy, budgets: &[f64]) {
    for (budget, residual) in budgets.iter().zip(&of.budgets) {
        let value = residual.as_ref().map(|residual| residual.log_ratio);
        let interval = residual.as_ref().and_then(|residual| residual.interval.as_ref());
        rows.push(row("log_ratio", skill, Some(*budget), by, value, interval, ""));
    }
    let pooled = of.pooled.as_ref();
    let interval = pooled.and_then(|residual| residual.interval.as_ref());
    rows.push(row(
        "log_ratio_mean",
        skill,
        None,
        by,
        pooled.map(|residual| residual.log_ratio),
        interval,
        "",
    ));
}
