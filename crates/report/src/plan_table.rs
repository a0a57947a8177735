//! The plan: what was to be trained, what it was to cost, and the cells that cannot be.

use scalelaw_schema::model::ModelSpec;
use scalelaw_schema::plan::{CenterSource, Plan};
use scalelaw_schema::train_spec::Start;

use crate::format;
use crate::html::{self, escape, prose};

/// The HTML of the section.
pub fn section(plan: &Plan) -> String {
    let total = &plan.total;
    let mut facts = vec![
        format::counted(total.n_runs, "run"),
        match total.flops_separate {
            None => format!("{} FLOPs", format::flops(total.flops)),
            Some(separate) => format!(
                "{} FLOPs by trunks and branches ({} as separate runs)",
                format::flops(total.flops),
                format::flops(separate)
            ),
        },
        format!("{} tokens", format::si(total.tokens)),
    ];
    facts.extend(total.wall_seconds.map(|s| format!("{} estimated", format::duration(s))));
    facts.push(format!("{} of disk", format::bytes(total.disk_bytes)));
    facts.extend(total.kwh.map(|kwh| format!("{} kWh estimated", format::significant(kwh, 3))));
    facts.extend(total.money.map(|money| {
        format!(
            "{} {} estimated",
            format::significant(money, 3),
            total.currency.as_deref().unwrap_or("of money")
        )
    }));
    if !plan.dropped.is_empty() {
        facts.push(format!("{} dropped", format::counted(plan.dropped.len(), "cell")));
    }
    let mut body = String::new();
    if !plan.budgets.is_empty() {
        let rows: Vec<Vec<String>> = plan
            .budgets
            .iter()
            .map(|budget| {
                let source = match budget.center {
                    CenterSource::Prior => "the guess in the sweep's file",
                    CenterSource::Fit => "a fit of the smaller budgets",
                };
                vec![format::flops(budget.flops), format::si(budget.center_n), source.to_string()]
            })
            .collect();
        body.push_str(&html::table(
            "plain",
            &["#Budget, FLOPs", "#Sizes centred on N", "Centre from"],
            &rows,
        ));
    }
    let has_branches = total.flops_separate.is_some();
    let rows: Vec<Vec<String>> = plan
        .runs
        .iter()
        .map(|planned| {
            let ModelSpec::Transformer(shape) = &planned.run.train.model;
            let mut row = vec![
                format!("<code>{}</code>", escape(&planned.run.folder_name())),
                format!("{}×{}", shape.n_layer, shape.d_model),
                format::si(planned.n),
                format::si(planned.d),
                format::flops(planned.c),
                format::significant(planned.d / planned.n, 3),
                format::count(planned.run.train.total_steps()),
                format::or_unknown(planned.estimate.seconds, format::duration),
                format::bytes(planned.estimate.memory_bytes),
                format::bytes(planned.estimate.disk_bytes),
            ];
            if has_branches {
                row.push(match &planned.run.train.start {
                    Start::Init => "initial weights".to_string(),
                    Start::Branch { parent, step } => {
                        format!("<code>{parent}</code>, step {}", format::count(*step))
                    }
                });
                row.push(format::flops(planned.spent_c()));
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
    body.push_str(&html::table("plain", &head, &rows));
    if !plan.dropped.is_empty() {
        let rows: Vec<Vec<String>> =
            plan.dropped.iter().map(|cell| vec![prose(&cell.cell), prose(&cell.why)]).collect();
        body.push_str(&format!(
            "<h3>Dropped cells</h3>{}",
            html::table("plain", &["Cell", "Why it cannot be"], &rows)
        ));
    }
    for warning in &plan.warnings {
        body.push_str(&format!("<p class=\"note\">{}</p>", prose(warning)));
    }
    format!(
        "<p>A grid of kind <code>{}</code>, N and C counted by the rule <code>{}</code>: {}.</p><details><summary>All planned runs</summary>{body}</details>",
        escape(&plan.kind),
        plan.count_rule,
        escape(&facts.join(", "))
    )
}
