//! `scalelaw eval`: finished runs judged again, from their weights.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context, Result, bail};
use scalelaw_data::{Needed, Tokenizer};
use scalelaw_runner::folder::{read_run, run_folders};
use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::eval::{EvalRecord, EvalRequest, EvalSpec};
use scalelaw_schema::folder;
use scalelaw_schema::run::RunSpec;
use scalelaw_train::EvalJob;

use crate::args::{EvalArgs, Shared};
use crate::corpora::{ensure_one, open_corpus};
use crate::exit::UsageError;
use crate::provenance::program;
use crate::say::Say;
use crate::skills::Names;
use crate::{paths, sweep_file};

pub fn eval(shared: &Shared, say: Say, args: &EvalArgs) -> Result<()> {
    let sweep_dir = paths::sweep_folder(shared, &args.sweep)?;
    let cache = paths::cache(shared)?;
    // The sweep's own corpora can be named too; their paths are relative to where its file lay.
    let (own, own_skills) = match args.sweep.extension() {
        Some(extension) if extension == "toml" => {
            let spec = sweep_file::load(&args.sweep, &[])?.spec;
            (spec.corpus, spec.skill)
        }
        _ => (BTreeMap::new(), BTreeMap::new()),
    };
    let base = args
        .sweep
        .parent()
        .filter(|_| args.sweep.extension().is_some())
        .map_or(".".into(), |p| p.to_path_buf());
    let mut judged = Vec::new();
    for run_folder in run_folders(&sweep_dir)?.into_values() {
        if !run_folder.join(folder::RECORD_JSON).exists() {
            continue;
        }
        let run = read_run(&run_folder)?;
        if run_folder.join(folder::WEIGHTS_SAFETENSORS).exists() {
            judged.push((run_folder, run));
        } else {
            say.warn(&format!("{}: no weights were kept, it cannot be judged again", run.folder_name()));
        }
    }
    if judged.is_empty() {
        bail!(
            "no finished run of `{}` has weights (hint: `keep = \"weights\"` keeps them)",
            sweep_dir.display()
        );
    }
    let mut stdout = anstream::stdout().lock();
    if args.dry_run {
        writeln!(stdout, "would judge {} runs by {}", judged.len(), args.corpus.join(", "))?;
        return Ok(());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let device = scalelaw_train::open_device(args.device, cores)?;
    let program = program();
    // Runs of one sweep share their tokenizers, and a BPE takes a while to set up.
    let mut tokenizers = BTreeMap::new();
    for (_, run) in &judged {
        let tokens = tokens_of(run);
        if !tokenizers.contains_key(tokens) {
            tokenizers.insert(tokens.to_string(), tokenizer_of(run, &cache)?);
        }
    }
    let mut made: Vec<EvalRecord> = Vec::new();
    for name in &args.corpus {
        let names = Names { corpora: &own, skills: &own_skills, base: &base, cache: &cache };
        let corpus = open_corpus(name, &names)?;
        for (run_folder, run) in &judged {
            let tokenizer = &tokenizers[tokens_of(run)];
            let context_len = run.train.phases.last().map_or(1, |phase| phase.context_len);
            let n_tokens = args.tokens.next_multiple_of(context_len as u64);
            let needed = Needed { train_tokens: 0, held_out_tokens: n_tokens };
            let facts = ensure_one(&corpus, tokenizer, &cache, needed, say)?;
            let spec = EvalSpec::HeldOut { tokens: facts.hash, n_tokens, context_len };
            let request = EvalRequest { name: corpus.name().to_string(), spec };
            let job = EvalJob { run, folder: run_folder, cache: &cache, device: &device, program: &program };
            let record = scalelaw_train::evaluate(&job, &request)
                .with_context(|| format!("run {}", run.folder_name()))?;
            if !args.json {
                writeln!(
                    stdout,
                    "{}  {name}  loss {:.4}  bpb {:.4}",
                    run.folder_name(),
                    record.loss,
                    record.bpb
                )?;
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

/// Content hash of a token set that the run was trained on; all of them have one tokenizer.
fn tokens_of(run: &RunSpec) -> &str {
    &run.train.mixture.sources.first().expect("a mixture has at least one source").tokens
}

/// The tokenizer that a run was trained with, from the token set it was trained on.
fn tokenizer_of(run: &RunSpec, cache: &std::path::Path) -> Result<Tokenizer> {
    let tokens = tokens_of(run);
    Tokenizer::of_token_set(cache, tokens).map_err(|error| {
        let name = run.corpus_name(tokens);
        UsageError(format!("the tokenizer of corpus `{name}` is not in the cache: {error}")).into()
    })
}
