//! Where the numbers come from: program, devices, seeds, texts, recipe, rule of counting.

use std::collections::{BTreeMap, BTreeSet};

use scalelaw_schema::recipe::{Optimizer, Schedule};

use crate::input::ReportInput;
use crate::text;
use crate::text::table::{Cell, Table};

/// `(what, value)`, the value as plain text.
pub fn facts(input: &ReportInput) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Report made", input.generated.to_string()),
        ("Report made by", input.program.to_string()),
        ("Source of the losses", input.table.source.clone()),
        ("Loss", format!("{}{}", input.table.loss_name, input.table.measure.unit.suffix())),
        ("N and C counted by", input.table.count_rule.to_string()),
    ];
    if !input.rows.is_empty() {
        facts.push(("Runs trained by", counted(input.rows.iter().map(|row| row.program.as_str()))));
        facts.push(("Devices", counted(input.rows.iter().map(|row| row.device.as_str()))));
        let seeds: BTreeSet<u64> = input.rows.iter().map(|row| row.seed).collect();
        facts.push(("Seeds", seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")));
        let epochs = input
            .rows
            .iter()
            .filter_map(|row| row.max_epochs)
            .fold(None, |most: Option<f64>, x| Some(most.map_or(x, |most| most.max(x))));
        facts.push((
            "Epochs over the most-read text",
            text::or_unknown(epochs, |x| {
                format!("{}{}", text::significant(x, 2), if x <= 1.0 { " (no repeats)" } else { "" })
            }),
        ));
    }
    if let Some(planned) = input.plan.and_then(|plan| plan.runs.first()) {
        let train = &planned.run.train;
        facts.push(("Vocabulary", format!("{} tokens", text::count(train.model.vocab_size() as u64))));
        if let Some(phase) = train.phases.last() {
            facts.push(("Context", format!("{} tokens", text::count(phase.context_len as u64))));
            facts.push(("Batch", format!("{} tokens", text::count(phase.batch_tokens()))));
        }
        facts.push(("Optimizer", optimizer(&train.recipe.optimizer)));
        facts.push(("Schedule", schedule(&train.recipe.schedule)));
    }
    if let Ok(conclusion) = input.scaling {
        facts.push(("Duration of the fit", text::or_unknown(conclusion.seconds, text::duration)));
    }
    facts
}

/// Content hash of every text that a planned run was trained or evaluated on.
pub fn corpora(input: &ReportInput) -> Table {
    let runs = input.plan.iter().flat_map(|plan| &plan.runs);
    let corpora: BTreeSet<(&String, &String)> =
        runs.flat_map(|planned| &planned.run.corpora).map(|corpus| (&corpus.name, &corpus.tokens)).collect();
    let rows = corpora
        .into_iter()
        .map(|(name, hash)| vec![Cell::Text(name.clone()), Cell::Code(hash.clone())])
        .collect();
    Table::new("", &["Text", "Content hash of its tokens"], rows)
}

/// Distinct texts, each with how often it stands where there are several.
fn counted<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for text in texts {
        *counts.entry(text).or_default() += 1;
    }
    let is_one = counts.len() == 1;
    let texts: Vec<String> = counts
        .into_iter()
        .map(
            |(text, n)| {
                if is_one { text.to_string() } else { format!("{text} ({})", text::counted(n, "run")) }
            },
        )
        .collect();
    texts.join("; ")
}

fn optimizer(optimizer: &Optimizer) -> String {
    match optimizer {
        Optimizer::AdamW { beta1, beta2, eps, weight_decay } => {
            format!(
                "AdamW, betas {beta1} and {beta2}, eps {}, weight decay {weight_decay}",
                text::significant(*eps, 1)
            )
        }
    }
}

fn schedule(schedule: &Schedule) -> String {
    match schedule {
        Schedule::Constant => "warm-up, then constant".to_string(),
        Schedule::Cosine { final_fraction } => {
            format!("warm-up, then cosine to {} of the peak", text::significant(*final_fraction, 2))
        }
        Schedule::Wsd { cooldown_steps } => {
            format!("warm-up, constant, cool-down of {} steps as 1 \u{2212} √x", text::count(*cooldown_steps))
        }
    }
}
