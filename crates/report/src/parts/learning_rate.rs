//! Learning rates: what an `lr` sweep found, and how far each run of any sweep was from the best rate known for it.

use scalelaw_findings::learning_rate::{LrConclusion, LrOptimum};
use scalelaw_schema::lr_rule::{LrRule, RulePoint};
use scalelaw_schema::recipe::Optimizer;
use scalelaw_schema::train_spec::TrainSpec;

use crate::draw::chart::{Axis, Chart, Mark, Series, Shape, Side, Stroke, Swatch};
use crate::draw::color::Color;
use crate::draw::scale::{Scale, ScaleKind, TickText};
use crate::input::ReportInput;
use crate::runs::{Run, Status};
use crate::text;
use crate::text::table::{Cell, Table};

/// Points of a drawn quadratic.
const SAMPLES: usize = 32;

/// More curves than this would make a chart unreadable; the table has them all.
const MOST_CURVES: usize = 9;

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

/// Best rates, the rule through them, critical batches, and the distance of every run from the best rate known for it;
/// empty where no best rate is known.
pub fn tables(input: &ReportInput, runs: &[Run]) -> Vec<Table> {
    let mut tables = input.learning_rate.map_or(Vec::new(), findings);
    tables.extend(distances(input, runs));
    tables
}

/// What an `lr` sweep found.
pub fn findings(conclusion: &LrConclusion) -> Vec<Table> {
    let mut tables = vec![optima(conclusion)];
    tables.extend(rule(conclusion));
    tables.extend(batches(conclusion));
    tables
}

fn label(optimum: &LrOptimum, conclusion: &LrConclusion) -> String {
    let varies = |of: fn(&LrOptimum) -> f64| conclusion.optima.iter().any(|other| of(other) != of(optimum));
    let mut parts = vec![format!("N {}", text::si(optimum.n))];
    parts.extend(varies(|o| o.d).then(|| format!("D {}", text::si(optimum.d))));
    parts.extend(varies(|o| o.batch_tokens).then(|| format!("batch {}", text::si(optimum.batch_tokens))));
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
            text::significant(lr, 3),
            text::loss(loss)
        );
        marks.push(Mark::Point { at: [lr, loss], shape: Shape::Ring, color, run: None, title });
        let text = text::significant(lr, 2);
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

fn optima(conclusion: &LrConclusion) -> Table {
    let rows = conclusion
        .optima
        .iter()
        .map(|optimum| {
            let interval = optimum.lr_interval.as_ref().map(|interval| [interval.low, interval.high]);
            let curvature = optimum.quadratic.map(|quadratic| quadratic[2]);
            let mut remarks = vec![optimum.variant.as_str()];
            remarks.extend((!optimum.is_best_beta2).then_some("another beta2 is better"));
            remarks.retain(|remark| !remark.is_empty());
            vec![
                Cell::Text(text::si(optimum.n)),
                Cell::Text(text::si(optimum.d)),
                Cell::Text(text::si(optimum.batch_tokens)),
                Cell::Text(optimum.beta2.to_string()),
                known(optimum.lr, &optimum.why_none, |lr| text::significant(lr, 3)),
                Cell::Text(text::or_not_bounded(interval, |lr| text::significant(lr, 2))),
                Cell::Text(text::or_unknown(optimum.loss, text::loss)),
                Cell::Text(text::or_unknown(curvature, |c| text::significant(c, 2))),
                Cell::Text(remarks.join("; ")),
            ]
        })
        .collect();
    let method = conclusion.optima.iter().find_map(|optimum| optimum.lr_interval.as_ref());
    let method = method.map_or(String::new(), |interval| {
        format!(" Intervals: {} %, {}.", text::level(interval.level), interval.method)
    });
    let noise = conclusion.noise.map_or(String::new(), |noise| {
        format!(" Noise of the loss about the quadratics: {}.", text::percent(noise, 2))
    });
    let warnings: String =
        conclusion.warnings.iter().map(|warning| format!(" {}.", text::capitalised(warning))).collect();
    let head = [
        "#N, parameters",
        "#D, tokens",
        "#Batch, tokens",
        "#beta2",
        "#Best rate",
        "#Interval",
        "#Loss there",
        "#Curvature",
        "",
    ];
    Table::new("Best learning rate of each size", &head, rows).with_note(format!(
        "N counts every parameter. Curvature c: a rate r times the best one costs c·ln(r)² of log loss.{method}{noise}{warnings}"
    ))
}

/// A value, or why there is none.
fn known(value: Option<f64>, why_none: &Option<String>, show: impl Fn(f64) -> String) -> Cell {
    match value {
        Some(value) => Cell::Text(show(value)),
        None => Cell::Why(why_none.as_deref().unwrap_or(text::UNKNOWN).to_string()),
    }
}

fn rule(conclusion: &LrConclusion) -> Option<Table> {
    let law = conclusion.law.as_ref()?;
    let mut rows = vec![vec![
        "Best rate at the reference".to_string(),
        text::significant(law.lr, 3),
        text::or_not_bounded(law.lr_interval, |lr| text::significant(lr, 3)),
    ]];
    for (name, exponent) in [
        ("Exponent of N", law.exponents.n),
        ("Exponent of D", law.exponents.d),
        ("Exponent of the batch", law.exponents.batch),
    ] {
        let Some(exponent) = exponent else { continue };
        let interval = text::or_not_bounded(exponent.interval, |x| text::fixed(x, 3));
        rows.push(vec![name.to_string(), text::fixed(exponent.value, 3), interval]);
    }
    let twice = law.curvature * 2f64.ln().powi(2);
    rows.push(vec![
        "Cost in loss of twice or half the best rate".to_string(),
        text::percent(twice.exp_m1(), 2),
        String::new(),
    ]);
    let how = if law.beta2.measured { "measured" } else { "as given, not compared" };
    rows.push(vec![
        format!("beta2 at a batch of {} tokens", text::si(law.beta2.batch_tokens)),
        text::fixed(law.beta2.beta2, 5),
        how.to_string(),
    ]);
    let at = &law.reference;
    Some(Table::new("The rule", &["Quantity", "#Value", "#Interval"], rows).with_note(format!(
        "Through {}, which it misses by {} (root mean square). Reference: N {}, D {}, batch {} tokens. Intervals: {} %, {}. At other batches beta2 keeps its half-life in tokens. The rule is `lr-rule.toml` in the sweep's folder; a sweep uses it with `train.lr-rule`.",
        text::counted(law.n_optima, "optimum"),
        text::percent(law.rms_ln_residual.exp_m1(), 1),
        text::si(at.n),
        text::si(at.d),
        text::si(at.batch_tokens),
        text::level(conclusion.level),
        law.method
    )))
}

fn batches(conclusion: &LrConclusion) -> Option<Table> {
    let batches = conclusion.critical_batches.as_ref()?;
    let rows = batches
        .at
        .iter()
        .map(|at| {
            let interval = at.interval.as_ref().map(|interval| [interval.low, interval.high]);
            vec![
                Cell::Text(text::si(at.n)),
                Cell::Text(text::loss(at.loss)),
                known(at.batch_tokens, &at.why_none, text::si),
                Cell::Text(text::or_not_bounded(interval, text::si)),
                Cell::Text(text::or_unknown(at.steps_min, text::si)),
            ]
        })
        .collect();
    let power = batches.power.as_ref().map_or(String::new(), |power| {
        let interval = text::or_not_bounded(power.interval, |x| text::fixed(x, 2));
        format!(" Over all, B_crit ~ loss^{} {interval}.", text::fixed(power.exponent, 2))
    });
    let head = ["#N, parameters", "#Loss", "#B_crit, tokens", "#Interval", "#Fewest steps"];
    let note = format!("{}.{power}", text::capitalised(&batches.method));
    Some(Table::new("Critical batch size", &head, rows).with_note(note))
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

fn distances(input: &ReportInput, runs: &[Run]) -> Option<Table> {
    let rows: Vec<Vec<String>> = runs
        .iter()
        .filter(|run| matches!(run.status, Status::Finished | Status::Diverged { .. }))
        .filter_map(|run| {
            let train = &run.planned?.run.train;
            let best = best(input, train)?;
            let ratio = train.recipe.lr_peak / best.lr;
            Some(vec![
                run.name.clone(),
                text::significant(train.recipe.lr_peak, 3),
                text::significant(best.lr, 3),
                text::fixed(ratio, 2),
                text::percent((best.curvature * ratio.ln().powi(2)).exp_m1(), 2),
                text::or_unknown(run.loss, text::loss),
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
    let head = ["Run", "#Rate", "#Best rate", "#Ratio", "#Expected cost in loss", "#Loss, nats/token"];
    Some(Table::new("How far each run was from its best learning rate", &head, rows).with_note(format!(
        "Best rate and cost by {source}; far from the best rate the cost is only an order of magnitude."
    )))
}
