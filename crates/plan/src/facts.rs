//! What the planner must be given, since it reads no file and opens no device.

use std::collections::{BTreeMap, BTreeSet};

use scalelaw_schema::BYTE_VOCAB_SIZE;
use scalelaw_schema::device::DeviceSpeed;
use scalelaw_schema::eval::EvalSpec;
use scalelaw_schema::lr_rule::LrRule;
use scalelaw_schema::plan::{Packing, Plan};
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::sweep::{SweepSpec, TokenizerChoice};

/// The machine, the text and the state of earlier runs.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanFacts {
    /// Each corpus that the sweep names, under each of its tokenizers.
    pub corpora: BTreeMap<(TokenizerChoice, String), CorpusFacts>,
    /// The evaluation of each skill of `[measure]` under each tokenizer; a skill without one is not measured.
    pub suites: BTreeMap<(TokenizerChoice, String), EvalSpec>,
    /// Warnings about the text for the reader of the plan, one sentence each.
    pub notes: Vec<String>,
    /// Measured speed of the device; without it the plan has no time, energy or money.
    pub speed: Option<DeviceSpeed>,
    /// Runs that train at once, at least 1.
    pub slots: usize,
    /// How the runs are packed onto the machine, once that is decided; shown with the plan.
    pub packing: Option<Packing>,
    /// Memory of the device, bytes; the slots share it.
    pub memory_bytes: Option<u64>,
    /// Largest buffer that a kernel of the device may bind, bytes.
    pub max_binding_bytes: Option<u64>,
    /// Free disk space for run folders, bytes.
    pub free_disk_bytes: Option<u64>,
    /// Runs that have a folder, finished or not: their budgets are frozen.
    pub started: BTreeSet<RunId>,
    /// Outcome of each completed run. Read, as [`PlanFacts::checkpoints`], only if the sweep has `trunk = true`.
    pub over: BTreeMap<RunId, Outcome>,
    /// Steps of the checkpoints in each run's folder.
    pub checkpoints: BTreeMap<RunId, BTreeSet<u64>>,
    /// Optimal N that the smaller budgets show, by position in [`Plan::budgets`]. Read only if the sweep has
    /// `center = "fit"`.
    pub centers: BTreeMap<usize, f64>,
    /// The rule that the sweep names as `train.lr-rule`. Defaults to the built-in one.
    pub lr_rule: Option<LrRule>,
    /// The plan on the disk, if any.
    pub frozen: Option<Plan>,
}

/// A corpus under one tokenizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorpusFacts {
    /// Content hash of the token set.
    pub tokens: String,
    /// Size of the vocabulary.
    pub vocab_size: usize,
    /// Training tokens, if the end of the corpus is known.
    pub train_tokens: Option<u64>,
}

impl PlanFacts {
    /// Facts before any text is read: each corpus has its own name as its hash. The plan made from this shows every
    /// error of the sweep file that does not depend on text, and [`crate::tokens_needed`] computes from it how far each
    /// corpus must be read.
    pub fn draft(sweep: &SweepSpec) -> PlanFacts {
        let trained_on = sweep.data.mixture.0.iter().flat_map(BTreeMap::keys);
        let evaluated_on = sweep.eval.iter().flat_map(|eval| eval.corpora.iter().flatten());
        let names: BTreeSet<&String> = trained_on.chain(evaluated_on).collect();
        let mut corpora = BTreeMap::new();
        for &tokenizer in &sweep.data.tokenizer.0 {
            let vocab_size = match tokenizer {
                TokenizerChoice::Bytes => BYTE_VOCAB_SIZE,
                TokenizerChoice::Bpe(vocab_size) => vocab_size as usize,
            };
            for &name in &names {
                let corpus = CorpusFacts { tokens: name.clone(), vocab_size, train_tokens: None };
                corpora.insert((tokenizer, name.clone()), corpus);
            }
        }
        PlanFacts::new(corpora)
    }

    /// These corpora on an unmeasured device with one slot, and nothing started.
    pub fn new(corpora: BTreeMap<(TokenizerChoice, String), CorpusFacts>) -> PlanFacts {
        PlanFacts {
            corpora,
            suites: BTreeMap::new(),
            notes: Vec::new(),
            speed: None,
            slots: 1,
            packing: None,
            memory_bytes: None,
            max_binding_bytes: None,
            free_disk_bytes: None,
            started: BTreeSet::new(),
            over: BTreeMap::new(),
            checkpoints: BTreeMap::new(),
            centers: BTreeMap::new(),
            lr_rule: None,
            frozen: None,
        }
    }
}
