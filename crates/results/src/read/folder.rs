//! One run's folder as a row and a learning curve. Anything wrong with it is reported with file and line, and
//! stops no other run.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use scalelaw_schema::eval::{EvalSpec, Evaluation};
use scalelaw_schema::folder::{ATTEMPTS_JSONL, EVALS_DIR, METRICS_JSONL, RECORD_JSON, RUN_TOML};
use scalelaw_schema::model::ModelSpec;
use scalelaw_schema::record::{Attempt, Outcome, RunRecord};
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::score::Score;
use scalelaw_schema::table::ResultRow;
use scalelaw_schema::{SCHEMA_VERSION, SchemaError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::curve::Curve;
use super::metrics::{self, MetricsFault};

/// What a folder below the sweep's is.
pub(crate) enum FolderState {
    /// A completed run, with its curve where the file is there.
    Ended(Box<ResultRow>, Option<Curve>),
    /// A run without a record, with what is known about it.
    Unfinished(String),
    /// A run whose files cannot be read.
    Broken(FolderFault),
    /// Not a run's folder.
    Other,
}

/// What is wrong with a run's folder.
#[derive(Debug, Error)]
pub(crate) enum FolderFault {
    #[error("{file}: {source}")]
    Io { file: String, source: io::Error },
    #[error("{file}: {source}")]
    Json { file: String, source: serde_json::Error },
    #[error(
        "{file} has format {version}, this program reads up to {SCHEMA_VERSION} (hint: use the newer program)"
    )]
    Newer { file: String, version: u32 },
    #[error("{RUN_TOML} is missing")]
    NoSpec,
    #[error("{RUN_TOML} is not text")]
    SpecNotText,
    #[error("{RUN_TOML} line {line}: {why}")]
    Spec { line: usize, why: String },
    #[error("{RECORD_JSON} is of run {record}, {RUN_TOML} describes another ({spec})")]
    OtherRun { record: RunId, spec: RunId },
    #[error("{RECORD_JSON}: {source}")]
    BadRun { source: SchemaError },
    #[error("{RECORD_JSON} says {recorded} parameters, its shape has {counted}, or by group they differ")]
    Params { recorded: u64, counted: u64 },
    #[error("{file} evaluates run {found}, expected {expected}")]
    OtherEvaluation { file: String, found: RunId, expected: RunId },
    #[error(
        "{EVALS_DIR}/{hash}.json is missing, the evaluation of `{name}` (hint: `scalelaw eval` makes it)"
    )]
    NoEvaluation { hash: String, name: String },
    #[error("{METRICS_JSONL}: {0}")]
    Metrics(#[from] MetricsFault),
}

/// Reads the folder `name` at `path`.
pub(crate) fn read_run_folder(name: &str, path: &Path) -> FolderState {
    read_ended(name, path).unwrap_or_else(FolderState::Broken)
}

fn read_ended(name: &str, path: &Path) -> Result<FolderState, FolderFault> {
    let spec_bytes = read(path, RUN_TOML)?;
    let Some(record_bytes) = read(path, RECORD_JSON)? else {
        return Ok(match spec_bytes {
            Some(_) => FolderState::Unfinished(unfinished(path)),
            None => FolderState::Other,
        });
    };
    let record: RunRecord = parse_json(RECORD_JSON, &record_bytes)?;
    let spec_bytes = spec_bytes.ok_or(FolderFault::NoSpec)?;
    let spec = parse_run_toml(&spec_bytes)?;
    check(&record, &spec)?;
    let evals = read_evals(path, &record)?;
    let curve = match read(path, METRICS_JSONL)? {
        Some(bytes) => Some(metrics::parse(record.run.clone(), &bytes)?),
        None => None,
    };
    Ok(FolderState::Ended(Box::new(to_row(name, record, &spec, &evals)?), curve))
}

/// The file's bytes; none where there is no such file.
fn read(folder: &Path, file: &str) -> Result<Option<Vec<u8>>, FolderFault> {
    match fs::read(folder.join(file)) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(source) => Err(FolderFault::Io { file: file.to_string(), source }),
    }
}

fn parse_json<T: DeserializeOwned>(file: &str, bytes: &[u8]) -> Result<T, FolderFault> {
    #[derive(Deserialize)]
    struct Version {
        schema_version: u32,
    }
    serde_json::from_slice(bytes).map_err(|source| match serde_json::from_slice::<Version>(bytes) {
        Ok(Version { schema_version }) if schema_version > SCHEMA_VERSION => {
            FolderFault::Newer { file: file.to_string(), version: schema_version }
        }
        _ => FolderFault::Json { file: file.to_string(), source },
    })
}

/// Formats of later programs are refused, also where they can be read.
fn check_version(file: &str, version: u32) -> Result<(), FolderFault> {
    match version > SCHEMA_VERSION {
        true => Err(FolderFault::Newer { file: file.to_string(), version }),
        false => Ok(()),
    }
}

fn parse_run_toml(bytes: &[u8]) -> Result<RunSpec, FolderFault> {
    let text = str::from_utf8(bytes).map_err(|_| FolderFault::SpecNotText)?;
    toml::from_str(text).map_err(|error| FolderFault::Spec {
        line: error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1),
        why: error.message().to_string(),
    })
}

/// Record and spec must be of the same run, and N must be what the shape counts.
fn check(record: &RunRecord, spec: &RunSpec) -> Result<(), FolderFault> {
    check_version(RECORD_JSON, record.schema_version)?;
    check_version(RUN_TOML, spec.schema_version)?;
    if record.run != spec.id || record.train != spec.train {
        return Err(FolderFault::OtherRun { record: record.run.clone(), spec: spec.id.clone() });
    }
    record.train.check().map_err(|source| FolderFault::BadRun { source })?;
    let counted = record.train.model.params();
    if record.params != counted {
        return Err(FolderFault::Params { recorded: record.params.total(), counted: counted.total() });
    }
    Ok(())
}

/// All evaluations, by file name, so that the order is always the same.
fn read_evals(folder: &Path, record: &RunRecord) -> Result<Vec<Evaluation>, FolderFault> {
    let io = |source| FolderFault::Io { file: EVALS_DIR.to_string(), source };
    let dir = match fs::read_dir(folder.join(EVALS_DIR)) {
        Ok(dir) => dir,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let mut names = Vec::new();
    for entry in dir {
        let name = entry.map_err(io)?.file_name();
        // A name without the ending is a file that was being written.
        if let Some(name) = name.to_str().filter(|name| name.ends_with(".json") && !name.starts_with('.')) {
            names.push(format!("{EVALS_DIR}/{name}"));
        }
    }
    names.sort();
    let mut evals = Vec::with_capacity(names.len());
    for file in names {
        let bytes = read(folder, &file)?.unwrap_or_default();
        let eval: Evaluation = parse_json(&file, &bytes)?;
        check_version(&file, eval.schema_version)?;
        if eval.run != record.run {
            return Err(FolderFault::OtherEvaluation { file, found: eval.run, expected: record.run.clone() });
        }
        evals.push(eval);
    }
    Ok(evals)
}

fn to_row(
    name: &str,
    record: RunRecord,
    spec: &RunSpec,
    evals: &[Evaluation],
) -> Result<ResultRow, FolderFault> {
    if record.outcome == Outcome::Finished
        && let Some(missing) =
            spec.evals.iter().find(|asked| evals.iter().all(|eval| eval.request.spec != asked.spec))
    {
        return Err(FolderFault::NoEvaluation { hash: missing.spec.hash(), name: missing.name.clone() });
    }
    let texts = by_name(spec, evals, |score| match score {
        Score::Text { loss, bpb, .. } => Some((*loss, *bpb)),
        Score::Items(_) => None,
    });
    let skills = by_name(spec, evals, |score| match score {
        Score::Items(score) => Some(score.clone()),
        Score::Text { .. } => None,
    });
    let mean = mixture_mean(&record, spec, evals);
    let ModelSpec::Transformer(shape) = &record.train.model;
    let last_phase = record.train.phases.last().expect("a checked run has a phase");
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
        loss: mean.map(|(loss, _)| loss),
        bpb: mean.map(|(_, bpb)| bpb),
        losses: texts.iter().map(|(name, (loss, _))| (name.clone(), *loss)).collect(),
        bpbs: texts.into_iter().map(|(name, (_, bpb))| (name, bpb)).collect(),
        skills,
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

/// What each evaluation of a kind found. Of several with one name, the one that `run.toml` asks for, else the one
/// over the most tokens: a later, shorter one must not replace what the other runs of the sweep have.
fn by_name<T>(
    spec: &RunSpec,
    evals: &[Evaluation],
    of_kind: impl Fn(&Score) -> Option<T>,
) -> BTreeMap<String, T> {
    let mut by_name: BTreeMap<&str, (&Evaluation, T)> = BTreeMap::new();
    for eval in evals {
        let Some(found) = of_kind(&eval.score) else { continue };
        let name = eval.request.name.as_str();
        if by_name.get(name).is_none_or(|(kept, _)| rank(spec, eval) > rank(spec, kept)) {
            by_name.insert(name, (eval, found));
        }
    }
    by_name.into_iter().map(|(name, (_, found))| (name.to_string(), found)).collect()
}

fn rank(spec: &RunSpec, eval: &Evaluation) -> (bool, u64) {
    (spec.evals.iter().any(|asked| asked.spec == eval.request.spec), eval.score.n_tokens())
}

/// Mean loss and bits per byte over the corpora of the training mixture, weighted as in training. A corpus without
/// an evaluation is left out; none where one that `run.toml` asks for has no value (a run that diverged), because a
/// mean over the others would be another quantity.
fn mixture_mean(record: &RunRecord, spec: &RunSpec, evals: &[Evaluation]) -> Option<(f64, f64)> {
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
        match best.map(|eval| &eval.score) {
            Some(Score::Text { loss, bpb, .. }) => parts.push((source.weight, *loss, *bpb)),
            Some(Score::Items(_)) => {}
            None if spec.evals.iter().any(|asked| is_of(&asked.spec, &source.tokens)) => return None,
            None => {}
        }
    }
    match parts[..] {
        [] => None,
        // Exactly this corpus' loss: weight · loss / weight can differ in the last bit.
        [(_, loss, bpb)] => Some((loss, bpb)),
        _ => {
            let weights: f64 = parts.iter().map(|(weight, ..)| weight).sum();
            let loss: f64 = parts.iter().map(|(weight, loss, _)| weight * loss).sum();
            let bpb: f64 = parts.iter().map(|(weight, _, bpb)| weight * bpb).sum();
            Some((loss / weights, bpb / weights))
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
