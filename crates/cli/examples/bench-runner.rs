//! What the program costs beside training: planning, collecting, starting a worker, and running a sweep. Called by
//! `scripts/bench-runner`, which hands it the program to measure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use scalelaw_plan::facts::PlanFacts;
use scalelaw_runner::folder::lease::HEARTBEAT;
use scalelaw_runner::launcher::outstanding::outstanding;
use scalelaw_runner::launcher::progress::Progress;
use scalelaw_runner::launcher::stop::Stop;
use scalelaw_runner::launcher::{Launch, MAX_ATTEMPTS, WorkerCommand, run_all};
use scalelaw_schema::eval::{EvalSpec, Evaluation};
use scalelaw_schema::metrics::{self, MetricsRow};
use scalelaw_schema::plan::Plan;
use scalelaw_schema::record::{Outcome, Provenance, RunRecord};
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::score::Score;
use scalelaw_schema::sweep::SweepSpec;
use scalelaw_schema::{SCHEMA_VERSION, folder};
use serde_json::json;

// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rows of each learning curve that is collected.
const N_ROWS: u64 = 1_000;
/// Times that each measurement but the sweep's is repeated.
const N_REPEATS: usize = 9;

/// Ten thousand runs. `STEPS` is filled in.
const LARGE_SWEEP: &str = r#"
name = "large"
[grid]
kind = "product"
horizon = { steps = [STEPS] }
[model]
d-model = { from = 16, to = 160, steps = 10 }
n-layer = [2, 3, 4, 5]
context-len = 32
[data]
tokenizer = "bytes"
mixture = { notes = 1 }
[train]
batch-sequences = 4
lr = { log = [1e-4, 1e-2], steps = 5 }
seed = { from = 0, to = 49, steps = 50 }
[corpus.notes]
source = { files = ["notes"] }
"#;

/// Eight runs of some seconds each: short ones, so that what each run costs beside its steps weighs much.
const SHORT_SWEEP: &str = r#"
name = "short"
[grid]
kind = "product"
horizon = { steps = 200 }
[model]
d-model = [48, 64]
n-layer = 2
context-len = 128
[data]
tokenizer = "bytes"
mixture = { notes = 1 }
[train]
batch-sequences = 8
seed = [0, 1, 2, 3]
[corpus.notes]
source = { files = ["notes"] }
"#;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let is_json = args.iter().any(|arg| arg == "--json");
    let [program] = args.iter().filter(|arg| *arg != "--json").collect::<Vec<_>>()[..] else {
        bail!("the program to measure is missing (hint: scripts/bench-runner)")
    };
    let bench = Bench { program: std::path::absolute(program)?, folder: tempfile::tempdir()? };
    bench.write_notes()?;
    let planning = bench.planning()?;
    let start = bench.start()?;
    let sweep = bench.short_sweep()?;
    let collected = bench.collecting()?;
    if is_json {
        let value = json!({
            "schema_version": SCHEMA_VERSION,
            "cores": cores(),
            "repeats": N_REPEATS,
            "plan_10000_runs_seconds": planning,
            "start_worker_seconds": start,
            "collect_10000_runs_seconds": collected.seconds,
            "collect_10000_runs_cpu_seconds": collected.cpu_seconds,
            "collect_bytes": collected.bytes,
            "sweep": {
                "runs": sweep.n_runs,
                "wall_seconds": sweep.wall_seconds,
                "between_runs_share": sweep.between_runs,
                "beside_steps_and_evaluations_share": sweep.beside_steps,
                "launcher_cpu_share": sweep.launcher_cpu,
            },
        });
        println!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(());
    }
    println!("| what | median | least | most | target |\n|---|---|---|---|---|");
    let row = |what: &str, seconds: &[f64], asked: &str| {
        let [least, median, most] = [0, seconds.len() / 2, seconds.len() - 1].map(|idx| seconds[idx]);
        println!("| {what} | {median:.3} s | {least:.3} s | {most:.3} s | {asked} |");
    };
    row("`scalelaw plan` of 10,000 runs, the whole process", &planning, "1 s");
    let gigabytes = collected.bytes as f64 / 1e9;
    let what = format!("collecting 10,000 runs of {N_ROWS} rows ({gigabytes:.1} GB of metrics)");
    row(&what, &collected.seconds, "2 s");
    row("the same, CPU time of all cores", &collected.cpu_seconds, "");
    row("start of a worker until it accepts commands (CPU)", &start, "0.1 s");
    let Sweep { n_runs, wall_seconds, between_runs, beside_steps, launcher_cpu } = sweep;
    println!(
        "\na sweep of {n_runs} runs on {} workers took {wall_seconds:.1} s, of which\n\
         - {:.2} % between runs: leases, folders, commands, starting the workers (target: 1 %)\n\
         - {:.2} % outside of steps and evaluations: checkpoints, records and opening the text included\n\
         - {:.3} % of a core for the launcher",
        cores(),
        100.0 * between_runs,
        100.0 * beside_steps,
        100.0 * launcher_cpu,
    );
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The program and a folder for everything that it makes.
struct Bench {
    program: PathBuf,
    folder: tempfile::TempDir,
}

/// What a sweep cost beside its training, as shares of the workers' time.
struct Sweep {
    n_runs: usize,
    wall_seconds: f64,
    between_runs: f64,
    beside_steps: f64,
    launcher_cpu: f64,
}

struct Collecting {
    seconds: Vec<f64>,
    /// Processor time, sorted.
    cpu_seconds: Vec<f64>,
    bytes: u64,
}

impl Bench {
    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn scalelaw(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(self.path()).args(args).env("SCALELAW_CACHE", self.path().join("cache"));
        command.env("SCALELAW_DEVICE", "cpu").env_remove("SCALELAW_RUNS").stderr(Stdio::inherit());
        command
    }

    /// Half a megabyte of words.
    fn write_notes(&self) -> Result<()> {
        let notes = self.path().join("notes");
        std::fs::create_dir(&notes)?;
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let words = ["the", "model", "learns", "a", "law", "of", "loss", "and", "scale", "from", "data"];
        for file in 0..100 {
            let text = (0..2_000).fold(String::new(), |mut text, _| {
                let _ = write!(text, "{} ", words[rng.random_range(0..words.len())]);
                text
            });
            std::fs::write(notes.join(format!("{file}.txt")), text)?;
        }
        Ok(())
    }

    /// Seconds of `scalelaw plan`, sorted.
    fn planning(&self) -> Result<Vec<f64>> {
        let file = self.path().join("large.toml");
        std::fs::write(&file, large_sweep())?;
        sorted(|| {
            let began = Instant::now();
            let output = self.scalelaw(&["plan", "large.toml", "--no-speed"]).output()?;
            let seconds = began.elapsed().as_secs_f64();
            ensure!(output.status.success(), "`scalelaw plan` failed");
            let text = String::from_utf8_lossy(&output.stdout);
            ensure!(text.contains("total: 10000 runs"), "not 10,000 runs: {text}");
            Ok(seconds)
        })
    }

    /// Seconds from the start of a worker's process to its first word, sorted.
    fn start(&self) -> Result<Vec<f64>> {
        sorted(|| {
            let began = Instant::now();
            let mut child = self
                .scalelaw(&["worker", "--device", "cpu", "--threads", "1"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let mut line = String::new();
            BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
            let seconds = began.elapsed().as_secs_f64();
            ensure!(line.contains("ready"), "the worker said `{line}`");
            drop(child.stdin.take());
            child.wait()?;
            Ok(seconds)
        })
    }

    /// Trains a sweep on one worker per core and watches where the time goes.
    fn short_sweep(&self) -> Result<Sweep> {
        std::fs::write(self.path().join("short.toml"), SHORT_SWEEP)?;
        let status = self.scalelaw(&["data", "prepare", "short.toml", "--quiet"]).status()?;
        ensure!(status.success(), "`scalelaw data prepare` failed");
        let output = self.scalelaw(&["plan", "short.toml", "--no-speed", "--json"]).output()?;
        let plan: Plan = serde_json::from_slice(&output.stdout)?;
        let sweep_dir = self.path().join("runs/short");
        std::fs::create_dir_all(&sweep_dir)?;
        let slots = cores();
        let launch = Launch {
            sweep_dir: &sweep_dir,
            slots,
            worker: WorkerCommand {
                program: self.program.clone(),
                args: ["worker", "--device", "cpu", "--threads", "1"].map(Into::into).to_vec(),
                env: vec![("SCALELAW_CACHE".into(), self.path().join("cache").into())],
            },
            memory_limit_bytes: None,
            max_attempts: MAX_ATTEMPTS,
            heartbeat: HEARTBEAT,
        };
        let mut began_in: BTreeMap<usize, Instant> = BTreeMap::new();
        let mut ended_in: BTreeMap<usize, Instant> = BTreeMap::new();
        let mut busy = Duration::ZERO;
        let cpu_before = cpu_seconds();
        let began = Instant::now();
        let runs = outstanding(&plan.runs, &Default::default());
        let summary = run_all(&runs, &launch, &Stop::new(), &mut |news| match news {
            Progress::Started { slot, .. } => drop(began_in.insert(slot, Instant::now())),
            Progress::Done { slot, .. } => {
                busy += began_in.remove(&slot).map_or(Duration::ZERO, |began| began.elapsed());
                ended_in.insert(slot, Instant::now());
            }
            _ => {}
        })?;
        let wall_seconds = began.elapsed().as_secs_f64();
        ensure!(summary.counts.finished == plan.runs.len(), "{summary:?}");
        // A slot's time ends with its last run: that another slot still trains is the plan's doing.
        let slot_seconds: f64 = ended_in.values().map(|end| (*end - began).as_secs_f64()).sum();
        let mut stepping = 0.0;
        for run in &runs {
            let bytes = std::fs::read(sweep_dir.join(run.folder_name()).join(folder::RECORD_JSON))?;
            stepping += serde_json::from_slice::<RunRecord>(&bytes)?.wall_seconds;
        }
        Ok(Sweep {
            n_runs: runs.len(),
            wall_seconds,
            between_runs: 1.0 - busy.as_secs_f64() / slot_seconds,
            beside_steps: 1.0 - stepping / slot_seconds,
            launcher_cpu: (cpu_seconds() - cpu_before) / wall_seconds,
        })
    }

    /// Seconds of [`scalelaw_results::collect`], sorted, the files in the system's cache.
    fn collecting(&self) -> Result<Collecting> {
        let sweep: SweepSpec = toml::from_str(&large_sweep())?;
        let plan = scalelaw_plan::expand(&sweep, &PlanFacts::draft(&sweep))?;
        let sweep_dir = self.path().join("runs/large");
        let written: Result<Vec<u64>> =
            plan.runs.par_iter().map(|planned| write_run(&sweep_dir, &planned.run)).collect();
        let bytes = written?.iter().sum();
        let mut cpu = Vec::new();
        let seconds = sorted(|| {
            let (began, cpu_before) = (Instant::now(), cpu_seconds());
            let collected = scalelaw_results::collect(&sweep_dir)?;
            let seconds = began.elapsed().as_secs_f64();
            cpu.push(cpu_seconds() - cpu_before);
            let n_rows: usize = collected.curves.iter().map(|curve| curve.steps.len()).sum();
            ensure!(n_rows as u64 == 10_000 * N_ROWS, "{n_rows} rows: {:?}", collected.problems.first());
            Ok(seconds)
        })?;
        cpu.sort_by(f64::total_cmp);
        Ok(Collecting { seconds, cpu_seconds: cpu, bytes })
    }
}

/// Results of several calls, in order.
fn sorted(mut measure: impl FnMut() -> Result<f64>) -> Result<Vec<f64>> {
    let mut all = (0..N_REPEATS).map(|_| measure()).collect::<Result<Vec<f64>>>()?;
    all.sort_by(f64::total_cmp);
    Ok(all)
}

fn large_sweep() -> String {
    LARGE_SWEEP.replace("STEPS", &N_ROWS.to_string())
}

/// Writes what a finished run leaves, with a row of metrics for each step, and returns the bytes of the metrics.
fn write_run(sweep_dir: &Path, run: &RunSpec) -> Result<u64> {
    let dir = sweep_dir.join(run.folder_name());
    std::fs::create_dir_all(dir.join(folder::EVALS_DIR))?;
    let train = &run.train;
    // Losses are of no consequence here; that their digits are as many as real ones' is.
    let mut rng = ChaCha8Rng::seed_from_u64(u64::from_str_radix(run.id.as_str(), 16)?);
    let mut text = Vec::new();
    for step in 1..=train.total_steps() {
        let values = [
            (metrics::PEAK_BYTES, 115_466_240.0),
            (metrics::MFU, rng.random::<f64>()),
            (metrics::TOKENS_PER_SECOND, 5e4 * rng.random::<f64>()),
            (metrics::TRAIN_GRAD_NORM, f64::from(rng.random::<f32>())),
            (metrics::TRAIN_LOSS, 5.0 * rng.random::<f64>()),
            (metrics::TRAIN_LR, train.recipe.lr(step - 1, train.total_steps())),
        ];
        let row = MetricsRow {
            step,
            tokens: train.tokens_until(step),
            flops: train.flops_until(step),
            wall_seconds: step as f64 * 0.001234567,
            values: values.map(|(name, value)| (name.to_string(), value)).into(),
        };
        serde_json::to_writer(&mut text, &row)?;
        text.push(b'\n');
    }
    std::fs::write(dir.join(folder::RUN_TOML), toml::to_string(run)?)?;
    std::fs::write(dir.join(folder::METRICS_JSONL), &text)?;
    for request in &run.evals {
        let EvalSpec::HeldOut { n_tokens, .. } = &request.spec else {
            continue;
        };
        let record = Evaluation {
            schema_version: SCHEMA_VERSION,
            run: run.id.clone(),
            request: request.clone(),
            score: Score::Text { loss: 2.0, bpb: 2.0, n_tokens: *n_tokens, n_bytes: *n_tokens },
            wall_seconds: 1.0,
            provenance: provenance(),
        };
        let file = dir.join(folder::EVALS_DIR).join(format!("{}.json", request.spec.hash()));
        std::fs::write(file, serde_json::to_vec_pretty(&record)?)?;
    }
    let record = RunRecord {
        schema_version: SCHEMA_VERSION,
        run: run.id.clone(),
        train: train.clone(),
        outcome: Outcome::Finished,
        params: train.model.params(),
        steps: train.total_steps(),
        tokens: train.tokens(),
        flops_path: train.flops(),
        flops_spent: train.flops(),
        cluster: run.id.clone(),
        train_loss: Some(2.0),
        epochs: BTreeMap::new(),
        skipped_steps: Vec::new(),
        wall_seconds: 1.0,
        tokens_per_second: Some(5e4),
        peak_bytes: Some(115_466_240),
        micro_batch_tokens: Some(train.largest_batch_tokens()),
        micro_batch: None,
        attempts: 1,
        provenance: provenance(),
    };
    std::fs::write(dir.join(folder::RECORD_JSON), serde_json::to_vec_pretty(&record)?)?;
    Ok(text.len() as u64)
}

fn provenance() -> Provenance {
    Provenance {
        version: env!("CARGO_PKG_VERSION").to_string(),
        git_commit: None,
        burn: "0.22.1".to_string(),
        features: ["flex", "simd", "x86-v4", "wgpu", "fusion", "autotune"].map(str::to_string).to_vec(),
        backend: "cpu".to_string(),
        device: "benchmark".to_string(),
        driver: None,
        host: "host".to_string(),
        platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        threads: 1,
        started: "2026-01-01T00:00:00Z".to_string(),
        ended: "2026-01-01T00:00:01Z".to_string(),
    }
}

/// Processor time of this process so far, where Linux tells it; else not a number.
fn cpu_seconds() -> f64 {
    let ticks = || -> Option<u64> {
        let text = std::fs::read_to_string("/proc/self/stat").ok()?;
        // utime and stime: fields 14 and 15, counted behind the name's parenthesis.
        let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
        Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
    };
    // A hundred ticks are a second on every Linux of today.
    ticks().map_or(f64::NAN, |ticks| ticks as f64 / 100.0)
}
