//! What a fit is asked for.

use crate::error::FitError;
use crate::objective::Objective;
use scalelaw_schema::LEVEL;

/// What to fit and what to report.
#[derive(Debug, Clone, PartialEq)]
pub struct FitSpec {
    /// Which law.
    pub law: LawChoice,
    /// What is minimised.
    pub objective: Objective,
    /// Resamples of the bootstrap; 0 for none.
    pub bootstrap: usize,
    /// Seed of the bootstrap.
    pub seed: u64,
    /// Level of the intervals, such as 0.95.
    pub level: f64,
    /// Fit the rows below this quantile of C and predict the rest, such as 0.8.
    pub holdout_compute: Option<f64>,
    /// Runs to predict.
    pub predict: Vec<PredictAt>,
}

impl FitSpec {
    /// Chinchilla's law with Hoffmann's objective and 1,000 resamples.
    pub fn new() -> Self {
        Self {
            law: LawChoice::Named("chinchilla".into()),
            objective: Objective::LogHuber(1e-3),
            bootstrap: 1000,
            seed: 0,
            level: LEVEL,
            holdout_compute: None,
            predict: Vec::new(),
        }
    }

    /// What is wrong with the settings.
    ///
    /// # Errors
    /// [`FitError::BadSetting`].
    pub(crate) fn check(&self) -> Result<(), FitError> {
        let bad = |what, value, why| Err(FitError::BadSetting { what, value, why });
        if !(self.level > 0.0 && self.level < 1.0) {
            return bad("the level", self.level, "it must lie between 0 and 1 (hint: 0.95)");
        }
        if let Some(share) = self.holdout_compute
            && !(share > 0.0 && share < 1.0)
        {
            return bad(
                "the quantile of compute to hold out above",
                share,
                "it must lie between 0 and 1 (hint: 0.8)",
            );
        }
        if let Objective::LogHuber(delta) | Objective::Huber(delta) = self.objective
            && !(delta > 0.0 && delta.is_finite())
        {
            return bad("the objective's delta", delta, "it must be positive (hint: 1e-3)");
        }
        for at in &self.predict {
            let numbers = match *at {
                PredictAt::ND(n, d) => vec![n, d],
                PredictAt::C(c) => vec![c],
            };
            if let Some(&number) = numbers.iter().find(|number| !(**number > 0.0 && number.is_finite())) {
                return bad("a number to predict at", number, "it must be positive");
            }
        }
        Ok(())
    }
}

impl Default for FitSpec {
    fn default() -> Self {
        Self::new()
    }
}

/// Which laws to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LawChoice {
    /// The one of this name.
    Named(String),
    /// Chosen by back-tests inside the rows.
    Auto,
    /// Every law that the table identifies, the one that back-tests choose first.
    All,
}

impl LawChoice {
    /// From `--law`.
    pub fn parse(text: &str) -> Self {
        match text {
            "auto" => Self::Auto,
            "all" => Self::All,
            name => Self::Named(name.into()),
        }
    }
}

/// A run to predict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PredictAt {
    /// N and D; C by the table's own relation of C to N and D.
    ND(f64, f64),
    /// C, with N and D on the frontier.
    C(f64),
}
