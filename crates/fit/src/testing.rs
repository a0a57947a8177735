//! Tables for the tests of this crate.

use scalelaw_schema::measure::Measure;
use scalelaw_schema::table::{Counting, LossRow, LossTable};

use crate::design::parse_law_with_params;
use crate::frontier::ComputeModel;
use crate::stats::stream;

pub(crate) fn table_of(rows: Vec<LossRow>) -> LossTable {
    LossTable { rows, ..LossTable::new("test", Counting::AsGiven, Measure::of_user("loss")) }
}

pub(crate) fn row(idx: usize, n: f64, d: f64, loss: f64, budget: Option<f64>) -> LossRow {
    LossRow {
        name: format!("row {idx}"),
        n,
        d,
        c: 6.0 * n * d,
        loss,
        budget,
        cluster: None,
        seed: None,
        unique_tokens: None,
    }
}

/// An IsoFLOP sweep of a known law: sizes within half a decade of the law's optimum at each budget.
pub(crate) fn isoflop_sweep(
    law: &str,
    budgets: &[f64],
    n_sizes: usize,
    n_seeds: usize,
    seed: u64,
) -> LossTable {
    let known = parse_law_with_params(law).unwrap();
    let trade_off = known.law.trade_off(&known.params).unwrap();
    let compute = ComputeModel { ln_k: 6.0_f64.ln(), kappa: 1.0 };
    let mut rng = stream(seed, 0);
    let mut rows = Vec::new();
    for &c in budgets {
        let (_, ln_n) = compute.optimum(&trade_off, c.ln()).unwrap();
        for size in 0..n_sizes {
            let n = ln_n.exp() * 10f64.powf(size as f64 / (n_sizes - 1) as f64 - 0.5);
            let d = c / (6.0 * n);
            for _ in 0..n_seeds {
                let loss = known.draw(n, d, &mut rng);
                rows.push(row(rows.len(), n, d, loss, Some(c)));
            }
        }
    }
    table_of(rows)
}
