//! Evaluates weights on held-out text and by the items of skills.

use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use scalelaw_data::SequenceLosses;
use scalelaw_schema::eval::{EvalRequest, EvalSpec, Evaluation};
use scalelaw_schema::run::RunSpec;
use scalelaw_schema::score::Score;
use scalelaw_schema::{SCHEMA_VERSION, SchemaError};

use crate::checkpoint;
use crate::device::{OpenDevice, Program};
use crate::error::TrainError;
use crate::folder;
use crate::models::{self, Model, TokenBatch};
use crate::text::Text;
use crate::time::now;

/// Tokens computed at once, in whole windows; at least one window. A constant, so that the same weights give
/// the same loss during the run and later, for every micro-batch.
const TOKENS_AT_ONCE: usize = 4096;

/// Any token that every vocabulary has.
const FILLER: u16 = 0;

/// What an evaluation found.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// The loss of text, or the score of a skill's items.
    pub score: Score,
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

/// Evaluates a finished run's `weights.safetensors` and writes `evals/<hash>.json`; an evaluation that is there
/// already is read instead.
///
/// # Errors
/// Those of the folder, the text and the device.
pub fn evaluate(job: &EvalJob, request: &EvalRequest) -> Result<Evaluation, TrainError> {
    if let Some(record) = folder::read_eval(job.folder, &request.spec)? {
        return Ok(record);
    }
    let started = now();
    let evaluated = job.device.run(|| {
        let text = Text::of_eval(job.cache, job.run, request)?;
        let device = &job.device.device;
        let model = checkpoint::load_weights(job.folder, &job.run.train.model, device)?;
        evaluate_model(&model, &request.spec, &text, device)
    })?;
    let record = record(job, request, evaluated, &started);
    folder::write_eval(job.folder, &record)?;
    Ok(record)
}

/// The record of an evaluation that ends now.
pub(crate) fn record(
    job: &EvalJob,
    request: &EvalRequest,
    evaluated: Evaluated,
    started: &str,
) -> Evaluation {
    Evaluation {
        schema_version: SCHEMA_VERSION,
        run: job.run.id.clone(),
        request: request.clone(),
        score: evaluated.score,
        wall_seconds: evaluated.wall_seconds,
        provenance: job.device.provenance(job.program, started, &now()),
    }
}

/// Evaluates weights as `spec` asks.
pub(crate) fn evaluate_model(
    model: &Model,
    spec: &EvalSpec,
    text: &Text,
    device: &Device,
) -> Result<Evaluated, TrainError> {
    let began = Instant::now();
    let score = match spec {
        EvalSpec::HeldOut { tokens, n_tokens, context_len } => {
            evaluate_text(model, text, (tokens, *n_tokens, *context_len), device)?
        }
        EvalSpec::Skill { suite, n_items, context_len, .. } => {
            evaluate_skill(model, text, (suite, *n_items, *context_len), device)?
        }
    };
    Ok(Evaluated { score, wall_seconds: began.elapsed().as_secs_f64() })
}

/// Mean loss over windows of `context_len` tokens, each without context before it. Token losses are `f32` on
/// the device and summed in `f64` here, in the order of the text.
fn evaluate_text(
    model: &Model,
    text: &Text,
    (tokens, n_tokens, context_len): (&str, u64, usize),
    device: &Device,
) -> Result<Score, TrainError> {
    if n_tokens == 0 || !n_tokens.is_multiple_of(context_len as u64) {
        let why = format!("its evaluation of {n_tokens} tokens is not made of windows of {context_len}");
        return Err(SchemaError::BadRun { why }.into());
    }
    let (tokens, n_bytes) = text.held_out(tokens, n_tokens)?;
    let backend = model.backend(context_len);
    let at_once = (TOKENS_AT_ONCE / context_len).max(1) * context_len;
    let (inputs, targets) = (&tokens[..tokens.len() - 1], &tokens[1..]);
    let mut sum = 0.0;
    for (inputs, targets) in inputs.chunks(at_once).zip(targets.chunks(at_once)) {
        let batch = TokenBatch::new(inputs, targets, context_len, device);
        let losses = models::read(model.token_losses(&batch, &backend))?;
        sum += losses.iter().map(|&loss| f64::from(loss)).sum::<f64>();
    }
    Ok(Score::Text {
        loss: sum / n_tokens as f64,
        bpb: sum / (std::f64::consts::LN_2 * n_bytes as f64),
        n_tokens,
        n_bytes,
    })
}

/// The score of a suite's first `n_items` items. What a sequence is filled up with comes after it, where nothing of it
/// can be seen.
fn evaluate_skill(
    model: &Model,
    text: &Text,
    (suite, n_items, context_len): (&str, u64, usize),
    device: &Device,
) -> Result<Score, TrainError> {
    let suite = text.suite(suite)?;
    let backend = model.backend(context_len);
    let sequences: Vec<_> = suite.sequences(n_items).collect();
    let mut answers = Vec::with_capacity(sequences.len());
    for part in sequences.chunks((TOKENS_AT_ONCE / context_len).max(1)) {
        let n = part.len() * context_len;
        let (mut inputs, mut targets) = (Vec::with_capacity(n), Vec::with_capacity(n));
        for (idx, sequence) in part.iter().enumerate() {
            let n_targets = sequence.tokens.len() - 1;
            inputs.extend_from_slice(&sequence.tokens[..n_targets]);
            targets.extend_from_slice(&sequence.tokens[1..]);
            inputs.resize((idx + 1) * context_len, FILLER);
            targets.resize((idx + 1) * context_len, FILLER);
        }
        let batch = TokenBatch::new(&inputs, &targets, context_len, device);
        let scores = models::read(model.token_scores(&batch, &backend))?;
        let (losses, margins) = scores.split_at(n);
        for (idx, sequence) in part.iter().enumerate() {
            let at = idx * context_len..idx * context_len + sequence.tokens.len() - 1;
            answers.push(SequenceLosses {
                losses: losses[at.clone()].to_vec(),
                is_top: margins[at].iter().map(|&margin| margin > 0.0).collect(),
            });
        }
    }
    Ok(Score::Items(suite.score(n_items, &answers)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::{self, MetricsFile};
    use crate::testing::Fixture;
    use scalelaw_schema::eval::EvalRequest;
    use std::fs;

    #[test]
    fn a_skill_has_the_losses_of_each_sequence_alone_cheaply_on_the_way_and_in_full_at_the_end() {
        let mut fixture = Fixture::new(20);
        let suite = fixture.quiz(40);
        fixture.run.evals.push(EvalRequest { name: "quiz".to_string(), spec: suite.spec(u64::MAX) });
        fixture.run.cadence.eval_steps = 10;
        fixture.run.cadence.eval_items = Some(7);
        let run_folder = fixture.folder("a");
        fixture.train(&run_folder, &mut |_| {}).unwrap();
        let record = folder::read_eval(&run_folder, &suite.spec(u64::MAX)).unwrap().unwrap();
        let Score::Items(score) = &record.score else { panic!("{record:?}") };
        assert_eq!(score.n_items, 40);

        let model = fixture.weights(&run_folder);
        let alone = |n_items: u64| {
            let answers: Vec<SequenceLosses> = suite
                .sequences(n_items)
                .map(|sequence| {
                    let (n, tokens) = (sequence.tokens.len() - 1, &sequence.tokens);
                    let batch = TokenBatch::new(&tokens[..n], &tokens[1..], n, &model.weights()[0].device());
                    let scores = models::read(model.token_scores(&batch, &model.backend(n))).unwrap();
                    let is_top = scores[n..].iter().map(|&margin| margin > 0.0).collect();
                    SequenceLosses { losses: scores[..n].to_vec(), is_top }
                })
                .collect();
            suite.score(n_items, &answers).unwrap()
        };
        let expected = alone(40);
        assert!((score.nll.value - expected.nll.value).abs() < 1e-5, "{score:?} {expected:?}");
        assert_eq!(score.accuracy, expected.accuracy);

        let (file, _) = MetricsFile::cut_back(&run_folder, u64::MAX).unwrap();
        let rows: Vec<_> = file
            .rows()
            .unwrap()
            .into_iter()
            .filter(|row| row.values.contains_key("skill/quiz/nll"))
            .collect();
        assert_eq!(rows.iter().map(|row| row.step).collect::<Vec<_>>(), [10, 20]);
        assert_eq!(rows[1].values["skill/quiz/nll"], score.nll.value);
        assert_eq!(rows[1].values["skill/quiz/accuracy"], score.accuracy.unwrap().value);
        assert_ne!(alone(7).nll, expected.nll);

        // Evaluated again later it is read; made anew it is the same.
        let again = || fixture.evaluate_by(&run_folder, &fixture.run.evals[1]).unwrap();
        assert_eq!(again(), record);
        fs::remove_dir_all(run_folder.join(scalelaw_schema::folder::EVALS_DIR)).unwrap();
        assert_eq!(again().score, record.score);
    }

    #[test]
    fn a_suite_that_is_not_there_or_too_long_stops_the_run_before_it_trains() {
        let mut fixture = Fixture::new(20);
        let suite = fixture.quiz(4);
        let ask = |spec: EvalSpec| EvalRequest { name: "quiz".to_string(), spec };
        let skill =
            |suite: String, context_len| EvalSpec::Skill { suite, n_items: 4, n_sequences: 8, context_len };
        fixture.run.evals.push(ask(skill("0".repeat(64), 64)));
        let folder = fixture.folder("a");
        let error = fixture.train(&folder, &mut |event| panic!("{event:?}")).unwrap_err();
        assert!(error.to_string().contains("suite"), "{error}");
        fixture.run.evals[1] = ask(skill(suite.hash().to_string(), 2));
        let error = fixture.train(&folder, &mut |event| panic!("{event:?}")).unwrap_err();
        assert!(error.to_string().contains("sequences of 2 tokens"), "{error}");
    }
}
