//! How the weights are changed: optimizer, learning rate, schedule.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SchemaError;
use crate::model::{ModelShape, ModelSpec};

/// Everything about training that is neither the model nor the data. All choices made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The optimizer with its constants.
    pub optimizer: Optimizer,
    /// Learning rate after the warm-up.
    pub lr_peak: f64,
    /// Steps of linear warm-up; step s (from 0) has `lr_peak · (s + 1) / warmup_steps`.
    pub warmup_steps: u64,
    /// What follows the warm-up.
    pub schedule: Schedule,
    /// Largest global norm of the gradient over all parameters; larger ones are scaled down to it.
    pub grad_clip_norm: f64,
    /// Distribution of the initial weights.
    pub init: InitRule,
    /// dtype of weight matmuls.
    #[serde(skip_serializing_if = "Precision::is_f32", default)]
    pub precision: Precision,
    /// How initial weights and rates follow width and depth. Left out of the JSON if it is standard, so that
    /// the ids of runs from before it existed do not change.
    #[serde(skip_serializing_if = "Parametrisation::is_standard", default = "standard")]
    pub parametrisation: Parametrisation,
}

/// dtype of weight matmuls, forward and backward. Weights, their gradients, moments, norms, attention scores and losses
/// are always `f32`, and so are evaluations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// bfloat16 factors, summed in `f32`. Needs a processor with AVX512_BF16.
    Bf16,
}

impl Precision {
    /// Whether it is [`Precision::F32`].
    pub fn is_f32(&self) -> bool {
        *self == Precision::F32
    }
}

/// How initial weights, learning rates, AdamW's eps and weight decay of each tensor follow width and depth.
/// Everywhere but in [`Parametrisation::Standard`], `lr_peak`, eps, weight decay and the standard deviation of the initial
/// weights are those of the base model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields)]
pub enum Parametrisation {
    /// The same numbers for every tensor and every size.
    #[serde(rename = "standard")]
    Standard,
    /// The best rate is that of the base width at any width (Yang et al. 2022, arXiv:2203.03466).
    #[serde(rename = "mup")]
    MuP {
        /// Width of the model that the rate was tuned for.
        base_width: usize,
    },
    /// muP, and the best rate also transfers over depth: the output of each block is multiplied by
    /// `(n_layer / base_depth)^(−alpha)` (Dey et al. 2025, arXiv:2505.01618; they recommend `alpha = 1`).
    #[serde(rename = "complete-p")]
    CompleteP {
        /// Width of the model that the rate was tuned for.
        base_width: usize,
        /// Blocks of the model that the rate was tuned for.
        base_depth: usize,
        /// Exponent of the depth, from 1/2 to 1.
        alpha: f64,
    },
}

fn standard() -> Parametrisation {
    Parametrisation::Standard
}

impl Parametrisation {
    /// Whether every size has the same numbers.
    pub fn is_standard(&self) -> bool {
        matches!(self, Parametrisation::Standard)
    }

    /// The model that `lr_peak` applies to: the one of base width and depth, or `model` itself in the standard
    /// parametrisation. Only for counting; its width need not divide into heads.
    pub fn base_model(&self, model: &ModelSpec) -> ModelSpec {
        let ModelSpec::Transformer(shape) = model;
        let (base_width, base_depth) = match *self {
            Parametrisation::Standard => (shape.d_model, shape.n_layer),
            Parametrisation::MuP { base_width } => (base_width, shape.n_layer),
            Parametrisation::CompleteP { base_width, base_depth, .. } => (base_width, base_depth),
        };
        let d_ff = (shape.d_ff as f64 * base_width as f64 / shape.d_model as f64).round() as usize;
        ModelSpec::Transformer(ModelShape { d_model: base_width, n_layer: base_depth, d_ff, ..shape.clone() })
    }

    /// Refuses base sizes and exponents that are out of range.
    ///
    /// # Errors
    /// `BadRun`, naming the invalid number.
    pub fn check(&self) -> Result<(), SchemaError> {
        let bad = |why: String| Err(SchemaError::BadRun { why });
        let (base_width, base_depth, alpha) = match *self {
            Parametrisation::Standard => return Ok(()),
            Parametrisation::MuP { base_width } => (base_width, 1, 1.0),
            Parametrisation::CompleteP { base_width, base_depth, alpha } => (base_width, base_depth, alpha),
        };
        if base_width == 0 || base_depth == 0 {
            return bad("base width and base depth of the parametrisation must be at least 1".to_string());
        }
        if !(0.5..=1.0).contains(&alpha) {
            return bad(format!("`alpha` {alpha} of the parametrisation must be between 0.5 and 1"));
        }
        Ok(())
    }
}

impl fmt::Display for Parametrisation {
    /// `standard`, `mup (base width 64)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Parametrisation::Standard => f.write_str("standard"),
            Parametrisation::MuP { base_width } => write!(f, "mup (base width {base_width})"),
            Parametrisation::CompleteP { base_width, base_depth, alpha } => {
                write!(f, "complete-p (base width {base_width}, base depth {base_depth}, alpha {alpha})")
            }
        }
    }
}

/// The optimizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Optimizer {
    /// AdamW (Loshchilov & Hutter 2019), decoupled weight decay on matrices only (norm gains are not
    /// decayed): `w ← w − lr·(m̂/(√v̂ + eps) + weight_decay·w)`.
    #[serde(rename = "adamw")]
    AdamW {
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the root of the second moment.
        eps: f64,
        /// Decay per step, multiplied by the learning rate.
        weight_decay: f64,
    },
}

/// Learning rate after the warm-up, as a fraction of the peak.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// Stays at the peak.
    Constant,
    /// Half a cosine from the peak down to `final_fraction` of it at the last step.
    Cosine {
        /// Learning rate at the end over the peak.
        final_fraction: f64,
    },
    /// Warm-up, stable, decay: constant, then over the last `cooldown_steps` as `1 − √x`, x from 0 to 1
    /// (Hägele et al. 2024, arXiv:2405.18392).
    Wsd {
        /// Steps of the cool-down.
        cooldown_steps: u64,
    },
}

/// Distribution of the initial weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum InitRule {
    /// Normal with standard deviation `std`; projections back into the residual stream (attention output, MLP down)
    /// with `std / √(2·n_layer)` (GPT-2); gains 1.
    ScaledNormal {
        /// Standard deviation.
        std: f64,
    },
}

impl Recipe {
    /// Learning rate of `step` (from 0) in a run of `total_steps`.
    pub fn lr(&self, step: u64, total_steps: u64) -> f64 {
        if step < self.warmup_steps {
            return self.lr_peak * (step + 1) as f64 / self.warmup_steps as f64;
        }
        let fraction = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine { final_fraction } => {
                let span = (total_steps - self.warmup_steps).saturating_sub(1).max(1);
                let x = (step - self.warmup_steps) as f64 / span as f64;
                final_fraction
                    + (1.0 - final_fraction) * 0.5 * (1.0 + (std::f64::consts::PI * x.min(1.0)).cos())
            }
            Schedule::Wsd { cooldown_steps } => {
                let stable_end = total_steps.saturating_sub(cooldown_steps);
                if step < stable_end {
                    1.0
                } else {
                    // x runs over (0, 1): the first cool-down step is already lower, the last one not yet 0.
                    1.0 - ((step - stable_end + 1) as f64 / (cooldown_steps + 1) as f64).sqrt()
                }
            }
        };
        self.lr_peak * fraction
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Head;

    fn recipe(schedule: Schedule) -> Recipe {
        Recipe {
            optimizer: Optimizer::AdamW { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1 },
            lr_peak: 2.0,
            warmup_steps: 4,
            schedule,
            grad_clip_norm: 1.0,
            init: InitRule::ScaledNormal { std: 0.02 },
            precision: Precision::F32,
            parametrisation: Parametrisation::Standard,
        }
    }

    #[test]
    fn each_schedule_passes_through_its_known_points() {
        for (schedule, step, expected) in [
            (Schedule::Constant, 0, 0.5),
            (Schedule::Constant, 3, 2.0),
            (Schedule::Constant, 99, 2.0),
            (Schedule::Cosine { final_fraction: 0.1 }, 4, 2.0),
            (Schedule::Cosine { final_fraction: 0.1 }, 104, 0.2),
            (Schedule::Cosine { final_fraction: 0.0 }, 54, 1.0),
            (Schedule::Wsd { cooldown_steps: 15 }, 89, 2.0),
            (Schedule::Wsd { cooldown_steps: 15 }, 90, 2.0 * (1.0 - 0.25)),
            (Schedule::Wsd { cooldown_steps: 15 }, 93, 2.0 * (1.0 - 0.5)),
        ] {
            let found = recipe(schedule).lr(step, 105);
            assert!(
                (found - expected).abs() < 1e-12,
                "{schedule:?} step {step}: {found}, expected {expected}"
            );
        }
    }

    #[test]
    fn the_base_model_has_the_base_width_and_depth_and_everything_else_as_it_was() {
        let shape =
            ModelShape { n_layer: 6, d_model: 96, n_head: 3, d_ff: 256, vocab_size: 257, head: Head::Tied };
        let model = ModelSpec::Transformer(shape.clone());
        let base = |parametrisation: Parametrisation| {
            let ModelSpec::Transformer(shape) = parametrisation.base_model(&model);
            shape
        };
        assert_eq!(base(Parametrisation::Standard), shape);
        let expected = ModelShape { d_model: 48, d_ff: 128, ..shape.clone() };
        assert_eq!(base(Parametrisation::MuP { base_width: 48 }), expected);
        let expected = ModelShape { n_layer: 2, ..expected };
        assert_eq!(base(Parametrisation::CompleteP { base_width: 48, base_depth: 2, alpha: 1.0 }), expected);
    }

    #[test]
    fn an_invalid_parametrisation_is_refused_by_name() {
        for (parametrisation, part) in [
            (Parametrisation::MuP { base_width: 0 }, "base width"),
            (Parametrisation::CompleteP { base_width: 64, base_depth: 0, alpha: 1.0 }, "depth"),
            (Parametrisation::CompleteP { base_width: 64, base_depth: 2, alpha: 1.5 }, "`alpha` 1.5"),
            (Parametrisation::CompleteP { base_width: 64, base_depth: 2, alpha: f64::NAN }, "alpha"),
        ] {
            let message = parametrisation.check().unwrap_err().to_string();
            assert!(message.contains(part), "{parametrisation}: {message}");
        }
        assert!(Parametrisation::CompleteP { base_width: 64, base_depth: 2, alpha: 1.0 }.check().is_ok());
    }
}
