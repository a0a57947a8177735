//! The columns of `results.parquet` and `metrics.parquet`, whatever form they are exported in: named once, here.

use std::collections::BTreeSet;

use scalelaw_schema::model::Head;
use scalelaw_schema::record::Outcome;
use scalelaw_schema::score::SkillScore;
use scalelaw_schema::table::ResultRow;

use super::cell::Cell;
use crate::error::{ResultsError, list};
use crate::read::curve::{Curve, Series};

/// Rows of a table by column; names and texts are borrowed from the runs.
pub(crate) struct Columns<'a> {
    /// Number of rows.
    pub height: usize,
    /// In the order of the file.
    pub columns: Vec<(String, Column<'a>)>,
}

/// One column.
pub(crate) enum Column<'a> {
    Text(Vec<&'a str>),
    Whole(Vec<Option<u64>>),
    Real(Vec<Option<f64>>),
}

impl<'a> Columns<'a> {
    /// A run is on one row; each corpus that some run was evaluated on has a `loss/<corpus>` and a
    /// `bpb/<corpus>`, each skill the columns of [`SKILL_COLUMNS`] that some run has a value for, each corpus that some
    /// run was trained on a `share/<corpus>`.
    pub(crate) fn of_runs(rows: &'a [ResultRow]) -> Columns<'a> {
        Columns { height: rows.len(), columns: run_columns(rows) }
    }

    /// A row per run, measurement and step, ordered so.
    pub(crate) fn of_curves(curves: &'a [Curve]) -> Columns<'a> {
        let series =
            || curves.iter().flat_map(|curve| curve.series.iter().map(move |series| (curve, series)));
        let text = |of: fn(&'a Curve, &'a Series) -> &'a str| {
            let texts = series()
                .flat_map(|(curve, series)| std::iter::repeat_n(of(curve, series), series.values.len()));
            Column::Text(texts.collect())
        };
        let values = series().flat_map(|(_, series)| series.values.iter().copied().map(Some)).collect();
        Columns {
            height: curves.iter().map(Curve::n_points).sum(),
            columns: [
                ("run_id", text(|curve, _| curve.run_id.as_str())),
                ("step", Column::Whole(at_points(curves, |curve| &curve.steps))),
                ("tokens", Column::Whole(at_points(curves, |curve| &curve.tokens))),
                ("flops", Column::Real(at_points(curves, |curve| &curve.flops))),
                ("wall_seconds", Column::Real(at_points(curves, |curve| &curve.wall_seconds))),
                ("metric", text(|_, series| &series.metric)),
                ("value", Column::Real(values)),
            ]
            .map(|(name, column)| (name.to_string(), column))
            .into(),
        }
    }

    /// Names of the columns.
    pub(crate) fn names(&self) -> Vec<String> {
        self.columns.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The cells of a column; none where there is no such column.
    pub(crate) fn cells(&self, name: &str) -> Option<Vec<Cell>> {
        let (_, column) = self.columns.iter().find(|(found, _)| found == name)?;
        Some((0..self.height).map(|row_idx| column.cell(row_idx)).collect())
    }
}

/// What the line of each point holds.
fn at_points<T: Copy>(curves: &[Curve], of: fn(&Curve) -> &[T]) -> Vec<Option<T>> {
    let at_lines = |curve: &Curve, series: &Series| {
        let lines = of(curve);
        series.lines.iter().map(|line| Some(lines[*line as usize])).collect::<Vec<_>>()
    };
    curves
        .iter()
        .flat_map(|curve| curve.series.iter().flat_map(move |series| at_lines(curve, series)))
        .collect()
}

impl Column<'_> {
    /// One cell.
    pub(crate) fn cell(&self, row_idx: usize) -> Cell {
        match self {
            Column::Text(texts) => Cell::Text(texts[row_idx].to_string()),
            Column::Whole(wholes) => wholes[row_idx].map_or(Cell::Missing, |x| Cell::Whole(x.into())),
            Column::Real(reals) => reals[row_idx].map_or(Cell::Missing, Cell::Real),
        }
    }
}

fn run_columns(rows: &[ResultRow]) -> Vec<(String, Column<'_>)> {
    let text = |name: &str, of: fn(&ResultRow) -> &str| {
        (name.to_string(), Column::Text(rows.iter().map(of).collect()))
    };
    let whole = |name: &str, of: &dyn Fn(&ResultRow) -> Option<u64>| {
        (name.to_string(), Column::Whole(rows.iter().map(of).collect()))
    };
    let real = |name: &str, of: &dyn Fn(&ResultRow) -> Option<f64>| {
        (name.to_string(), Column::Real(rows.iter().map(of).collect()))
    };
    let mut columns = vec![
        text("run_id", |row| row.run_id.as_str()),
        text("folder", |row| &row.folder),
        text("cluster", |row| row.cluster.as_str()),
        text("outcome", |row| outcome_name(&row.outcome)),
        whole("diverged_step", &|row| match row.outcome {
            Outcome::Diverged { step } => Some(step),
            _ => None,
        }),
        whole("stopped_step", &|row| match row.outcome {
            Outcome::Stopped { step, .. } => Some(step),
            _ => None,
        }),
        whole("seed", &|row| Some(row.seed)),
        real("budget_flops", &|row| row.budget_flops),
        whole("n_total", &|row| Some(row.params.total())),
        whole("n_non_embedding", &|row| Some(row.params.non_embedding())),
        whole("n_embedding", &|row| Some(row.params.embedding)),
        whole("n_attention", &|row| Some(row.params.attention)),
        whole("n_mlp", &|row| Some(row.params.mlp)),
        whole("n_norm", &|row| Some(row.params.norm)),
        whole("n_head_params", &|row| Some(row.params.head)),
        whole("n_layer", &|row| Some(row.n_layer as u64)),
        whole("d_model", &|row| Some(row.d_model as u64)),
        whole("n_head", &|row| Some(row.n_head as u64)),
        whole("d_ff", &|row| Some(row.d_ff as u64)),
        whole("vocab_size", &|row| Some(row.vocab_size as u64)),
        text("head", |row| head_name(row.head)),
        whole("context_len", &|row| Some(row.context_len as u64)),
        whole("steps", &|row| Some(row.steps)),
        whole("tokens", &|row| Some(row.tokens)),
        real("flops_path", &|row| Some(row.flops_path.total())),
        real("flops_attention", &|row| Some(row.flops_path.attention)),
        real("flops_scores", &|row| Some(row.flops_path.scores)),
        real("flops_mlp", &|row| Some(row.flops_path.mlp)),
        real("flops_head", &|row| Some(row.flops_path.head)),
        real("flops_spent", &|row| Some(row.flops_spent)),
        real("loss", &|row| row.loss),
        real("bpb", &|row| row.bpb),
    ];
    for corpus in corpora(rows) {
        columns.push(real(&format!("loss/{corpus}"), &|row| row.losses.get(corpus).copied()));
        columns.push(real(&format!("bpb/{corpus}"), &|row| row.bpbs.get(corpus).copied()));
    }
    for skill in skills(rows) {
        for (measure, of) in SKILL_COLUMNS {
            let column: Vec<Option<f64>> =
                rows.iter().map(|row| row.skills.get(skill).and_then(of)).collect();
            if column.iter().any(Option::is_some) {
                columns.push((format!("skill/{skill}/{measure}"), Column::Real(column)));
            }
        }
    }
    let trained_on: BTreeSet<&String> = rows.iter().flat_map(|row| row.shares.keys()).collect();
    for corpus in trained_on {
        columns.push(real(&format!("share/{corpus}"), &|row| row.shares.get(corpus).copied()));
    }
    columns.extend([
        real("train_loss", &|row| row.train_loss),
        real("lr", &|row| Some(row.lr)),
        whole("batch_tokens", &|row| Some(row.batch_tokens)),
        real("max_epochs", &|row| row.max_epochs),
        real("wall_seconds", &|row| Some(row.wall_seconds)),
        real("tokens_per_second", &|row| row.tokens_per_second),
        whole("peak_bytes", &|row| row.peak_bytes),
        text("device", |row| &row.device),
        text("program", |row| &row.program),
    ]);
    columns
}

/// A number of a score, where it has one.
type OfScore = fn(&SkillScore) -> Option<f64>;

/// The columns of a skill, `skill/<name>/...`; the full score is in the run's folder.
const SKILL_COLUMNS: [(&str, OfScore); 7] = [
    ("nll", |score| Some(score.nll.value)),
    ("nll_se", |score| score.nll.se),
    ("nll_per_answer", |score| Some(score.nll_per_answer.value)),
    ("bpb", |score| Some(score.bpb.value)),
    ("accuracy", |score| score.accuracy.map(|accuracy| accuracy.value)),
    ("accuracy_se", |score| score.accuracy.and_then(|accuracy| accuracy.se)),
    ("chance", |score| score.chance),
];

/// Names of the skills that any run was scored on.
pub(crate) fn skills(rows: &[ResultRow]) -> BTreeSet<&str> {
    rows.iter().flat_map(|row| row.skills.keys().map(String::as_str)).collect()
}

/// Names of the corpora that any run was evaluated on.
pub(crate) fn corpora(rows: &[ResultRow]) -> BTreeSet<&str> {
    rows.iter().flat_map(|row| row.losses.keys().map(String::as_str)).collect()
}

/// How a run ended, in one word.
fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Finished => "finished",
        Outcome::Diverged { .. } => "diverged",
        Outcome::Stopped { .. } => "stopped",
    }
}

fn head_name(head: Head) -> &'static str {
    match head {
        Head::Tied => "tied",
        Head::Untied => "untied",
    }
}

/// The column that the user named: exactly, else by the only name that differs in case alone.
///
/// # Errors
/// `NoColumn` with the nearest name; `Ambiguous`.
pub(crate) fn find_column(
    table: Option<&str>,
    names: &[String],
    wanted: &str,
) -> Result<String, ResultsError> {
    let exact: Vec<&String> = names.iter().filter(|name| *name == wanted).collect();
    let alike: Vec<&String> = names.iter().filter(|name| name.eq_ignore_ascii_case(wanted)).collect();
    match (&exact[..], &alike[..]) {
        ([found], _) | ([], [found]) => Ok((*found).clone()),
        ([], []) => Err(ResultsError::NoColumn {
            table: table.map(str::to_string),
            what: format!("column `{wanted}`"),
            hint: match nearest(wanted, names) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "name one of its columns".to_string(),
            },
            columns: list(names),
        }),
        _ => Err(ResultsError::Ambiguous {
            table: table.map(str::to_string),
            what: format!("`{wanted}`"),
            columns: list(&alike),
            flag: "the exact name".to_string(),
        }),
    }
}

/// The name most like `wanted`, where any is like it: by its letters, or because one holds the other.
pub(crate) fn nearest<'a>(wanted: &str, names: &'a [String]) -> Option<&'a String> {
    // Fewer than two letters in five differ; short names that share a letter or two are not alike.
    const ALIKE: f64 = 0.6;
    // One or two letters are part of many names.
    const SHORTEST_PART: usize = 3;
    let is_part = |part: &str, whole: &str| part.len() >= SHORTEST_PART && whole.contains(part);
    let likeness = |name: &str| {
        let (wanted, name) = (wanted.to_lowercase(), name.to_lowercase());
        let likeness = strsim::normalized_damerau_levenshtein(&wanted, &name);
        if is_part(&wanted, &name) || is_part(&name, &wanted) { likeness.max(ALIKE) } else { likeness }
    };
    names
        .iter()
        .map(|name| (likeness(name), name))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect;
    use crate::testing::{run, skill_eval};

    #[test]
    fn every_column_has_its_name_and_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let mut run = run(2, 10, 7);
        run.record.flops_spent = run.record.flops_spent.scaled(2.0);
        run.record.outcome = Outcome::Diverged { step: 9 };
        run.evals.push(skill_eval(&run, "mano", 0.5, Some(0.75)));
        run.evals.push(skill_eval(&run, "verse", 1.5, None));
        let folder = run.write(dir.path());
        let folder = folder.file_name().unwrap().to_str().unwrap();
        let rows = collect(dir.path()).unwrap().rows;
        let columns = Columns::of_runs(&rows);
        let id = run.record.run.as_str();
        // 40 sequences of 32 tokens, three times the forward pass of 2 FLOPs for each entry and token.
        let per_entry = 3.0 * 40.0 * 32.0 * 2.0;
        let scores = 3.0 * 40.0 * 2.0 * (32.0 * 33.0 / 2.0) * 2.0 * 16.0 * 2.0;
        let attention = per_entry * 2048.0;
        let mlp = per_entry * 3840.0;
        let head = per_entry * 4096.0;
        let total = attention + scores + mlp + head;
        let text = |text: &str| Cell::Text(text.to_string());
        let expected = [
            ("run_id", text(id)),
            ("folder", text(folder)),
            ("cluster", text(id)),
            ("outcome", text("diverged")),
            ("diverged_step", Cell::Whole(9)),
            ("stopped_step", Cell::Missing),
            ("seed", Cell::Whole(7)),
            ("budget_flops", Cell::Real(3e9)),
            ("n_total", Cell::Whole(14160)),
            ("n_non_embedding", Cell::Whole(5888)),
            ("n_embedding", Cell::Whole(4096)),
            ("n_attention", Cell::Whole(2048)),
            ("n_mlp", Cell::Whole(3840)),
            ("n_norm", Cell::Whole(80)),
            ("n_head_params", Cell::Whole(4096)),
            ("n_layer", Cell::Whole(2)),
            ("d_model", Cell::Whole(16)),
            ("n_head", Cell::Whole(2)),
            ("d_ff", Cell::Whole(40)),
            ("vocab_size", Cell::Whole(256)),
            ("head", text("untied")),
            ("context_len", Cell::Whole(32)),
            ("steps", Cell::Whole(10)),
            ("tokens", Cell::Whole(1280)),
            ("flops_path", Cell::Real(total)),
            ("flops_attention", Cell::Real(attention)),
            ("flops_scores", Cell::Real(scores)),
            ("flops_mlp", Cell::Real(mlp)),
            ("flops_head", Cell::Real(head)),
            ("flops_spent", Cell::Real(2.0 * total)),
            ("loss", Cell::Real(2.5)),
            ("bpb", Cell::Real(1.25)),
            ("loss/code", Cell::Real(2.0)),
            ("bpb/code", Cell::Real(1.0)),
            ("loss/prose", Cell::Real(4.0)),
            ("bpb/prose", Cell::Real(2.0)),
            ("skill/mano/nll", Cell::Real(0.5)),
            ("skill/mano/nll_se", Cell::Real(0.125)),
            ("skill/mano/nll_per_answer", Cell::Real(1.0)),
            ("skill/mano/bpb", Cell::Real(0.25)),
            ("skill/mano/accuracy", Cell::Real(0.75)),
            ("skill/mano/accuracy_se", Cell::Real(0.0625)),
            ("skill/mano/chance", Cell::Real(0.25)),
            ("skill/verse/nll", Cell::Real(1.5)),
            ("skill/verse/nll_se", Cell::Real(0.125)),
            ("skill/verse/nll_per_answer", Cell::Real(3.0)),
            ("skill/verse/bpb", Cell::Real(0.75)),
            ("share/code", Cell::Real(0.75)),
            ("share/prose", Cell::Real(0.25)),
            ("train_loss", Cell::Real(2.5)),
            ("lr", Cell::Real(0.003)),
            ("batch_tokens", Cell::Whole(128)),
            ("max_epochs", Cell::Real(0.5)),
            ("wall_seconds", Cell::Real(2.5)),
            ("tokens_per_second", Cell::Real(1000.0)),
            ("peak_bytes", Cell::Whole(1 << 20)),
            ("device", text("cpu: Some Processor")),
            ("program", text("0.1.0 (abc1234)")),
        ];
        assert_eq!(columns.names(), expected.each_ref().map(|(name, _)| name.to_string()));
        for (name, cell) in expected {
            assert_eq!(columns.cells(name), Some(vec![cell]), "{name}");
        }
    }
}
