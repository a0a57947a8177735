//! A user's CSV or Parquet file as the input of fits; also our own `results.parquet`.

use std::path::Path;

use scalelaw_schema::count::CountRule;
use scalelaw_schema::measure::{LossColumn, Measure};
use scalelaw_schema::table::{Counting, ExcludedRow, LossRow, LossTable};

use crate::error::{ResultsError, list};
use crate::select::{NotedTable, Reason};
use crate::table::cell::{Cell, CellFault};
use crate::table::columns::{find_column, nearest};
use crate::table::file::TableFile;
use crate::table::filter;

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
    /// A filter, such as `outlier = false and N > 1e6`: comparisons with =, !=, <, <=, >, >= joined by and, or, not.
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

/// Reads a table with columns for parameters, tokens and loss, found by their usual names or by `names`.
/// Where there is no column of FLOPs, C = 6·N·D, and the table's count rule says so. Rows with a cell
/// that is missing, not a number or not positive are listed as excluded, by line or row number.
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
        let Some(name) = find(&file, role, named, &mut notes)? else { return Ok(None) };
        match cells(&name) {
            Ok(cells) => Ok(Some(NamedCells { name, cells })),
            // Ignore an unreadable optional column unless the user named it.
            Err(error @ ResultsError::ColumnType { .. }) if named.is_none() => {
                notes.push(format!("without the {}: {error}", role.what));
                Ok(None)
            }
            Err(error) => Err(error),
        }
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
        c: c_name.map(|name| cells(&name).map(|cells| NamedCells { cells, name })).transpose()?,
        loss: NamedCells { cells: cells(&loss_name)?, name: loss_name },
        budget,
        cluster,
        seed,
        unique,
        run_id: own("run_id")?,
        outcome: own("outcome")?,
        diverged_step: own("diverged_step")?,
        stopped_step: own("stopped_step")?,
        vocab_size: own("vocab_size")?,
    };
    let is_kept = match &names.keep_where {
        Some(expr) => {
            let is_kept = filter::evaluate(expr, Some(&file.name), &file.columns, file.height(), cells)?;
            let n_kept = is_kept.iter().filter(|is_kept| **is_kept).count();
            notes.push(format!("`{expr}` keeps {n_kept} of {} rows", file.height()));
            if n_kept == 0 {
                return Err(no_rows(&file, format!("the filter `{expr}` keeps none of {}", file.height())));
            }
            is_kept
        }
        None => vec![true; file.height()],
    };

    let mut table = LossTable::new(&file.name, columns.counting(), columns.measure());
    for row_idx in (0..file.height()).filter(|row_idx| is_kept[*row_idx]) {
        let place = file.row_name(row_idx);
        let row = match file.wrong_width(row_idx) {
            Some(found) => Err(Reason::Fields { found, expected: file.columns.len() }),
            None => columns.row(row_idx, &place),
        };
        match row {
            Ok(row) => table.rows.push(row),
            Err(reason) => {
                let name = columns.run_name(row_idx).unwrap_or(place);
                table.excluded.push(ExcludedRow { name, why: reason.to_string() });
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
    fn positive(&self, row_idx: usize) -> Result<f64, CellFault> {
        self.cells[row_idx].positive(&self.name)
    }

    /// None where the cell is empty; an error where it holds anything but a positive number.
    fn positive_or_missing(&self, row_idx: usize) -> Result<Option<f64>, CellFault> {
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
    stopped_step: Option<Vec<Cell>>,
    vocab_size: Option<Vec<Cell>>,
}

impl Columns {
    fn is_own(&self) -> bool {
        self.run_id.is_some() && self.n.name == "n_total"
    }

    /// Our own columns were counted under a known rule; those of others are taken as given.
    fn counting(&self) -> Counting {
        match &self.c {
            Some(c) if self.is_own() && c.name == "flops_path" => Counting::Rule(CountRule::Exact),
            None if self.is_own() => Counting::Rule(CountRule::SixNTotal),
            Some(_) => Counting::AsGiven,
            None => Counting::AsGivenSixNd,
        }
    }

    /// The units of our own columns are known as well.
    fn measure(&self) -> Measure {
        let vocab_sizes = || self.vocab_size.iter().flatten().filter_map(|cell| cell.whole());
        match LossColumn::own(&self.loss.name).filter(|_| self.is_own()) {
            Some(column) => Measure::of_runs(column, vocab_sizes().map(|size| size as usize)),
            None => Measure::of_user(&self.loss.name),
        }
    }

    fn run_name(&self, row_idx: usize) -> Option<String> {
        self.run_id.as_ref().and_then(|run_id| run_id[row_idx].to_text())
    }

    fn row(&self, row_idx: usize, place: &str) -> Result<LossRow, Reason> {
        let cell_of = |column: &Option<Vec<Cell>>| column.as_ref().map(|cells| cells[row_idx].clone());
        let step = |column| cell_of(column).and_then(|cell| cell.whole());
        match cell_of(&self.outcome).and_then(|cell| cell.to_text()).as_deref() {
            Some("diverged") => return Err(Reason::Diverged { step: step(&self.diverged_step) }),
            Some("stopped") => return Err(Reason::Stopped { step: step(&self.stopped_step) }),
            _ => {}
        }
        let n = self.n.positive(row_idx)?;
        let d = self.d.positive(row_idx)?;
        let optional = |column: &Option<NamedCells>| match column {
            Some(column) => column.positive_or_missing(row_idx),
            None => Ok::<_, CellFault>(None),
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

/// The column that the user named, else the first usual name that the table has; a note where it has others.
fn find(
    file: &TableFile,
    role: &Role,
    named: &Option<String>,
    notes: &mut Vec<String>,
) -> Result<Option<String>, ResultsError> {
    if let Some(name) = named {
        return find_column(Some(&file.name), &file.columns, name).map(Some);
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
            table: Some(file.name.clone()),
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
        table: Some(file.name.clone()),
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;

    fn read_text(file: &str, text: &str, names: &ColumnNames) -> Result<NotedTable, ResultsError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(file);
        fs::write(&path, text).unwrap();
        read_table(&path, names)
    }

    fn read_csv(text: &str) -> Result<NotedTable, ResultsError> {
        read_text("t.csv", text, &ColumnNames::default())
    }

    #[test]
    fn usual_names_are_understood_in_any_case() {
        for text in [
            "N,D,C,loss\n1e6,2e7,3e14,2.5\n",
            "loss,Params,Tokens,FLOPs\n2.5,1e6,2e7,3e14\n",
            "n_total\ttokens\tflops_path\teval_loss\n1000000\t20000000\t3e14\t2.5\n",
            "parameters;d;c;final_loss\r\n1e6;2e7;3e14;2.5\r\n",
        ] {
            let noted = read_csv(text).unwrap();
            let [row] = &noted.table.rows[..] else { panic!("{text}: {noted:?}") };
            assert_eq!((row.n, row.d, row.c, row.loss), (1e6, 2e7, 3e14, 2.5), "{text}");
            assert_eq!((row.name.as_str(), noted.table.count_rule), ("line 2", Counting::AsGiven), "{text}");
            assert_eq!((row.budget, row.seed, &row.cluster), (None, None, &None));
            assert_eq!(noted.notes.len(), 0, "{text}");
        }
    }

    #[test]
    fn c_is_6nd_where_there_is_none_and_the_rule_says_so() {
        let table = read_csv("N,D,loss,budget,seed,U\n10,20,2.5,1e3,7,15\n10,30,2.4,,x,\n").unwrap().table;
        assert_eq!((table.rows[0].c, table.count_rule), (1200.0, Counting::AsGivenSixNd));
        let optional = |row: &LossRow| (row.budget, row.seed, row.unique_tokens);
        assert_eq!(optional(&table.rows[0]), (Some(1e3), Some(7), Some(15.0)));
        assert_eq!(optional(&table.rows[1]), (None, None, None));
    }

    #[test]
    fn a_row_that_cannot_be_fitted_is_left_out_with_its_line_and_reason() {
        let text = "N,D,C,loss,budget\n1,2,3,4,5\n1,2,3,oops,5\n\n1,,3,4,5\n1,2,0,4,5\n-1,2,3,4,5\n1,2,3,nan,5\n\
                    1,2,3\n1,2,3,4,x\n1,2,3,inf,5\n1,2,3,4,5,6\n";
        let table = read_csv(text).unwrap().table;
        assert_eq!(table.rows.len(), 1);
        let excluded: Vec<(&str, &str)> =
            table.excluded.iter().map(|row| (row.name.as_str(), row.why.as_str())).collect();
        assert_eq!(
            excluded,
            [
                ("line 3", "`loss` is `oops`, not a number"),
                ("line 5", "`D` is missing"),
                ("line 6", "`C` is 0, not positive"),
                ("line 7", "`N` is -1, not positive"),
                ("line 8", "`loss` is NaN"),
                ("line 9", "it has 3 fields, the header has 5"),
                ("line 10", "`budget` is `x`, not a number"),
                ("line 11", "`loss` is infinite"),
                ("line 12", "it has 6 fields, the header has 5"),
            ]
        );
    }

    #[test]
    fn columns_and_rows_can_be_chosen() {
        let text = "size,seen,n,cost,ppl,loss,kind\n1,2,9,3,5,4,a\n1,2,9,3,6,4,b\n1,2,9,3,7,4,b\n";
        let name = |name: &str| Some(name.to_string());
        let names = ColumnNames {
            n: name("size"),
            d: name("Seen"),
            c: name("cost"),
            loss: name("ppl"),
            keep_where: name("kind = 'b' and ppl < 7"),
            ..ColumnNames::default()
        };
        let noted = read_text("t.csv", text, &names).unwrap();
        let [row] = &noted.table.rows[..] else { panic!("{noted:?}") };
        assert_eq!((row.n, row.d, row.c, row.loss), (1.0, 2.0, 3.0, 6.0));
        assert_eq!((row.name.as_str(), noted.table.loss_name.as_str()), ("line 3", "ppl"));
        assert_eq!(noted.table.excluded, []);
        assert_eq!(noted.notes, ["`kind = 'b' and ppl < 7` keeps 1 of 3 rows"]);
        let notes = read_csv("N,params,D,loss\n1,2,3,4\n").unwrap().notes;
        assert_eq!(notes, ["the column of parameters is `N`; there is also `params` (choose with `--n`)"]);
    }

    #[test]
    fn a_table_that_cannot_be_read_is_an_error_that_says_why() {
        let named = |loss: &str| ColumnNames { loss: Some(loss.to_string()), ..ColumnNames::default() };
        let filtered =
            |expr: &str| ColumnNames { keep_where: Some(expr.to_string()), ..ColumnNames::default() };
        let none = ColumnNames::default;
        let good = "N,D,loss\n1,2,3\n";
        for (file, text, names, expected) in [
            ("t.csv", "", none(), "it is empty"),
            ("t.csv", "\n \n", none(), "it is empty"),
            ("t.csv", "N,D,loss\n", none(), "below the header there is none"),
            ("t.csv", "N,D,loss\n1,2,x\n", none(), "no usable rows: line 2: `loss` is `x`"),
            (
                "t.csv",
                "N,D\n1,2\n",
                none(),
                "no column of losses (hint: name it with `--loss`; usual names are `loss`",
            ),
            (
                "t.csv",
                "N,D,losss\n1,2,3\n",
                none(),
                "is it `losss`? then `--loss losss`); the columns are `N`, `D`, `losss`",
            ),
            ("t.csv", good, named("lss"), "no column `lss` (hint: did you mean `loss`?)"),
            (
                "t.csv",
                "N,n,D,loss\n1,2,3,4\n",
                none(),
                "several columns for the column of parameters: `N`, `n`",
            ),
            ("t.csv", "N,D,a,a,loss\n1,2,3,4,5\n", named("a"), "several columns for `a`"),
            ("t.csv", good, filtered("N = "), "expected a number"),
            ("t.csv", good, filtered("N = 7"), "the filter `N = 7` keeps none of 1"),
            ("t.csv", "N,D,loss\n1,\"2,3\n", none(), "line 2: a quote is never closed"),
            ("t.csv", "\u{1}\0\u{2}", none(), "it is not text in UTF-8"),
            ("t.csv", "PAR1....", none(), "it is a Parquet file"),
            ("t.parquet", good, none(), "does not begin as a Parquet file"),
            ("t.parquet", "PAR1 garbage", none(), "as a table: "),
            ("t.parquet", "PAR1", none(), "as a table: "),
            ("t.xlsx", good, none(), "`.xlsx` is not a known ending"),
            ("t", good, none(), "is not a known ending"),
        ] {
            let error = read_text(file, text, &names).unwrap_err().to_string();
            assert!(error.contains(expected), "{file} {text:?}: expected {expected}, found {error}");
        }
        let dir = tempfile::tempdir().unwrap();
        assert!(read_table(dir.path(), &none()).unwrap_err().to_string().contains("it is a folder"));
        let missing = read_table(&dir.path().join("none.csv"), &none()).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read `") && missing.contains("none.csv"), "{missing}");
        fs::write(dir.path().join("t.csv"), [b'N', b',', 0xff, 0xfe]).unwrap();
        let garbage = read_table(&dir.path().join("t.csv"), &none()).unwrap_err().to_string();
        assert!(garbage.contains("it is not text in UTF-8"), "{garbage}");
    }

    /// Published tables, which are not part of the project.
    fn published(file: &str) -> Option<PathBuf> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(file);
        if !path.exists() {
            println!("skipped: {} is absent", path.display());
            return None;
        }
        Some(path)
    }

    #[test]
    fn published_tables_are_read_whole() {
        let none = ColumnNames::default;
        let keep = |expr: &str| ColumnNames { keep_where: Some(expr.to_string()), ..ColumnNames::default() };
        for (file, names, n_rows, n_excluded) in [
            ("chinchilla_240.csv", none(), 240, 0),
            ("chinchilla_isoflop.csv", none(), 124, 0),
            ("marin_comma_isoflop.csv", none(), 85, 0),
            ("kyo_234.csv", none(), 234, 0),
            ("misfitting_bestlr.csv", none(), 81, 0),
            ("datablations_c4.csv", none(), 182, 0),
            // D of the last target is not published.
            ("olmo_ladder_c4.csv", none(), 17, 1),
            ("olmo_ladder_c4.csv", keep("mode = 'train'"), 16, 0),
            ("olmo_ladder_c4_checkpoints.csv", none(), 1566, 0),
            ("porian_refinedweb_isoflop.csv", none(), 579, 0),
        ] {
            let Some(path) = published(file) else { continue };
            let table = read_table(&path, &names).unwrap().table;
            assert_eq!((table.rows.len(), table.excluded.len()), (n_rows, n_excluded), "{file}");
            assert_eq!(table.count_rule, Counting::AsGiven, "{file}");
            let has_budget =
                ["chinchilla_isoflop.csv", "marin_comma_isoflop.csv", "porian_refinedweb_isoflop.csv"];
            let budgets = table.rows.iter().filter(|row| row.budget.is_some()).count();
            assert_eq!(budgets, if has_budget.contains(&file) { n_rows } else { 0 }, "{file}");
            let unique = table.rows.iter().filter(|row| row.unique_tokens.is_some()).count();
            assert_eq!(unique, if file == "datablations_c4.csv" { n_rows } else { 0 }, "{file}");
        }
        let Some(path) = published("chinchilla_isoflop.csv") else { return };
        let row = &read_table(&path, &none()).unwrap().table.rows[0];
        assert_eq!((row.n, row.loss, row.budget), (1730543416.124146, 3.395737776160633, Some(1e19)));
        let kept = read_table(&path, &keep("outlier = false")).unwrap().table.rows.len();
        let dropped = read_table(&path, &keep("outlier = true")).unwrap().table.rows.len();
        assert_eq!(kept + dropped, 124);
        let Some(path) = published("porian_refinedweb_published.csv") else { return };
        let error = read_table(&path, &none()).unwrap_err().to_string();
        assert!(error.contains("`n_star`"), "{error}");
    }
}
