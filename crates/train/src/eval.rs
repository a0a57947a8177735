//! Judges weights on held-out text.

use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use scalelaw_schema::eval::{EvalRecord, EvalRequest, EvalSpec};
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::{SCHEMA_VERSION, SchemaError};

use crate::checkpoint;
use crate::device::{OpenDevice, Program};
use crate::error::TrainError;
use crate::folder;
use crate::model::{self, Model, TokenBatch};
use crate::text::Text;
use crate::time::now;

/// Tokens computed at once, in whole windows; at least one window. A constant, so that the same weights give
/// the same loss during the run and later, whatever the micro-batch was.
const TOKENS_AT_ONCE: usize = 4096;

/// What an evaluation found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// Nats per token.
    pub loss: f64,
    /// Bits per byte.
    pub bpb: f64,
    /// Target tokens.
    pub n_tokens: u64,
    /// Bytes that they stand for.
    pub n_bytes: u64,
    /// Time it took.
    pub wall_seconds: f64,
}

/// What [`evaluate`] needs.
#[derive(Debug, Clone, Copy)]
pub struct EvalJob<'a> {
    /// The run, which is finished.
    pub run: &'a RunSpec,
    /// Its folder.
    pub folder: &'a Path,
    /// Where token sets are cached.
    pub cache: &'a Path,
    /// What to compute on.
    pub device: &'a OpenDevice,
    /// For the provenance.
    pub program: &'a Program,
}

/// Judges a finished run's `weights.safetensors` and writes `evals/<hash>.json`; where that is there already,
/// it is read instead.
///
/// # Errors
/// Those of the folder, the text and the device.
pub fn evaluate(job: &EvalJob, request: &EvalRequest) -> Result<EvalRecord, TrainError> {
    if let Some(record) = folder::read_eval(job.folder, &request.spec)? {
        return Ok(record);
    }
    let started = now();
    let judgement = job.device.run(|| {
        let text = Text::of_eval(job.cache, job.run, request)?;
        let device = &job.device.device;
        let model = checkpoint::load_weights(job.folder, job.run.train.model.shape(), device)?;
        judge(&model, &request.spec, &text, device)
    })?;
    let record = record(job, request, judgement, &started);
    folder::write_eval(job.folder, &record)?;
    Ok(record)
}

/// The record of a judgement that ends now.
pub(crate) fn record(
    job: &EvalJob,
    request: &EvalRequest,
    judgement: Judgement,
    started: &str,
) -> EvalRecord {
    EvalRecord {
        schema_version: SCHEMA_VERSION,
        run: job.run.id.clone(),
        request: request.clone(),
        loss: judgement.loss,
        bpb: judgement.bpb,
        n_tokens: judgement.n_tokens,
        n_bytes: judgement.n_bytes,
        skill: None,
        wall_seconds: judgement.wall_seconds,
        provenance: job.device.provenance(job.program, started, &now()),
    }
}

/// Where the items of a skill are judged as if they were text.
pub(crate) fn no_held_out_text() -> SchemaError {
    SchemaError::BadRun { why: "a skill's suite has no held-out text".to_string() }
}

/// Mean loss over windows of `context_len` tokens, each without context before it. Token losses are `f32` on
/// the device and summed in `f64` here, in the order of the text.
pub(crate) fn judge(
    model: &Model,
    spec: &EvalSpec,
    text: &Text,
    device: &Device,
) -> Result<Judgement, TrainError> {
    let began = Instant::now();
    let EvalSpec::HeldOut { context_len, n_tokens, .. } = *spec else {
        return Err(no_held_out_text().into());
    };
    if n_tokens == 0 || !n_tokens.is_multiple_of(context_len as u64) {
        let why = format!("its evaluation of {n_tokens} tokens is not made of windows of {context_len}");
        return Err(SchemaError::BadRun { why }.into());
    }
    let (tokens, n_bytes) = text.held_out(spec)?;
    let positions = model.positions(context_len);
    let at_once = (TOKENS_AT_ONCE / context_len).max(1) * context_len;
    let (inputs, targets) = (&tokens[..tokens.len() - 1], &tokens[1..]);
    let mut sum = 0.0;
    for (inputs, targets) in inputs.chunks(at_once).zip(targets.chunks(at_once)) {
        let batch = TokenBatch::new(inputs, targets, context_len, device);
        let losses = model::read(model.token_losses(&batch, &positions))?;
        sum += losses.iter().map(|&loss| f64::from(loss)).sum::<f64>();
    }
    Ok(Judgement {
        loss: sum / n_tokens as f64,
        bpb: sum / (std::f64::consts::LN_2 * n_bytes as f64),
        n_tokens,
        n_bytes,
        wall_seconds: began.elapsed().as_secs_f64(),
    })
}
