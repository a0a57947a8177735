//! Run folders as the runner and the trainer leave them, for tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::eval::{EvalRequest, EvalSpec, Evaluation};
use scalelaw_schema::metrics::MetricsRow;
use scalelaw_schema::mixture::{Mixture, MixtureSource};
use scalelaw_schema::model::{Head, ModelShape, ModelSpec};
use scalelaw_schema::recipe::{InitRule, Optimizer, Parametrisation, Precision, Recipe, Schedule};
use scalelaw_schema::record::{Outcome, Provenance, RunRecord};
use scalelaw_schema::run::{Cadence, Cell, CorpusRef, Keep, RunSpec};
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::score::{Measured, Score, SkillScore};
use scalelaw_schema::train_spec::{Phase, Start, TrainSpec};

/// A run to write: each test changes what it is about.
pub(crate) struct Run {
    pub spec: RunSpec,
    pub record: RunRecord,
    pub evals: Vec<Evaluation>,
    pub metrics: Vec<MetricsRow>,
}

/// A run of `n_layer` blocks and `steps` steps on `code` (weight 3/4, loss 2) and `prose` (1/4, loss 4).
pub(crate) fn run(n_layer: usize, steps: u64, seed: u64) -> Run {
    let shape = ModelShape { n_layer, d_model: 16, n_head: 2, d_ff: 40, vocab_size: 256, head: Head::Untied };
    let params = shape.params();
    let source = |tokens: &str, weight| MixtureSource { tokens: tokens.to_string(), weight };
    let train = TrainSpec {
        model: ModelSpec::Transformer(shape),
        phases: vec![Phase { context_len: 32, batch_sequences: 4, steps }],
        recipe: Recipe {
            optimizer: Optimizer::AdamW { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1 },
            lr_peak: 0.003,
            warmup_steps: 1,
            schedule: Schedule::Cosine { final_fraction: 0.1 },
            grad_clip_norm: 1.0,
            init: InitRule::ScaledNormal { std: 0.02 },
            precision: Precision::F32,
            parametrisation: Parametrisation::Standard,
        },
        mixture: Mixture::new(vec![source("c0de", 3.0), source("9405e", 1.0)]).unwrap(),
        seed,
        start: Start::Init,
    };
    let id = RunId::of(&train);
    let request = |name: &str, tokens: &str| EvalRequest {
        name: name.to_string(),
        spec: EvalSpec::HeldOut { tokens: tokens.to_string(), n_tokens: 65536, context_len: 32 },
    };
    let requests = vec![request("code", "c0de"), request("prose", "9405e")];
    let evals = [2.0, 4.0].into_iter().zip(&requests).map(|(loss, request)| Evaluation {
        schema_version: SCHEMA_VERSION,
        run: id.clone(),
        request: request.clone(),
        score: Score::Text { loss, bpb: loss / 2.0, n_tokens: 65536, n_bytes: 65536 },
        wall_seconds: 0.5,
        provenance: provenance(),
    });
    let metrics = (1..=steps).map(|step| MetricsRow {
        step,
        tokens: train.tokens_until(step),
        flops: train.flops_until(step),
        wall_seconds: step as f64 / 8.0,
        values: BTreeMap::from([
            ("train/loss".to_string(), 5.0 / step as f64),
            ("train/lr".to_string(), train.recipe.lr(step - 1, steps)),
        ]),
    });
    let record = RunRecord {
        schema_version: SCHEMA_VERSION,
        run: id.clone(),
        outcome: Outcome::Finished,
        params,
        steps,
        tokens: train.tokens(),
        flops_path: train.flops(),
        flops_spent: train.flops(),
        cluster: id.clone(),
        train_loss: Some(2.5),
        epochs: BTreeMap::from([("code".to_string(), 0.5), ("prose".to_string(), 0.25)]),
        skipped_steps: Vec::new(),
        wall_seconds: 2.5,
        tokens_per_second: Some(1000.0),
        peak_bytes: Some(1 << 20),
        micro_batch_tokens: Some(128),
        micro_batch: None,
        attempts: 1,
        provenance: provenance(),
        train: train.clone(),
    };
    let corpus = |name: &str, tokens: &str| CorpusRef { name: name.to_string(), tokens: tokens.to_string() };
    Run {
        metrics: metrics.collect(),
        evals: evals.collect(),
        record,
        spec: RunSpec {
            schema_version: SCHEMA_VERSION,
            id,
            train,
            cell: Cell { budget_flops: Some(3e9), cluster: None },
            corpora: vec![corpus("code", "c0de"), corpus("prose", "9405e")],
            evals: requests,
            cadence: Cadence { log_steps: 1, checkpoint_steps: 10, eval_steps: 10, eval_items: None },
            keep: Keep::None,
            keep_steps: Vec::new(),
            early_stop: None,
        },
    }
}

/// An evaluation of a skill with `nll` nats per token and answers of two tokens; scored right or wrong where an
/// accuracy is given.
pub(crate) fn skill_eval(run: &Run, name: &str, nll: f64, accuracy: Option<f64>) -> Evaluation {
    let spec =
        EvalSpec::Skill { suite: format!("suite-{name}"), n_items: 64, n_sequences: 64, context_len: 32 };
    let measured = |value: f64, se: f64| Measured { value, se: Some(se) };
    Evaluation {
        request: EvalRequest { name: name.to_string(), spec },
        score: Score::Items(SkillScore {
            n_items: 64,
            n_tokens: 128,
            n_bytes: 128,
            nll_per_answer: measured(2.0 * nll, 0.25),
            nll: measured(nll, 0.125),
            bpb: measured(nll / 2.0, 0.0625),
            accuracy: accuracy.map(|accuracy| measured(accuracy, 0.0625)),
            chance: accuracy.map(|_| 0.25),
            classes: BTreeMap::new(),
            groups: BTreeMap::new(),
            facts: None,
        }),
        ..run.evals[0].clone()
    }
}

fn provenance() -> Provenance {
    Provenance {
        version: "0.1.0".to_string(),
        git_commit: Some("abc1234".to_string()),
        burn: "0.22.1".to_string(),
        features: vec!["simd".to_string()],
        backend: "cpu".to_string(),
        device: "Some Processor".to_string(),
        driver: None,
        host: "host".to_string(),
        platform: "linux-x86_64".to_string(),
        threads: 1,
        started: "2026-01-01T00:00:00Z".to_string(),
        ended: "2026-01-01T00:00:03Z".to_string(),
    }
}

impl Run {
    /// Writes the folder below `sweep_dir` and returns its path.
    pub(crate) fn write(&self, sweep_dir: &Path) -> PathBuf {
        let dir = sweep_dir.join(self.spec.folder_name());
        fs::create_dir_all(dir.join("evals")).unwrap();
        fs::write(dir.join("run.toml"), toml::to_string(&self.spec).unwrap()).unwrap();
        fs::write(dir.join("record.json"), serde_json::to_vec_pretty(&self.record).unwrap()).unwrap();
        for eval in &self.evals {
            let file = dir.join("evals").join(format!("{}.json", eval.request.spec.hash()));
            fs::write(file, serde_json::to_vec(eval).unwrap()).unwrap();
        }
        let lines: String =
            self.metrics.iter().map(|row| serde_json::to_string(row).unwrap() + "\n").collect();
        fs::write(dir.join("metrics.jsonl"), lines).unwrap();
        dir
    }
}
