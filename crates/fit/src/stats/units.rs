//! What is resampled together: clusters of rows (rows where no cluster is named) within their budget.

use std::collections::BTreeMap;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use scalelaw_schema::table::LossTable;

/// What is drawn together, and from which stratum.
#[derive(Debug, Clone)]
pub struct Units {
    /// Row indices of each unit, unit by unit, stratum by stratum.
    strata: Vec<Vec<Vec<usize>>>,
    n_rows: usize,
    /// In words.
    pub what: &'static str,
}

impl Units {
    /// Clusters where the table names them, else rows; strata are budgets where every row has one.
    pub fn of(table: &LossTable) -> Self {
        let mut units: BTreeMap<(u64, String), Vec<usize>> = BTreeMap::new();
        let stratified = table.rows.iter().all(|row| row.budget.is_some());
        let clustered = table.rows.iter().any(|row| row.cluster.is_some());
        // A trunk's branches may lie in several budgets: it stays one unit, so it cannot be stratified.
        let mut budget_of: BTreeMap<&str, u64> = BTreeMap::new();
        let mut crossing = false;
        for row in &table.rows {
            if let (Some(cluster), Some(budget)) = (&row.cluster, row.budget) {
                crossing |= *budget_of.entry(cluster).or_insert(budget.to_bits()) != budget.to_bits();
            }
        }
        let stratified = stratified && !crossing;
        for (idx, row) in table.rows.iter().enumerate() {
            let stratum = if stratified { row.budget.map_or(0, f64::to_bits) } else { 0 };
            let unit = row.cluster.clone().unwrap_or_else(|| format!("\u{0}{idx:09}"));
            units.entry((stratum, unit)).or_default().push(idx);
        }
        let mut strata: BTreeMap<u64, Vec<Vec<usize>>> = BTreeMap::new();
        for ((stratum, _), rows) in units {
            strata.entry(stratum).or_default().push(rows);
        }
        let strata: Vec<Vec<Vec<usize>>> = strata.into_values().collect();
        let what = match (clustered, stratified) {
            (true, true) => "clusters within budgets",
            (true, false) => "clusters",
            (false, true) => "rows within budgets",
            (false, false) => "rows",
        };
        Self { strata, n_rows: table.rows.len(), what }
    }

    /// Number of units.
    pub fn count(&self) -> usize {
        self.strata.iter().map(Vec::len).sum()
    }

    /// The unit of each row.
    pub fn of_rows(&self) -> Vec<usize> {
        let mut of_rows = vec![0; self.n_rows];
        for (unit, rows) in self.strata.iter().flatten().enumerate() {
            for &row in rows {
                of_rows[row] = unit;
            }
        }
        of_rows
    }

    /// How often each row is drawn.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Vec<u32> {
        let mut counts = vec![0; self.n_rows];
        for stratum in &self.strata {
            for _ in 0..stratum.len() {
                for &row in &stratum[rng.random_range(0..stratum.len())] {
                    counts[row] += 1;
                }
            }
        }
        counts
    }
}
