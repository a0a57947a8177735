//! How a fit can be refused, and what can be wrong with what is asked.

/// Why there is no fit.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FitError {
    /// The rows do not identify what is asked: exit code 6. An outcome of a fit, not a fault.
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

impl FitError {
    /// The search of a law found no minimum.
    pub fn no_minimum(law: &str) -> Self {
        Self::refused(
            format!("no parameters of `{law}` fit the losses"),
            &["check the columns of N, D, C and loss"],
        )
    }

    /// A refusal, with the runs that would settle it.
    pub fn refused(why: impl Into<String>, settle: &[&str]) -> Self {
        Self::Refused { why: why.into(), settle: settle.iter().map(|run| (*run).to_owned()).collect() }
    }
}
