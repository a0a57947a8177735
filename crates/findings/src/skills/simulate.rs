//! Sweeps whose skills are known laws: for tests, for the power of a plan, and for the report's preview.

use rand_chacha::ChaCha8Rng;
use scalelaw_schema::measure::Measure;
use scalelaw_schema::table::{Counting, LossRow, LossTable};

use scalelaw_fit::ComputeModel;
use scalelaw_fit::KnownLaw;
use scalelaw_fit::Point;
use scalelaw_fit::stats::standard_normal;
use scalelaw_fit::stats::stream;

/// A grid of budgets, sizes and seeds with `C = 6·N·D`.
#[derive(Debug, Clone, PartialEq)]
pub struct SkillGrid {
    /// FLOPs of each budget.
    pub budgets: Vec<f64>,
    /// Sizes at each budget, evenly in log N.
    pub n_sizes: usize,
    /// Decades of N on each side of the centre.
    pub span_decades: f64,
    /// Seeds at each size.
    pub n_seeds: usize,
}

impl SkillGrid {
    /// The runs, centred on the optimum of `centre` at every budget; their losses are 1.
    pub fn runs(&self, centre: &KnownLaw) -> LossTable {
        let mut rows = Vec::new();
        for &budget in &self.budgets {
            let Some(ln_n) = ln_optimum(centre, budget) else { continue };
            for size in 0..self.n_sizes {
                let share = if self.n_sizes > 1 { size as f64 / (self.n_sizes - 1) as f64 } else { 0.5 };
                let n = ln_n.exp() * 10f64.powf(self.span_decades * (2.0 * share - 1.0));
                for seed in 0..self.n_seeds {
                    rows.push(LossRow {
                        name: format!("run {}", rows.len()),
                        n,
                        d: budget / (6.0 * n),
                        c: budget,
                        loss: 1.0,
                        budget: Some(budget),
                        cluster: None,
                        seed: Some(seed as u64),
                        unique_tokens: None,
                    });
                }
            }
        }
        LossTable { rows, ..LossTable::new("simulated", Counting::AsGivenSixNd, Measure::of_user("none")) }
    }
}

/// ln N* of a known law at a budget with `C = 6·N·D`; absent where it does not trade N against D.
pub fn ln_optimum(law: &KnownLaw, budget: f64) -> Option<f64> {
    let compute = ComputeModel { ln_k: 6f64.ln(), kappa: 1.0 };
    Some(compute.optimum(&law.law.trade_off(&law.params)?, budget.ln())?.1)
}

/// Losses of the runs by each of the named laws.
///
/// Errors of log loss have the laws' own standard deviations and, between any two laws, the given
/// correlation (0 to 1): the runs' noise is shared.
pub fn draw_losses(
    runs: &LossTable,
    truths: &[(&str, KnownLaw)],
    correlation: f64,
    seed: u64,
) -> Vec<LossTable> {
    let mut rng: ChaCha8Rng = stream(seed, 0);
    let shared: Vec<f64> = runs.rows.iter().map(|_| standard_normal(&mut rng)).collect();
    let (common, own) = (correlation.clamp(0.0, 1.0).sqrt(), (1.0 - correlation.clamp(0.0, 1.0)).sqrt());
    truths
        .iter()
        .map(|(name, truth)| {
            let rows = runs
                .rows
                .iter()
                .zip(&shared)
                .map(|(row, shared)| {
                    let error = truth.noise * (common * shared + own * standard_normal(&mut rng));
                    let loss = truth.law.loss(&truth.params, &Point::of(row)) * error.exp();
                    LossRow { loss, ..row.clone() }
                })
                .collect();
            LossTable {
                loss_name: (*name).to_owned(),
                measure: Measure::of_user(*name),
                rows,
                ..runs.clone()
            }
        })
        .collect()
}
