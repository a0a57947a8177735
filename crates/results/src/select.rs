//! The rows of a sweep as the input of fits, under a named rule of counting.

use std::collections::BTreeMap;

use scalelaw_schema::count::CountRule;
use scalelaw_schema::measure::{LossColumn, Measure};
use scalelaw_schema::record::Outcome;
use scalelaw_schema::table::{Counting, ExcludedRow, LossRow, LossTable, ResultRow};
use thiserror::Error;

use crate::error::{ResultsError, list};
use crate::table::cell::{CellFault, positive};
use crate::table::columns::{corpora, skills};

/// The texts that any run was evaluated on, each with its own column: skills, then held-out corpora.
pub fn texts(rows: &[ResultRow]) -> Vec<LossColumn> {
    let skills = skills(rows).into_iter().map(|name| LossColumn::Skill(name.to_string()));
    let corpora = corpora(rows).into_iter().map(|name| LossColumn::Corpus(name.to_string()));
    skills.chain(corpora).collect()
}

/// A table, with notes for its reader.
#[derive(Debug, Clone, PartialEq)]
pub struct NotedTable {
    /// The table.
    pub table: LossTable,
    /// One sentence each: devices that mix, a column that was chosen among several, ...
    pub notes: Vec<String>,
}

/// Why a row is left out of a loss table.
#[derive(Debug, Clone, PartialEq, Error)]
pub(crate) enum Reason {
    #[error("it diverged{}", at_step(*step))]
    Diverged { step: Option<u64> },
    #[error("it was stopped early{}", at_step(*step))]
    Stopped { step: Option<u64> },
    #[error("it has {found} fields, the header has {expected}")]
    Fields { found: usize, expected: usize },
    #[error(transparent)]
    Cell(#[from] CellFault),
}

fn at_step(step: Option<u64>) -> String {
    step.map_or(String::new(), |step| format!(" at step {step}"))
}

/// N, D, C and loss of each run, N and C as `rule` counts them. Runs that diverged or were stopped early and runs
/// without the loss are listed as excluded. `source` names the sweep.
///
/// Where the rule's C is every matrix product, it is the count along the run's path (trunk and branch,
/// phase by phase), not a product of final shape and tokens.
///
/// # Errors
/// `NoLoss` where `loss` names a corpus or a skill that no run was evaluated on.
pub fn loss_table(
    rows: &[ResultRow],
    rule: CountRule,
    loss: &LossColumn,
    source: &str,
) -> Result<NotedTable, ResultsError> {
    if !rows.is_empty() && !is_known(loss, rows) {
        let mut known: Vec<String> = ["loss", "bpb", "train_loss"].map(str::to_string).to_vec();
        known.extend(corpora(rows).iter().map(|corpus| format!("loss/{corpus}")));
        known.extend(skills(rows).iter().map(|skill| format!("skill/{skill}/nll")));
        return Err(ResultsError::NoLoss { name: loss.to_string(), known: list(&known) });
    }
    let measure = Measure::of_runs(loss.clone(), rows.iter().map(|row| row.vocab_size));
    let mut table = LossTable::new(source, Counting::Rule(rule), measure);
    let loss_name = loss.to_string();
    let mut devices: BTreeMap<&str, usize> = BTreeMap::new();
    let mut n_repeated = 0;
    for row in rows {
        match to_loss_row(row, rule, loss, &loss_name) {
            Ok(loss_row) => {
                table.rows.push(loss_row);
                *devices.entry(&row.device).or_default() += 1;
                n_repeated += usize::from(row.max_epochs.is_some_and(|epochs| epochs > 1.0));
            }
            Err(reason) => {
                table.excluded.push(ExcludedRow { name: row.run_id.to_string(), why: reason.to_string() });
            }
        }
    }
    let mut notes = Vec::new();
    if devices.len() > 1 {
        let parts: Vec<String> =
            devices.iter().map(|(device, n_runs)| format!("{n_runs} on `{device}`")).collect();
        notes.push(format!(
            "runs from different devices are mixed, whose arithmetic differs in the last digits: {}",
            parts.join(", ")
        ));
    }
    if n_repeated > 0 {
        notes.push(format!(
            "{n_repeated} of {} runs read a corpus more than once: their D counts repeated tokens in full",
            table.rows.len()
        ));
    }
    Ok(NotedTable { table, notes })
}

fn is_known(loss: &LossColumn, rows: &[ResultRow]) -> bool {
    match loss {
        LossColumn::Corpus(name) | LossColumn::CorpusBpb(name) => corpora(rows).contains(name.as_str()),
        LossColumn::Skill(name) => skills(rows).contains(name.as_str()),
        LossColumn::Mean | LossColumn::Bpb | LossColumn::Train => true,
        LossColumn::User(_) => false,
    }
}

fn to_loss_row(
    row: &ResultRow,
    rule: CountRule,
    loss: &LossColumn,
    loss_name: &str,
) -> Result<LossRow, Reason> {
    match &row.outcome {
        Outcome::Finished => {}
        Outcome::Diverged { step } => return Err(Reason::Diverged { step: Some(*step) }),
        Outcome::Stopped { step, .. } => return Err(Reason::Stopped { step: Some(*step) }),
    }
    let missing = || CellFault { column: loss_name.to_string(), found: None };
    let model = row.model();
    let d = row.tokens as f64;
    let c = match rule {
        CountRule::Exact | CountRule::WithHeadExact => row.flops_path.total(),
        CountRule::SixNTotal | CountRule::SixNNonEmbedding | CountRule::SixNWithHead => {
            rule.c(&model, row.context_len, d)
        }
    };
    Ok(LossRow {
        name: row.run_id.to_string(),
        n: positive("n_total", rule.n(&model))?,
        d: positive("tokens", d)?,
        c: positive("flops_path", c)?,
        loss: positive(loss_name, row.value(loss).ok_or_else(missing)?)?,
        budget: row.budget_flops,
        cluster: Some(row.cluster.to_string()),
        seed: Some(row.seed),
        // A row has the largest number of epochs of any corpus, which does not give the distinct tokens of a
        // mixture.
        unique_tokens: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect;
    use crate::testing::{run, skill_eval};

    fn rows() -> Vec<ResultRow> {
        let dir = tempfile::tempdir().unwrap();
        for (n_layer, steps, seed) in [(1, 10, 0), (2, 20, 1)] {
            let mut run = run(n_layer, steps, seed);
            run.evals.push(skill_eval(&run, "mano", 0.5, Some(0.75)));
            run.write(dir.path());
        }
        collect(dir.path()).unwrap().rows
    }

    #[test]
    fn each_rule_gives_its_own_n_and_c() {
        let rows = rows();
        // 1 block: 4·16² + 3·16·40 = 2944 in matrices, 4096 in the head, 12 and 4096 more; D = 10·128.
        let (n_blocks, n_total, d) = (2944.0, 11184.0, 1280.0);
        let exact = 3.0 * 40.0 * (64.0 * (n_blocks + 4096.0) + 528.0 * 64.0);
        for (rule, n, c) in [
            (CountRule::Exact, n_total, exact),
            (CountRule::SixNTotal, n_total, 6.0 * n_total * d),
            (CountRule::SixNNonEmbedding, n_blocks, 6.0 * n_blocks * d),
            (CountRule::SixNWithHead, n_blocks + 4096.0, 6.0 * (n_blocks + 4096.0) * d),
            (CountRule::WithHeadExact, n_blocks + 4096.0, exact),
        ] {
            let table = loss_table(&rows, rule, &LossColumn::Mean, "s").unwrap().table;
            let row = &table.rows[0];
            assert_eq!((row.n, row.d, row.c), (n, d, c), "{rule}");
            assert_eq!((table.count_rule, row.loss, row.budget), (Counting::Rule(rule), 2.5, Some(3e9)));
            assert_eq!((row.cluster.as_deref(), row.seed), (Some(rows[0].cluster.as_str()), Some(0)));
        }
    }

    #[test]
    fn each_loss_column_gives_its_own_loss() {
        let rows = rows();
        for (text, expected) in [
            ("loss", 2.5),
            ("bpb", 1.25),
            ("loss/code", 2.0),
            ("prose", 4.0),
            ("bpb/prose", 2.0),
            ("train_loss", 2.5),
            ("skill/mano/nll", 0.5),
            ("skill/mano", 0.5),
        ] {
            let Ok(loss) = text.parse::<LossColumn>();
            let table = loss_table(&rows, CountRule::Exact, &loss, "s").unwrap().table;
            assert_eq!(table.rows[0].loss, expected, "{text}");
            assert_eq!((&table.loss_name, &table.measure.column), (&loss.title(), &loss), "{text}");
        }
        for (text, column) in [("verse", "loss/verse"), ("skill/verse", "skill/verse/nll")] {
            let Ok(loss) = text.parse::<LossColumn>();
            let error = loss_table(&rows, CountRule::Exact, &loss, "s").unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "no run has the loss `{column}` (known: `loss`, `bpb`, `train_loss`, `loss/code`, \
                     `loss/prose`, `skill/mano/nll`)"
                )
            );
        }
    }

    #[test]
    fn rows_without_a_usable_loss_are_left_out_with_the_reason() {
        let mut rows = rows();
        rows.extend(rows.clone());
        rows[0].outcome = Outcome::Diverged { step: 3 };
        rows[1].loss = None;
        rows[2].loss = Some(-1.0);
        rows.extend(rows[..1].to_vec());
        rows[4].outcome = Outcome::Stopped { step: 5, why: "it was high".to_string() };
        let noted = loss_table(&rows, CountRule::Exact, &LossColumn::Mean, "s").unwrap();
        let whys: Vec<&str> = noted.table.excluded.iter().map(|row| row.why.as_str()).collect();
        let expected = [
            "it diverged at step 3",
            "`loss` is missing",
            "`loss` is -1, not positive",
            "it was stopped early at step 5",
        ];
        assert_eq!(whys, expected);
        assert_eq!(noted.table.rows.len(), 1);
    }

    #[test]
    fn mixed_devices_and_repeated_data_are_noted() {
        let mut rows = rows();
        assert_eq!(loss_table(&rows, CountRule::Exact, &LossColumn::Mean, "s").unwrap().notes.len(), 0);
        rows[1].device = "wgpu: A Card".to_string();
        rows[1].max_epochs = Some(1.5);
        let notes = loss_table(&rows, CountRule::Exact, &LossColumn::Mean, "s").unwrap().notes;
        assert!(notes[0].ends_with("1 on `cpu: Some Processor`, 1 on `wgpu: A Card`"), "{notes:?}");
        assert!(notes[1].starts_with("1 of 2 runs read a corpus more than once"), "{notes:?}");
        // A device whose runs are all left out mixes with nothing.
        rows[1].loss = None;
        assert_eq!(loss_table(&rows, CountRule::Exact, &LossColumn::Mean, "s").unwrap().notes.len(), 0);
    }
}
