//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use scalelaw_schema::count::CountRule;
use scalelaw_schema::device::DeviceChoice;

/// Measures how language models scale: plan a sweep, train it, fit the law, and see what a target will cost.
#[derive(Debug, Parser)]
#[command(name = "scalelaw", version, propagate_version = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 ok, 1 failure, 2 usage or configuration, 3 some runs failed, 5 over budget, \
    6 fit refused, 7 device missing, 130 interrupted."
)]
pub struct Cli {
    #[command(flatten)]
    pub shared: Shared,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags of every verb.
#[derive(Debug, Clone, Args)]
pub struct Shared {
    /// Folder of the sweeps' folders.
    #[arg(long, global = true, default_value = "runs", value_name = "DIR", env = "SCALELAW_RUNS")]
    pub runs: PathBuf,
    /// Folder of tokens and tokenizers; the system's cache folder by default.
    #[arg(long, global = true, value_name = "DIR", env = "SCALELAW_CACHE")]
    pub cache: Option<PathBuf>,
    /// Only errors and results.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// More on standard error.
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// When to colour.
    #[arg(long, global = true, default_value = "auto", value_name = "WHEN")]
    pub color: ColorWhen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show what a sweep will run, and what that will cost.
    Plan(PlanArgs),
    /// Train what a sweep still lacks, then fit it and write the report.
    Run(RunArgs),
    /// Show how far a sweep is, from its folders alone.
    Status(StatusArgs),
    /// Evaluate finished runs again, from their weights.
    Eval(EvalArgs),
    /// Fit a scaling law to a sweep or to a table.
    Fit(FitArgs),
    /// Write the report of a sweep.
    Report(ReportArgs),
    /// Rebuild a sweep's tables, and print them as CSV or JSON.
    Export(ExportArgs),
    /// Find, tokenise and describe text.
    #[command(subcommand)]
    Data(DataVerb),
    /// List the devices, what each can do and how fast it is.
    Doctor(DoctorArgs),
    /// Write a first sweep file, the files' JSON Schema, shell completions or man pages.
    Init(InitArgs),
    /// Train the run of one folder: the contract for every other launcher.
    ///
    /// Exit codes: 0 done, 75 try again (out of memory, device lost), 76 diverged.
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
    /// `auto` (a real GPU, else the CPU), `cpu`, `wgpu`, or `wgpu:N` with N of `scalelaw doctor`; `cuda` and
    /// `cuda:N` in a program that is built with it.
    #[arg(long, default_value = "auto", value_name = "DEVICE", env = "SCALELAW_DEVICE")]
    pub device: DeviceChoice,
    /// Runs trained at once: by default on the CPU one per core, as far as they fit into its memory, on a GPU one.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub slots: Option<u16>,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub sweep: SweepArgs,
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Print the plan as JSON.
    #[arg(long)]
    pub json: bool,
    /// Print every run with all its choices made, as TOML.
    #[arg(long, conflicts_with = "json")]
    pub resolved: bool,
    /// Do not measure the device's speed: no times, no costs.
    #[arg(long)]
    pub no_speed: bool,
    /// Simulate the sweep under a law and print the intervals to expect: a law with parameters and noise, as for
    /// `run --simulate`, or `fitted` for the law that the sweep's runs show so far.
    #[arg(long, value_name = "LAW", conflicts_with = "resolved")]
    pub power: Option<String>,
    /// With `--power`, the law that a skill is assumed to have: prints how often it would be labelled. The skills are
    /// those of `[measure]`.
    #[arg(long, value_name = "LAW", requires = "power")]
    pub power_skill: Option<String>,
    /// Sweeps that `--power` simulates.
    #[arg(long, default_value_t = 200, value_name = "N", requires = "power")]
    pub draws: usize,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub sweep: SweepArgs,
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Show the plan, check its limits, train nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Draw the losses from a known law instead of training, such as
    /// `chinchilla:A=400,B=400,E=1.7,alpha=0.34,beta=0.28,noise=0.01`. Kept apart in a folder of its own.
    #[arg(long, value_name = "LAW")]
    pub simulate: Option<String>,
    /// Recycle a worker whose memory has grown beyond this, bytes.
    #[arg(long, value_name = "BYTES")]
    pub worker_memory: Option<u64>,
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Sweep file, or the name or folder of a sweep.
    pub sweep: PathBuf,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct EvalArgs {
    /// Sweep file, or the name or folder of a sweep.
    pub sweep: PathBuf,
    /// Corpus to evaluate on: a built-in name or a manifest (`*.toml`). Without a corpus or a skill the evaluations
    /// are made that the runs were to have and lack.
    #[arg(long, value_name = "NAME|FILE")]
    pub corpus: Vec<String>,
    /// Skill to evaluate on: a name of the sweep's own, a built-in one or a manifest.
    #[arg(long, value_name = "NAME|FILE")]
    pub skill: Vec<String>,
    /// Held-out tokens of each corpus.
    #[arg(long, default_value_t = 65_536, value_name = "N", requires = "corpus")]
    pub tokens: u64,
    /// Items of each skill; all by default.
    #[arg(long, value_name = "N", requires = "skill", value_parser = clap::value_parser!(u64).range(1..))]
    pub items: Option<u64>,
    /// Device to evaluate on.
    #[arg(long, default_value = "auto", value_name = "DEVICE", env = "SCALELAW_DEVICE")]
    pub device: DeviceChoice,
    /// Say what would be evaluated.
    #[arg(long)]
    pub dry_run: bool,
    /// Print the evaluations as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct FitArgs {
    /// Sweep file, name or folder of a sweep, or a table: `*.csv`, `*.parquet`.
    pub table: PathBuf,
    /// Law to fit: a name, `auto` or `all`.
    #[arg(long, default_value = "chinchilla", value_name = "LAW")]
    pub law: String,
    /// Column of the parameters.
    #[arg(long, value_name = "COL")]
    pub n: Option<String>,
    /// Column of the training tokens.
    #[arg(long, value_name = "COL")]
    pub d: Option<String>,
    /// Column of the loss; for a sweep, the corpus.
    #[arg(long, value_name = "COL")]
    pub loss: Option<String>,
    /// Column of the FLOPs; 6·N·D where there is none.
    #[arg(long, value_name = "COL")]
    pub c: Option<String>,
    /// Column of the IsoFLOP budgets.
    #[arg(long, value_name = "COL")]
    pub budget: Option<String>,
    /// Rows to take, such as `"corpus = 'code' and N > 1e5"`.
    #[arg(long = "where", value_name = "EXPR")]
    pub filter: Option<String>,
    /// How N and C of a sweep are counted; as the sweep says by default.
    #[arg(long, value_name = "RULE")]
    pub count_rule: Option<CountRule>,
    /// Print the exponent of N* of a sweep under every way of counting, side by side.
    #[arg(long, conflicts_with = "count_rule")]
    pub every_count: bool,
    /// `log-huber:DELTA`, `log-mse` or `huber:DELTA`.
    #[arg(long, default_value = "log-huber:1e-3", value_name = "OBJECTIVE")]
    pub objective: String,
    /// Resamples of the bootstrap: 1000 by default, 2000 with `--skill`; 0 for none, which skills cannot do.
    #[arg(long, value_name = "N")]
    pub bootstrap: Option<usize>,
    /// Seed of the bootstrap.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Fit the rows below this quantile of C and predict the rest.
    #[arg(long, value_name = "QUANTILE")]
    pub holdout_compute: Option<f64>,
    /// Predict a run: `N=1e8,D=2e9`, or `C=1e20` at its compute-optimal size.
    #[arg(long, value_name = "POINT")]
    pub predict: Vec<String>,
    /// Evaluate the runs of a sweep skill by skill: optima, what each skill wants more of, mixtures, capacity, targets.
    #[arg(long, conflicts_with_all = ["every_count", "loss", "predict", "holdout_compute"])]
    pub skill: bool,
    /// With `--skill`: the column that every skill is compared with, such as `loss`, `loss/prose` or a skill.
    #[arg(long, value_name = "COL", requires = "skill")]
    pub aggregate: Option<String>,
    /// With `--skill`: the least investment that reaches a target, `NAME=nll:0.5` or `NAME=accuracy:0.9`.
    #[arg(long, value_name = "NAME=TARGET", requires = "skill")]
    pub target: Vec<String>,
    /// With `--skill`: what a wrong choice of validation text costs.
    #[arg(long, requires = "skill")]
    pub validation: bool,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Sweep file, or the name or folder of a sweep.
    pub sweep: PathBuf,
    /// Where to write it: `*.html` or `*.md`; `report.html` in the sweep's folder by default, `-` for standard output.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write each chart of the page as a stand-alone SVG into this folder, instead of the page.
    #[arg(long, value_name = "DIR", conflicts_with = "output")]
    pub figures: Option<PathBuf>,
    /// Say what would be written.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Sweep file, or the name or folder of a sweep.
    pub sweep: PathBuf,
    /// Which table: a row per run, or a row per run, metric and step.
    #[arg(long, default_value = "runs")]
    pub table: ExportTable,
    /// Form of the table; `--format` is the same.
    #[arg(long, alias = "format", value_name = "FORMAT", default_value = "csv")]
    pub to: ExportFormat,
    /// Where to write it: standard output by default for CSV and JSON, a file for Parquet and Arrow.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write both tables as `results.parquet` and `metrics.parquet` into the sweep's folder.
    #[arg(long, conflicts_with_all = ["table", "to", "output"])]
    pub parquet: bool,
    /// Say what would be written.
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
    /// List the corpora and skills that are known by name, and whether this machine has them.
    List {
        /// Print as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Get the files of a corpus or a skill that this machine lacks, from Debian's packages or from a path.
    Get {
        /// Name of the corpus or skill, or its manifest.
        name: String,
        /// Folder that holds the files, or the file itself, instead of Debian.
        #[arg(long, value_name = "PATH")]
        path: Option<PathBuf>,
        /// Take the files even where they are not the edition that the manifest names.
        #[arg(long)]
        any_edition: bool,
        /// Say what would be got.
        #[arg(long)]
        dry_run: bool,
    },
    /// Show the items of a skill, and which of them training text holds.
    Items {
        /// Name of the skill, or its manifest.
        name: String,
        /// Corpus whose training text is searched for the items; the skill's own by default.
        #[arg(long, value_name = "NAME|FILE")]
        against: Vec<String>,
        /// Print all of them as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Tokenise a sweep's corpora as far as its plan needs.
    Prepare {
        #[command(flatten)]
        sweep: SweepArgs,
        /// Say what would be tokenised.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Only this device.
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<DeviceChoice>,
    /// Do not measure speed.
    #[arg(long)]
    pub no_speed: bool,
    /// Print as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// Where to write the sweep file.
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
    /// Replace a file that is there.
    #[arg(long)]
    pub force: bool,
    /// Say what would be written.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct TrainOneArgs {
    /// Run folder with its `run.toml`.
    pub folder: PathBuf,
    /// Device to train on.
    #[arg(long, default_value = "auto", value_name = "DEVICE", env = "SCALELAW_DEVICE")]
    pub device: DeviceChoice,
    /// Threads; all cores by default.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Tokens computed at once, in whole sequences; the whole batch by default.
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
