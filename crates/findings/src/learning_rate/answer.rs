//! What the runs of an `lr` sweep show, and the rule that later sweeps can follow.

use std::collections::BTreeSet;

use scalelaw_schema::count::CountRule;
use scalelaw_schema::lr_rule::LrRule;
use scalelaw_schema::metrics::TRAIN_LOSS;
use scalelaw_schema::plan::{Plan, PlannedRun};
use scalelaw_schema::recipe::Optimizer;
use scalelaw_schema::sweep::TokenizerChoice;
use scalelaw_schema::table::ResultRow;
use scalelaw_schema::{BYTE_VOCAB_SIZE, LEVEL, SCHEMA_VERSION};

use super::critical_batch::{BatchCurve, critical_batches};
use super::{LrConclusion, LrRow, best_learning_rates};
use crate::evidence::Evidence;
use crate::scaling::LR;

/// What the runs of an `lr` sweep show; `None` for a sweep of another kind.
pub fn answer(evidence: &Evidence) -> Option<LrConclusion> {
    let plan = &evidence.plan;
    if plan.kind != LR {
        return None;
    }
    let variants = variants(plan);
    let ended: Vec<(&PlannedRun, &String, &ResultRow)> = plan
        .runs
        .iter()
        .zip(&variants)
        .filter_map(|(planned, variant)| {
            let row = evidence.row(&planned.run.id)?;
            Some((planned, variant, row))
        })
        .collect();
    let rows: Vec<LrRow> =
        ended.iter().map(|(planned, variant, row)| lr_row(planned, variant, row)).collect();
    let mut conclusion = best_learning_rates(&plan.sweep, &rows, LEVEL);
    let n_missing = plan.runs.len() - ended.len();
    if n_missing > 0 {
        conclusion.warnings.push(format!("{n_missing} of {} runs have not completed", plan.runs.len()));
    }
    let curves: Vec<BatchCurve> = ended
        .iter()
        .map(|(planned, variant, row)| BatchCurve {
            n: row.params.total() as f64,
            variant: (*variant).clone(),
            batch_tokens: planned.run.train.phase_at(0).batch_tokens() as f64,
            points: evidence
                .curves
                .iter()
                .filter(|point| point.metric == TRAIN_LOSS && point.run_id == row.run_id)
                .map(|point| (point.step as f64, point.value))
                .collect(),
        })
        .collect();
    conclusion.critical_batches = critical_batches(&curves, LEVEL);
    Some(conclusion)
}

/// The rule for later sweeps; `None` where there is no law, or not one that a run could follow.
pub fn rule(plan: &Plan, conclusion: &LrConclusion, program: &str) -> Option<LrRule> {
    let law = conclusion.law.as_ref()?;
    let trains = || plan.runs.iter().map(|planned| &planned.run.train);
    let longest = trains().max_by_key(|train| train.total_steps())?;
    let contexts: BTreeSet<usize> = trains().map(|train| train.phase_at(0).context_len).collect();
    let vocabularies: BTreeSet<usize> = trains().map(|train| train.model.vocab_size()).collect();
    let tokenizer = |vocab_size: usize| match vocab_size {
        BYTE_VOCAB_SIZE => TokenizerChoice::Bytes,
        other => TokenizerChoice::Bpe(u32::try_from(other).unwrap_or(u32::MAX)),
    };
    let rule = LrRule {
        schema_version: SCHEMA_VERSION,
        sweep: plan.sweep.clone(),
        program: program.to_string(),
        count_rule: CountRule::Exact,
        lr: law.lr,
        lr_interval: law.lr_interval,
        level: conclusion.level,
        rms_ln_residual: law.rms_ln_residual,
        n_optima: law.n_optima,
        curvature: law.curvature,
        reference: law.reference,
        exponents: law.exponents,
        range: law.range,
        beta2: law.beta2,
        schedule: longest.recipe.schedule,
        context_len: contexts.into_iter().collect(),
        tokenizer: vocabularies.into_iter().map(tokenizer).collect(),
        parametrisation: longest.recipe.parametrisation,
    };
    rule.check().is_ok().then_some(rule)
}

fn lr_row(planned: &PlannedRun, variant: &str, row: &ResultRow) -> LrRow {
    let train = &planned.run.train;
    let Optimizer::AdamW { beta2, .. } = train.recipe.optimizer;
    LrRow {
        name: row.run_id.to_string(),
        n: train.model.params().total() as f64,
        d: train.tokens() as f64,
        batch_tokens: train.phase_at(0).batch_tokens() as f64,
        beta2,
        variant: variant.to_string(),
        lr: train.recipe.lr_peak,
        loss: row.loss,
    }
}

/// For each run what sets it apart beside size, horizon, batch, beta2, rate and seed; empty where nothing does.
fn variants(plan: &Plan) -> Vec<String> {
    let facts: Vec<[String; 6]> = plan
        .runs
        .iter()
        .map(|planned| {
            let train = &planned.run.train;
            let Optimizer::AdamW { beta1, weight_decay, .. } = train.recipe.optimizer;
            let sources = train.mixture.sources.iter();
            let mixture: Vec<String> = sources
                .map(|source| format!("{} {}", planned.run.corpus_name(&source.tokens), source.weight))
                .collect();
            [
                mixture.join(" + "),
                format!("vocabulary {}", train.model.vocab_size()),
                format!("context {}", train.phase_at(0).context_len),
                format!("beta1 {beta1}"),
                format!("weight decay {weight_decay}"),
                train.model.label(),
            ]
        })
        .collect();
    // The shape matters only where two have the same N.
    let shapes: BTreeSet<&String> = facts.iter().map(|facts| &facts[5]).collect();
    let sizes: BTreeSet<u64> =
        plan.runs.iter().map(|planned| planned.run.train.model.params().total()).collect();
    let varies = |idx: usize| {
        if idx == 5 {
            shapes.len() > sizes.len()
        } else {
            facts.iter().any(|other| other[idx] != facts[0][idx])
        }
    };
    let varying: Vec<usize> = (0..6).filter(|&idx| varies(idx)).collect();
    facts
        .iter()
        .map(|facts| varying.iter().map(|&idx| facts[idx].as_str()).collect::<Vec<_>>().join(", "))
        .collect()
}
