//! A worker and a launcher for the tests: this test program starts itself again as real processes.
//!
//! The worker trains a chain of hashes: every step changes one number by the seed and the step, so a run that was
//! killed and resumed wrongly ends with another number.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use scalelaw_runner::folder::{checkpoint_steps, read_run, run_folders};
use scalelaw_runner::launcher::WorkerCommand;
use scalelaw_runner::launcher::progress::{Progress, Summary};
use scalelaw_runner::launcher::stop::Stop;
use scalelaw_runner::launcher::{Launch, MAX_ATTEMPTS, run_all};
use scalelaw_runner::worker::serve::serve;
use scalelaw_runner::worker::{Task, TrainFailure};
use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::event::Event;
use scalelaw_schema::folder::{CHECKPOINT_DIR, METRICS_JSONL, RECORD_JSON, checkpoint_name};
use scalelaw_schema::metrics::{MetricsRow, TRAIN_LOSS};
use scalelaw_schema::mixture::{Mixture, MixtureSource};
use scalelaw_schema::model::{Head, ModelShape, ModelSpec};
use scalelaw_schema::recipe::{InitRule, Optimizer, Parametrisation, Precision, Recipe, Schedule};
use scalelaw_schema::record::{Failure, Outcome};
use scalelaw_schema::run::{Cadence, Cell, Keep, RunSpec};
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::train_spec::{Phase, Start, TrainSpec};

/// How a worker misbehaves.
const MODE: &str = "FIXTURE_MODE";
/// Milliseconds of one step.
const STEP_MS: &str = "FIXTURE_STEP_MS";
/// What a process started from this program is to be.
const ROLE: &str = "FIXTURE_ROLE";
/// Arguments of the launcher's process.
const SWEEP_DIR: &str = "FIXTURE_SWEEP_DIR";
const N_RUNS: &str = "FIXTURE_N_RUNS";
const N_FAMILIES: &str = "FIXTURE_N_FAMILIES";

pub const HEARTBEAT: Duration = Duration::from_millis(300);
pub const STEPS: u64 = 60;
pub const CHECKPOINT_STEPS: u64 = 5;
pub const CONTEXT_LEN: usize = 32;
pub const BATCH_SEQUENCES: usize = 8;

pub fn run_spec(seed: u64) -> RunSpec {
    let shape =
        ModelShape { n_layer: 2, d_model: 16, n_head: 2, d_ff: 44, vocab_size: 256, head: Head::Tied };
    let train = TrainSpec {
        model: ModelSpec::Transformer(shape),
        phases: vec![Phase { context_len: CONTEXT_LEN, batch_sequences: BATCH_SEQUENCES, steps: STEPS }],
        recipe: Recipe {
            optimizer: Optimizer::AdamW { beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1 },
            lr_peak: 1e-3,
            warmup_steps: 10,
            schedule: Schedule::Constant,
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
        cadence: Cadence {
            log_steps: 5,
            checkpoint_steps: CHECKPOINT_STEPS,
            eval_steps: STEPS,
            eval_items: None,
        },
        keep: Keep::None,
        keep_steps: vec![],
        early_stop: None,
    }
}

/// A trunk of [`STEPS`] steps and its branches, each at a step and with so many steps in all.
pub fn family(seed: u64, branches: &[(u64, u64)]) -> Vec<RunSpec> {
    let mut trunk = run_spec(seed);
    trunk.keep_steps = branches.iter().map(|(step, _)| *step).collect();
    let branches = branches.iter().map(|&(step, steps)| {
        let mut run = run_spec(seed);
        run.train.phases[0].steps = steps;
        run.train.start = Start::Branch { parent: trunk.id.clone(), step };
        run.id = RunId::of(&run.train);
        run.cell.cluster = Some(trunk.id.clone());
        run
    });
    let branches: Vec<RunSpec> = branches.collect();
    [vec![trunk], branches].concat()
}

/// Runs that each branch from the one before, as the planner makes them: 30, 45, 60 and 75 steps, the last ten of which
/// are their own.
pub fn chain(seed: u64) -> Vec<RunSpec> {
    let mut runs: Vec<RunSpec> = Vec::new();
    for steps in [30, 45, 60, 75] {
        let mut run = run_spec(seed);
        run.train.phases[0].steps = steps;
        run.keep_steps = vec![steps - 10];
        if let Some(before) = runs.last() {
            run.train.start = Start::Branch { parent: before.id.clone(), step: before.keep_steps[0] };
        }
        run.id = RunId::of(&run.train);
        runs.push(run);
    }
    runs
}

/// Of each seed a trunk with branches at 20, 25 and 40.
pub fn families(n: u64) -> Vec<RunSpec> {
    (1..=n).flat_map(|seed| family(seed, &[(20, 24), (25, 35), (40, 50)])).collect()
}

pub fn runs(n: u64) -> Vec<RunSpec> {
    (1..=n).map(run_spec).collect()
}

pub fn folder_of(sweep_dir: &Path, run: &RunSpec) -> PathBuf {
    sweep_dir.join(run.folder_name())
}

/// How to start this program's worker; `mode` says how it misbehaves.
pub fn worker(mode: &str, step_ms: u64) -> WorkerCommand {
    let env = [(ROLE, "worker".to_string()), (MODE, mode.to_string()), (STEP_MS, step_ms.to_string())];
    WorkerCommand {
        program: std::env::current_exe().unwrap(),
        args: ["entry", "--exact", "--nocapture"].map(OsString::from).to_vec(),
        env: env.map(|(name, value)| (name.into(), value.into())).to_vec(),
    }
}

pub fn launch_in(sweep_dir: &Path, worker: WorkerCommand) -> Launch<'_> {
    Launch {
        sweep_dir,
        slots: 2,
        worker,
        memory_limit_bytes: None,
        max_attempts: MAX_ATTEMPTS,
        heartbeat: HEARTBEAT,
    }
}

/// Runs in this process and collects the events.
pub fn run(launch: &Launch, runs: &[RunSpec]) -> (Summary, Vec<Progress>) {
    let runs: Vec<&RunSpec> = runs.iter().collect();
    let mut told = Vec::new();
    let summary = run_all(&runs, launch, &Stop::new(), &mut |progress| told.push(progress)).unwrap();
    (summary, told)
}

/// A launcher of [`families`] as a process of its own.
pub fn launcher_of_families(sweep_dir: &Path, n: u64, step_ms: u64) -> std::process::Command {
    let mut command = launcher(sweep_dir, 0, "", step_ms);
    command.env(N_FAMILIES, n.to_string());
    command
}

/// A launcher as a process of its own.
pub fn launcher(sweep_dir: &Path, n_runs: u64, mode: &str, step_ms: u64) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command
        .args(["entry", "--exact", "--nocapture"])
        .env(ROLE, "launcher")
        .env(SWEEP_DIR, sweep_dir)
        .env(N_RUNS, n_runs.to_string())
        .env(MODE, mode)
        .env(STEP_MS, step_ms.to_string())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped());
    command
}

/// What this program does where a test has started it: nothing, where it is the test itself.
pub fn enter() {
    match std::env::var(ROLE).as_deref() {
        Ok("worker") => work(),
        Ok("launcher") => launch(),
        _ => {}
    }
}

fn launch() {
    let sweep_dir = PathBuf::from(std::env::var_os(SWEEP_DIR).unwrap());
    let runs = match std::env::var_os(N_FAMILIES) {
        Some(_) => families(number(N_FAMILIES)),
        None => runs(number(N_RUNS)),
    };
    let runs: Vec<&RunSpec> = runs.iter().collect();
    let launch = launch_in(&sweep_dir, worker(&std::env::var(MODE).unwrap(), number(STEP_MS)));
    match run_all(&runs, &launch, &Stop::new(), &mut |progress| {
        if !matches!(progress, Progress::Step { .. }) {
            eprintln!("{progress:?}");
        }
    }) {
        Ok(summary) => std::process::exit(if summary.failed.is_empty() { 0 } else { 3 }),
        Err(error) => {
            eprintln!("error: {error}");
            std::process::exit(1)
        }
    }
}

fn work() {
    let mode = std::env::var(MODE).unwrap();
    if mode == "no-device" {
        eprintln!("device `wgpu:7` is missing");
        std::process::exit(7);
    }
    let step_ms = number(STEP_MS);
    let mut hoard = Vec::new();
    let result = serve(BufReader::new(std::io::stdin()), std::io::stdout(), "fixture", |task, emit| {
        if mode == "hoard" {
            hoard.push(vec![1u8; 64 << 20]);
        }
        train(task, emit, &mode, step_ms)
    });
    if let Err(error) = result {
        eprintln!("worker: {error}");
        std::process::exit(1);
    }
    std::process::exit(0);
}

/// The number a run that is not disturbed ends with.
pub fn expected(seed: u64) -> u64 {
    expected_after(seed, STEPS)
}

fn expected_after(seed: u64, steps: u64) -> u64 {
    (0..steps).fold(seed, |x, step| next(x, seed, step))
}

fn next(x: u64, seed: u64, step: u64) -> u64 {
    (x ^ step).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(2 * seed + 1)
}

pub fn train(
    task: &Task,
    emit: &mut dyn FnMut(Event),
    mode: &str,
    step_ms: u64,
) -> Result<Outcome, TrainFailure> {
    let failure = |failure, why: &str| Err(TrainFailure { failure, why: why.to_string() });
    let spec = read_run(task.folder).unwrap();
    let (run, seed, steps) = (spec.id.clone(), spec.train.seed, spec.train.total_steps());
    let is_trunk = spec.train.start == Start::Init;
    let checkpoints = task.folder.join(CHECKPOINT_DIR);
    fs::create_dir_all(&checkpoints).map_err(|error| TrainFailure::from_message(error.to_string()))?;
    let saved = |folder: &Path, step: u64| -> (u64, u64) {
        let text = fs::read_to_string(folder.join(CHECKPOINT_DIR).join(checkpoint_name(step))).unwrap();
        (step, text.parse().unwrap())
    };
    let (mut step, mut x) = match (checkpoint_steps(task.folder).unwrap().last(), &spec.train.start) {
        (Some(&step), _) => saved(task.folder, step),
        (None, Start::Init) => (0, seed),
        (None, Start::Branch { parent, step }) => {
            saved(&run_folders(task.folder.parent().unwrap()).unwrap()[parent], *step)
        }
    };
    // A lock of its own: the test must not believe the code it tests.
    let writer = fs::File::create(task.folder.join("writer"))
        .map_err(|error| TrainFailure::from_message(error.to_string()))?;
    let alone = if writer.try_lock().is_ok() { "alone" } else { "TWICE" };
    note(task.folder, &format!("{seed} {step} {} {alone}", std::process::id()));
    emit(Event::Started { run: run.clone(), step, total_steps: steps });
    let micro_batch_tokens = task.micro_batch_tokens.unwrap_or(tokens(BATCH_SEQUENCES));
    match mode {
        "oom-above-2" if micro_batch_tokens > tokens(2) => {
            return failure(Failure::OutOfMemory, "device out of memory");
        }
        "abort-above-2" if micro_batch_tokens > tokens(2) => {
            std::alloc::handle_alloc_error(std::alloc::Layout::new::<[u8; 1 << 20]>())
        }
        "diverge" if seed == 2 => {
            write_record(task.folder, &run, r#"{"kind":"diverged","step":7}"#, micro_batch_tokens, x);
            return Ok(Outcome::Diverged { step: 7 });
        }
        "stop-above-threshold" if task.threshold.is_some() => {
            let stopped = r#"{"kind":"stopped","step":30,"why":"high"}"#;
            write_record(task.folder, &run, stopped, micro_batch_tokens, x);
            return Ok(Outcome::Stopped { step: 30, why: "high".to_string() });
        }
        _ => {}
    }
    while step < steps {
        std::thread::sleep(Duration::from_millis(step_ms));
        x = next(x, seed, step);
        step += 1;
        if step == 30 && seed == 2 && is_trunk && mode == "diverge-at-30" {
            write_record(task.folder, &run, r#"{"kind":"diverged","step":30}"#, micro_batch_tokens, x);
            return Ok(Outcome::Diverged { step: 30 });
        }
        if step == 25 && seed == 2 && mode == "die-at-25" {
            eprintln!("first words\nthe very last words");
            std::process::exit(9);
        }
        if step == 25 && seed == 2 && mode == "panic-at-25" {
            panic!("index out of bounds, say");
        }
        if step.is_multiple_of(5) {
            let loss = 1.0 + 1.0 / step as f64;
            emit(Event::Step { run: run.clone(), step, loss, tokens_per_second: 1e3 });
            let values = BTreeMap::from([(TRAIN_LOSS.to_string(), loss)]);
            let row = MetricsRow { step, tokens: step, flops: step as f64, wall_seconds: 0.0, values };
            append(&task.folder.join(METRICS_JSONL), &serde_json::to_string(&row).unwrap());
        }
        let is_asked = task.stop.load(Ordering::Relaxed) && mode != "deaf";
        if step.is_multiple_of(CHECKPOINT_STEPS) || is_asked {
            let path = checkpoints.join(checkpoint_name(step));
            let part = path.with_extension("part");
            let written = fs::write(&part, x.to_string()).and_then(|()| fs::rename(&part, &path));
            written
                .map_err(|error| TrainFailure::from_message(format!("cannot write a checkpoint: {error}")))?;
            remove_all_but(&checkpoints, |other| other == step || spec.keep_steps.contains(&other));
            emit(Event::Checkpoint { run: run.clone(), step });
        }
        if is_asked && step < steps {
            return failure(Failure::Interrupted, "asked to stop");
        }
    }
    write_record(task.folder, &run, r#"{"kind":"finished"}"#, micro_batch_tokens, x);
    remove_all_but(&checkpoints, |step| spec.keep_steps.contains(&step));
    Ok(Outcome::Finished)
}

/// Tokens of so many sequences.
pub fn tokens(sequences: usize) -> u64 {
    (sequences * CONTEXT_LEN) as u64
}

fn remove_all_but(checkpoints: &Path, is_kept: impl Fn(u64) -> bool) {
    for step in checkpoint_steps(checkpoints.parent().unwrap()).unwrap() {
        if !is_kept(step) {
            fs::remove_file(checkpoints.join(checkpoint_name(step))).unwrap();
        }
    }
}

fn write_record(folder: &Path, run: &RunId, outcome: &str, micro_batch_tokens: u64, x: u64) {
    let record = folder.join(RECORD_JSON);
    assert!(!record.exists(), "the run has ended already");
    let part = folder.join("record.part");
    let text = format!(
        r#"{{"run":"{run}","outcome":{outcome},"steps":{STEPS},"micro_batch_tokens":{micro_batch_tokens},"x":{x}}}"#
    );
    fs::write(&part, text).and_then(|()| fs::rename(part, record)).unwrap();
}

/// A line in the sweep's book: `seed step pid alone`.
fn note(folder: &Path, line: &str) {
    append(&folder.parent().unwrap().join("book.txt"), line);
}

fn append(path: &Path, line: &str) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let _ = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
}

/// A line of the sweep's book: a run was started or resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    pub seed: u64,
    pub step: u64,
    pub pid: u32,
    pub is_alone: bool,
}

pub fn book(sweep_dir: &Path) -> Vec<Taken> {
    let text = fs::read_to_string(sweep_dir.join("book.txt")).unwrap_or_default();
    text.lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            Taken {
                seed: words[0].parse().unwrap(),
                step: words[1].parse().unwrap(),
                pid: words[2].parse().unwrap(),
                is_alone: words[3] == "alone",
            }
        })
        .collect()
}

/// Every run has its record, with the number of a run that nobody disturbed, and never had two writers.
pub fn assert_all_ended_right(sweep_dir: &Path, runs: &[RunSpec]) {
    for run in runs {
        let seed = run.train.seed;
        let record = record(sweep_dir, run);
        let expected = expected_after(seed, run.train.total_steps());
        assert_eq!(record["x"].as_u64(), Some(expected), "seed {seed}: {record}");
    }
    for taken in book(sweep_dir) {
        assert!(taken.is_alone, "two wrote in one folder: {taken:?}");
    }
}

pub fn record(sweep_dir: &Path, run: &RunSpec) -> serde_json::Value {
    let path = folder_of(sweep_dir, run).join(RECORD_JSON);
    serde_json::from_slice(&fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        .unwrap()
}

/// Waits until `is_so`, or fails with `what`.
pub fn wait_until(what: &str, patience: Duration, mut is_so: impl FnMut() -> bool) {
    let clock = Instant::now();
    while !is_so() {
        assert!(clock.elapsed() < patience, "waited {patience:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[cfg(unix)]
pub fn kill_9(pid: u32) {
    let _ = std::process::Command::new("kill")
        .args(["-9", &pid.to_string()])
        .stderr(std::process::Stdio::null())
        .status();
}

#[cfg(unix)]
pub fn is_alive(pid: u32) -> bool {
    let status =
        std::process::Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8_lossy(&status.stdout);
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}

fn number(name: &str) -> u64 {
    std::env::var(name).unwrap().parse().unwrap()
}
