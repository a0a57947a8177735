//! A user's CSV or Parquet file as the input of fits; also our own `results.parquet`.

use std::path::Path;

use scalelaw_schema::count::CountRule;
use scalelaw_schema::table::{ExcludedRow, LossRow, LossTable};

use crate::cell::Cell;
use crate::error::{ResultsError, list};
use crate::filter;
use crate::loss_table::{NotedTable, diverged};
use crate::table_file::{TableFile, find_column, nearest};

/// Names of a table's columns, where they are not the usual ones, and which of its rows to take.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnNames {
    /// Parameters.
    pub n: Option<String>,
    /// Training tokens.
    pub d: Option<String>,
    /// Training FLOPs.
    pub c: Option<String>,
    /// Loss.
    pub loss: Option<String>,
    /// IsoFLOP budget.
    pub budget: Option<String>,
    /// Rows of one cluster are one draw in a bootstrap.
    pub cluster: Option<String>,
    /// Seed.
    pub seed: Option<String>,
    /// Distinct training tokens.
    pub unique_tokens: Option<String>,
    /// A filter, such as `outlier = false and N > 1e6`: see the module `filter` for the language.
    pub keep_where: Option<String>,
}

/// What a column is for, the flag that names it, and its usual names, our own first. Case is ignored.
struct Role {
    what: &'static str,
    flag: &'static str,
    usual: &'static [&'static str],
}

const N: Role = Role {
    what: "column of parameters",
    flag: "--n",
    usual: &["n_total", "n", "params", "parameters", "n_params", "num_params"],
};
const D: Role = Role {
    what: "column of training tokens",
    flag: "--d",
    usual: &["tokens", "d", "n_tokens", "num_tokens", "train_tokens", "training_tokens"],
};
const C: Role = Role { what: "column of FLOPs", flag: "--c", usual: &["flops_path", "c", "flops"] };
const LOSS: Role = Role {
    what: "column of losses",
    flag: "--loss",
    usual: &["loss", "eval_loss", "val_loss", "validation_loss", "test_loss", "final_loss"],
};
const BUDGET: Role = Role { what: "column of budgets", flag: "--budget", usual: &["budget_flops", "budget"] };
const CLUSTER: Role = Role { what: "column of clusters", flag: "--cluster", usual: &["cluster"] };
const SEED: Role = Role { what: "column of seeds", flag: "--seed", usual: &["seed"] };
const UNIQUE: Role =
    Role { what: "column of distinct tokens", flag: "--unique-tokens", usual: &["unique_tokens", "u"] };

/// Reads a table with columns for parameters, tokens and loss, told by their usual names or by `names`.
/// Where there is no column of FLOPs, C = 6·N·D, and the table's count rule says so. Rows with a cell
/// that is missing, no number or not positive are listed as excluded, by line or row number.
///
/// # Errors
/// `Io`, `NoTable`, `NoColumn`, `Ambiguous`, `ColumnType`, `Filter`; `NoRows` where nothing is left.
pub fn read_table(path: &Path, names: &ColumnNames) -> Result<NotedTable, ResultsError> {
    let file = TableFile::open(path)?;
    let mut notes = Vec::new();
    let mut require = |role: &Role, named: &Option<String>| {
        find(&file, role, named, &mut notes)?.ok_or_else(|| no_column(&file, role))
    };
    let n_name = require(&N, &names.n)?;
    let d_name = require(&D, &names.d)?;
    let loss_name = require(&LOSS, &names.loss)?;
    let c_name = find(&file, &C, &names.c, &mut notes)?;
    let cells = |name: &str| file.cells(path, name);
    let mut optional = |role: &Role, named: &Option<String>| -> Result<_, ResultsError> {
        let name = find(&file, role, named, &mut notes)?;
        name.map(|name| Ok(NamedCells { cells: cells(&name)?, name })).transpose()
    };
    let budget = optional(&BUDGET, &names.budget)?;
    let cluster = optional(&CLUSTER, &names.cluster)?;
    let seed = optional(&SEED, &names.seed)?;
    let unique = optional(&UNIQUE, &names.unique_tokens)?;
    let own = |name: &str| -> Result<Option<Vec<Cell>>, ResultsError> {
        file.columns.iter().any(|column| column == name).then(|| cells(name)).transpose()
    };
    let columns = Columns {
        n: NamedCells { cells: cells(&n_name)?, name: n_name },
        d: NamedCells { cells: cells(&d_name)?, name: d_name },
        c: c_name.map(|name| Ok(NamedCells { cells: cells(&name)?, name })).transpose()?,
        loss: NamedCells { cells: cells(&loss_name)?, name: loss_name },
        budget,
        cluster,
        seed,
        unique,
        run_id: own("run_id")?,
        outcome: own("outcome")?,
        diverged_step: own("diverged_step")?,
    };
    let is_kept = match &names.keep_where {
        Some(expr) => {
            let is_kept = filter::evaluate(expr, &file.name, &file.columns, file.height(), cells)?;
            let n_kept = is_kept.iter().filter(|is_kept| **is_kept).count();
            notes.push(format!("`{expr}` keeps {n_kept} of {} rows", file.height()));
            if n_kept == 0 {
                return Err(no_rows(&file, format!("the filter `{expr}` keeps none of {}", file.height())));
            }
            is_kept
        }
        None => vec![true; file.height()],
    };

    let mut table = LossTable {
        source: file.name.clone(),
        count_rule: columns.count_rule(),
        loss_name: columns.loss.name.clone(),
        rows: Vec::new(),
        excluded: Vec::new(),
    };
    for row_idx in (0..file.height()).filter(|row_idx| is_kept[*row_idx]) {
        let place = file.row_name(row_idx);
        let row = match file.row_fault(row_idx) {
            Some(why) => Err(why),
            None => columns.row(row_idx, &place),
        };
        match row {
            Ok(row) => table.rows.push(row),
            Err(why) => {
                let name = columns.run_name(row_idx).unwrap_or(place);
                table.excluded.push(ExcludedRow { name, why });
            }
        }
    }
    match (&table.rows[..], table.excluded.first()) {
        ([], Some(first)) => Err(no_rows(&file, format!("{}: {}", first.name, first.why))),
        ([], None) => Err(no_rows(&file, "below the header there is none".to_string())),
        _ => Ok(NotedTable { table, notes }),
    }
}

struct NamedCells {
    name: String,
    cells: Vec<Cell>,
}

impl NamedCells {
    fn positive(&self, row_idx: usize) -> Result<f64, String> {
        self.cells[row_idx].positive(&self.name)
    }

    /// None where the cell is empty; still an error where it holds something that is no positive number.
    fn positive_or_missing(&self, row_idx: usize) -> Result<Option<f64>, String> {
        match self.cells[row_idx] {
            Cell::Missing => Ok(None),
            _ => self.positive(row_idx).map(Some),
        }
    }
}

struct Columns {
    n: NamedCells,
    d: NamedCells,
    c: Option<NamedCells>,
    loss: NamedCells,
    budget: Option<NamedCells>,
    cluster: Option<NamedCells>,
    seed: Option<NamedCells>,
    unique: Option<NamedCells>,
    // Columns of our own tables only.
    run_id: Option<Vec<Cell>>,
    outcome: Option<Vec<Cell>>,
    diverged_step: Option<Vec<Cell>>,
}

impl Columns {
    /// Our own columns were counted under a known rule; of others nobody can say.
    fn count_rule(&self) -> String {
        let is_own = self.run_id.is_some() && self.n.name == "n_total";
        match &self.c {
            Some(c) if is_own && c.name == "flops_path" => CountRule::Exact.name().to_string(),
            None if is_own => CountRule::SixNTotal.name().to_string(),
            Some(_) => "as given".to_string(),
            None => "as given, C = 6ND".to_string(),
        }
    }

    fn run_name(&self, row_idx: usize) -> Option<String> {
        self.run_id.as_ref().and_then(|run_id| run_id[row_idx].to_text())
    }

    fn row(&self, row_idx: usize, place: &str) -> Result<LossRow, String> {
        let cell_of = |column: &Option<Vec<Cell>>| column.as_ref().map(|cells| cells[row_idx].clone());
        if cell_of(&self.outcome).and_then(|cell| cell.to_text()).as_deref() == Some("diverged") {
            return Err(diverged(cell_of(&self.diverged_step).and_then(|cell| cell.whole())));
        }
        let n = self.n.positive(row_idx)?;
        let d = self.d.positive(row_idx)?;
        let optional = |column: &Option<NamedCells>| match column {
            Some(column) => column.positive_or_missing(row_idx),
            None => Ok(None),
        };
        Ok(LossRow {
            name: self.run_name(row_idx).unwrap_or_else(|| place.to_string()),
            n,
            d,
            c: match &self.c {
                Some(c) => c.positive(row_idx)?,
                None => 6.0 * n * d,
            },
            loss: self.loss.positive(row_idx)?,
            budget: optional(&self.budget)?,
            cluster: self.cluster.as_ref().and_then(|cluster| cluster.cells[row_idx].to_text()),
            seed: self.seed.as_ref().and_then(|seed| seed.cells[row_idx].whole()),
            unique_tokens: optional(&self.unique)?,
        })
    }
}

/// The column that a person named, else the first usual name that the table has; a note where it has others.
fn find(
    file: &TableFile,
    role: &Role,
    named: &Option<String>,
    notes: &mut Vec<String>,
) -> Result<Option<String>, ResultsError> {
    if let Some(name) = named {
        return find_column(&file.name, &file.columns, name).map(Some);
    }
    let found: Vec<&String> = role
        .usual
        .iter()
        .flat_map(|usual| file.columns.iter().filter(|column| column.eq_ignore_ascii_case(usual)))
        .collect();
    if let [first, second, ..] = found[..]
        && first.eq_ignore_ascii_case(second)
    {
        return Err(ResultsError::Ambiguous {
            table: file.name.clone(),
            what: format!("the {}", role.what),
            columns: list(&[first, second]),
            flag: role.flag.to_string(),
        });
    }
    if let [first, others @ ..] = &found[..]
        && !others.is_empty()
    {
        notes.push(format!(
            "the {} is `{first}`; there is also {} (choose with `{}`)",
            role.what,
            list(others),
            role.flag
        ));
    }
    Ok(found.first().map(|name| (*name).clone()))
}

fn no_column(file: &TableFile, role: &Role) -> ResultsError {
    let like = role.usual.iter().find_map(|usual| nearest(usual, &file.columns));
    ResultsError::NoColumn {
        table: file.name.clone(),
        what: role.what.to_string(),
        hint: match like {
            Some(column) => format!("is it `{column}`? then `{} {column}`", role.flag),
            None => format!("name it with `{}`; usual names are {}", role.flag, list(role.usual)),
        },
        columns: list(&file.columns),
    }
}

fn no_rows(file: &TableFile, why: String) -> ResultsError {
    ResultsError::NoRows { table: file.name.clone(), why }
}
