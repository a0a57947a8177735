//! The runs' noise, drawn once for every text that the same runs are evaluated on.
//!
//! A run whose seed was lucky is good at every skill: the losses of one run are correlated. So each draw gives
//! every run one number g of the standard normal, and each loss of that run moves by g times its own
//! residual, corrected for leverage (the wild bootstrap: Wu 1986, Annals
//! of Statistics 14(4)). What two texts have in common cancels in the difference of their optima, whatever the
//! correlation is; noise may differ from run to run; and no draw loses a size or a budget, as resampling
//! rows would.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rayon::prelude::*;
use scalelaw_schema::table::{LossRow, LossTable};

use super::draws::Gaussians;
use scalelaw_fit::stats::standard_normal;
use scalelaw_fit::stats::stream;

/// Numbers of the standard normal, one for each draw and run.
pub(crate) struct SharedNoise {
    /// Place of each run among the numbers; branches of one trunk are one.
    places: BTreeMap<String, usize>,
    /// `draws[i][place]`.
    draws: Arc<Gaussians>,
}

impl SharedNoise {
    /// For the runs of all tables.
    pub fn of(tables: &[&LossTable], n_draws: usize, seed: u64) -> Self {
        Self::named(tables.iter().flat_map(|table| &table.rows).map(unit), n_draws, seed)
    }

    /// For the runs of these names.
    pub fn named(names: impl IntoIterator<Item = String>, n_draws: usize, seed: u64) -> Self {
        let names: BTreeSet<String> = names.into_iter().collect();
        let places: BTreeMap<String, usize> =
            names.into_iter().enumerate().map(|(place, name)| (name, place)).collect();
        let draws: Gaussians = (0..n_draws)
            .into_par_iter()
            .map(|draw| {
                let mut rng = stream(seed, draw as u64);
                (0..places.len()).map(|_| standard_normal(&mut rng)).collect()
            })
            .collect();
        Self { places, draws: Arc::new(draws) }
    }

    /// Place of each named run.
    pub fn places_named<'r>(&self, names: impl IntoIterator<Item = &'r str>) -> Vec<usize> {
        names.into_iter().filter_map(|name| self.places.get(name).copied()).collect()
    }

    /// Place of each row's run.
    pub fn places<'r>(&self, rows: impl IntoIterator<Item = &'r LossRow>) -> Vec<usize> {
        rows.into_iter().filter_map(|row| self.places.get(&unit(row)).copied()).collect()
    }

    pub fn draws(&self) -> &Arc<Gaussians> {
        &self.draws
    }
}

fn unit(row: &LossRow) -> String {
    row.cluster.clone().unwrap_or_else(|| row.name.clone())
}

/// Number of distinct runs.
pub(crate) fn n_units(places: &[usize]) -> usize {
    places.iter().collect::<BTreeSet<_>>().len()
}

/// A residual corrected for leverage: for a linear fit its square then equals the noise's variance on average.
pub(crate) fn restored(residual: f64, leverage: f64) -> f64 {
    // A row of leverage 1 has no residual.
    residual / (1.0 - leverage).max(0.05).sqrt()
}

/// The same for a law that is not linear, whose leverages are those of its tangent: the residual of the row
/// held out, as in a jackknife. With [`restored`] 95 % intervals of residuals held the truth in 93 % of simulated
/// sweeps of 4 budgets, 5 sizes and 2 seeds.
pub(crate) fn held_out(residual: f64, leverage: f64) -> f64 {
    residual / (1.0 - leverage).max(0.05)
}
