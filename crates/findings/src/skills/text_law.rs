//! A law fitted to one text's losses, and its parameters in every draw of the runs' noise.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;
use scalelaw_schema::table::LossTable;

use super::budget::Budget;
use super::draws::{Draws, Gaussians};
use super::noise::{self, SharedNoise};
use scalelaw_fit::ComputeModel;
use scalelaw_fit::FitError;
use scalelaw_fit::Objective;
use scalelaw_fit::Rows;
use scalelaw_fit::ScalingLaw;
use scalelaw_fit::conclusion::LOG10_N;
use scalelaw_fit::conclusion::{Diagnostics, Fit, Frontier};
use scalelaw_fit::law_fit;
use scalelaw_fit::search::{self, Minimum, Problem};
use scalelaw_fit::stats::linalg::{self, MAX_PARAMS};

const METHOD: &str = "wild bootstrap of the law, runs drawn jointly for all texts";

/// The law of one text.
pub(crate) struct TextLaw {
    pub law: &'static dyn ScalingLaw,
    pub params: Vec<f64>,
    /// Parameters of each draw; absent where its search failed.
    pub drawn: Vec<Option<Vec<f64>>>,
    pub compute: ComputeModel,
    /// The random numbers behind the draws.
    pub gaussians: Arc<Gaussians>,
    /// Runs less parameters.
    pub df: f64,
    pub fit: Fit,
}

impl TextLaw {
    /// Fits `law` by Huber's loss at 2.5 spreads of the residuals, as the fitter's profile does.
    ///
    /// # Errors
    /// [`FitError::Refused`] where the rows do not identify the law's parameters.
    pub fn of(
        table: &LossTable,
        law: &'static dyn ScalingLaw,
        noise: &SharedNoise,
        level: f64,
    ) -> Result<Self, FitError> {
        let rows = Rows::of(table);
        law_fit::check(law, &rows)?;
        let found = search::minimum(law, &rows, Objective::LogMse).and_then(|squares| {
            let objective = search::robust_objective(law, &rows, &squares.theta)?;
            let minimum = Problem::new(law, &rows, objective).minimise(&squares.theta);
            minimum.value.is_finite().then_some((objective, minimum))
        });
        let Some((objective, minimum)) = found else {
            return Err(FitError::no_minimum(law.name()));
        };
        let places = noise.places(&table.rows);
        let drawn = drawn(&Problem::new(law, &rows, objective), &minimum.theta, &places, noise);
        let mut text_law = Self {
            law,
            params: law.params(&minimum.theta, &rows.centre),
            drawn,
            gaussians: noise.draws().clone(),
            compute: ComputeModel::of(&rows),
            df: noise::n_units(&places) as f64 - law.n_params() as f64,
            fit: empty_fit(law, objective, &minimum),
        };
        text_law.describe(table, &Problem::new(law, &rows, objective), &minimum, level);
        Ok(text_law)
    }

    /// ln N of the least loss along a budget, held inside the sizes that were trained.
    pub fn best(&self, params: &[f64], budget: &Budget) -> Option<f64> {
        let trade_off = self.law.trade_off(params)?;
        let (low, high) = budget.ln_n;
        // Without a term in N nothing is lost by the smallest size, without one in D by the largest.
        match (trade_off.ln_a > f64::NEG_INFINITY, trade_off.ln_b > f64::NEG_INFINITY) {
            (false, false) => None,
            (false, true) => Some(low),
            (true, false) => Some(high),
            (true, true) => Some(self.compute.optimum(&trade_off, budget.ln_c)?.1.clamp(low, high)),
        }
    }

    /// Loss along a budget at ln N.
    pub fn loss(&self, params: &[f64], ln_n: f64, ln_c: f64) -> f64 {
        let ln_d = self.compute.ln_d(ln_n, ln_c);
        self.law.loss(params, &self.compute.point(ln_n.exp(), ln_d.exp()))
    }

    /// A function of the parameters with its draws; absent where it has no value.
    pub fn of_params(&self, of: impl Fn(&[f64]) -> Option<f64>) -> Option<Draws> {
        let drawn =
            self.drawn.iter().map(|params| params.as_ref().and_then(|params| of(params)).unwrap_or(f64::NAN));
        Some(Draws::new(of(&self.params)?, drawn, self.df, &self.gaussians, METHOD))
    }

    /// Fills in status, intervals and residuals of the fit.
    fn describe(&mut self, table: &LossTable, problem: &Problem, minimum: &Minimum, level: f64) {
        let names = self.law.param_names();
        let mut intervals = BTreeMap::new();
        for (idx, name) in names.iter().enumerate() {
            let of = self.of_params(|params| Some(params[idx]));
            let found = of.and_then(|draws| draws.within(0.0, f64::INFINITY).interval(level));
            intervals.extend(found.map(|interval| ((*name).to_owned(), interval)));
        }
        let (status, notes) = law_fit::status(problem, minimum);
        let residuals = law_fit::residuals(self.law, &self.params, table);
        let square: f64 = residuals.iter().map(|row| row.residual * row.residual).sum();
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_by_key(|&idx| names[idx]);
        self.fit = Fit {
            status,
            notes,
            params: names
                .iter()
                .map(|name| (*name).to_owned())
                .zip(self.params.iter().copied())
                .filter(|(_, value)| value.is_finite())
                .collect(),
            intervals,
            optimum: self.frontier(law_fit::largest_budget(table).ln(), level),
            rms_log_residual: (square / residuals.len().max(1) as f64).sqrt(),
            residuals,
            diagnostics: Some(Diagnostics {
                compute_k: Some(self.compute.ln_k.exp()).filter(|k| k.is_finite()),
                compute_kappa: Some(self.compute.kappa),
                ..Diagnostics::default()
            }),
            resamples: self
                .drawn
                .iter()
                .flatten()
                .map(|params| order.iter().map(|&idx| params[idx]).collect())
                .collect(),
            ..self.fit.clone()
        };
    }

    fn frontier(&self, ln_c: f64, level: f64) -> Option<Frontier> {
        let at = |params: &[f64]| self.compute.optimum(&self.law.trade_off(params)?, ln_c);
        let (a, ln_n) = at(&self.params)?;
        let b = 1.0 - self.compute.kappa * a;
        let ln_d = self.compute.ln_d(ln_n, ln_c);
        let intervals = [
            ("a", self.of_params(|params| Some(at(params)?.0))),
            ("b", self.of_params(|params| Some(1.0 - self.compute.kappa * at(params)?.0))),
            (LOG10_N, self.of_params(|params| Some(at(params)?.1 / std::f64::consts::LN_10))),
        ]
        .into_iter()
        .filter_map(|(name, draws)| Some((name.to_owned(), draws?.interval(level)?)))
        .collect();
        let frontier = Frontier {
            a,
            b,
            n_coefficient: (ln_n - a * ln_c).exp(),
            d_coefficient: (ln_d - b * ln_c).exp(),
            intervals,
        };
        frontier.is_finite().then_some(frontier)
    }
}

/// Parameters refitted to each draw of the noise.
fn drawn(problem: &Problem, theta: &[f64], places: &[usize], noise: &SharedNoise) -> Vec<Option<Vec<f64>>> {
    let Problem { law, rows, .. } = *problem;
    let leverages = leverages(problem, theta);
    let fitted: Vec<f64> = rows.points.iter().map(|point| law.log_loss(theta, point)).collect();
    let errors: Vec<f64> =
        (0..rows.len()).map(|row| noise::held_out(rows.ln_loss[row] - fitted[row], leverages[row])).collect();
    noise
        .draws()
        .par_iter()
        .map(|draw| {
            let mut with_noise = rows.clone();
            for (row, ln_loss) in with_noise.ln_loss.iter_mut().enumerate() {
                *ln_loss = fitted[row] + draw[places[row]] * errors[row];
            }
            let refit = problem.on(&with_noise).minimise(theta);
            let params = law.params(&refit.theta, &rows.centre);
            (refit.value.is_finite() && params.iter().all(|x| x.is_finite())).then_some(params)
        })
        .collect()
}

/// Leverage of each row: the diagonal of `J (JᵀJ)⁻¹ Jᵀ` over the parameters inside their bounds.
fn leverages(problem: &Problem, theta: &[f64]) -> Vec<f64> {
    let free: Vec<usize> =
        (0..theta.len()).filter(|&i| theta[i] > problem.low[i] && theta[i] < problem.high[i]).collect();
    let (mut grad, mut hess) = ([0.0; MAX_PARAMS], [[0.0; MAX_PARAMS]; MAX_PARAMS]);
    let slopes: Vec<Vec<f64>> = problem
        .rows
        .points
        .iter()
        .map(|point| {
            problem.law.derivatives(theta, point, &mut grad, &mut hess);
            free.iter().map(|&i| grad[i]).collect()
        })
        .collect();
    let mut information = [[0.0; MAX_PARAMS]; MAX_PARAMS];
    for slope in &slopes {
        linalg::add_outer(&mut information, slope, 1.0);
    }
    let Some(inverse) = linalg::inverse(&information, free.len()) else {
        // Two parameters that cannot be separated: the mean leverage is still known.
        return vec![(free.len() as f64 / slopes.len().max(1) as f64).min(1.0); slopes.len()];
    };
    slopes.iter().map(|slope| linalg::quadratic_form(&inverse, slope)).collect()
}

fn empty_fit(law: &dyn ScalingLaw, objective: Objective, minimum: &Minimum) -> Fit {
    Fit {
        law: law.name().into(),
        equation: law.equation().into(),
        status: scalelaw_fit::conclusion::FitStatus::Stopped,
        notes: Vec::new(),
        params: BTreeMap::new(),
        objective: minimum.value,
        objective_name: objective.name(),
        rms_log_residual: 0.0,
        intervals: BTreeMap::new(),
        optimum: None,
        residuals: Vec::new(),
        holdout: None,
        predictions: Vec::new(),
        diagnostics: None,
        resamples: Vec::new(),
    }
}
