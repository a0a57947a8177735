//! A sweep's run folders as rows, curves and a list of what was left out.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use rayon::prelude::*;
use scalelaw_schema::count::CountRule;
use scalelaw_schema::measure::LossColumn;
use scalelaw_schema::table::{ExcludedRow, MetricPoint, ResultRow};

use crate::error::{ResultsError, list};
use crate::read::curve::Curve;
use crate::read::folder::{FolderState, read_run_folder};
use crate::select::{NotedTable, loss_table};
use crate::table::columns::Columns;
use crate::table::filter;

/// All that a sweep's folders hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Collected {
    /// Completed runs, sorted by (N, D, seed, id).
    pub rows: Vec<ResultRow>,
    /// Their learning curves, in the order of `rows`; a run without `metrics.jsonl` has none.
    pub curves: Vec<Curve>,
    /// Folders that have no record yet, with their last failure.
    pub unfinished: Vec<ExcludedRow>,
    /// Folders whose files are missing or corrupt, with file and line.
    pub problems: Vec<ExcludedRow>,
    /// What a reader of the tables should know.
    pub notes: Vec<String>,
}

/// Reads every run folder of a sweep, in parallel.
///
/// # Errors
/// `NoSweep` or `Io` about the sweep's own folder. What is wrong with one run is listed in
/// [`Collected::problems`].
pub fn collect(sweep_dir: &Path) -> Result<Collected, ResultsError> {
    if !sweep_dir.is_dir() {
        return Err(ResultsError::NoSweep { path: sweep_dir.to_path_buf() });
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(sweep_dir).map_err(ResultsError::io("list", sweep_dir))? {
        names.push(entry.map_err(ResultsError::io("list", sweep_dir))?.file_name());
    }
    names.sort();
    let states: Vec<(String, FolderState)> = names
        .into_par_iter()
        .map(|name| {
            let path = sweep_dir.join(&name);
            let name = name.to_string_lossy().into_owned();
            let state = read_run_folder(&name, &path);
            (name, state)
        })
        .collect();

    let mut collected = Collected::default();
    let mut ended = Vec::new();
    let mut first_folder = HashMap::new();
    for (name, state) in states {
        match state {
            FolderState::Other => {}
            FolderState::Unfinished(why) => collected.unfinished.push(ExcludedRow { name, why }),
            FolderState::Broken(fault) => {
                collected.problems.push(ExcludedRow { name, why: fault.to_string() });
            }
            FolderState::Ended(row, curve) => match first_folder.get(&row.run_id) {
                None => {
                    first_folder.insert(row.run_id.clone(), name);
                    ended.push((row, curve));
                }
                Some(first) => {
                    let why = format!("it holds the same run as `{first}`");
                    collected.problems.push(ExcludedRow { name, why });
                }
            },
        }
    }
    ended.sort_by(|(a, _), (b, _)| {
        let key = |row: &ResultRow| (row.params.total(), row.tokens, row.seed);
        key(a).cmp(&key(b)).then_with(|| a.run_id.cmp(&b.run_id))
    });
    let mut without_curve = Vec::new();
    for (row, curve) in ended {
        match curve {
            Some(curve) => collected.curves.push(curve),
            None => without_curve.push(row.folder.clone()),
        }
        collected.rows.push(*row);
    }
    if !without_curve.is_empty() {
        collected.notes.push(format!(
            "{} of {} runs have no metrics.jsonl, so no learning curve: {}",
            without_curve.len(),
            collected.rows.len(),
            list(&without_curve)
        ));
    }
    Ok(collected)
}

impl Collected {
    /// Points of the measurements that `keep` chooses by name, by run and measurement.
    pub fn points(&self, keep: impl Fn(&str) -> bool) -> Vec<MetricPoint> {
        self.curves
            .iter()
            .flat_map(|curve| {
                curve
                    .series
                    .iter()
                    .filter(|series| keep(&series.metric))
                    .flat_map(|series| curve.points(&series.metric))
            })
            .collect()
    }

    /// Keeps the rows (and their curves) for which a filter over the columns of `results.parquet` is
    /// true, such as `n_layer > 2 and seed = 0`.
    ///
    /// # Errors
    /// `Filter` or `NoColumn`.
    pub fn keep_where(&mut self, expr: &str) -> Result<(), ResultsError> {
        let columns = Columns::of_runs(&self.rows);
        let is_kept = filter::evaluate(expr, None, &columns.names(), columns.height, |name| {
            Ok(columns.cells(name).unwrap_or_default())
        })?;
        let n_rows = self.rows.len();
        let mut keep = is_kept.iter();
        self.rows.retain(|_| keep.next() == Some(&true));
        let kept: HashSet<_> = self.rows.iter().map(|row| &row.run_id).collect();
        self.curves.retain(|curve| kept.contains(&curve.run_id));
        self.notes.push(format!("`{expr}` keeps {} of {n_rows} runs", self.rows.len()));
        Ok(())
    }

    /// The rows as a [`loss_table()`], with unfinished and unreadable runs among those left out.
    ///
    /// # Errors
    /// `NoLoss`.
    pub fn loss_table(
        &self,
        rule: CountRule,
        loss: &LossColumn,
        source: &str,
    ) -> Result<NotedTable, ResultsError> {
        let mut noted = loss_table(&self.rows, rule, loss, source)?;
        noted.table.excluded.extend(self.problems.iter().chain(&self.unfinished).cloned());
        Ok(noted)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use scalelaw_schema::eval::EvalSpec;
    use scalelaw_schema::record::Outcome;
    use scalelaw_schema::score::Score;
    use tempfile::TempDir;

    use super::*;
    use crate::testing::{Run, run};

    fn sweep(runs: &[Run]) -> (TempDir, Vec<PathBuf>) {
        let dir = tempfile::tempdir().unwrap();
        let folders = runs.iter().map(|run| run.write(dir.path())).collect();
        (dir, folders)
    }

    #[test]
    fn a_row_has_the_numbers_of_its_folder() {
        let (dir, folders) = sweep(&[run(2, 10, 7)]);
        fs::write(dir.path().join("sweep.toml"), "question = 'why?'").unwrap();
        fs::create_dir(dir.path().join("figures")).unwrap();
        let collected = collect(dir.path()).unwrap();
        assert_eq!(collected.problems, []);
        assert_eq!(collected.unfinished, []);
        let [row] = &collected.rows[..] else { panic!("{collected:?}") };
        assert_eq!(row.folder, folders[0].file_name().unwrap().to_str().unwrap());
        // 256·16 | 2·4·16² | 2·3·16·40 | 5·16 | 256·16
        assert_eq!(row.params.total(), 4096 + 2048 + 3840 + 80 + 4096);
        assert_eq!((row.seed, row.steps, row.tokens, row.batch_tokens), (7, 10, 1280, 128));
        assert_eq!((row.loss, row.bpb), (Some(0.75 * 2.0 + 0.25 * 4.0), Some(1.25)));
        assert_eq!((row.losses["code"], row.losses["prose"]), (2.0, 4.0));
        assert_eq!((row.budget_flops, row.max_epochs), (Some(3e9), Some(0.5)));
        assert_eq!((row.device.as_str(), row.program.as_str()), ("cpu: Some Processor", "0.1.0 (abc1234)"));
        let [curve] = &collected.curves[..] else { panic!("{collected:?}") };
        assert_eq!(curve.steps, (1..=10).collect::<Vec<u64>>());
        let points = collected.points(|metric| metric == "train/loss");
        assert_eq!((points.len(), points[4].step, points[4].value), (10, 5, 1.0));
        assert_eq!(points[9].flops, row.flops_path.total());
    }

    #[test]
    fn n_and_flops_of_three_runs_agree_with_a_count_by_hand() {
        let (dir, _) = sweep(&[run(1, 4, 0), run(2, 10, 0), run(3, 50, 0)]);
        let rows = collect(dir.path()).unwrap().rows;
        for (row, (l, steps)) in rows.iter().zip([(1_u64, 4_u64), (2, 10), (3, 50)]) {
            // Embedding and head 256·16 each; per block 4 matrices of 16², 3 of 16·40, 2 gains; a last gain.
            let n_matrices = l * (4 * 256 + 3 * 640);
            let n = 2 * 4096 + n_matrices + (2 * l + 1) * 16;
            assert_eq!(row.params.total(), n, "{l} layers");
            // Three times the forward pass: 2 FLOPs for each matrix entry and token (head included); per block
            // and sequence of 32 tokens, 32·33/2 pairs, 2·16 FLOPs each, in two products.
            let sequences = steps * 4;
            let flops = 3 * sequences * (2 * 32 * (n_matrices + 4096) + l * (32 * 33 / 2) * 2 * 16 * 2);
            assert_eq!(row.flops_path.total(), flops as f64, "{l} layers");
        }
    }

    #[test]
    fn rows_are_sorted_by_n_tokens_and_seed() {
        let (dir, _) = sweep(&[run(2, 4, 1), run(1, 9, 0), run(2, 4, 0), run(1, 3, 5)]);
        let rows = collect(dir.path()).unwrap().rows;
        let keys: Vec<_> = rows.iter().map(|row| (row.n_layer, row.steps, row.seed)).collect();
        assert_eq!(keys, [(1, 3, 5), (1, 9, 0), (2, 4, 0), (2, 4, 1)]);
    }

    /// Changes a run's folder; the text is part of the reason that must be listed for it.
    type Damage = (fn(&Path), &'static str);

    fn edit(folder: &Path, file: &str, from: &str, to: &str) {
        let path = folder.join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no `{from}`: {text}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    }

    fn first_eval(folder: &Path) -> PathBuf {
        let mut paths: Vec<_> =
            fs::read_dir(folder.join("evals")).unwrap().map(|e| e.unwrap().path()).collect();
        paths.sort();
        paths.remove(0)
    }

    #[test]
    fn what_is_wrong_with_one_run_is_named_and_the_others_stay() {
        let damages: &[Damage] = &[
            (|dir| edit(dir, "record.json", "\"steps\": 10", "\"steps\": ten"), "record.json: expected"),
            (|dir| fs::write(dir.join("record.json"), "").unwrap(), "record.json: EOF"),
            (|dir| fs::write(dir.join("record.json"), [0xff, 0, 1]).unwrap(), "record.json: expected value"),
            (
                |dir| edit(dir, "record.json", "\"n_layer\": 2", "\"n_layer\": 3"),
                "run.toml describes another",
            ),
            (|dir| edit(dir, "record.json", "\"mlp\": 3840", "\"mlp\": 3841"), "says 14161 parameters"),
            (|dir| edit(dir, "record.json", "\"schema_version\": 1", "\"schema_version\": 99"), "format 99"),
            (
                |dir| edit(dir, "record.json", "\"schema_version\": 1", "\"schema_version\": 99, \"new\": 1"),
                "format 99",
            ),
            (|dir| fs::remove_file(dir.join("run.toml")).unwrap(), "run.toml is missing"),
            (|dir| edit(dir, "run.toml", "n_layer = 2", "n_layer = "), "run.toml line "),
            (|dir| edit(dir, "run.toml", "n_layer", "m_layer"), "run.toml line "),
            (|dir| fs::write(dir.join("run.toml"), [0xff]).unwrap(), "run.toml is not text"),
            (|dir| fs::write(first_eval(dir), "{").unwrap(), ".json: EOF"),
            (|dir| fs::remove_file(first_eval(dir)).unwrap(), ".json is missing, the evaluation of `"),
            (|dir| fs::remove_dir_all(dir.join("evals")).unwrap(), "is missing, the evaluation of `code`"),
            (
                |dir| edit(dir, "metrics.jsonl", "\"step\":3,", "\"step\":3;"),
                "metrics.jsonl: line 3, column 10",
            ),
            (
                |dir| edit(dir, "metrics.jsonl", "\"step\":3,", "\"step\":1,"),
                "metrics.jsonl: line 3: steps are not increasing: 1 after 2",
            ),
        ];
        for (damage, expected) in damages {
            let (dir, folders) = sweep(&[run(1, 10, 0), run(2, 10, 0)]);
            damage(&folders[1]);
            let collected = collect(dir.path()).unwrap();
            assert_eq!(collected.rows.len(), 1, "{expected}: {collected:?}");
            assert_eq!(collected.curves.len(), 1, "{expected}");
            let [problem] = &collected.problems[..] else { panic!("{expected}: {collected:?}") };
            assert!(problem.why.contains(expected), "expected {expected}, found {}", problem.why);
            assert_eq!(problem.name, folders[1].file_name().unwrap().to_str().unwrap());
        }
    }

    #[test]
    fn what_a_kill_may_leave_is_no_problem() {
        let (dir, folders) = sweep(&[run(1, 10, 0), run(2, 10, 0), run(3, 10, 0)]);
        let metrics = folders[0].join("metrics.jsonl");
        let text = fs::read_to_string(&metrics).unwrap();
        fs::write(&metrics, format!("{text}{{\"step\":11,\"tok")).unwrap();
        fs::write(folders[0].join("evals/.abc.json"), "{").unwrap();
        fs::write(folders[0].join("evals/abc.json.tmp"), "{").unwrap();
        fs::remove_file(folders[1].join("record.json")).unwrap();
        fs::remove_file(folders[2].join("record.json")).unwrap();
        let attempt =
            r#"{"ended":"2026-01-01T00:00:00Z","failure":"device-lost","why":"the device was lost"}"#;
        fs::write(folders[2].join("attempts.jsonl"), format!("{attempt}\n{attempt}\n{{\"en")).unwrap();
        let collected = collect(dir.path()).unwrap();
        assert_eq!(collected.problems, []);
        assert_eq!((collected.rows.len(), collected.curves[0].steps.len()), (1, 10));
        let whys: Vec<&str> = collected.unfinished.iter().map(|row| row.why.as_str()).collect();
        assert_eq!(whys, ["not finished", "not finished: attempt 2 failed: the device was lost"]);
    }

    #[test]
    fn a_run_without_metrics_stays_and_a_second_copy_does_not() {
        let (dir, folders) = sweep(&[run(1, 10, 0)]);
        fs::remove_file(folders[0].join("metrics.jsonl")).unwrap();
        let copy = dir.path().join("zz-copy");
        fs::create_dir(&copy).unwrap();
        for file in ["run.toml", "record.json"] {
            fs::copy(folders[0].join(file), copy.join(file)).unwrap();
        }
        fs::rename(folders[0].join("evals"), copy.join("evals")).unwrap();
        let collected = collect(dir.path()).unwrap();
        // The first folder has lost its evaluations, so the copy is the one that is kept.
        assert_eq!((collected.rows.len(), collected.problems.len()), (1, 1), "{collected:?}");
        assert!(collected.notes[0].contains("1 of 1 runs have no metrics.jsonl"), "{:?}", collected.notes);
        fs::create_dir(folders[0].join("evals")).unwrap();
        for file in fs::read_dir(copy.join("evals")).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folders[0].join("evals").join(file.file_name())).unwrap();
        }
        let collected = collect(dir.path()).unwrap();
        assert_eq!(collected.rows.len(), 1);
        assert!(collected.problems[0].why.contains("the same run as"), "{:?}", collected.problems);
    }

    #[test]
    fn the_loss_is_the_mean_over_the_evaluated_training_corpora() {
        let mut one_of_two = run(1, 10, 0);
        one_of_two.spec.evals.remove(1);
        one_of_two.evals.remove(1);
        let mut other_corpus = run(2, 10, 0);
        // Only text that was not trained on.
        for (asked, eval) in other_corpus.spec.evals.iter_mut().zip(&mut other_corpus.evals) {
            let EvalSpec::HeldOut { tokens, .. } = &mut asked.spec else { continue };
            tokens.push('f');
            eval.request = asked.clone();
        }
        let mut asked_twice = run(3, 10, 0);
        // A later evaluation of the same corpus over fewer tokens does not replace the one asked for.
        let mut shorter = asked_twice.evals[0].clone();
        let EvalSpec::HeldOut { n_tokens, .. } = &mut shorter.request.spec else {
            panic!("the fixture has no skill")
        };
        *n_tokens = 1024;
        shorter.score = Score::Text { loss: 9.0, bpb: 4.5, n_tokens: 1024, n_bytes: 1024 };
        asked_twice.evals.push(shorter);
        let mut diverged = run(4, 10, 0);
        diverged.record.outcome = Outcome::Diverged { step: 6 };
        diverged.evals.remove(0);
        let (dir, _) = sweep(&[one_of_two, other_corpus, asked_twice, diverged]);
        let collected = collect(dir.path()).unwrap();
        assert_eq!(collected.problems, []);
        let losses: Vec<_> = collected.rows.iter().map(|row| (row.loss, row.losses.len())).collect();
        assert_eq!(losses, [(Some(2.0), 1), (None, 2), (Some(2.5), 2), (None, 1)]);
        assert_eq!(collected.rows[2].losses["code"], 2.0);
    }

    #[test]
    fn a_filter_keeps_runs_with_their_curves() {
        let (dir, _) = sweep(&[run(1, 10, 0), run(2, 10, 0), run(2, 10, 1)]);
        let mut collected = collect(dir.path()).unwrap();
        collected.keep_where("n_layer = 2 and not seed = 0 and outcome = 'finished'").unwrap();
        let [row] = &collected.rows[..] else { panic!("{collected:?}") };
        assert_eq!((row.n_layer, row.seed), (2, 1));
        assert_eq!(collected.curves.len(), 1);
        assert_eq!(collected.curves[0].run_id, row.run_id);
        let error = collected.keep_where("layers = 2").unwrap_err().to_string();
        assert!(
            error.starts_with("results have no column `layers`") && error.contains("`n_layer`"),
            "{error}"
        );
    }

    #[test]
    fn no_sweep_is_an_error_and_an_empty_one_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(collect(dir.path()).unwrap(), Collected::default());
        let error = collect(&dir.path().join("none")).unwrap_err();
        assert!(matches!(error, ResultsError::NoSweep { .. }), "{error}");
    }
}
