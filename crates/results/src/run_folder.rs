//! One run's folder as a row and a learning curve. Whatever is wrong with it is a text that names the file
//! and the line, never an error: the other runs go on.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::eval::{EvalRecord, EvalSpec};
use scalelaw_schema::folder::{ATTEMPTS_JSONL, EVALS_DIR, METRICS_JSONL, RECORD_JSON, RUN_TOML};
use scalelaw_schema::model::ModelSpec;
use scalelaw_schema::record::{Attempt, Outcome, RunRecord};
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::table::ResultRow;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::curves::Curve;

/// What a folder below the sweep's is.
pub(crate) enum FolderState {
    /// A run that is over, with its curve where the file is there.
    Over(Box<ResultRow>, Option<Curve>),
    /// A run without a record, with what is known about it.
    Unfinished(String),
    /// A run whose files cannot be read, with the reason.
    Broken(String),
    /// No run's folder.
    Other,
}

/// Reads the folder `name` at `path`.
pub(crate) fn read_run_folder(name: &str, path: &Path) -> FolderState {
    match read_over(name, path) {
        Ok(state) => state,
        Err(why) => FolderState::Broken(why),
    }
}

fn read_over(name: &str, path: &Path) -> Result<FolderState, String> {
    let spec_bytes = read(path, RUN_TOML)?;
    let Some(record_bytes) = read(path, RECORD_JSON)? else {
        return Ok(match spec_bytes {
            Some(_) => FolderState::Unfinished(unfinished(path)),
            None => FolderState::Other,
        });
    };
    let record: RunRecord = parse_json(RECORD_JSON, &record_bytes)?;
    let spec_bytes = spec_bytes.ok_or_else(|| format!("{RUN_TOML} is missing"))?;
    let spec = parse_run_toml(&spec_bytes)?;
    check(&record, &spec)?;
    let evals = read_evals(path, &record)?;
    let curve = match read(path, METRICS_JSONL)? {
        Some(bytes) => {
            Some(Curve::parse(record.run.clone(), &bytes).map_err(|why| format!("{METRICS_JSONL}: {why}"))?)
        }
        None => None,
    };
    Ok(FolderState::Over(Box::new(to_row(name, record, &spec, &evals)?), curve))
}

/// The file's bytes; none where there is no such file.
fn read(folder: &Path, file: &str) -> Result<Option<Vec<u8>>, String> {
    match fs::read(folder.join(file)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(format!("{file}: {error}")),
    }
}

fn parse_json<T: DeserializeOwned>(file: &str, bytes: &[u8]) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Version {
        schema_version: u32,
    }
    serde_json::from_slice(bytes).map_err(|error| match serde_json::from_slice::<Version>(bytes) {
        Ok(found) if found.schema_version > SCHEMA_VERSION => newer(file, found.schema_version),
        _ => format!("{file}: {error}"),
    })
}

fn newer(file: &str, version: u32) -> String {
    format!(
        "{file} has format {version}, this program reads up to {SCHEMA_VERSION} (hint: use the newer program)"
    )
}

fn parse_run_toml(bytes: &[u8]) -> Result<RunSpec, String> {
    let text = str::from_utf8(bytes).map_err(|_| format!("{RUN_TOML} is not text"))?;
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        format!("{RUN_TOML} line {line}: {}", error.message())
    })
}

/// Record and spec must speak of the same run, and N must be what the shape counts.
fn check(record: &RunRecord, spec: &RunSpec) -> Result<(), String> {
    for (file, version) in [(RECORD_JSON, record.schema_version), (RUN_TOML, spec.schema_version)] {
        if version > SCHEMA_VERSION {
            return Err(newer(file, version));
        }
    }
    if record.run != spec.id || record.train != spec.train {
        return Err(format!(
            "{RECORD_JSON} is of run {}, {RUN_TOML} describes another ({})",
            record.run, spec.id
        ));
    }
    record.train.check().map_err(|error| format!("{RECORD_JSON}: {error}"))?;
    let counted = record.train.model.params();
    if record.params != counted {
        return Err(format!(
            "{RECORD_JSON} says {} parameters, its shape has {}, or by group they differ",
            record.params.total(),
            counted.total()
        ));
    }
    Ok(())
}

/// All evaluations, by file name, so that the order is always the same.
fn read_evals(folder: &Path, record: &RunRecord) -> Result<Vec<EvalRecord>, String> {
    let dir = match fs::read_dir(folder.join(EVALS_DIR)) {
        Ok(dir) => dir,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{EVALS_DIR}: {error}")),
    };
    let mut names = Vec::new();
    for entry in dir {
        let name = entry.map_err(|error| format!("{EVALS_DIR}: {error}"))?.file_name();
        // A name without the ending is a file that was being written.
        if let Some(name) = name.to_str().filter(|name| name.ends_with(".json") && !name.starts_with('.')) {
            names.push(format!("{EVALS_DIR}/{name}"));
        }
    }
    names.sort();
    let mut evals = Vec::with_capacity(names.len());
    for file in names {
        let bytes = read(folder, &file)?.unwrap_or_default();
        let eval: EvalRecord = parse_json(&file, &bytes)?;
        if eval.schema_version > SCHEMA_VERSION {
            return Err(newer(&file, eval.schema_version));
        }
        if eval.run != record.run {
            return Err(format!("{file} judges run {}, not {}", eval.run, record.run));
        }
        evals.push(eval);
    }
    Ok(evals)
}

fn to_row(name: &str, record: RunRecord, spec: &RunSpec, evals: &[EvalRecord]) -> Result<ResultRow, String> {
    if record.outcome == Outcome::Finished
        && let Some(missing) =
            spec.evals.iter().find(|asked| evals.iter().all(|eval| eval.request.spec != asked.spec))
    {
        return Err(format!(
            "{EVALS_DIR}/{}.json is missing, the evaluation of `{}` (hint: `scalelaw eval` makes it)",
            missing.spec.hash(),
            missing.name
        ));
    }
    let of_text = by_name(spec, evals, |eval| eval.skill.is_none());
    let of_skills = by_name(spec, evals, |eval| eval.skill.is_some());
    let mean = |of: fn(&EvalRecord) -> f64| mixture_mean(&record, spec, evals, of);
    let (loss, bpb) = (mean(|eval| eval.loss), mean(|eval| eval.bpb));
    let ModelSpec::Transformer(shape) = &record.train.model;
    let last_phase = record.train.phases.last().ok_or("the run has no phase")?;
    let provenance = &record.provenance;
    Ok(ResultRow {
        folder: name.to_string(),
        cluster: record.cluster,
        seed: record.train.seed,
        budget_flops: spec.cell.budget_flops,
        params: record.params,
        n_layer: shape.n_layer,
        d_model: shape.d_model,
        n_head: shape.n_head,
        d_ff: shape.d_ff,
        vocab_size: shape.vocab_size,
        head: shape.head,
        context_len: last_phase.context_len,
        steps: record.steps,
        tokens: record.tokens,
        flops_path: record.flops_path,
        flops_spent: record.flops_spent.total(),
        loss,
        bpb,
        losses: of_text.iter().map(|(name, eval)| (name.to_string(), eval.loss)).collect(),
        bpbs: of_text.iter().map(|(name, eval)| (name.to_string(), eval.bpb)).collect(),
        skills: of_skills
            .iter()
            .filter_map(|(name, eval)| Some((name.to_string(), eval.skill.clone()?)))
            .collect(),
        shares: spec.shares().into_iter().map(|(name, share)| (name.to_string(), share)).collect(),
        train_loss: record.train_loss,
        lr: record.train.recipe.lr_peak,
        batch_tokens: last_phase.batch_tokens(),
        max_epochs: record.epochs.values().copied().reduce(f64::max),
        wall_seconds: record.wall_seconds,
        tokens_per_second: record.tokens_per_second,
        peak_bytes: record.peak_bytes,
        device: format!("{}: {}", provenance.backend, provenance.device),
        program: match &provenance.git_commit {
            Some(commit) => format!("{} ({commit})", provenance.version),
            None => provenance.version.clone(),
        },
        outcome: record.outcome,
        run_id: record.run,
    })
}

/// Of several evaluations with one name, the one that `run.toml` asks for, else the one over the most
/// tokens: a later, shorter one must not replace what the other runs of the sweep have.
fn by_name<'a>(
    spec: &RunSpec,
    evals: &'a [EvalRecord],
    is_wanted: impl Fn(&EvalRecord) -> bool,
) -> BTreeMap<&'a str, &'a EvalRecord> {
    let mut by_name = BTreeMap::new();
    for eval in evals.iter().filter(|eval| is_wanted(eval)) {
        let kept = by_name.entry(eval.request.name.as_str()).or_insert(eval);
        if rank(spec, eval) > rank(spec, kept) {
            *kept = eval;
        }
    }
    by_name
}

fn rank(spec: &RunSpec, eval: &EvalRecord) -> (bool, u64) {
    (spec.evals.iter().any(|asked| asked.spec == eval.request.spec), eval.n_tokens)
}

/// Mean over the corpora of the training mixture, weighted as in training. A corpus that nobody evaluated
/// is left out; none where one that `run.toml` asks for has no value (a run that diverged), because a mean
/// over the others would be another quantity.
fn mixture_mean(
    record: &RunRecord,
    spec: &RunSpec,
    evals: &[EvalRecord],
    of: fn(&EvalRecord) -> f64,
) -> Option<f64> {
    let is_of = |eval: &EvalSpec, corpus: &str| match eval {
        EvalSpec::HeldOut { tokens, .. } => tokens == corpus,
        EvalSpec::Skill { .. } => false,
    };
    let mut parts = Vec::new();
    for source in &record.train.mixture.sources {
        let best = evals
            .iter()
            .filter(|eval| is_of(&eval.request.spec, &source.tokens))
            .max_by_key(|eval| rank(spec, eval));
        match best {
            Some(eval) => parts.push((source.weight, of(eval))),
            None if spec.evals.iter().any(|asked| is_of(&asked.spec, &source.tokens)) => return None,
            None => {}
        }
    }
    match parts[..] {
        [] => None,
        // Exactly this corpus' loss: weight · loss / weight can differ in the last bit.
        [(_, value)] => Some(value),
        _ => {
            let weights: f64 = parts.iter().map(|(weight, _)| weight).sum();
            Some(parts.iter().map(|(weight, value)| weight * value).sum::<f64>() / weights)
        }
    }
}

/// What `attempts.jsonl` tells about a run without a record.
fn unfinished(folder: &Path) -> String {
    let bytes = read(folder, ATTEMPTS_JSONL).ok().flatten().unwrap_or_default();
    let attempts: Vec<Attempt> =
        bytes.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    match attempts.last() {
        None => "not finished".to_string(),
        Some(last) => format!("not finished: attempt {} failed: {}", attempts.len(), last.why),
    }
}
