//! `scalelaw eval`: evaluates finished runs again, from their weights.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use scalelaw_report::terminal;
use scalelaw_report::text::counted;
use scalelaw_runner::folder::{read_run, run_folders};
use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::eval::{EvalRequest, Evaluation};
use scalelaw_schema::folder;
use scalelaw_schema::run::RunSpec;
use scalelaw_train::EvalJob;

use crate::args::{EvalArgs, Shared};
use crate::evaluations::{EvaluationSet, SweepNames, tokenizer_of, tokens_of};
use crate::exit::UsageError;
use crate::paths;
use crate::provenance::program;
use crate::say::Say;

pub fn eval(shared: &Shared, say: Say, args: &EvalArgs) -> Result<()> {
    let sweep_dir = paths::sweep_folder(shared, &args.sweep)?;
    let cache = paths::cache(shared)?;
    let mut folders: Vec<PathBuf> = Vec::new();
    let mut runs: Vec<RunSpec> = Vec::new();
    for run_folder in run_folders(&sweep_dir)?.into_values() {
        if !run_folder.join(folder::RECORD_JSON).exists() {
            continue;
        }
        let run = read_run(&run_folder)?;
        if run_folder.join(folder::WEIGHTS_SAFETENSORS).exists() {
            folders.push(run_folder);
            runs.push(run);
        } else {
            say.warn(&format!("{}: no weights were kept, it cannot be evaluated again", run.folder_name()));
        }
    }
    if runs.is_empty() {
        bail!(
            "no finished run of `{}` has weights (hint: `keep = \"weights\"` in the sweep keeps them)",
            sweep_dir.display()
        );
    }
    let is_asked = !args.corpus.is_empty() || !args.skill.is_empty();
    let mut stdout = anstream::stdout().lock();
    if args.dry_run {
        let names: Vec<&str> = args.corpus.iter().chain(&args.skill).map(String::as_str).collect();
        let on = if is_asked { names.join(", ") } else { "what its sweep asks for".to_string() };
        writeln!(stdout, "would evaluate {} on {on}", counted(runs.len(), "run"))?;
        return Ok(());
    }
    let requests = match is_asked {
        true => requests_of(args, &sweep_dir, &cache, &runs, say)?,
        // What `run.toml` asks for; finished evaluations are not made again.
        false => runs.iter().map(|run| run.evals.clone()).collect(),
    };
    if requests.iter().all(Vec::is_empty) {
        let why = "its runs ask for no evaluation (hint: use `--corpus NAME` or `--skill NAME`)";
        return Err(UsageError(format!("`{}`: {why}", sweep_dir.display())).into());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let device = scalelaw_train::open_device(args.device, cores)?;
    let program = program();
    let mut made: Vec<Evaluation> = Vec::new();
    for ((run_folder, run), requests) in folders.iter().zip(&runs).zip(&requests) {
        let job = EvalJob { run, folder: run_folder, cache: &cache, device: &device, program: &program };
        for request in requests {
            let record = scalelaw_train::evaluate(&job, request)
                .with_context(|| format!("run {}, `{}`", run.folder_name(), request.name))?;
            if !args.json {
                writeln!(stdout, "{}  {}", run.folder_name(), terminal::eval::line(&record))?;
            }
            made.push(record);
        }
    }
    if args.json {
        let value = serde_json::json!({ "schema_version": SCHEMA_VERSION, "evaluations": made });
        writeln!(stdout, "{}", serde_json::to_string_pretty(&value)?)?;
    }
    Ok(())
}

/// The evaluations of each run that the command line asks for.
fn requests_of(
    args: &EvalArgs,
    sweep_dir: &Path,
    cache: &Path,
    runs: &[RunSpec],
    say: Say,
) -> Result<Vec<Vec<EvalRequest>>> {
    let names = SweepNames::of(&args.sweep, sweep_dir, cache)?;
    let mut sets = Vec::new();
    for name in &args.corpus {
        sets.push(EvaluationSet::held_out(name, args.tokens, &names)?);
    }
    for name in &args.skill {
        sets.push(EvaluationSet::skill(name, args.items, &names, runs, say)?);
    }
    // Runs of one sweep share tokenizer and context, so that text and items are tokenised only once.
    let mut prepared: BTreeMap<(&str, usize), Vec<EvalRequest>> = BTreeMap::new();
    let mut requests = Vec::new();
    for run in runs {
        let context_len = run.train.phases.last().map_or(1, |phase| phase.context_len);
        let of_run = match prepared.entry((tokens_of(run), context_len)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let tokenizer = tokenizer_of(run, cache)?;
                let made: Result<_> =
                    sets.iter().map(|set| set.request(context_len, &tokenizer, cache, say)).collect();
                entry.insert(made?)
            }
        };
        requests.push(of_run.clone());
    }
    Ok(requests)
}
