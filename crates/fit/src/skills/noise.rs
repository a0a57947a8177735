//! The runs' noise, drawn once for every text that the same runs are judged by.
//!
//! A run whose seed was lucky is good at every skill: losses of one run err together. So each draw gives
//! every run one number g of the standard normal, and each loss of that run moves by g times its own
//! residual (the wild bootstrap: Wu 1986, Annals of Statistics 14(4), with residuals over `√(1 − leverage)`
//! as there). What two texts have in common cancels in the difference of their optima, whatever the
//! correlation is; noise may differ from run to run; and no draw loses a size or a budget, as resampling
//! rows would.

use std::collections::BTreeMap;

use rayon::prelude::*;
use scalelaw_schema::table::{LossRow, LossTable};

use crate::bootstrap::stream;
use crate::simulate::standard_normal;

/// Numbers of the standard normal, one for each draw and run.
pub(crate) struct SharedNoise {
    /// Place of each run among the numbers; branches of one trunk are one.
    places: BTreeMap<String, usize>,
    /// `draws[i][place]`.
    draws: Vec<Vec<f64>>,
}

impl SharedNoise {
    pub fn of(tables: &[&LossTable], n_draws: usize, seed: u64) -> Self {
        let names: std::collections::BTreeSet<String> =
            tables.iter().flat_map(|table| &table.rows).map(unit).collect();
        let places: BTreeMap<String, usize> =
            names.into_iter().enumerate().map(|(place, name)| (name, place)).collect();
        let draws = (0..n_draws)
            .into_par_iter()
            .map(|draw| {
                let mut rng = stream(seed, draw as u64);
                (0..places.len()).map(|_| standard_normal(&mut rng)).collect()
            })
            .collect();
        Self { places, draws }
    }

    /// Place of each row's run.
    pub fn places<'r>(&self, rows: impl IntoIterator<Item = &'r LossRow>) -> Vec<usize> {
        rows.into_iter().filter_map(|row| self.places.get(&unit(row)).copied()).collect()
    }

    pub fn draws(&self) -> &[Vec<f64>] {
        &self.draws
    }
}

fn unit(row: &LossRow) -> String {
    row.cluster.clone().unwrap_or_else(|| row.name.clone())
}

/// Number of distinct runs.
pub(crate) fn n_units(places: &[usize]) -> usize {
    places.iter().collect::<std::collections::BTreeSet<_>>().len()
}

/// A residual as a draw multiplies it: what the fit took of it is given back.
pub(crate) fn restored(residual: f64, leverage: f64) -> f64 {
    // A row that decides its own fitted value has no residual to speak of.
    residual / (1.0 - leverage).max(0.05).sqrt()
}
