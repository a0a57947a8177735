//! Small runs and synthetic text for the tests of this crate; a [`Fixture`] has them in a folder, and
//! [`plain_forward`] is the model by its definition.

mod fixture;
mod plain_forward;

use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use scalelaw_data::Batch;
use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::metrics::MetricsRow;
use scalelaw_schema::mixture::{Mixture, MixtureSource};
use scalelaw_schema::model::{Head, ModelShape, ModelSpec};
use scalelaw_schema::recipe::{InitRule, Optimizer, Parametrisation, Precision, Recipe, Schedule};
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run::{Cadence, Cell, CorpusRef, Keep, RunSpec};
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::train_spec::{Phase, Start, TrainSpec};

use crate::error::TrainError;
use crate::models::init::initial_values;
use crate::models::{self, Model};
use crate::steps::{Hooks, Output, Step, StepSetup, TrainState, Values, run_steps};

pub use fixture::{Fixture, held_out};
pub use plain_forward::{PlainForward, plain_forward};

pub fn shape(head: Head) -> ModelShape {
    ModelShape { n_layer: 2, d_model: 16, n_head: 2, d_ff: 24, vocab_size: 29, head }
}

/// A model in the standard parametrisation, whose weights have the deviation `std`.
pub fn model(shape: &ModelShape, std: f64, seed: u64, device: &Device) -> Model {
    Model::build(&ModelSpec::Transformer(shape.clone()), device, |spec| {
        Ok::<_, TrainError>(initial_values(spec, InitRule::ScaledNormal { std }, shape.n_layer, seed))
    })
    .unwrap()
}

pub fn train_spec(steps: u64) -> TrainSpec {
    TrainSpec {
        model: ModelSpec::Transformer(shape(Head::Untied)),
        phases: vec![Phase { context_len: 16, batch_sequences: 6, steps }],
        recipe: Recipe {
            optimizer: Optimizer::AdamW { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1 },
            lr_peak: 1e-2,
            warmup_steps: 4,
            schedule: Schedule::Cosine { final_fraction: 0.1 },
            grad_clip_norm: 1.0,
            init: InitRule::ScaledNormal { std: 0.02 },
            precision: Precision::F32,
            parametrisation: Parametrisation::Standard,
        },
        mixture: Mixture::new(vec![MixtureSource { tokens: "aa".to_string(), weight: 1.0 }]).unwrap(),
        seed: 3,
        start: Start::Init,
    }
}

pub fn run_spec(steps: u64) -> RunSpec {
    let train = train_spec(steps);
    RunSpec {
        schema_version: SCHEMA_VERSION,
        id: RunId::of(&train),
        train,
        cell: Cell::default(),
        corpora: vec![CorpusRef { name: "letters".to_string(), tokens: "aa".to_string() }],
        evals: Vec::new(),
        cadence: Cadence { log_steps: 5, checkpoint_steps: 8, eval_steps: 0, eval_items: None },
        keep: Keep::Weights,
        keep_steps: Vec::new(),
        early_stop: None,
    }
}

/// A language that can be learnt: each token is followed by one of two, the choice a pure function of the
/// position.
pub fn tokens(first: u64, n: usize) -> Vec<u16> {
    (first..first + n as u64)
        .map(|position| {
            let coin = position.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 63;
            ((position * 7 + coin * 3) % 29) as u16
        })
        .collect()
}

pub fn batch(cursor: u64, phase: &Phase) -> Result<Batch, TrainError> {
    let n = phase.batch_tokens() as usize;
    let text = tokens(cursor, n + 1);
    Ok(Batch { inputs: text[..n].to_vec(), targets: text[1..].to_vec() })
}

pub fn fresh(train: &TrainSpec, device: &Device) -> TrainState {
    TrainState::new(Model::initial(train, device))
}

/// Trains without files; returns the outcome, the state and the rows.
pub fn train_in_memory(
    train: &TrainSpec,
    micro_batch_tokens: u64,
    device: &Device,
    batch: &mut dyn FnMut(u64, &Phase) -> Result<Batch, TrainError>,
) -> (Outcome, TrainState, Vec<MetricsRow>) {
    let mut state = fresh(train, device);
    let mut rows = Vec::new();
    let cadence = Cadence { log_steps: 1, checkpoint_steps: 0, eval_steps: 0, eval_items: None };
    let step = Step { train, micro_batch_tokens, device };
    let setup = StepSetup { step, cadence: &cadence, keep_steps: &[], matmul_peak: None };
    let hooks = Hooks {
        batch,
        evaluate: &mut |_, _| Ok(Values::new()),
        sink: &mut |_, output| {
            if let Output::Row(row) = output {
                rows.push(row);
            }
            Ok(ControlFlow::Continue(()))
        },
    };
    let outcome = run_steps(setup, &mut state, hooks, &AtomicBool::new(false)).unwrap();
    (outcome, state, rows)
}

/// All weights as saved, in order.
pub fn weights(model: &Model) -> Vec<Vec<f32>> {
    model
        .specs()
        .iter()
        .zip(model.weights())
        .map(|(spec, tensor)| models::to_host(tensor, spec).unwrap())
        .collect()
}
