//! What a fit is asked for, and how it can be refused.

use crate::objective::Objective;

/// What to fit and what to say about it.
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
            level: scalelaw_schema::LEVEL,
            holdout_compute: None,
            predict: Vec::new(),
        }
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
    /// Every law that the table can carry, the one that back-tests choose first.
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

/// Why there is no fit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FitError {
    /// The rows cannot tell: exit code 6.
    #[error("the fit is refused: {why} (hint: {})", settle.join("; "))]
    Refused {
        /// The reason.
        why: String,
        /// Which runs would settle it.
        settle: Vec<String>,
    },
    /// No such law.
    #[error("law `{name}` is not known (hint: one of {known}, `auto` or `all`)")]
    UnknownLaw {
        /// As given.
        name: String,
        /// The names.
        known: String,
    },
    /// A law with parameters, as for a simulation, that cannot be read.
    #[error(
        "law `{text}`: {why} (hint: such as `chinchilla:E=1.8,A=480,B=2100,alpha=0.35,beta=0.37,noise=0.01`)"
    )]
    BadLaw {
        /// As given.
        text: String,
        /// What is wrong.
        why: String,
    },
    /// A setting out of its range.
    #[error("{what} is {value}: {why}")]
    BadSetting {
        /// Which.
        what: &'static str,
        /// Its value.
        value: f64,
        /// What it must be.
        why: &'static str,
    },
}
