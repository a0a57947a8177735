//! The plan: what was to be trained, what it was to cost, and the cells that were dropped.

use scalelaw_schema::model::ModelSpec;
use scalelaw_schema::plan::{CenterSource, Plan};
use scalelaw_schema::train_spec::Start;

use crate::text;
use crate::text::table::{Cell, Table};

/// The plan in a sentence.
pub fn sentence(plan: &Plan) -> String {
    let total = &plan.total;
    let mut facts = vec![
        text::counted(total.n_runs, "run"),
        match total.flops_separate {
            None => format!("{} FLOPs", text::flops(total.flops)),
            Some(separate) => format!(
                "{} FLOPs by trunks and branches ({} as separate runs)",
                text::flops(total.flops),
                text::flops(separate)
            ),
        },
        format!("{} tokens", text::si(total.tokens)),
    ];
    facts.extend(total.wall_seconds.map(|s| format!("{} estimated", text::duration(s))));
    facts.push(format!("{} of disk", text::bytes(total.disk_bytes)));
    facts.extend(total.kwh.map(|kwh| format!("{} kWh estimated", text::significant(kwh, 3))));
    facts.extend(total.money.map(|money| {
        format!(
            "{} {} estimated",
            text::significant(money, 3),
            total.currency.as_deref().unwrap_or("of money")
        )
    }));
    if !plan.dropped.is_empty() {
        facts.push(format!("{} dropped", text::counted(plan.dropped.len(), "cell")));
    }
    format!(
        "A grid of kind `{}`, N and C counted by the rule `{}`: {}.",
        plan.kind,
        plan.count_rule,
        facts.join(", ")
    )
}

/// Budgets, runs and dropped cells.
pub fn tables(plan: &Plan) -> Vec<Table> {
    vec![budgets(plan), runs(plan), dropped(plan)]
}

fn budgets(plan: &Plan) -> Table {
    let rows = plan
        .budgets
        .iter()
        .map(|budget| {
            let source = match budget.center {
                CenterSource::Prior => "the guess in the sweep's file",
                CenterSource::Fit => "a fit of the smaller budgets",
            };
            vec![text::flops(budget.flops), text::si(budget.center_n), source.to_string()]
        })
        .collect();
    Table::new("", &["#Budget, FLOPs", "#Sizes centred on N", "Centre from"], rows)
}

fn runs(plan: &Plan) -> Table {
    let has_branches = plan.total.flops_separate.is_some();
    let rows = plan
        .runs
        .iter()
        .map(|planned| {
            let ModelSpec::Transformer(shape) = &planned.run.train.model;
            let mut row = vec![Cell::Code(planned.run.folder_name())];
            row.extend(
                [
                    format!("{}×{}", shape.n_layer, shape.d_model),
                    text::si(planned.n),
                    text::si(planned.d),
                    text::flops(planned.c),
                    text::significant(planned.d / planned.n, 3),
                    text::count(planned.run.train.total_steps()),
                    text::or_unknown(planned.estimate.seconds, text::duration),
                    text::bytes(planned.estimate.memory_bytes),
                    text::bytes(planned.estimate.disk_bytes),
                ]
                .map(Cell::Text),
            );
            if has_branches {
                row.push(Cell::Text(match &planned.run.train.start {
                    Start::Init => "initial weights".to_string(),
                    Start::Branch { parent, step } => format!("{parent}, step {}", text::count(*step)),
                }));
                row.push(Cell::Text(text::flops(planned.spent_c())));
            }
            row
        })
        .collect();
    let mut head = vec![
        "Run",
        "#Layers×width",
        "#N, parameters",
        "#D, tokens",
        "#C, FLOPs",
        "#D/N",
        "#Steps",
        "#Time, estimated",
        "#Memory",
        "#Disk",
    ];
    if has_branches {
        head.extend(["Starts from", "#FLOPs of its own"]);
    }
    Table::new("", &head, rows)
}

fn dropped(plan: &Plan) -> Table {
    let rows =
        plan.dropped.iter().map(|cell| vec![Cell::Prose(cell.cell.clone()), Cell::Prose(cell.why.clone())]);
    Table::new("Dropped cells", &["Cell", "Reason"], rows.collect())
}
