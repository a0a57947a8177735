//! A folder with text, a run on it and a device.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use scalelaw_data::{Corpus, Needed, Suite, TokenSuite, Tokenizer, ensure_tokens};
use scalelaw_schema::corpus::{CorpusSource, CorpusSpec};
use scalelaw_schema::device::DeviceChoice;
use scalelaw_schema::eval::{EvalRequest, EvalSpec, Evaluation};
use scalelaw_schema::event::{EarlyStopThreshold, Event};
use scalelaw_schema::mixture::{Mixture, MixtureSource};
use scalelaw_schema::model::ModelSpec;
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run::{CorpusRef, RunSpec};
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::skill::{ChoiceRule, Scoring, SkillFamily, SkillManifest, SuiteSource, SuiteSpec};
use scalelaw_schema::sweep::TokenizerChoice;

use super::run_spec;
use crate::checkpoint;
use crate::device::{OpenDevice, Program, open_device};
use crate::error::TrainError;
use crate::eval::{EvalJob, evaluate};
use crate::models::Model;
use crate::run::{TrainJob, train};

/// A folder with a real token set of bytes, a run on it, and a device.
pub struct Fixture {
    dir: tempfile::TempDir,
    pub run: RunSpec,
    pub micro_batch_tokens: Option<u64>,
    pub threshold: Option<EarlyStopThreshold>,
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
        Fixture {
            dir,
            run,
            micro_batch_tokens: None,
            threshold: None,
            device: open_device(DeviceChoice::Cpu, 1).unwrap(),
        }
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
            micro_batch_tokens: self.micro_batch_tokens,
            matmul_peak: Some(1e12),
            threshold: self.threshold.as_ref(),
            program: &program(),
        };
        train(&job, stop, on_event)
    }

    /// Evaluates finished weights: 0 as in the run, 1 in longer windows.
    pub fn evaluate(&self, folder: &Path, which: usize) -> Result<Evaluation, TrainError> {
        let mut request = self.run.evals[0].clone();
        if which == 1
            && let EvalSpec::HeldOut { context_len, .. } = &mut request.spec
        {
            *context_len = 32;
        }
        self.evaluate_by(folder, &request)
    }

    /// Evaluates finished weights.
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
        checkpoint::load_weights(folder, &self.run.train.model, &self.device.device).unwrap()
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
