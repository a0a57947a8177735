//! Which law the loss of a sweep follows.

use scalelaw_fit::conclusion::Conclusion;
use scalelaw_fit::{FitError, FitSpec};
use scalelaw_schema::table::LossTable;
use serde::{Deserialize, Serialize};

use crate::error::FindingsError;
use crate::evidence::Evidence;

/// Kind of a sweep over mixtures, as its plan names it.
const MIX: &str = "mix";
/// Kind of a sweep over learning rates, likewise.
pub(crate) const LR: &str = "lr";

/// What the rows say: a law, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The fit.
    Fitted(Box<Conclusion>),
    /// The rows do not determine a law.
    Refused {
        /// The reason.
        why: String,
        /// Runs that would settle it.
        settle: Vec<String>,
    },
}

impl Verdict {
    /// The fit, where there is one.
    pub fn conclusion(&self) -> Option<&Conclusion> {
        match self {
            Verdict::Fitted(conclusion) => Some(conclusion),
            Verdict::Refused { .. } => None,
        }
    }
}

/// Fits `table`. A refusal is a verdict.
///
/// # Errors
/// What is wrong with `spec`.
pub fn fit_table(table: &LossTable, spec: &FitSpec) -> Result<Verdict, FindingsError> {
    match scalelaw_fit::fit(table, spec) {
        Ok(conclusion) => Ok(Verdict::Fitted(Box::new(conclusion))),
        Err(FitError::Refused { why, settle }) => Ok(Verdict::Refused { why, settle }),
        Err(other) => Err(other.into()),
    }
}

/// The law of a sweep; refused for kinds whose runs have no law in common.
///
/// # Errors
/// What is wrong with `spec`.
pub fn answer(evidence: &Evidence, spec: &FitSpec) -> Result<Verdict, FindingsError> {
    let why = match evidence.plan.kind.as_str() {
        // Most of its runs have a rate that is known to be wrong.
        LR => "an `lr` sweep asks for the best learning rates",
        // Its runs differ in what their loss is measured on.
        MIX => "the runs of a `mix` sweep were trained on different mixtures: they have no law in common",
        _ => return fit_table(&evidence.table, spec),
    };
    Ok(Verdict::Refused { why: why.to_string(), settle: Vec::new() })
}
