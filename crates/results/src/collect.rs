//! A sweep's run folders as rows, curves and a list of what was left out.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use rayon::prelude::*;
use scalelaw_schema::count::CountRule;
use scalelaw_schema::table::{ExcludedRow, MetricPoint, ResultRow};

use crate::curves::Curve;
use crate::error::ResultsError;
use crate::loss_table::{LossColumn, NotedTable, loss_table};
use crate::run_folder::{FolderState, read_run_folder};
use crate::{filter, wide};

/// All that a sweep's folders hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Collected {
    /// Runs that are over, sorted by (N, D, seed, id).
    pub rows: Vec<ResultRow>,
    /// Their learning curves, in the order of `rows`; a run without `metrics.jsonl` has none.
    pub curves: Vec<Curve>,
    /// Folders that have no record yet, with their last failure.
    pub unfinished: Vec<ExcludedRow>,
    /// Folders whose files are missing or corrupt, with file and line.
    pub problems: Vec<ExcludedRow>,
    /// Things a reader of the tables should know.
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
    let mut over = Vec::new();
    let mut first_folder = HashMap::new();
    for (name, state) in states {
        match state {
            FolderState::Other => {}
            FolderState::Unfinished(why) => collected.unfinished.push(ExcludedRow { name, why }),
            FolderState::Broken(why) => collected.problems.push(ExcludedRow { name, why }),
            FolderState::Over(row, curve) => match first_folder.get(&row.run_id) {
                None => {
                    first_folder.insert(row.run_id.clone(), name);
                    over.push((row, curve));
                }
                Some(first) => {
                    let why = format!("it holds the same run as `{first}`");
                    collected.problems.push(ExcludedRow { name, why });
                }
            },
        }
    }
    over.sort_by(|(a, _), (b, _)| {
        let key = |row: &ResultRow| (row.params.total(), row.tokens, row.seed);
        key(a).cmp(&key(b)).then_with(|| a.run_id.cmp(&b.run_id))
    });
    let mut without_curve = Vec::new();
    for (row, curve) in over {
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
            crate::error::list(&without_curve)
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
        let wide = wide::to_wide(&self.rows);
        let is_kept = filter::evaluate(expr, "the results", &wide.names(), wide.height, |name| {
            Ok(wide.cells(name).unwrap_or_default())
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
