//! The part of a run that decides its weights. Its hash is the run's identity.

use serde::{Deserialize, Serialize};

use crate::SchemaError;
use crate::count::{self, FlopCount};
use crate::mixture::Mixture;
use crate::recipe::{Recipe, Schedule};
use crate::run_id::RunId;
use crate::shape::ModelSpec;

/// All that decides the weights of one run, and nothing else: no device, no paths, no evaluation.
///
/// A field added later must be skipped in serialisation at the value that reproduces the older
/// behaviour, so that the ids of finished runs stay what they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSpec {
    /// The model.
    pub model: ModelSpec,
    /// Parts of the run, one after the other; today one.
    pub phases: Vec<Phase>,
    /// How the weights are changed.
    pub recipe: Recipe,
    /// What is trained on.
    pub mixture: Mixture,
    /// Seed of the initial weights and of the data's order.
    pub seed: u64,
    /// Where the run begins.
    pub start: Start,
}

/// A stretch of training with one context length and one batch size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Tokens of one sequence.
    pub context_len: usize,
    /// Sequences of one step's batch.
    pub batch_sequences: usize,
    /// Optimizer steps.
    pub steps: u64,
}

impl Phase {
    /// Tokens of one step's batch.
    pub fn batch_tokens(&self) -> u64 {
        (self.batch_sequences * self.context_len) as u64
    }

    /// Tokens of the whole phase.
    pub fn tokens(&self) -> u64 {
        self.steps * self.batch_tokens()
    }
}

/// Where a run begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Start {
    /// From initial weights drawn with the run's seed.
    Init,
    /// From a checkpoint of another run, optimizer and position in the data included.
    Branch {
        /// The trunk.
        parent: RunId,
        /// Steps that the trunk had taken.
        step: u64,
    },
}

impl TrainSpec {
    /// Steps over all phases.
    pub fn total_steps(&self) -> u64 {
        self.phases.iter().map(|phase| phase.steps).sum()
    }

    /// Training tokens over all phases: D.
    pub fn tokens(&self) -> u64 {
        self.phases.iter().map(Phase::tokens).sum()
    }

    /// Training FLOPs over all phases by group; exact below 2^53.
    pub fn flops(&self) -> FlopCount {
        self.phases.iter().fold(FlopCount::ZERO, |sum, phase| {
            let sequences = phase.steps * phase.batch_sequences as u64;
            sum.plus(
                &count::train_flops_per_sequence(self.model.shape(), phase.context_len)
                    .scaled(sequences as f64),
            )
        })
    }

    /// The phase that `step` (from 0) belongs to.
    ///
    /// # Panics
    /// Where `step` is beyond the last phase: the loop never asks for it.
    pub fn phase_at(&self, step: u64) -> &Phase {
        let mut first = 0;
        for phase in &self.phases {
            first += phase.steps;
            if step < first {
                return phase;
            }
        }
        panic!("step {step} lies beyond the last phase, which ends at {first}");
    }

    /// Training FLOPs of the first `steps` steps.
    pub fn flops_until(&self, steps: u64) -> f64 {
        self.sum_until(steps, |phase, n| {
            let sequences = n * phase.batch_sequences as u64;
            count::train_flops_per_sequence(self.model.shape(), phase.context_len).total() * sequences as f64
        })
    }

    /// Training tokens of the first `steps` steps.
    pub fn tokens_until(&self, steps: u64) -> u64 {
        self.sum_until(steps, |phase, n| (n * phase.batch_tokens()) as f64) as u64
    }

    /// # Errors
    /// `BadShape` or `BadRun`, naming the field.
    pub fn check(&self) -> Result<(), SchemaError> {
        self.model.shape().check()?;
        let bad = |why: String| Err(SchemaError::BadRun { why });
        if self
            .phases
            .iter()
            .any(|phase| phase.steps == 0 || phase.batch_sequences == 0 || phase.context_len == 0)
        {
            return bad("a phase has no steps, no sequences or no context".to_string());
        }
        let steps = self.total_steps();
        if steps == 0 {
            return bad("it has no steps".to_string());
        }
        if self.recipe.warmup_steps >= steps {
            return bad(format!(
                "{steps} steps are no more than the {} of the warm-up",
                self.recipe.warmup_steps
            ));
        }
        if let Schedule::Wsd { cooldown_steps } = self.recipe.schedule
            && cooldown_steps + self.recipe.warmup_steps > steps
        {
            return bad(format!("{steps} steps are fewer than warm-up and cool-down together"));
        }
        if !(self.recipe.lr_peak.is_finite() && self.recipe.lr_peak > 0.0) {
            return bad(format!("learning rate {} is not positive", self.recipe.lr_peak));
        }
        self.recipe.parametrisation.check()
    }

    fn sum_until(&self, steps: u64, of: impl Fn(&Phase, u64) -> f64) -> f64 {
        let mut left = steps;
        let mut sum = 0.0;
        for phase in &self.phases {
            let n = left.min(phase.steps);
            sum += of(phase, n);
            left -= n;
        }
        sum
    }
}
