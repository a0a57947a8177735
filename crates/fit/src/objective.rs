//! What a fit minimises: the sum over rows of a loss of the residual.

/// A loss of residuals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Objective {
    /// Huber's loss of `ln L̂ − ln L`: `r²/2` within delta, `delta·(|r| − delta/2)` beyond
    /// (Hoffmann et al. 2022 with delta 1e-3).
    LogHuber(f64),
    /// Half the squared residual of the logarithm.
    LogMse,
    /// Huber's loss of `L̂ − L`, in nats.
    Huber(f64),
}

impl Objective {
    /// Name, as given to `--objective`.
    pub fn name(&self) -> String {
        match self {
            Self::LogHuber(delta) => format!("log-huber:{delta:e}"),
            Self::LogMse => "log-mse".into(),
            Self::Huber(delta) => format!("huber:{delta:e}"),
        }
    }

    /// The objective of that name.
    ///
    /// # Errors
    /// What is wrong with the text, and what may be given.
    pub fn parse(text: &str) -> Result<Self, UnknownObjective> {
        let (name, delta) = text.split_once(':').map_or((text, None), |(name, delta)| (name, Some(delta)));
        let delta = match delta {
            None => 1e-3,
            Some(delta) => match delta.parse::<f64>() {
                Ok(delta) if delta.is_finite() && delta > 0.0 => delta,
                _ => return Err(UnknownObjective::Delta { text: text.into(), delta: delta.into() }),
            },
        };
        match name {
            "log-huber" => Ok(Self::LogHuber(delta)),
            "huber" => Ok(Self::Huber(delta)),
            "log-mse" if !text.contains(':') => Ok(Self::LogMse),
            _ => Err(UnknownObjective::Name { text: text.into() }),
        }
    }

    /// Whether the residual is of the logarithm.
    pub(crate) fn is_logarithmic(&self) -> bool {
        !matches!(self, Self::Huber(_))
    }

    /// Value, slope, curvature and IRLS weight (slope / residual) at a residual.
    pub fn at(&self, residual: f64) -> Rho {
        match *self {
            Self::LogMse => {
                Rho { value: 0.5 * residual * residual, slope: residual, curvature: 1.0, weight: 1.0 }
            }
            Self::LogHuber(delta) | Self::Huber(delta) => {
                let size = residual.abs();
                if size <= delta {
                    Rho { value: 0.5 * residual * residual, slope: residual, curvature: 1.0, weight: 1.0 }
                } else {
                    Rho {
                        value: delta * (size - 0.5 * delta),
                        slope: delta.copysign(residual),
                        curvature: 0.0,
                        weight: delta / size,
                    }
                }
            }
        }
    }
}

/// A loss function at one residual.
#[derive(Debug, Clone, Copy)]
pub struct Rho {
    /// The loss.
    pub value: f64,
    /// Its first derivative.
    pub slope: f64,
    /// Its second derivative.
    pub curvature: f64,
    /// Weight of the residual in iteratively reweighted least squares.
    pub weight: f64,
}

/// What is wrong with the name of an objective.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownObjective {
    /// There is none of that name.
    #[error("objective `{text}` is not known (hint: `log-huber:1e-3`, `log-mse` or `huber:1e-3`)")]
    Name {
        /// As given.
        text: String,
    },
    /// What stands after the colon.
    #[error(
        "objective `{text}`: `{delta}` is not a positive number (hint: `log-huber:1e-3`, `log-mse` or `huber:1e-3`)"
    )]
    Delta {
        /// As given.
        text: String,
        /// Its delta.
        delta: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huber_is_quadratic_inside_and_linear_outside() {
        let rho = Objective::LogHuber(0.5);
        assert_eq!(rho.at(0.2).value, 0.5 * 0.2 * 0.2);
        assert_eq!(rho.at(-2.0).value, 0.5 * (2.0 - 0.25));
        assert_eq!(rho.at(-2.0).slope, -0.5);
    }

    #[test]
    fn names_are_read_back() {
        for objective in [Objective::LogHuber(1e-3), Objective::LogMse, Objective::Huber(0.25)] {
            assert_eq!(Objective::parse(&objective.name()), Ok(objective));
        }
        for bad in ["huber:-1", "log-huber:nan", "mse", "log-mse:1"] {
            assert!(Objective::parse(bad).is_err(), "{bad}");
        }
    }
}
