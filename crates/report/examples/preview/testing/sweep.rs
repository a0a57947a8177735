//! A simulated sweep: a known law with noise, budgets times sizes, learning curves, one run that diverged,
//! one that failed and one dropped cell.

use std::collections::BTreeMap;

use scalelaw_fit::conclusion::Conclusion;
use scalelaw_fit::{FitError, FitSpec};
use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::count::CountRule;
use scalelaw_schema::measure::{LossColumn, Measure};
use scalelaw_schema::metrics::TRAIN_LOSS;
use scalelaw_schema::mixture::{Mixture, MixtureSource};
use scalelaw_schema::model::{Head, ModelShape, ModelSpec};
use scalelaw_schema::plan::*;
use scalelaw_schema::recipe::{InitRule, Optimizer, Parametrisation, Precision, Recipe, Schedule};
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run::{Cadence, Cell, CorpusRef, Keep, RunSpec};
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::table::*;
use scalelaw_schema::train_spec::{Phase, Start, TrainSpec};

/// Everything that a report takes, owned.
pub struct Simulated {
    pub plan: Plan,
    pub rows: Vec<ResultRow>,
    pub curves: Vec<MetricPoint>,
    pub problems: Vec<ExcludedRow>,
    pub table: LossTable,
    pub conclusion: Result<Conclusion, FitError>,
}

impl Simulated {
    /// The law that was fitted.
    pub fn fitted(&self) -> &Conclusion {
        self.conclusion.as_ref().expect("runs of a known law are fitted")
    }
}

/// E, A, B, alpha, beta of the law that the losses are drawn from.
const TRUTH: [f64; 5] = [0.9, 21.7, 47.6, 0.37, 0.33];
const CONTEXT: usize = 128;
const BATCH_SEQUENCES: usize = 8;
/// Standard deviation of the noise of log loss.
const NOISE: f64 = 0.004;

fn truth(n: f64, d: f64) -> f64 {
    let [e, a, b, alpha, beta] = TRUTH;
    e + a / n.powf(alpha) + b / d.powf(beta)
}

/// Splitmix64: small, and the same on every machine.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Box and Muller.
    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.uniform()).ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// `budgets` in ratios of three from 3e11 FLOPs, each with `sizes` sizes around its optimum.
pub fn sweep(n_budgets: usize, n_sizes: usize) -> Simulated {
    let mut random = Random(7);
    let budgets: Vec<f64> = (0..n_budgets).map(|i| 3e11 * 3f64.powi(i as i32)).collect();
    let mut planned: Vec<PlannedRun> = Vec::new();
    let mut centers = Vec::new();
    for (budget_idx, budget) in budgets.iter().enumerate() {
        let center_n = 1.9e4 * (budget / 1e11_f64).powf(0.47) * 1.12;
        centers.push(PlannedBudget {
            flops: *budget,
            center_n,
            center: if budget_idx == 0 { CenterSource::Prior } else { CenterSource::Fit },
        });
        for size_idx in 0..n_sizes {
            let share = if n_sizes > 1 { size_idx as f64 / (n_sizes - 1) as f64 - 0.5 } else { 0.0 };
            planned.push(plan_run(*budget, center_n * 10f64.powf(share)));
        }
    }
    planned.sort_by(|a, b| a.c.total_cmp(&b.c));
    planned.dedup_by(|a, b| a.run.id == b.run.id);

    // The largest run fails, the one before it diverges, where there are enough.
    let n = planned.len();
    let is_failed = |idx: usize| n > 10 && idx == n - 1;
    let is_diverged = |idx: usize| n > 10 && idx == n - 2;
    let (mut rows, mut curves, mut loss_rows, mut problems, mut excluded) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (idx, planned) in planned.iter().enumerate() {
        let id = &planned.run.id;
        if is_failed(idx) {
            problems.push(ExcludedRow {
                name: id.to_string(),
                why: "failed 3 times: out of memory at a micro-batch of 1 (hint: drop the size or take a device with more memory)".to_string(),
            });
            continue;
        }
        let loss = truth(planned.n, planned.d) * (NOISE * random.normal()).exp();
        curves.extend(curve(planned, is_diverged(idx), &mut random));
        rows.push(result(planned, (!is_diverged(idx)).then_some(loss), &mut random));
        if is_diverged(idx) {
            excluded.push(ExcludedRow { name: id.to_string(), why: "diverged at step 412".to_string() });
        } else {
            loss_rows.push(LossRow {
                name: id.to_string(),
                n: planned.n,
                d: planned.d,
                c: planned.c,
                loss,
                budget: planned.run.cell.budget_flops,
                cluster: Some(id.to_string()),
                seed: Some(planned.run.train.seed),
                unique_tokens: None,
            });
        }
    }
    let measure = Measure::of_runs(LossColumn::Mean, rows.iter().map(|row| row.vocab_size));
    let table = LossTable {
        loss_name: "code and prose, weighted as trained".to_string(),
        rows: loss_rows,
        excluded,
        ..LossTable::new("quickstart", Counting::Rule(CountRule::Exact), measure)
    };
    let spec = FitSpec { bootstrap: 400, ..FitSpec::new() };
    let conclusion =
        scalelaw_fit::fit(&table, &spec).map(|conclusion| Conclusion { seconds: Some(1.4), ..conclusion });
    let total = PlanTotal {
        n_runs: planned.len(),
        flops: planned.iter().map(|p| p.c).sum(),
        flops_separate: None,
        tokens: planned.iter().map(|p| p.d).sum(),
        wall_seconds: Some(planned.iter().filter_map(|p| p.estimate.seconds).sum::<f64>() / 2.0),
        disk_bytes: planned.iter().map(|p| p.estimate.disk_bytes).sum(),
        kwh: None,
        money: None,
        currency: None,
    };
    let plan = Plan {
        schema_version: SCHEMA_VERSION,
        sweep: "quickstart".to_string(),
        question: Some(
            "How should compute be split between parameters and tokens for small byte-level models of code and prose?"
                .to_string(),
        ),
        kind: "isoflop".to_string(),
        count_rule: CountRule::Exact,
        runs: planned,
        dropped: vec![DroppedCell {
            cell: "budget 3.00e11, N 152K".to_string(),
            why: "142 steps are fewer than the 200 that `min-steps` asks for".to_string(),
        }],
        budgets: centers,
        warnings: Vec::new(),
        lr_rule: None,
        uses: Default::default(),
        targets: Default::default(),
        total,
        packing: None,
    };
    Simulated { plan, rows, curves, problems, table, conclusion }
}

fn plan_run(budget: f64, target_n: f64) -> PlannedRun {
    let model = (4..600)
        .map(|half| {
            let d_model = half * 4;
            ModelSpec::Transformer(ModelShape {
                n_layer: (d_model / 24).clamp(2, 12),
                d_model,
                n_head: (d_model / 32).max(1),
                d_ff: (d_model * 8 / 3).next_multiple_of(8),
                vocab_size: scalelaw_schema::BYTE_VOCAB_SIZE,
                head: Head::Tied,
            })
        })
        .filter(|model| model.check().is_ok())
        .min_by(|a, b| {
            let far = |model: &ModelSpec| (CountRule::Exact.n(model) / target_n).ln().abs();
            far(a).total_cmp(&far(b))
        })
        .expect("there are shapes");
    let step_tokens = (CONTEXT * BATCH_SEQUENCES) as f64;
    let steps = (budget / CountRule::Exact.c(&model, CONTEXT, step_tokens)).round().max(1.0) as u64;
    let (n, d) = (CountRule::Exact.n(&model), steps as f64 * step_tokens);
    let c = CountRule::Exact.c(&model, CONTEXT, d);
    let mixture = Mixture::new(vec![
        MixtureSource { tokens: "5f1d3c0a9b7e".to_string(), weight: 1.0 },
        MixtureSource { tokens: "c20e88f14a36".to_string(), weight: 1.0 },
    ])
    .expect("two sources");
    let train = TrainSpec {
        model,
        phases: vec![Phase { context_len: CONTEXT, batch_sequences: BATCH_SEQUENCES, steps }],
        recipe: Recipe {
            optimizer: Optimizer::AdamW { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1 },
            lr_peak: 0.012 * (n / 1e4).powf(-0.35),
            warmup_steps: steps / 10,
            schedule: Schedule::Cosine { final_fraction: 0.1 },
            grad_clip_norm: 1.0,
            init: InitRule::ScaledNormal { std: 0.02 },
            precision: Precision::F32,
            parametrisation: Parametrisation::Standard,
        },
        mixture,
        seed: 0,
        start: Start::Init,
    };
    let corpus = |name: &str, tokens: &str| CorpusRef { name: name.to_string(), tokens: tokens.to_string() };
    let run = RunSpec {
        schema_version: SCHEMA_VERSION,
        id: RunId::of(&train),
        train,
        cell: Cell { budget_flops: Some(budget), cluster: None },
        corpora: vec![corpus("code", "5f1d3c0a9b7e"), corpus("prose", "c20e88f14a36")],
        evals: Vec::new(),
        cadence: Cadence { log_steps: 10, checkpoint_steps: 100, eval_steps: 0, eval_items: None },
        keep: Keep::Weights,
        keep_steps: Vec::new(),
        early_stop: None,
    };
    let estimate = Estimate {
        seconds: Some(c / 1.4e10),
        memory_bytes: 3e7 + 40.0 * n,
        disk_bytes: 24.0 * n + 2e5,
        kwh: None,
        money: None,
    };
    PlannedRun { run, n, d, c, estimate }
}

fn curve(planned: &PlannedRun, is_diverged: bool, random: &mut Random) -> Vec<MetricPoint> {
    let steps = planned.run.train.total_steps();
    let last = if is_diverged { 412.min(steps) } else { steps };
    let every = (last / 400).max(1);
    (1..=last)
        .filter(|step| step % every == 0 || *step == last)
        .map(|step| {
            let share = step as f64 / steps as f64;
            let tokens = share * planned.d;
            // Before the law holds the loss is that of guessing.
            let smooth = truth(planned.n, tokens) + 0.12 * (1.0 - share) * (tokens / 5e4).min(1.0);
            let blown = if is_diverged { (step as f64 / last as f64).powi(12) * 9.0 } else { 0.0 };
            let value = smooth.min(5.55) * (0.015 * random.normal()).exp() + blown;
            MetricPoint {
                run_id: planned.run.id.clone(),
                step,
                tokens: tokens as u64,
                flops: share * planned.c,
                wall_seconds: share * planned.c / 1.4e10,
                metric: TRAIN_LOSS.to_string(),
                value,
            }
        })
        .collect()
}

fn result(planned: &PlannedRun, loss: Option<f64>, random: &mut Random) -> ResultRow {
    let train = &planned.run.train;
    let ModelSpec::Transformer(shape) = &train.model;
    let by_corpus = |factor: f64| -> BTreeMap<String, f64> {
        loss.iter()
            .flat_map(|loss| {
                [("code".to_string(), loss * 0.93 * factor), ("prose".to_string(), loss * 1.07 * factor)]
            })
            .collect()
    };
    let seconds = planned.c / 1.4e10 * (1.0 + 0.1 * random.uniform());
    ResultRow {
        run_id: planned.run.id.clone(),
        folder: planned.run.folder_name(),
        cluster: planned.run.id.clone(),
        outcome: if loss.is_some() { Outcome::Finished } else { Outcome::Diverged { step: 412 } },
        seed: train.seed,
        budget_flops: planned.run.cell.budget_flops,
        params: train.model.params(),
        n_layer: shape.n_layer,
        d_model: shape.d_model,
        n_head: shape.n_head,
        d_ff: shape.d_ff,
        vocab_size: shape.vocab_size,
        head: shape.head,
        context_len: CONTEXT,
        steps: train.total_steps(),
        tokens: train.tokens(),
        flops_path: train.flops(),
        flops_spent: train.flops().total(),
        loss,
        bpb: loss.map(|loss| loss / std::f64::consts::LN_2),
        losses: by_corpus(1.0),
        bpbs: by_corpus(1.0 / std::f64::consts::LN_2),
        train_loss: loss,
        lr: train.recipe.lr_peak,
        batch_tokens: (CONTEXT * BATCH_SEQUENCES) as u64,
        max_epochs: Some(0.4),
        skills: Default::default(),
        shares: Default::default(),
        wall_seconds: seconds,
        tokens_per_second: Some(planned.d / seconds),
        peak_bytes: Some(120_000_000),
        device: "cpu: AMD EPYC 7763".to_string(),
        program: "scalelaw 0.1.0 (6b60c00)".to_string(),
    }
}
