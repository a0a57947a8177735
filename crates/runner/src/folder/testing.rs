//! Runs and folders for the tests of this crate.

use std::fs;
use std::path::{Path, PathBuf};

use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::mixture::{Mixture, MixtureSource};
use scalelaw_schema::model::{Head, ModelShape, ModelSpec};
use scalelaw_schema::recipe::{InitRule, Optimizer, Parametrisation, Precision, Recipe, Schedule};
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::run::{Cadence, Cell, Keep};
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::train_spec::{Phase, Start, TrainSpec};

/// A small run; another seed is another run.
pub(crate) fn run_spec(seed: u64) -> RunSpec {
    let shape =
        ModelShape { n_layer: 2, d_model: 16, n_head: 2, d_ff: 44, vocab_size: 256, head: Head::Tied };
    let train = TrainSpec {
        model: ModelSpec::Transformer(shape),
        phases: vec![Phase { context_len: 32, batch_sequences: 8, steps: 200 }],
        recipe: Recipe {
            optimizer: Optimizer::AdamW { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1 },
            lr_peak: 0.1 + 0.2,
            warmup_steps: 10,
            schedule: Schedule::Cosine { final_fraction: 0.1 },
            grad_clip_norm: 1.0,
            init: InitRule::ScaledNormal { std: 0.02 },
            precision: Precision::F32,
            parametrisation: Parametrisation::Standard,
        },
        mixture: Mixture::new(vec![MixtureSource { tokens: "text".to_string(), weight: 1.0 }]).unwrap(),
        seed,
        start: Start::Init,
    };
    RunSpec {
        schema_version: SCHEMA_VERSION,
        id: RunId::of(&train),
        train,
        cell: Cell::default(),
        corpora: vec![],
        evals: vec![],
        cadence: Cadence { log_steps: 10, checkpoint_steps: 50, eval_steps: 100, eval_items: None },
        keep: Keep::Weights,
        keep_steps: vec![],
        early_stop: None,
    }
}

/// A record with the fields that are read here and one that is read past.
pub(crate) fn record_text(id: &RunId, outcome: &str) -> String {
    format!(r#"{{"run":"{id}","outcome":{outcome},"steps":200,"train_loss":1.5,"params":{{"mlp":[1,2]}}}}"#)
}

pub(crate) fn new_run_folder(sweep_dir: &Path, run: &RunSpec) -> PathBuf {
    let folder = sweep_dir.join(run.folder_name());
    fs::create_dir_all(&folder).unwrap();
    folder
}
