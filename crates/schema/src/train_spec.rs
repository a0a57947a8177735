//! The part of a run that decides its weights. Its hash is the run's identity.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::SchemaError;
use crate::canonical::hash12;
use crate::mixture::Mixture;
use crate::model::{FlopCount, ModelSpec};
use crate::recipe::{Recipe, Schedule};
use crate::run_id::RunId;
use crate::text::counted;

/// Everything that decides the weights of one run, and nothing else: no device, no paths, no evaluation.
///
/// A field added later must be skipped in serialisation at the value that reproduces the older
/// behaviour, so that the ids of finished runs do not change.
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

/// Steps at the end of a run over which its training loss is averaged: a twentieth, at least one.
pub fn tail_steps(total_steps: u64) -> u64 {
    (total_steps / 20).max(1)
}

impl RunId {
    /// The id of `spec`: the first 12 hex digits of blake3 over its canonical JSON.
    pub fn of(spec: &TrainSpec) -> RunId {
        RunId::from_hash(hash12(spec))
    }
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
    /// From a checkpoint of another run, including the optimizer state and the position in the data.
    Branch {
        /// The trunk.
        parent: RunId,
        /// Step of the checkpoint.
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

    /// Steps that a branch shares with its trunk; 0 for other runs.
    pub fn first_step(&self) -> u64 {
        match self.start {
            Start::Init => 0,
            Start::Branch { step, .. } => step,
        }
    }

    /// Training FLOPs over all phases by group, including those of a trunk; exact below 2^53.
    pub fn flops(&self) -> FlopCount {
        self.flops_of(0..self.total_steps())
    }

    /// Training FLOPs by group of the steps that the run takes itself.
    pub fn flops_spent(&self) -> FlopCount {
        self.flops_of(self.first_step()..self.total_steps())
    }

    /// Training FLOPs of these steps by group.
    pub fn flops_of(&self, steps: Range<u64>) -> FlopCount {
        let mut first = 0;
        let mut sum = FlopCount::ZERO;
        for phase in &self.phases {
            let n = steps.end.min(first + phase.steps).saturating_sub(steps.start.max(first));
            let sequences = n * phase.batch_sequences as u64;
            let per_sequence = self.model.train_flops(phase.context_len);
            sum = sum.plus(&per_sequence.scaled(sequences as f64));
            first += phase.steps;
        }
        sum
    }

    /// Tokens of the largest batch of any phase.
    pub fn largest_batch_tokens(&self) -> u64 {
        self.phases.iter().map(Phase::batch_tokens).max().unwrap_or(1)
    }

    /// Tokens of the longest sequence of any phase.
    pub fn longest_context(&self) -> u64 {
        self.phases.iter().map(|phase| phase.context_len as u64).max().unwrap_or(1)
    }

    /// The phase that `step` (from 0) belongs to.
    ///
    /// # Panics
    /// If `step` is beyond the last phase, which the training loop never asks for.
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
            self.model.train_flops(phase.context_len).total() * sequences as f64
        })
    }

    /// Training tokens of the first `steps` steps.
    pub fn tokens_until(&self, steps: u64) -> u64 {
        self.sum_until(steps, |phase, n| (n * phase.batch_tokens()) as f64) as u64
    }

    /// Refuses a run that cannot be trained.
    ///
    /// # Errors
    /// `BadShape` or `BadRun`, naming the field.
    pub fn check(&self) -> Result<(), SchemaError> {
        self.model.check()?;
        let bad = |why: String| Err(SchemaError::BadRun { why });
        if self
            .phases
            .iter()
            .any(|phase| phase.steps == 0 || phase.batch_sequences == 0 || phase.context_len == 0)
        {
            return bad("every phase needs at least 1 step, 1 sequence and 1 token of context".to_string());
        }
        let steps = self.total_steps();
        if steps == 0 {
            return bad("it has no steps".to_string());
        }
        if self.recipe.warmup_steps >= steps {
            return bad(format!(
                "a run of {} is too short for a warm-up of {}",
                counted(steps as usize, "step"),
                self.recipe.warmup_steps
            ));
        }
        if let Schedule::Wsd { cooldown_steps } = self.recipe.schedule
            && cooldown_steps + self.recipe.warmup_steps > steps
        {
            return bad(format!(
                "a run of {} is too short for its warm-up and cool-down",
                counted(steps as usize, "step")
            ));
        }
        if let Start::Branch { step, .. } = self.start
            && (step == 0 || step >= steps)
        {
            return bad(format!("a branch cannot start at step {step} of {steps}"));
        }
        if !(self.recipe.lr_peak.is_finite() && self.recipe.lr_peak > 0.0) {
            return bad(format!("learning rate {} must be positive", self.recipe.lr_peak));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mixture::MixtureSource;
    use crate::model::{Head, ModelShape};
    use crate::recipe::{InitRule, Optimizer, Parametrisation, Precision};

    fn spec() -> TrainSpec {
        TrainSpec {
            model: ModelSpec::Transformer(ModelShape {
                n_layer: 2,
                d_model: 16,
                n_head: 2,
                d_ff: 48,
                vocab_size: 29,
                head: Head::Tied,
            }),
            phases: vec![
                Phase { context_len: 16, batch_sequences: 6, steps: 10 },
                Phase { context_len: 32, batch_sequences: 3, steps: 5 },
            ],
            recipe: Recipe {
                optimizer: Optimizer::AdamW { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1 },
                lr_peak: 1e-2,
                warmup_steps: 2,
                schedule: Schedule::Wsd { cooldown_steps: 3 },
                grad_clip_norm: 1.0,
                init: InitRule::ScaledNormal { std: 0.02 },
                precision: Precision::F32,
                parametrisation: Parametrisation::Standard,
            },
            mixture: Mixture::new(vec![MixtureSource { tokens: "aa".to_string(), weight: 1.0 }]).unwrap(),
            seed: 0,
            start: Start::Init,
        }
    }

    #[test]
    fn flops_of_two_stretches_add_up_across_phases() {
        let spec = spec();
        assert_eq!(spec.flops_of(0..15), spec.flops());
        let parts = spec.flops_of(0..7).plus(&spec.flops_of(7..12));
        assert_eq!(parts.total(), spec.flops_until(12));
        assert_eq!(spec.flops_of(12..12), FlopCount::ZERO);
    }

    #[test]
    fn a_branch_spends_what_comes_after_its_trunk_and_must_begin_within_its_steps() {
        let mut spec = spec();
        assert_eq!((spec.first_step(), spec.flops_spent()), (0, spec.flops()));
        let parent: RunId = "0123456789ab".parse().unwrap();
        for (step, is_good) in [(0, false), (1, true), (12, true), (14, true), (15, false)] {
            spec.start = Start::Branch { parent: parent.clone(), step };
            assert_eq!(spec.check().is_ok(), is_good, "{step}");
        }
        spec.start = Start::Branch { parent, step: 12 };
        assert_eq!(spec.flops_spent(), spec.flops_of(12..15));
        assert_eq!(spec.flops().total(), spec.flops_of(0..15).total());
    }
}
