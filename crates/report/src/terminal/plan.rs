//! A plan as a table for the terminal.

use std::collections::{BTreeMap, BTreeSet};

use scalelaw_schema::model::{ModelShape, ModelSpec};
use scalelaw_schema::plan::{CenterSource, Packing, Plan, PlanTotal, PlannedBudget, PlannedRun};
use scalelaw_schema::recipe::Optimizer;

use crate::text::{bytes, counted, duration, si, wrap};

/// Rows shown before the rest is only counted: more than anyone reads.
const ROWS_SHOWN: usize = 400;
/// Dropped cells shown before the rest is only counted.
const DROPPED_SHOWN: usize = 40;

/// One column: its title and the text of each run.
struct Column {
    title: &'static str,
    texts: Vec<String>,
    /// If the terminal is too narrow, the column with the highest rank is hidden first. 0 is never hidden.
    rank: u8,
}

/// A row of runs that differ only in their seed; in a mix, in their seed or mixture.
struct Row {
    first_run_idx: usize,
    n_runs: usize,
}

/// The plan, at most `width` columns wide: a line per cell, sums, dropped cells with their reasons, warnings.
///
/// Runs that differ only in their seed share a line; in a mix so do those that differ in their mixture, and the
/// mixtures are listed below. Apart from the usual columns, a quantity that is the same in every run has none. On a
/// narrow terminal the least important columns are hidden, and named.
pub fn plan(plan: &Plan, width: usize) -> String {
    let width = width.max(40);
    let mut out = String::new();
    let rule = plan.count_rule;
    out += &wrap(&format!("{}: {} grid, N and C counted by `{rule}`", plan.sweep, plan.kind), 0, width);
    if let Some(question) = &plan.question {
        out += &wrap(question, 2, width);
    }
    out.push('\n');

    let mut columns = columns(plan);
    let rows = rows(plan, &columns);
    if rows.iter().any(|row| row.n_runs > 1) {
        let mut texts = vec![String::new(); plan.runs.len()];
        for row in &rows {
            texts[row.first_run_idx] = row.n_runs.to_string();
        }
        columns.insert(0, Column { title: "runs", texts, rank: 0 });
    }
    let hidden = hide_columns(&mut columns, &rows, width);
    push_rows(&mut out, plan, &columns, &rows);
    if !hidden.is_empty() {
        out += &wrap(&format!("(no room for: {})", hidden.join(", ")), 2, width);
    }
    if is_mix(plan) {
        out.push('\n');
        push_mixtures(&mut out, plan, width);
    }
    out.push('\n');
    out += &wrap(&format!("total: {}", total(&plan.total)), 0, width);
    if let Some(packing) = &plan.packing {
        out += &wrap(&format!("at once: {}", at_once(packing)), 0, width);
    }

    if !plan.dropped.is_empty() {
        out += &format!("\nDROPPED {}\n", counted(plan.dropped.len(), "cell"));
        for dropped in plan.dropped.iter().take(DROPPED_SHOWN) {
            out += &wrap(&format!("{}: {}", dropped.cell, dropped.why), 2, width);
        }
        if plan.dropped.len() > DROPPED_SHOWN {
            out += &format!("  and {} more\n", plan.dropped.len() - DROPPED_SHOWN);
        }
    }
    if !plan.warnings.is_empty() {
        out.push('\n');
        for warning in &plan.warnings {
            out += &wrap(&format!("warning: {warning}"), 0, width);
        }
    }
    out
}

/// How many runs train at once, with the reason.
pub fn at_once(packing: &Packing) -> String {
    let Packing { slots, threads, why } = packing;
    format!("{} with {} each: {why}", counted(*slots, "run"), counted(*threads, "thread"))
}

/// The sums that are known.
fn total(total: &PlanTotal) -> String {
    let mut parts = vec![
        counted(total.n_runs, "run"),
        format!("{:.2e} FLOPs", total.flops),
        format!("{} tokens", si(total.tokens)),
    ];
    if let Some(separate) = total.flops_separate {
        let saved = 100.0 * (1.0 - total.flops / separate);
        parts[1] += &format!(" ({separate:.2e} as separate runs: {saved:.0} % less)");
    }
    match total.wall_seconds {
        Some(seconds) => parts.push(duration(seconds)),
        None => parts.push("time unknown (no measured speed)".to_string()),
    }
    parts.push(format!("{} of disk", bytes(total.disk_bytes)));
    parts.extend(total.kwh.map(|kwh| format!("{} kWh", three_digits(kwh))));
    parts.extend(
        total.money.map(|money| format!("{money:.2} {}", total.currency.as_deref().unwrap_or("of money"))),
    );
    parts.join(", ")
}

fn shape(run: &PlannedRun) -> &ModelShape {
    let ModelSpec::Transformer(shape) = &run.run.train.model;
    shape
}

fn columns(plan: &Plan) -> Vec<Column> {
    let runs = &plan.runs;
    let mut columns = Vec::new();
    let mut add = |title, rank, text: &dyn Fn(&PlannedRun) -> String| {
        columns.push(Column { title, texts: runs.iter().map(text).collect(), rank });
    };
    // Heads and hidden width follow from the width, unless two runs of one width differ in them.
    let is_free = |of: fn(&ModelShape) -> usize| {
        let mut by_width = BTreeMap::new();
        runs.iter().any(|run| *by_width.entry(shape(run).d_model).or_insert(of(shape(run))) != of(shape(run)))
    };
    let varies =
        |text: &dyn Fn(&PlannedRun) -> String| runs.iter().map(text).collect::<BTreeSet<String>>().len() > 1;
    let phase = |run: &PlannedRun| run.run.train.phases.first().cloned();

    add("model", 0, &|run| run.run.train.model.label());
    if is_free(|shape| shape.n_head) {
        add("heads", 1, &|run| shape(run).n_head.to_string());
    }
    if is_free(|shape| shape.d_ff) {
        add("d_ff", 1, &|run| shape(run).d_ff.to_string());
    }
    let vocab = |run: &PlannedRun| run.run.train.model.vocab_size().to_string();
    let context = |run: &PlannedRun| phase(run).map_or(String::new(), |phase| phase.context_len.to_string());
    let batch =
        |run: &PlannedRun| phase(run).map_or(String::new(), |phase| phase.batch_sequences.to_string());
    let beta = |run: &PlannedRun| {
        let Optimizer::AdamW { beta1, beta2, .. } = run.run.train.recipe.optimizer;
        format!("{beta1} {beta2}")
    };
    let decay = |run: &PlannedRun| {
        let Optimizer::AdamW { weight_decay, .. } = run.run.train.recipe.optimizer;
        weight_decay.to_string()
    };
    for (title, text) in [
        ("vocab", &vocab as &dyn Fn(&PlannedRun) -> String),
        ("context", &context),
        ("batch", &batch),
        ("mixture", &mixture),
        ("betas", &beta),
        ("decay", &decay),
    ] {
        if varies(text) && !(title == "mixture" && is_mix(plan)) {
            add(title, 1, text);
        }
    }
    add("N", 0, &|run| si(run.n));
    add("D", 0, &|run| si(run.d));
    add("C", 0, &|run| format!("{:.2e}", run.c));
    if has_branches(plan) {
        add("from step", 0, &|run| run.run.train.first_step().to_string());
        add("spent", 0, &|run| format!("{:.2e}", run.spent_c()));
    }
    add("D/N", 2, &|run| ratio(run.d / run.n));
    add("steps", 6, &|run| run.run.train.total_steps().to_string());
    add("lr", 3, &|run| format!("{:.2e}", run.run.train.recipe.lr_peak));
    let known = |has: fn(&PlannedRun) -> bool| runs.iter().any(has);
    if known(|run| run.estimate.seconds.is_some()) {
        add("time", 0, &|run| run.estimate.seconds.map_or("-".to_string(), duration));
    }
    add("memory", 4, &|run| bytes(run.estimate.memory_bytes));
    add("disk", 5, &|run| bytes(run.estimate.disk_bytes));
    if known(|run| run.estimate.kwh.is_some()) {
        add("kWh", 1, &|run| run.estimate.kwh.map_or("-".to_string(), three_digits));
    }
    if known(|run| run.estimate.money.is_some()) {
        add("money", 1, &|run| run.estimate.money.map_or("-".to_string(), three_digits));
    }
    columns
}

/// Whether every size is trained on the same mixtures, so that these are listed once.
fn is_mix(plan: &Plan) -> bool {
    plan.kind == "mix"
}

fn has_branches(plan: &Plan) -> bool {
    plan.runs.iter().any(|run| run.run.train.first_step() > 0)
}

fn mixture(run: &PlannedRun) -> String {
    let shares = run.run.shares();
    match shares.first_key_value() {
        Some((name, _)) if shares.len() == 1 => name.to_string(),
        _ => shares.iter().map(|(name, share)| format!("{name} {share:.2}")).collect::<Vec<_>>().join("+"),
    }
}

fn rows(plan: &Plan, columns: &[Column]) -> Vec<Row> {
    // Runs of two seeds follow each other; between two mixtures comes everything else that is swept.
    let reach = if is_mix(plan) { usize::MAX } else { 1 };
    let mut rows: Vec<Row> = Vec::new();
    for run_idx in 0..plan.runs.len() {
        let budget = |idx: usize| plan.runs[idx].run.cell.budget_flops;
        let is_repeat = |first: usize, other: usize| {
            let (first, other) = (&plan.runs[first].run.train, &plan.runs[other].run.train);
            first.seed != other.seed || (is_mix(plan) && first.mixture != other.mixture)
        };
        let row = rows
            .iter_mut()
            .rev()
            .take(reach)
            .take_while(|row| budget(row.first_run_idx) == budget(run_idx))
            .find(|row| {
                let is_same = |column: &Column| column.texts[row.first_run_idx] == column.texts[run_idx];
                is_repeat(row.first_run_idx, run_idx) && columns.iter().all(is_same)
            });
        match row {
            Some(row) => row.n_runs += 1,
            None => rows.push(Row { first_run_idx: run_idx, n_runs: 1 }),
        }
    }
    rows
}

fn column_width(column: &Column, rows: &[Row]) -> usize {
    let texts = rows.iter().map(|row| column.texts[row.first_run_idx].chars().count());
    texts.max().unwrap_or(0).max(column.title.len())
}

/// Removes columns until the rest fits, and returns their titles.
fn hide_columns(columns: &mut Vec<Column>, rows: &[Row], width: usize) -> Vec<&'static str> {
    let mut hidden = Vec::new();
    loop {
        let needed: usize = columns.iter().map(|column| column_width(column, rows) + 2).sum();
        let least = columns.iter().enumerate().max_by_key(|(_, column)| column.rank);
        match least {
            Some((idx, column)) if needed > width && column.rank > 0 => {
                hidden.push(column.title);
                columns.remove(idx);
            }
            _ => return hidden,
        }
    }
}

fn push_rows(out: &mut String, plan: &Plan, columns: &[Column], rows: &[Row]) {
    let widths: Vec<usize> = columns.iter().map(|column| column_width(column, rows)).collect();
    let line = |out: &mut String, text_of: &dyn Fn(&Column) -> String| {
        let texts: Vec<String> = columns
            .iter()
            .zip(&widths)
            .map(|(column, &width)| match column.title {
                // Words to the left, numbers to the right.
                "model" | "mixture" => format!("  {:<width$}", text_of(column)),
                _ => format!("  {:>width$}", text_of(column)),
            })
            .collect();
        *out += texts.concat().trim_end();
        out.push('\n');
    };
    let title = |budget: &PlannedBudget| {
        let source = match budget.center {
            CenterSource::Prior => "by the sweep's guess",
            CenterSource::Fit => "by the fit of smaller budgets",
        };
        format!("budget {:.2e}, centred on N {} {source}\n", budget.flops, si(budget.center_n))
    };
    line(out, &|column| column.title.to_string());
    let mut budget_flops = None;
    for row in rows.iter().take(ROWS_SHOWN) {
        let flops = plan.runs[row.first_run_idx].run.cell.budget_flops;
        if flops != budget_flops {
            budget_flops = flops;
            let budget = plan.budgets.iter().find(|budget| Some(budget.flops) == flops);
            *out += &budget.map_or(String::new(), title);
        }
        line(out, &|column| column.texts[row.first_run_idx].clone());
    }
    if rows.len() > ROWS_SHOWN {
        *out += &format!("  and {} more lines\n", rows.len() - ROWS_SHOWN);
    }
}

/// Every mixture of a mix and the number of its runs, in the order of the sweep file.
fn push_mixtures(out: &mut String, plan: &Plan, width: usize) {
    let mut mixtures: Vec<(BTreeMap<&str, f64>, usize)> = Vec::new();
    let mut places = BTreeMap::new();
    for run in &plan.runs {
        let shares = run.run.shares();
        let key: Vec<(&str, u64)> = shares.iter().map(|(name, weight)| (*name, weight.to_bits())).collect();
        let place = *places.entry(key).or_insert(mixtures.len());
        match mixtures.get_mut(place) {
            Some((_, n_runs)) => *n_runs += 1,
            None => mixtures.push((shares, 1)),
        }
    }
    *out += &wrap(&format!("{}, each at all of these sizes:", counted(mixtures.len(), "mixture")), 0, width);
    for (shares, n_runs) in mixtures.iter().take(ROWS_SHOWN) {
        let shares: Vec<String> =
            shares.iter().map(|(name, weight)| format!("{name} {}", share(*weight))).collect();
        *out += &wrap(&format!("{}: {}", counted(*n_runs, "run"), shares.join(", ")), 2, width);
    }
    if mixtures.len() > ROWS_SHOWN {
        *out += &format!("  and {} more\n", mixtures.len() - ROWS_SHOWN);
    }
}

/// Three decimals, so that shares line up; below about 0.01 two significant digits.
fn share(x: f64) -> String {
    if x < 0.00995 { format!("{x:.1e}") } else { format!("{x:.3}") }
}

fn ratio(x: f64) -> String {
    match x {
        x if x >= 1000.0 => si(x),
        x if x >= 99.95 => format!("{x:.0}"),
        _ => format!("{x:.1}"),
    }
}

fn three_digits(x: f64) -> String {
    match x {
        x if x >= 100.0 => format!("{x:.0}"),
        x if x >= 10.0 => format!("{x:.1}"),
        x if x >= 0.1 || x == 0.0 => format!("{x:.2}"),
        _ => format!("{x:.1e}"),
    }
}
