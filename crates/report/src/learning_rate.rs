//! Learning rates: what an `lr` sweep found, and how far each run of any sweep was from the best rate known for it.

use scalelaw_findings::learning_rate::{LrConclusion, LrOptimum};
use scalelaw_schema::lr_rule::{LrRule, RulePoint};
use scalelaw_schema::recipe::Optimizer;
use scalelaw_schema::train_spec::TrainSpec;

use crate::ReportInput;
use crate::chart::{Axis, Chart, Mark, Series, Shape, Side, Stroke, Swatch};
use crate::color::Color;
use crate::format;
use crate::html;
use crate::runs::{Run, Status};
use crate::scale::{Scale, ScaleKind, TickText};

/// Points of a drawn quadratic.
const SAMPLES: usize = 32;

/// More curves than this would make a chart unreadable; the table has them all.
const MOST_CURVES: usize = 9;

/// A table with a title and a note; cells are plain text, titles that start with `#` are columns of numbers.
pub struct Part {
    pub title: &'static str,
    pub head: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
    pub note: String,
}

/// Loss against learning rate, of an `lr` sweep.
pub fn chart(input: &ReportInput, runs: &[Run]) -> Option<Chart> {
    let conclusion = input.learning_rate?;
    let optima: Vec<&LrOptimum> =
        conclusion.optima.iter().filter(|optimum| optimum.is_best_beta2).take(MOST_CURVES).collect();
    let rates = || optima.iter().flat_map(|optimum| &optimum.rates).filter(|rate| rate.loss.is_some());
    let x = Scale::over(ScaleKind::Log, rates().map(|rate| rate.lr))?;
    let y = Scale::over(ScaleKind::Log, rates().filter_map(|rate| rate.loss))?;
    let series = optima
        .iter()
        .enumerate()
        .map(|(idx, optimum)| {
            let (color, shape) = (Color::Size(Color::step(idx, optima.len())), Shape::of(idx));
            Series::named(
                label(optimum, conclusion),
                Swatch::Point(color, shape),
                marks(optimum, runs, color, shape),
            )
        })
        .collect();
    Some(Chart {
        name: "learning-rate".into(),
        title: "Loss against learning rate".to_string(),
        caption: "Lines: quadratic of log loss in log rate through the runs near the best rate; ring: its minimum, where it lies inside the rates that were compared.".to_string(),
        x: Axis { title: "Peak learning rate".to_string(), scale: x, text: TickText::Plain },
        y: Axis { title: "Held-out loss, nats per token".to_string(), scale: y, text: TickText::Plain },
        series,
        ramp: None,
    })
}

/// The tables, as HTML; empty where no best rate is known.
pub fn tables(input: &ReportInput, runs: &[Run]) -> String {
    parts(input, runs)
        .iter()
        .map(|part| {
            let rows: Vec<Vec<String>> =
                part.rows.iter().map(|row| row.iter().map(|cell| html::escape(cell)).collect()).collect();
            format!(
                "<h3>{}</h3>{}<p class=\"note\">{}</p>",
                part.title,
                html::table("plain", &part.head, &rows),
                html::prose(&part.note)
            )
        })
        .collect()
}

/// The tables' content.
pub fn parts(input: &ReportInput, runs: &[Run]) -> Vec<Part> {
    let mut parts = Vec::new();
    if let Some(conclusion) = input.learning_rate {
        parts.push(optima(conclusion));
        parts.extend(rule(conclusion));
        parts.extend(batches(conclusion));
    }
    parts.extend(distances(input, runs));
    parts
}

fn label(optimum: &LrOptimum, conclusion: &LrConclusion) -> String {
    let varies = |of: fn(&LrOptimum) -> f64| conclusion.optima.iter().any(|other| of(other) != of(optimum));
    let mut parts = vec![format!("N {}", format::si(optimum.n))];
    parts.extend(varies(|o| o.d).then(|| format!("D {}", format::si(optimum.d))));
    parts.extend(varies(|o| o.batch_tokens).then(|| format!("batch {}", format::si(optimum.batch_tokens))));
    parts.extend(varies(|o| o.beta2).then(|| format!("beta2 {}", optimum.beta2)));
    parts.extend((!optimum.variant.is_empty()).then(|| optimum.variant.clone()));
    parts.join(", ")
}

fn marks(optimum: &LrOptimum, runs: &[Run], color: Color, shape: Shape) -> Vec<Mark> {
    let mut marks = Vec::new();
    if let (Some([c0, c1, c2]), Some([low, high])) = (optimum.quadratic, optimum.fitted_range) {
        let points = Scale { kind: ScaleKind::Log, low, high }
            .samples(SAMPLES)
            .map(|lr| [lr, (c0 + lr.ln() * (c1 + lr.ln() * c2)).exp()])
            .collect();
        marks.push(Mark::line(points, color, Stroke::Solid));
    }
    for (idx, run) in runs.iter().enumerate() {
        let is_here = run.planned.is_some_and(|planned| belongs(optimum, &planned.run.train));
        if let (Some(lr), Some(loss), true) = (run.lr, run.loss, is_here) {
            marks.push(Mark::Point { at: [lr, loss], shape, color, run: Some(idx), title: run.title() });
        }
    }
    if let Some((lr, loss)) = optimum.lr.zip(optimum.loss) {
        let title = format!(
            "Minimum of the quadratic\nrate: {}\nloss: {} nats/token",
            format::significant(lr, 3),
            format::loss(loss)
        );
        marks.push(Mark::Point { at: [lr, loss], shape: Shape::Ring, color, run: None, title });
        let text = format::significant(lr, 2);
        marks.push(Mark::Label { at: [lr, loss], text, color, side: Side::Below });
    }
    marks
}

/// Whether a run is one of those that differ from each other in rate and seed alone. Runs of several variants are
/// all taken for those of the first.
fn belongs(optimum: &LrOptimum, train: &TrainSpec) -> bool {
    let Optimizer::AdamW { beta2, .. } = train.recipe.optimizer;
    let at = point(train);
    (at.n, at.d, at.batch_tokens, beta2) == (optimum.n, optimum.d, optimum.batch_tokens, optimum.beta2)
}

fn point(train: &TrainSpec) -> RulePoint {
    RulePoint {
        n: train.model.params().total() as f64,
        d: train.tokens() as f64,
        batch_tokens: train.phase_at(0).batch_tokens() as f64,
    }
}

fn optima(conclusion: &LrConclusion) -> Part {
    let rows = conclusion
        .optima
        .iter()
        .map(|optimum| {
            let interval = optimum.lr_interval.as_ref();
            vec![
                format::si(optimum.n),
                format::si(optimum.d),
                format::si(optimum.batch_tokens),
                format!("{}", optimum.beta2),
                match (optimum.lr, &optimum.why_none) {
                    (Some(lr), _) => format::significant(lr, 3),
                    (None, why) => format!("none: {}", why.as_deref().unwrap_or(format::UNKNOWN)),
                },
                interval.map_or_else(
                    || "not bounded".to_string(),
                    |interval| ends([interval.low, interval.high], 2),
                ),
                format::or_unknown(optimum.loss, format::loss),
                format::or_unknown(optimum.quadratic.map(|quadratic| quadratic[2]), |c| {
                    format::significant(c, 2)
                }),
                if optimum.is_best_beta2 { String::new() } else { "another beta2 is better".to_string() },
            ]
        })
        .collect();
    let method = conclusion.optima.iter().find_map(|optimum| optimum.lr_interval.as_ref());
    let method = method.map_or(String::new(), |interval| {
        format!(" Intervals: {} %, {}.", format::percent_level(interval.level), interval.method)
    });
    let warnings: String =
        conclusion.warnings.iter().map(|warning| format!(" {}.", capital(warning))).collect();
    Part {
        title: "Best learning rate of each size",
        head: vec![
            "#N, parameters",
            "#D, tokens",
            "#Batch, tokens",
            "#beta2",
            "#Best rate",
            "#Interval",
            "#Loss there",
            "#Curvature",
            "",
        ],
        rows,
        note: format!(
            "N counts every parameter. Curvature c: a rate r times the best one costs c·ln(r)² of log loss.{method}{warnings}"
        ),
    }
}

fn rule(conclusion: &LrConclusion) -> Option<Part> {
    let law = conclusion.law.as_ref()?;
    let mut rows = vec![vec![
        "Best rate at the reference".to_string(),
        format::significant(law.lr, 3),
        law.lr_interval.map_or_else(|| "not bounded".to_string(), |interval| ends(interval, 3)),
    ]];
    for (name, exponent) in [
        ("Exponent of N", law.exponents.n),
        ("Exponent of D", law.exponents.d),
        ("Exponent of the batch", law.exponents.batch),
    ] {
        let Some(exponent) = exponent else { continue };
        let interval = exponent.interval.map_or_else(
            || "not bounded".to_string(),
            |[low, high]| format!("[{}, {}]", format::fixed(low, 3), format::fixed(high, 3)),
        );
        rows.push(vec![name.to_string(), format::fixed(exponent.value, 3), interval]);
    }
    let how = if law.beta2.measured { "measured" } else { "as given, not compared" };
    rows.push(vec![
        format!("beta2 at a batch of {} tokens", format::si(law.beta2.batch_tokens)),
        format::fixed(law.beta2.beta2, 5),
        how.to_string(),
    ]);
    let at = &law.reference;
    Some(Part {
        title: "The rule",
        head: vec!["Quantity", "#Value", "#Interval"],
        rows,
        note: format!(
            "Through {} optima, which it misses by {} % (root mean square). Reference: N {}, D {}, batch {} tokens. Intervals: {} %, {}. It lies in the sweep's folder as `lr-rule.toml`; a sweep uses it by `train.lr-rule`.",
            law.n_optima,
            format::fixed(100.0 * law.rms_ln_residual.exp_m1(), 1),
            format::si(at.n),
            format::si(at.d),
            format::si(at.batch_tokens),
            format::percent_level(conclusion.level),
            law.method
        ),
    })
}

fn batches(conclusion: &LrConclusion) -> Option<Part> {
    let batches = conclusion.critical_batches.as_ref()?;
    let rows = batches
        .at
        .iter()
        .map(|at| {
            vec![
                format::si(at.n),
                format::loss(at.loss),
                match (at.batch_tokens, &at.why_none) {
                    (Some(tokens), _) => format::si(tokens),
                    (None, why) => format!("none: {}", why.as_deref().unwrap_or(format::UNKNOWN)),
                },
                at.interval.as_ref().map_or_else(|| "not bounded".to_string(), format::interval),
                format::or_unknown(at.steps_min, format::si),
            ]
        })
        .collect();
    let power = batches.power.as_ref().map_or(String::new(), |power| {
        let interval = power.interval.map_or_else(
            || "not bounded".to_string(),
            |[low, high]| format!("[{}, {}]", format::fixed(low, 2), format::fixed(high, 2)),
        );
        format!(" Over all, B_crit ~ loss^{} {interval}.", format::fixed(power.exponent, 2))
    });
    Some(Part {
        title: "Critical batch size",
        head: vec!["#N, parameters", "#Loss", "#B_crit, tokens", "#Interval", "#Fewest steps"],
        rows,
        note: format!("{}.{power}", capital(&batches.method)),
    })
}

/// Best rate known for a run, and what being off costs in ln loss.
struct Best {
    lr: f64,
    curvature: f64,
}

/// By the optimum of its own group, else by the law through the groups, else by the rule that the sweep named.
fn best(input: &ReportInput, train: &TrainSpec) -> Option<Best> {
    if let Some(conclusion) = input.learning_rate {
        let own = conclusion.optima.iter().find(|optimum| belongs(optimum, train));
        return own.and_then(|optimum| Some(Best { lr: optimum.lr?, curvature: optimum.quadratic?[2] }));
    }
    let rule: &LrRule = input.plan?.lr_rule.as_ref()?;
    Some(Best { lr: rule.lr(point(train)), curvature: rule.curvature })
}

fn distances(input: &ReportInput, runs: &[Run]) -> Option<Part> {
    let rows: Vec<Vec<String>> = runs
        .iter()
        .filter(|run| matches!(run.status, Status::Finished | Status::Diverged { .. }))
        .filter_map(|run| {
            let train = &run.planned?.run.train;
            let best = best(input, train)?;
            let ratio = train.recipe.lr_peak / best.lr;
            Some(vec![
                run.name.clone(),
                format::significant(train.recipe.lr_peak, 3),
                format::significant(best.lr, 3),
                format::fixed(ratio, 2),
                format!("{} %", format::fixed(100.0 * (best.curvature * ratio.ln().powi(2)).exp_m1(), 2)),
                format::or_unknown(run.loss, format::loss),
            ])
        })
        .collect();
    if rows.is_empty() {
        return None;
    }
    let source = match (input.learning_rate, input.plan.and_then(|plan| plan.lr_rule.as_ref())) {
        (None, Some(rule)) => format!("the rule of sweep `{}`", rule.sweep),
        _ => "the quadratic of its own size".to_string(),
    };
    Some(Part {
        title: "How far each run was from its best learning rate",
        head: vec!["Run", "#Rate", "#Best rate", "#Ratio", "#Expected cost in loss", "#Loss, nats/token"],
        rows,
        note: format!(
            "Best rate and cost by {source}; far from the best rate the cost is only an order of magnitude."
        ),
    })
}

fn ends([low, high]: [f64; 2], digits: usize) -> String {
    format!("[{}, {}]", format::significant(low, digits), format::significant(high, digits))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
}
