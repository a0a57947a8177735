//! Small runs and synthetic text for the tests of this crate.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use scalelaw_data::{Batch, Corpus, Needed, Suite, TokenSuite, Tokenizer, ensure_tokens};
use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::corpus::{CorpusSource, CorpusSpec};
use scalelaw_schema::device::DeviceChoice;
use scalelaw_schema::eval::{EvalRequest, EvalSpec, Evaluation};
use scalelaw_schema::event::{EarlyStopThreshold, Event};
use scalelaw_schema::metrics::MetricsRow;
use scalelaw_schema::mixture::{Mixture, MixtureSource};
use scalelaw_schema::recipe::{InitRule, Optimizer, Parametrisation, Precision, Recipe, Schedule};
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run::{Cadence, Cell, CorpusRef, Keep, RunSpec};
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::shape::{Head, ModelShape, ModelSpec};
use scalelaw_schema::skill::{ChoiceRule, Scoring, SkillFamily, SkillManifest, SuiteSource, SuiteSpec};
use scalelaw_schema::sweep::TokenizerChoice;
use scalelaw_schema::train_spec::{Phase, Start, TrainSpec};

use crate::checkpoint;
use crate::device::{OpenDevice, Program, open_device};
use crate::error::TrainError;
use crate::eval::{EvalJob, evaluate};
use crate::layout::BLOCK_TENSORS;
use crate::model::{Model, NORM_EPS, ROPE_THETA};
use crate::optimizer::Moments;
use crate::run::{TrainJob, train};
use crate::steps::{Hooks, Output, Progress, StepSetup, TrainState, Values, run_steps};

pub fn shape(head: Head) -> ModelShape {
    ModelShape { n_layer: 2, d_model: 16, n_head: 2, d_ff: 24, vocab_size: 29, head }
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
    let model = Model::initial(train, device);
    let moments = Moments::zeros(&model);
    TrainState { model, moments, progress: Progress::new(0, 0) }
}

/// Trains without files; returns the outcome, the state and the rows.
pub fn train_in_memory(
    train: &TrainSpec,
    micro_batch: usize,
    device: &Device,
    batch: &mut dyn FnMut(u64, &Phase) -> Result<Batch, TrainError>,
) -> (Outcome, TrainState, Vec<MetricsRow>) {
    let mut state = fresh(train, device);
    let mut rows = Vec::new();
    let cadence = Cadence { log_steps: 1, checkpoint_steps: 0, eval_steps: 0, eval_items: None };
    let setup =
        StepSetup { train, cadence: &cadence, keep_steps: &[], micro_batch, matmul_peak: None, device };
    let hooks = Hooks {
        batch,
        evaluate: &mut |_, _| Ok(Values::new()),
        sink: &mut |_, output| {
            if let Output::Row(row) = output {
                rows.push(row);
            }
            Ok(())
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
        .map(|(spec, tensor)| crate::model::to_host(tensor, spec).unwrap())
        .collect()
}

/// What a model computes, by position.
pub struct PlainForward {
    /// The residual stream after the last block, `d_model` numbers each.
    pub residual: Vec<Vec<f64>>,
    /// Logits, `vocab_size` numbers each.
    pub logits: Vec<Vec<f64>>,
}

impl PlainForward {
    /// Negative log-likelihood of each token of `text` after the first.
    pub fn losses(&self, text: &[u16]) -> Vec<f64> {
        self.logits
            .iter()
            .zip(&text[1..])
            .map(|(logits, &target)| {
                logits.iter().map(|l| l.exp()).sum::<f64>().ln() - logits[usize::from(target)]
            })
            .collect()
    }

    /// By how much the logit of each token of `text` after the first is above the largest other one.
    pub fn margins(&self, text: &[u16]) -> Vec<f64> {
        let margin = |(logits, &target): (&Vec<f64>, &u16)| {
            let others = logits.iter().enumerate().filter(|(idx, _)| *idx != usize::from(target));
            logits[usize::from(target)] - others.map(|(_, l)| *l).fold(f64::NEG_INFINITY, f64::max)
        };
        self.logits.iter().zip(&text[1..]).map(margin).collect()
    }
}

/// The model by its definition, in `f64` and one number at a time, over one sequence: all of `text` but its last
/// token. `weights` as saved.
pub fn plain_forward(shape: &ModelShape, weights: &[Vec<f32>], text: &[u16]) -> PlainForward {
    let (c, d) = (shape.d_model, shape.d_head());
    let times = |weight: &[f32], x: &[f64]| -> Vec<f64> {
        weight.chunks(x.len()).map(|row| row.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum()).collect()
    };
    let norm = |gain: &[f32], x: &[f64]| -> Vec<f64> {
        let root = (x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64 + NORM_EPS).sqrt();
        x.iter().zip(gain).map(|(x, g)| x / root * f64::from(*g)).collect()
    };
    let turn = |x: &[f64], position: usize| -> Vec<f64> {
        (0..c)
            .map(|idx| {
                let (first, within) = (idx - idx % d, idx % d);
                let pair = within % (d / 2);
                let angle = position as f64 * ROPE_THETA.powf(-2.0 * pair as f64 / d as f64);
                let (a, b) = (x[first + pair], x[first + pair + d / 2]);
                if within < d / 2 {
                    a * angle.cos() - b * angle.sin()
                } else {
                    b * angle.cos() + a * angle.sin()
                }
            })
            .collect()
    };
    let t = text.len() - 1;
    let embedding = |token: u16| &weights[0][usize::from(token) * c..][..c];
    let mut xs: Vec<Vec<f64>> =
        text[..t].iter().map(|&token| embedding(token).iter().map(|&x| f64::from(x)).collect()).collect();
    for layer in 0..shape.n_layer {
        let w = &weights[1 + layer * BLOCK_TENSORS..];
        let hs: Vec<Vec<f64>> = xs.iter().map(|x| norm(&w[0], x)).collect();
        let q: Vec<_> = hs.iter().enumerate().map(|(at, h)| turn(&times(&w[1], h), at)).collect();
        let k: Vec<_> = hs.iter().enumerate().map(|(at, h)| turn(&times(&w[2], h), at)).collect();
        let v: Vec<_> = hs.iter().map(|h| times(&w[3], h)).collect();
        for at in 0..t {
            let mut mixed = vec![0.0; c];
            for head in 0..shape.n_head {
                let part = head * d..(head + 1) * d;
                let scores: Vec<f64> = (0..=at)
                    .map(|to| {
                        let dot: f64 = part.clone().map(|idx| q[at][idx] * k[to][idx]).sum();
                        (dot / (d as f64).sqrt()).exp()
                    })
                    .collect();
                let sum: f64 = scores.iter().sum();
                for (to, score) in scores.iter().enumerate() {
                    part.clone().for_each(|idx| mixed[idx] += score / sum * v[to][idx]);
                }
            }
            for (x, y) in xs[at].iter_mut().zip(times(&w[4], &mixed)) {
                *x += y;
            }
            let h = norm(&w[5], &xs[at]);
            let gated: Vec<f64> = times(&w[6], &h)
                .iter()
                .zip(times(&w[7], &h))
                .map(|(g, u)| g / (1.0 + (-g).exp()) * u)
                .collect();
            for (x, y) in xs[at].iter_mut().zip(times(&w[8], &gated)) {
                *x += y;
            }
        }
    }
    let last = 1 + shape.n_layer * BLOCK_TENSORS;
    let head = if shape.head == Head::Tied { &weights[0] } else { &weights[last + 1] };
    let logits = xs.iter().map(|x| times(head, &norm(&weights[last], x))).collect();
    PlainForward { residual: xs, logits }
}

/// A folder with a real token set of bytes, a run on it, and a device.
pub struct Fixture {
    dir: tempfile::TempDir,
    pub run: RunSpec,
    pub micro_batch: Option<usize>,
    pub bar: Option<EarlyStopThreshold>,
    device: OpenDevice,
}

pub fn held_out(tokens: &str, n_tokens: u64, context_len: usize) -> EvalSpec {
    EvalSpec::HeldOut { tokens: tokens.to_string(), n_tokens, context_len }
}

impl Fixture {
    pub fn new(steps: u64) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let text = dir.path().join("text");
        std::fs::create_dir(&text).unwrap();
        for document in 0..40 {
            let words = (0..400).map(|word| format!("{} ", (word * word + document) % 97));
            std::fs::write(text.join(format!("{document}.txt")), words.collect::<String>()).unwrap();
        }
        let spec = CorpusSpec {
            description: None,
            licence: None,
            how_to_obtain: None,
            obtain: None,
            tag: None,
            max_documents: None,
            source: CorpusSource::Files(vec!["text".to_string()]),
            max_document_bytes: None,
            held_out: Some(0.2),
        };
        let corpus = Corpus::open("prose", &spec, dir.path()).unwrap();
        let cache = dir.path().join("cache");
        let tokenizer = Tokenizer::prepare(TokenizerChoice::Bytes, &[], &cache).unwrap();
        let needed = Needed { train_tokens: 10_000, held_out_tokens: 1024 };
        let hash = ensure_tokens(&corpus, &tokenizer, &cache, needed, &mut |_, _| {}).unwrap().hash;
        let mut run = run_spec(steps);
        let ModelSpec::Transformer(shape) = &mut run.train.model;
        shape.vocab_size = tokenizer.vocab_size() as usize;
        run.train.mixture = Mixture::new(vec![MixtureSource { tokens: hash.clone(), weight: 1.0 }]).unwrap();
        run.id = RunId::of(&run.train);
        run.corpora = vec![CorpusRef { name: "prose".to_string(), tokens: hash.clone() }];
        run.evals = vec![EvalRequest { name: "prose".to_string(), spec: held_out(&hash, 512, 16) }];
        Fixture { dir, run, micro_batch: None, bar: None, device: open_device(DeviceChoice::Cpu, 1).unwrap() }
    }

    /// A run folder of this name.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.dir.path().join("runs").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    pub fn train(
        &self,
        folder: &Path,
        on_event: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Outcome, TrainError> {
        self.train_until(folder, &AtomicBool::new(false), on_event)
    }

    pub fn train_until(
        &self,
        folder: &Path,
        stop: &AtomicBool,
        on_event: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Outcome, TrainError> {
        self.train_run(&self.run, folder, stop, on_event)
    }

    pub fn train_run(
        &self,
        run: &RunSpec,
        folder: &Path,
        stop: &AtomicBool,
        on_event: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Outcome, TrainError> {
        let job = TrainJob {
            run,
            folder,
            cache: &self.dir.path().join("cache"),
            device: &self.device,
            micro_batch: self.micro_batch,
            matmul_peak: Some(1e12),
            bar: self.bar.as_ref(),
            program: &program(),
        };
        train(&job, stop, on_event)
    }

    /// Judges finished weights: 0 as in the run, 1 in longer windows.
    pub fn evaluate(&self, folder: &Path, which: usize) -> Result<Evaluation, TrainError> {
        let mut request = self.run.evals[0].clone();
        if which == 1
            && let EvalSpec::HeldOut { context_len, .. } = &mut request.spec
        {
            *context_len = 32;
        }
        self.evaluate_by(folder, &request)
    }

    /// Judges finished weights.
    pub fn evaluate_by(&self, folder: &Path, request: &EvalRequest) -> Result<Evaluation, TrainError> {
        let job = EvalJob {
            run: &self.run,
            folder,
            cache: &self.dir.path().join("cache"),
            device: &self.device,
            program: &program(),
        };
        evaluate(&job, request)
    }

    /// Finished weights.
    pub fn weights(&self, folder: &Path) -> Model {
        checkpoint::load_weights(folder, self.run.train.model.shape(), &self.device.device).unwrap()
    }

    /// A suite of two choices per item, ready in the cache.
    pub fn quiz(&self, n_items: u64) -> TokenSuite {
        let lines: String = (0..n_items)
            .map(|i| {
                let choices = [format!(" {}", i * i % 97), format!(" or {i}")];
                format!("{}\n", serde_json::json!({ "prompt": format!("{i} times {i} is"), "choices": choices, "correct": i % 2 }))
            })
            .collect();
        std::fs::write(self.dir.path().join("quiz.jsonl"), lines).unwrap();
        let manifest = SkillManifest {
            description: None,
            family: SkillFamily::Reasoning,
            corpus: None,
            suite: SuiteSpec {
                source: SuiteSource::Jsonl(vec!["quiz.jsonl".to_string()]),
                scoring: Scoring::Choice(ChoiceRule::PerByte),
                items: None,
                overlap: None,
            },
        };
        let cache = self.dir.path().join("cache");
        let suite = Suite::open("quiz", &manifest, None, self.dir.path()).unwrap();
        let tokenizer = Tokenizer::prepare(TokenizerChoice::Bytes, &[], &cache).unwrap();
        let suite = TokenSuite::new(&suite, &tokenizer, "").unwrap();
        suite.save(&cache).unwrap();
        suite
    }
}

fn program() -> Program {
    Program { version: "0".to_string(), git_commit: None, host: "here".to_string() }
}
