//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use scalelaw_fit::{ScalingLaw, laws};
use scalelaw_schema::count::CountRule;
use scalelaw_schema::device::DeviceChoice;

use crate::provenance::version;

/// Measures how language models scale: plan a sweep, train it, fit the law, and read off what a target will cost.
#[derive(Debug, Parser)]
#[command(name = "scalelaw", version = version(), propagate_version = true, max_term_width = 100)]
#[command(after_help = "Examples:
  scalelaw init                    write a first sweep file, sweep.toml
  scalelaw plan sweep.toml         show its runs and what they cost
  scalelaw run sweep.toml          train them, fit the law, write the report

Exit codes: 0 ok, 1 failure, 2 usage or configuration, 3 some runs failed, 5 over budget, 6 fit refused, \
7 device missing, 130 interrupted.")]
pub struct Cli {
    #[command(flatten)]
    pub shared: Shared,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags of every verb.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Shared {
    /// Folder that holds all sweeps.
    #[arg(long, global = true, default_value = "runs", value_name = "DIR", env = "SCALELAW_RUNS")]
    pub runs: PathBuf,
    /// Folder for tokens and tokenizers. Defaults to the system's cache folder.
    #[arg(long, global = true, value_name = "DIR", env = "SCALELAW_CACHE")]
    pub cache: Option<PathBuf>,
    /// Print only errors and results.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print more detail; twice for all there is. `RUST_LOG` selects by module.
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Colour output and progress bars.
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    pub color: ColorWhen,
    /// Write messages as text, or as JSON, one object per line and without progress bars.
    #[arg(long, global = true, default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
}

impl Shared {
    /// The flags by which a worker writes the same detail into a run's log, in the same format.
    pub fn log_flags(&self) -> Vec<OsString> {
        let mut flags = vec!["-v".into(); usize::from(self.verbose)];
        if self.log_format == LogFormat::Json {
            flags.extend(["--log-format".into(), "json".into()]);
        }
        flags
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show the runs of a sweep and what they cost.
    Plan(PlanArgs),
    /// Train the remaining runs of a sweep, fit the law and write the report.
    Run(RunArgs),
    /// Show the progress of a sweep.
    Status(StatusArgs),
    /// Evaluate finished runs on other text or skills.
    Eval(EvalArgs),
    /// Fit a scaling law to a sweep or to a table.
    Fit(FitArgs),
    /// Write the report of a sweep.
    Report(ReportArgs),
    /// Write a sweep's tables as CSV, JSON, Parquet or Arrow.
    Export(ExportArgs),
    /// List, download and tokenise corpora and skills.
    #[command(subcommand)]
    Data(DataVerb),
    /// List the devices, what each supports and how fast it is.
    Doctor(DoctorArgs),
    /// Write a first sweep file, its JSON Schema, shell completions or man pages.
    Init(InitArgs),
    /// Train the run of one folder, for batch systems and other launchers.
    TrainOne(TrainOneArgs),
    /// Serve a runner (internal).
    #[command(hide = true)]
    Worker(WorkerArgs),
}

/// A sweep file with overrides.
#[derive(Debug, Clone, Args)]
pub struct SweepArgs {
    /// Sweep file.
    #[arg(value_name = "SWEEP.toml")]
    pub sweep: PathBuf,
    /// Override a value by its dotted key, such as `--set train.lr=3e-4`.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

/// Where to train.
#[derive(Debug, Clone, Args)]
pub struct DeviceArgs {
    /// Device to train on: `auto` (a real GPU, else the CPU), `cpu`, `wgpu`, or `wgpu:N` as `scalelaw doctor` numbers
    /// them; `cuda` and `cuda:N` where the program is built with it.
    #[arg(long, default_value = "auto", value_name = "DEVICE", env = "SCALELAW_DEVICE")]
    pub device: DeviceChoice,
    /// Runs to train at once. Defaults to one per core on the CPU, as far as memory allows, and to one on a GPU.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub slots: Option<u16>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  scalelaw plan sweep.toml
  scalelaw plan sweep.toml --set train.lr=3e-4 --json
  scalelaw plan sweep.toml --power chinchilla:A=400,B=400,E=1.7,alpha=0.34,beta=0.28,noise=0.01")]
pub struct PlanArgs {
    #[command(flatten)]
    pub sweep: SweepArgs,
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Print the plan as JSON.
    #[arg(long)]
    pub json: bool,
    /// Print every run with all its settings, as TOML.
    #[arg(long, conflicts_with = "json")]
    pub resolved: bool,
    /// Do not measure the device's speed, and show no times and costs.
    #[arg(long)]
    pub no_speed: bool,
    /// Simulate the sweep under a law and print the intervals to expect. The law is written with its parameters and
    /// noise, as for `run --simulate`; `fitted` is the one fitted to the sweep's runs so far.
    #[arg(long, value_name = "LAW", conflicts_with = "resolved")]
    pub power: Option<String>,
    /// With `--power`, the law that a skill is assumed to follow: prints the chance that the skill gets a label. The
    /// skills are those of `[measure]`.
    #[arg(long, value_name = "LAW", requires = "power")]
    pub power_skill: Option<String>,
    /// Number of sweeps that `--power` simulates.
    #[arg(long, default_value_t = 200, value_name = "N", requires = "power")]
    pub draws: usize,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  scalelaw run sweep.toml                   start it, or resume it after Ctrl-C
  scalelaw run sweep.toml --device wgpu:0
  scalelaw run sweep.toml --dry-run
  scalelaw run sweep.toml --simulate chinchilla:A=400,B=400,E=1.7,alpha=0.34,beta=0.28,noise=0.01")]
pub struct RunArgs {
    #[command(flatten)]
    pub sweep: SweepArgs,
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Show the plan and check its limits, but train nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Draw the losses from a known law instead of training, such as
    /// `chinchilla:A=400,B=400,E=1.7,alpha=0.34,beta=0.28,noise=0.01`. The results go into a folder of their own.
    #[arg(long, value_name = "LAW")]
    pub simulate: Option<String>,
    /// Replace a worker between two runs once its memory exceeds this many bytes.
    #[arg(long, value_name = "BYTES")]
    pub worker_memory: Option<u64>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  scalelaw status sweep.toml
  scalelaw status quickstart --json")]
pub struct StatusArgs {
    /// Sweep file, or the name or folder of a sweep.
    pub sweep: PathBuf,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  scalelaw eval sweep.toml --corpus prose
  scalelaw eval sweep.toml --skill mano --items 500
  scalelaw eval sweep.toml --corpus my-text.toml --json")]
pub struct EvalArgs {
    /// Sweep file, or the name or folder of a sweep.
    pub sweep: PathBuf,
    /// Corpus to evaluate on: a built-in name or a manifest (`*.toml`). Without `--corpus` and `--skill`, makes the
    /// evaluations that the sweep asks for and that are still missing.
    #[arg(long, value_name = "NAME|FILE")]
    pub corpus: Vec<String>,
    /// Skill to evaluate: one that the sweep defines, a built-in name or a manifest.
    #[arg(long, value_name = "NAME|FILE")]
    pub skill: Vec<String>,
    /// Held-out tokens to use of each corpus.
    #[arg(long, default_value_t = 65_536, value_name = "N", requires = "corpus")]
    pub tokens: u64,
    /// Items to use of each skill. Defaults to all.
    #[arg(long, value_name = "N", requires = "skill", value_parser = clap::value_parser!(u64).range(1..))]
    pub items: Option<u64>,
    /// Device to evaluate on.
    #[arg(long, default_value = "auto", value_name = "DEVICE", env = "SCALELAW_DEVICE")]
    pub device: DeviceChoice,
    /// Show what would be evaluated.
    #[arg(long)]
    pub dry_run: bool,
    /// Print the evaluations as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  scalelaw fit sweep.toml
  scalelaw fit sweep.toml --law auto --predict C=1e20
  scalelaw fit table.csv --n params --d tokens --loss nll --where 'params > 1e6'
  scalelaw fit sweep.toml --skill --target mano=accuracy:0.9")]
pub struct FitArgs {
    /// Sweep file, name or folder of a sweep, or a table: `*.csv`, `*.parquet`.
    pub table: PathBuf,
    #[arg(long, default_value = "chinchilla", value_name = "LAW", help = law_help())]
    pub law: String,
    /// Column with the number of parameters.
    #[arg(long, value_name = "COL")]
    pub n: Option<String>,
    /// Column with the number of training tokens.
    #[arg(long, value_name = "COL")]
    pub d: Option<String>,
    /// Column with the loss. Of a sweep: name of the corpus or skill.
    #[arg(long, value_name = "COL")]
    pub loss: Option<String>,
    /// Column with the training FLOPs. Defaults to 6·N·D.
    #[arg(long, value_name = "COL")]
    pub c: Option<String>,
    /// Column with the IsoFLOP budget.
    #[arg(long, value_name = "COL")]
    pub budget: Option<String>,
    /// Use only these rows, such as `"corpus = 'code' and N > 1e5"`.
    #[arg(long = "where", value_name = "EXPR")]
    pub filter: Option<String>,
    #[arg(long, value_name = "RULE", help = count_rule_help())]
    pub count_rule: Option<CountRule>,
    /// Print the exponent of N* under every count rule, side by side.
    #[arg(long, conflicts_with = "count_rule")]
    pub every_count: bool,
    /// What the fit minimises: `log-huber:DELTA`, `log-mse` or `huber:DELTA`.
    #[arg(long, default_value = "log-huber:1e-3", value_name = "OBJECTIVE")]
    pub objective: String,
    /// Bootstrap resamples. Defaults to 1000, with `--skill` to 2000; 0 for none (not with `--skill`).
    #[arg(long, value_name = "N")]
    pub bootstrap: Option<usize>,
    /// Seed of the bootstrap.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Fit the rows below this quantile of C, such as 0.8, and predict the rest.
    #[arg(long, value_name = "QUANTILE")]
    pub holdout_compute: Option<f64>,
    /// Predict a run: `N=1e8,D=2e9`, or `C=1e20` at its compute-optimal size.
    #[arg(long, value_name = "POINT")]
    pub predict: Vec<String>,
    /// Analyse a sweep skill by skill: optima, whether a skill prefers size or data, mixtures, capacity, targets.
    #[arg(long, conflicts_with_all = ["every_count", "loss", "predict", "holdout_compute"])]
    pub skill: bool,
    /// With `--skill`: the column to compare every skill with, such as `loss`, `loss/prose` or a skill.
    #[arg(long, value_name = "COL", requires = "skill")]
    pub aggregate: Option<String>,
    /// With `--skill`: find the cheapest run that reaches a target, `NAME=nll:0.5` or `NAME=accuracy:0.9`.
    #[arg(long, value_name = "NAME=TARGET", requires = "skill")]
    pub target: Vec<String>,
    /// With `--skill`: show what a wrong choice of validation text costs.
    #[arg(long, requires = "skill")]
    pub validation: bool,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  scalelaw report sweep.toml
  scalelaw report sweep.toml -o report.md")]
pub struct ReportArgs {
    /// Sweep file, or the name or folder of a sweep.
    pub sweep: PathBuf,
    /// File to write, `*.html` or `*.md`; `-` for standard output. Defaults to `report.html` in the sweep's folder.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write each chart of the page as a stand-alone SVG into this folder, instead of the page.
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    pub figures: Option<PathBuf>,
    /// Show what would be written.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  scalelaw export sweep.toml > results.csv
  scalelaw export sweep.toml --table metrics --to json
  scalelaw export sweep.toml --to parquet -o results.parquet
  scalelaw export sweep.toml --parquet")]
pub struct ExportArgs {
    /// Sweep file, or the name or folder of a sweep.
    pub sweep: PathBuf,
    /// Table to write: `runs` has a row per run, `metrics` one per run, metric and step.
    #[arg(long, default_value = "runs")]
    pub table: ExportTable,
    /// Format of the table; `--format` is the same.
    #[arg(long, alias = "format", value_name = "FORMAT", default_value = "csv")]
    pub to: ExportFormat,
    /// File to write. Defaults to standard output for CSV and JSON; Parquet and Arrow need a file.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Rebuild `results.parquet` and `metrics.parquet` in the sweep's folder, and print nothing.
    #[arg(long, conflicts_with_all = ["table", "to", "output"])]
    pub parquet: bool,
    /// Show what would be written.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportTable {
    Runs,
    Metrics,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    Csv,
    Json,
    Parquet,
    Arrow,
}

#[derive(Debug, Subcommand)]
pub enum DataVerb {
    /// List the built-in corpora and skills, and which of them this machine has.
    #[command(after_help = "Example:
  scalelaw data list --json")]
    List {
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Download the missing files of a corpus or skill from Debian, or copy them from a path.
    #[command(after_help = "Examples:
  scalelaw data get metamath
  scalelaw data get metamath --path ~/Downloads/set.mm")]
    Get {
        /// Name of the corpus or skill, or its manifest.
        name: String,
        /// Copy from this folder or file instead of downloading from Debian.
        #[arg(long, value_name = "PATH")]
        path: Option<PathBuf>,
        /// Accept files of another edition than the manifest names.
        #[arg(long)]
        any_edition: bool,
        /// Show what would be downloaded.
        #[arg(long)]
        dry_run: bool,
    },
    /// Show the items of a skill, and which of them occur in the training text.
    #[command(after_help = "Examples:
  scalelaw data items mano
  scalelaw data items my-skill.toml --against prose --json")]
    Items {
        /// Name of the skill, or its manifest.
        name: String,
        /// Corpus to search for the items. Defaults to the skill's own.
        #[arg(long, value_name = "NAME|FILE")]
        against: Vec<String>,
        /// Print all items as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Tokenise as much of a sweep's corpora as its plan needs.
    #[command(after_help = "Example:
  scalelaw data prepare sweep.toml")]
    Prepare {
        #[command(flatten)]
        sweep: SweepArgs,
        /// Show what would be tokenised.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  scalelaw doctor
  scalelaw doctor --device wgpu:0 --json")]
pub struct DoctorArgs {
    /// Show only this device.
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<DeviceChoice>,
    /// Do not measure the devices' speed.
    #[arg(long)]
    pub no_speed: bool,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  scalelaw init
  scalelaw init --schema > sweep.schema.json
  scalelaw init --completions bash > /etc/bash_completion.d/scalelaw")]
pub struct InitArgs {
    /// Sweep file to write.
    #[arg(default_value = "sweep.toml")]
    pub path: PathBuf,
    /// Print the JSON Schema of sweep files, for editors.
    #[arg(long, conflicts_with_all = ["completions", "man"])]
    pub schema: bool,
    /// Print completions for a shell.
    #[arg(long, value_name = "SHELL", conflicts_with = "man")]
    pub completions: Option<clap_complete::Shell>,
    /// Write man pages into a folder.
    #[arg(long, value_name = "DIR")]
    pub man: Option<PathBuf>,
    /// Overwrite an existing file.
    #[arg(long)]
    pub force: bool,
    /// Show what would be written.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  scalelaw train-one runs/sweep/n5.80K-L2-d16-t46.1K-s0-11136f5a2b3c --device cpu

Exit codes: 0 done, 75 try again (out of memory, device lost, interrupted), 76 diverged, 1 another failure.")]
pub struct TrainOneArgs {
    /// Run folder with its `run.toml`.
    pub folder: PathBuf,
    /// Device to train on.
    #[arg(long, default_value = "auto", value_name = "DEVICE", env = "SCALELAW_DEVICE")]
    pub device: DeviceChoice,
    /// Threads to use. Defaults to all cores.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Tokens to compute at once, in whole sequences. Defaults to the whole batch.
    #[arg(long, value_name = "N")]
    pub micro_batch_tokens: Option<u64>,
    /// The same in sequences.
    #[arg(long, value_name = "N", hide = true, conflicts_with = "micro_batch_tokens")]
    pub micro_batch: Option<u64>,
}

#[derive(Debug, Args)]
pub struct WorkerArgs {
    #[arg(long, value_name = "DEVICE")]
    pub device: DeviceChoice,
    #[arg(long, value_name = "N")]
    pub threads: usize,
    #[arg(long, value_name = "FLOP/S")]
    pub matmul_peak: Option<f64>,
    #[arg(long, value_name = "LAW", requires = "count_rule")]
    pub simulate: Option<String>,
    #[arg(long, value_name = "RULE")]
    pub count_rule: Option<CountRule>,
    /// Print the device's speed as JSON and leave.
    #[arg(long)]
    pub measure_speed: bool,
    /// Take the steps that a file asks for, print losses and times as JSON and leave: for `scripts/bench-torch`.
    #[arg(long, value_name = "FILE")]
    pub time_steps: Option<PathBuf>,
}

fn law_help() -> String {
    let names = |laws: &[&dyn ScalingLaw]| laws.iter().map(|law| law.name()).collect::<Vec<_>>().join(", ");
    format!(
        "Law to fit: `auto` (chosen by back-tests), `all`, {}; for tables with other columns {}",
        names(laws::ALL),
        names(laws::BY_NAME)
    )
}

fn count_rule_help() -> String {
    let names = CountRule::ALL.map(CountRule::name).join(", ");
    format!("How N and C of a sweep are counted: {names}. Defaults to the sweep's own rule")
}
