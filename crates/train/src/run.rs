//! One run from its folder to its record: the step loop with files around it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::eval::{EvalRequest, EvalSpec};
use scalelaw_schema::event::{EarlyStopThreshold, Event};
use scalelaw_schema::metrics::{self, MetricsRow};
use scalelaw_schema::record::{Outcome, RunRecord};
use scalelaw_schema::run::{Keep, RunSpec};
use scalelaw_schema::score::Score;
use scalelaw_schema::train_spec::{Phase, Start};
use tracing::{Span, debug, error_span, info, warn};

use crate::checkpoint::{self, Checkpoints};
use crate::device::{OpenDevice, Program};
use crate::error::TrainError;
use crate::eval::{self, EvalJob, Judgement};
use crate::folder::{self, Attempts, MetricsFile};
use crate::memory;
use crate::model::Model;
use crate::optimizer::Moments;
use crate::prefetch::{Making, Source};
use crate::skipped;
use crate::steps::{self, Hooks, LossSum, Output, Progress, StepSetup, TrainState, Values};
use crate::text::Text;
use crate::time::now;

/// What [`train`] needs.
#[derive(Debug, Clone, Copy)]
pub struct TrainJob<'a> {
    /// The run.
    pub run: &'a RunSpec,
    /// Its folder, on which the caller holds the lease.
    pub folder: &'a Path,
    /// Where token sets are cached; those of the run are there.
    pub cache: &'a Path,
    /// What to compute on.
    pub device: &'a OpenDevice,
    /// Sequences computed at once; the whole batch where absent.
    pub micro_batch: Option<usize>,
    /// The device's measured rate of matrix products, FLOP/s; without it there is no MFU.
    pub matmul_peak: Option<f64>,
    /// The loss that the run is held against where its rule of early stop looks; never stopped where absent.
    pub bar: Option<&'a EarlyStopThreshold>,
    /// For the provenance.
    pub program: &'a Program,
}

/// Trains a run from where its folder stands to its record, and judges it. A run with a record is not trained
/// again.
///
/// `stop` may become true at any moment: the run is then saved and ends as `Interrupted`. Events tell how far
/// it is; how it ended is the return value's to say.
///
/// # Errors
/// Whatever keeps the run from going on; the folder is as its last checkpoint left it.
pub fn train(
    job: &TrainJob,
    stop: &AtomicBool,
    on_event: &mut (dyn FnMut(Event) + Send),
) -> Result<Outcome, TrainError> {
    let run = job.run;
    run.train.check()?;
    job.device.check_precision(run.train.recipe.precision)?;
    let checkpoints = Checkpoints::of(job.folder, &run.id).keeping(&run.keep_steps);
    let outcome = match folder::read_record(job.folder)? {
        Some(record) => record.outcome,
        None => {
            // The device has threads of its own, which know nothing of the caller's span.
            let span = Span::current();
            let (outcome, record) =
                job.device.run(|| span.in_scope(|| train_to_record(job, &checkpoints, stop, on_event)))?;
            folder::write_record(job.folder, &record)?;
            outcome
        }
    };
    // From here on nothing may fail: the run is over. Only one that was stopped early may ever go on.
    if !matches!(outcome, Outcome::Stopped { .. })
        && let Err(error) = checkpoints.remove_unkept()
    {
        warn!("{error}");
        on_event(Event::Warning { text: error.to_string() });
    }
    Ok(outcome)
}

/// Everything but writing the record.
fn train_to_record(
    job: &TrainJob,
    checkpoints: &Checkpoints,
    stop: &AtomicBool,
    on_event: &mut (dyn FnMut(Event) + Send),
) -> Result<(Outcome, RunRecord), TrainError> {
    let run = job.run;
    let text = Text::of_run(job.cache, run)?;
    let batches = text.batches(run)?;
    memory::reset_peak_bytes();

    let mut state = take_up(job, checkpoints, on_event)?;
    let (mut metrics_file, last_row) = MetricsFile::cut_back(job.folder, state.progress.step)?;
    // Steps that the last attempt took beyond its last checkpoint were computed and are computed again.
    let lost_until = last_row.as_ref().map_or(0, |last| last.step);
    let lost = run.train.flops_of(state.progress.step..lost_until);
    state.progress.wall_seconds =
        last_row.map_or(0.0, |last| last.wall_seconds).max(state.progress.wall_seconds);
    let attempts = folder::begin_attempt(job.folder, &now(), &lost)?;
    let total_steps = run.train.total_steps();
    let _attempt = error_span!("attempt", attempt = attempts.n).entered();
    match state.progress.step {
        0 => info!("started: {total_steps} steps"),
        step => info!("started from the checkpoint at step {step} of {total_steps}"),
    }
    on_event(Event::Started { run: run.id.clone(), step: state.progress.step, total_steps });

    let largest = run.train.phases.iter().map(|phase| phase.batch_sequences).max().unwrap_or(1);
    let micro_batch = job.micro_batch.unwrap_or(largest).clamp(1, largest);
    let setup = StepSetup {
        train: &run.train,
        cadence: &run.cadence,
        keep_steps: &run.keep_steps,
        micro_batch,
        matmul_peak: job.matmul_peak,
        device: &job.device.device,
    };
    // What the last evaluation found, by the hash of what was asked.
    let mut judged: BTreeMap<String, Judged> = BTreeMap::new();
    // It is looked at once, at the first row from there on; a run that is taken up behind it was before.
    let mut look_step = run
        .early_stop
        .map(|rule| rule.step(total_steps))
        .filter(|look_step| state.progress.step < *look_step);
    let making = if job.device.backend() == "cpu" { Making::Here } else { Making::Ahead };
    let batch_at = {
        let batches = batches.clone();
        move |cursor, phase: &Phase| Ok(batches.at(cursor, phase)?)
    };
    let mut source = Source::new(making, &run.train, &state.progress, batch_at);
    let hooks = Hooks {
        batch: &mut |cursor, phase| source.at(cursor, phase),
        evaluate: &mut |model, is_last| {
            let mut values = Values::new();
            for request in &run.evals {
                let spec = match is_last {
                    true => request.spec.clone(),
                    false => request.spec.at_most(run.cadence.eval_items),
                };
                let here = judge_now(job, &spec, model, &text)?;
                values.extend(values_of(&request.name, &here.judgement));
                if spec == request.spec {
                    judged.insert(request.spec.hash(), here);
                }
            }
            Ok(values)
        },
        sink: &mut |state, output| {
            match output {
                Output::Row(row) => {
                    metrics_file.append(&row)?;
                    log_row(&row);
                    if let Some(event) = step_event(run, &row) {
                        on_event(event);
                    }
                    if look_step.take_if(|look_step| row.step >= *look_step).is_some() {
                        stop_if_hopeless(job, &metrics_file.rows()?, row.step)?;
                    }
                }
                Output::Checkpoint => {
                    // The rows first: a checkpoint promises that they are there up to its step.
                    metrics_file.sync()?;
                    checkpoints.save(state)?;
                    info!("checkpoint at step {}", state.progress.step);
                    on_event(Event::Checkpoint { run: run.id.clone(), step: state.progress.step });
                }
                Output::Skipped(step) => debug!("step {step} is skipped, its gradient is not finite"),
            }
            Ok(())
        },
    };
    let outcome = match steps::run_steps(setup, &mut state, hooks, stop) {
        Err(TrainError::Hopeless { step, why }) => Outcome::Stopped { step, why },
        outcome => outcome?,
    };
    if let Some(text) = skipped::text(&state.progress.skipped_steps) {
        warn!("{text}");
        let n_steps = state.progress.skipped_steps.len() as u64;
        on_event(Event::Skipped { run: run.id.clone(), n_steps });
    }
    if outcome == Outcome::Finished {
        for request in &run.evals {
            // The last step has an evaluation, unless it was taken by an earlier attempt.
            let judged = match judged.remove(&request.spec.hash()) {
                Some(judged) => judged,
                None => judge_now(job, &request.spec, &state.model, &text)?,
            };
            write_eval(job, request, judged)?;
        }
        if run.keep == Keep::Weights {
            checkpoint::save_weights(job.folder, &state.model)?;
        }
    }
    metrics_file.sync()?;
    let rows = metrics_file.rows()?;
    let epochs =
        batches.epochs(state.progress.cursor, run.train.phase_at(state.progress.step.saturating_sub(1)));
    let epochs = epochs.iter().map(|(hash, n)| (run.corpus_name(hash).to_string(), *n)).collect();
    let record = record(job, &outcome, &state, Facts { rows: &rows, epochs, micro_batch, attempts });
    Ok((outcome, record))
}

/// The newest checkpoint, or the trunk's for a branch, or initial weights.
fn take_up(
    job: &TrainJob,
    checkpoints: &Checkpoints,
    on_event: &mut (dyn FnMut(Event) + Send),
) -> Result<TrainState, TrainError> {
    let train = &job.run.train;
    let (shape, device) = (train.model.shape(), &job.device.device);
    let mut on_warning = |text: String| {
        warn!("{text}");
        on_event(Event::Warning { text });
    };
    if let Some(state) = checkpoints.load_newest(shape, device, &mut on_warning)? {
        return Ok(state);
    }
    match &train.start {
        Start::Init => {
            let model = Model::initial(train, device);
            let moments = Moments::zeros(&model);
            Ok(TrainState { model, moments, progress: Progress::new(0, 0) })
        }
        Start::Branch { parent, step } => {
            let no_trunk = |why: String| TrainError::NoTrunk { parent: parent.to_string(), step: *step, why };
            let state = Checkpoints::of_sibling(job.folder, parent)
                .and_then(|trunk| trunk.load_step(*step, shape, device))
                .map_err(no_trunk)?;
            // As in a run of its own, but for what is counted from here on: time, and the mean losses.
            let progress = Progress {
                wall_seconds: 0.0,
                row: LossSum::default(),
                tail: LossSum::default(),
                ..state.progress
            };
            Ok(TrainState { progress, ..state })
        }
    }
}

/// Holds the run against its bar.
///
/// # Errors
/// `Hopeless` where the loss is higher than the bar and its margin.
fn stop_if_hopeless(job: &TrainJob, rows: &[MetricsRow], step: u64) -> Result<(), TrainError> {
    let (Some(rule), Some(bar)) = (job.run.early_stop, job.bar) else { return Ok(()) };
    match rule.loss(rows, job.run.train.total_steps()) {
        Some(loss) if loss > bar.loss + rule.margin => Err(TrainError::Hopeless {
            step,
            why: format!(
                "after {:.0} % of its steps its training loss was {loss:.4}, that of run {} {:.4}; more than {} above it is hopeless by `train.early-stop`",
                100.0 * rule.at,
                bar.peer,
                bar.loss,
                rule.margin
            ),
        }),
        _ => Ok(()),
    }
}

/// An evaluation and when it began.
struct Judged {
    judgement: Judgement,
    started: String,
}

fn judge_now(job: &TrainJob, spec: &EvalSpec, model: &Model, text: &Text) -> Result<Judged, TrainError> {
    let started = now();
    let judgement = eval::judge(model, spec, text, &job.device.device)?;
    Ok(Judged { judgement, started })
}

/// What a judgement adds to a row of the metrics.
fn values_of(name: &str, judgement: &Judgement) -> Values {
    let score = match &judgement.score {
        Score::Text { loss, bpb, .. } => {
            return [(metrics::eval_loss(name), *loss), (metrics::eval_bpb(name), *bpb)].into();
        }
        Score::Items(score) => score,
    };
    let accuracy = score.accuracy.map(|accuracy| (metrics::skill_accuracy(name), accuracy.value));
    std::iter::once((metrics::skill_nll(name), score.nll.value)).chain(accuracy).collect()
}

fn write_eval(job: &TrainJob, request: &EvalRequest, judged: Judged) -> Result<(), TrainError> {
    let eval_job = EvalJob {
        run: job.run,
        folder: job.folder,
        cache: job.cache,
        device: job.device,
        program: job.program,
    };
    folder::write_eval(job.folder, &eval::record(&eval_job, request, judged.judgement, &judged.started))
}

/// Evaluations are for whoever reads the log; the loss of each row stands in the metrics.
fn log_row(row: &MetricsRow) {
    let is_score = |name: &str| name.starts_with("eval/") || name.starts_with("skill/");
    let scores: Vec<String> = row
        .values
        .iter()
        .filter(|(name, _)| is_score(name))
        .map(|(name, value)| format!("{name} {value:.4}"))
        .collect();
    if !scores.is_empty() {
        info!("evaluation at step {}: {}", row.step, scores.join(", "));
    }
    if let Some(loss) = row.values.get(metrics::TRAIN_LOSS) {
        debug!("step {}: loss {loss:.4}", row.step);
    }
}

/// Absent where every step of the row was skipped.
fn step_event(run: &RunSpec, row: &MetricsRow) -> Option<Event> {
    let value = |name: &str| row.values.get(name).copied();
    Some(Event::Step {
        run: run.id.clone(),
        step: row.step,
        loss: value(metrics::TRAIN_LOSS)?,
        tokens_per_second: value(metrics::TOKENS_PER_SECOND)?,
    })
}

/// What a record needs beside the state.
struct Facts<'a> {
    rows: &'a [MetricsRow],
    epochs: BTreeMap<String, f64>,
    micro_batch: usize,
    attempts: Attempts,
}

fn record(job: &TrainJob, outcome: &Outcome, state: &TrainState, facts: Facts) -> RunRecord {
    let run = job.run;
    let progress = &state.progress;
    let values = |name: &str| -> Vec<f64> {
        facts.rows.iter().filter_map(|row| row.values.get(name).copied()).collect()
    };
    let mut rates = values(metrics::TOKENS_PER_SECOND);
    rates.sort_by(f64::total_cmp);
    let peak = values(metrics::PEAK_BYTES).into_iter().max_by(f64::total_cmp);
    RunRecord {
        schema_version: SCHEMA_VERSION,
        run: run.id.clone(),
        train: run.train.clone(),
        outcome: outcome.clone(),
        params: state.model.params(),
        steps: progress.step,
        tokens: run.train.tokens_until(progress.step),
        flops_path: run.train.flops_of(0..progress.step),
        flops_spent: run
            .train
            .flops_of(run.train.first_step()..progress.step)
            .plus(&facts.attempts.lost_flops),
        cluster: run.cell.cluster.clone().unwrap_or_else(|| run.id.clone()),
        train_loss: progress.tail.mean().filter(|_| *outcome == Outcome::Finished),
        epochs: facts.epochs,
        skipped_steps: progress.skipped_steps.clone(),
        wall_seconds: progress.wall_seconds,
        tokens_per_second: rates.get(rates.len() / 2).copied(),
        peak_bytes: peak.map(|bytes| bytes as u64),
        micro_batch: facts.micro_batch,
        attempts: facts.attempts.n,
        provenance: job.device.provenance(job.program, &facts.attempts.started, &now()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Fixture};
    use scalelaw_schema::folder::{
        CHECKPOINT_DIR, EVALS_DIR, METRICS_JSONL, RECORD_JSON, WEIGHTS_SAFETENSORS,
    };
    use scalelaw_schema::run::EarlyStop;
    use std::fs;
    use std::sync::atomic::Ordering;

    /// What must be equal between two ways to train the same run.
    fn results(folder: &Path) -> (Vec<u8>, Vec<(u64, Values)>) {
        let weights = fs::read(folder.join(WEIGHTS_SAFETENSORS)).unwrap();
        let (file, _) = MetricsFile::cut_back(folder, u64::MAX).unwrap();
        let rows = file.rows().unwrap().into_iter().map(|mut row| {
            row.values.retain(|name, _| name.starts_with("train/") || name.starts_with("eval/"));
            (row.step, row.values)
        });
        (weights, rows.collect())
    }

    #[test]
    fn a_run_leaves_weights_metrics_evaluations_and_a_record() {
        let fixture = Fixture::new(20);
        let folder = fixture.folder("a");
        let mut events = Vec::new();
        let outcome = fixture.train(&folder, &mut |event| events.push(event)).unwrap();
        assert_eq!(outcome, Outcome::Finished);
        let record = folder::read_record(&folder).unwrap().unwrap();
        let run = &fixture.run;
        assert_eq!(record.params, scalelaw_schema::count::params(run.train.model.shape()));
        assert_eq!((record.steps, record.tokens), (20, run.train.tokens()));
        assert_eq!((record.flops_path, record.flops_spent), (run.train.flops(), run.train.flops()));
        assert_eq!((record.attempts, record.micro_batch), (1, 6));
        assert!(record.train_loss.unwrap() < 5.5 && record.tokens_per_second.unwrap() > 0.0);
        assert!(record.epochs["prose"] > 0.0, "{:?}", record.epochs);
        assert_eq!(record.provenance.backend, "cpu");
        let (_, rows) = results(&folder);
        assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), [5, 10, 15, 20]);
        // The last row's evaluation is that of the record, and of the weights on the disk.
        let eval = folder::read_eval(&folder, &run.evals[0].spec).unwrap().unwrap();
        let Score::Text { loss, bpb, n_bytes, .. } = eval.score else { panic!("{eval:?}") };
        assert_eq!((rows[3].1["eval/prose/loss"], rows[3].1["eval/prose/bpb"]), (loss, bpb));
        assert!((bpb - loss * 512.0 / (2f64.ln() * n_bytes as f64)).abs() < 1e-12);
        fs::remove_dir_all(folder.join(EVALS_DIR)).unwrap();
        assert_eq!(fixture.evaluate(&folder, 0).unwrap().score, eval.score);
        // Another one, made later, on other windows; the second time it is read.
        let later = fixture.evaluate(&folder, 1).unwrap();
        assert!(matches!(later.score, Score::Text { loss: other, .. } if other > 0.0 && other != loss));
        assert_eq!(fixture.evaluate(&folder, 1).unwrap(), later);

        assert!(!folder.join(CHECKPOINT_DIR).exists());
        assert!(matches!(events.first(), Some(Event::Started { step: 0, total_steps: 20, .. })));
        // Again: nothing is trained and nothing changes.
        let before = fs::read(folder.join(RECORD_JSON)).unwrap();
        fixture.train(&folder, &mut |event| panic!("{event:?}")).unwrap();
        assert_eq!(fs::read(folder.join(RECORD_JSON)).unwrap(), before);
    }

    #[test]
    fn a_run_that_was_stopped_or_killed_ends_with_the_bits_of_one_that_was_not() {
        for micro_batch in [None, Some(4)] {
            let mut fixture = Fixture::new(30);
            fixture.micro_batch = micro_batch;
            let whole = fixture.folder("whole");
            fixture.train(&whole, &mut |_| {}).unwrap();
            let expected = results(&whole);

            let broken = fixture.folder("broken");
            // Asked to stop after step 5, which is between two checkpoints.
            let stop = AtomicBool::new(false);
            let stopped = fixture.train_until(&broken, &stop, &mut |event| {
                if matches!(event, Event::Step { step: 5, .. }) {
                    stop.store(true, Ordering::Relaxed);
                }
            });
            assert!(matches!(stopped, Err(TrainError::Interrupted { step: 5 })), "{stopped:?}");
            // Killed after steps 15, 25 and 30: the steps since 8 and since 24 are lost, and 25 to 30 again,
            // since the last row comes before the last checkpoint.
            for at in [15, 25, 30] {
                let killed = fixture.train(&broken, &mut |event| {
                    assert!(!matches!(event, Event::Step { step, .. } if step == at), "killed");
                });
                assert!(killed.is_err());
            }
            fixture.train(&broken, &mut |_| {}).unwrap();
            assert_eq!(results(&broken), expected, "micro-batch {micro_batch:?}");
            let record = folder::read_record(&broken).unwrap().unwrap();
            assert_eq!(record.attempts, 5);
            let (spent, path) = (record.flops_spent.total(), record.flops_path.total());
            // Repeated: 9 to 15, 25, and 25 to 30.
            assert!((spent / path - 44.0 / 30.0).abs() < 1e-12, "{}", spent / path * 30.0);
        }
    }

    #[test]
    fn a_damaged_checkpoint_is_passed_over_with_a_warning() {
        let fixture = Fixture::new(30);
        let whole = fixture.folder("whole");
        fixture.train(&whole, &mut |_| {}).unwrap();
        let expected = results(&whole);
        type Damage = fn(&Path);
        let flip: Damage = |path| {
            let mut bytes = fs::read(path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).unwrap();
        };
        let truncate: Damage = |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 3]).unwrap();
        };
        let garbage: Damage = |path| fs::write(path, [0xff; 100]).unwrap();
        for (name, damage, files, resumed_at) in [
            ("flip", flip, &[24][..], 16),
            ("truncate", truncate, &[24], 16),
            ("garbage", garbage, &[24, 16], 0),
        ] {
            let folder = fixture.folder(name);
            let killed = fixture.train(&folder, &mut |event| {
                assert!(!matches!(event, Event::Step { step: 25, .. }), "killed");
            });
            assert!(killed.is_err());
            let checkpoint = |step| folder.join(CHECKPOINT_DIR).join(format!("step-{step:08}.safetensors"));
            assert!(!checkpoint(8).exists() && checkpoint(16).exists());
            for &step in files {
                damage(&checkpoint(step));
            }
            let (mut warnings, mut started) = (0, None);
            fixture
                .train(&folder, &mut |event| match event {
                    Event::Warning { .. } => warnings += 1,
                    Event::Started { step, .. } => started = Some(step),
                    _ => {}
                })
                .unwrap();
            assert_eq!((warnings, started), (files.len(), Some(resumed_at)), "{name}");
            assert_eq!(results(&folder), expected, "{name}");
        }
    }

    #[test]
    fn a_run_that_diverges_leaves_a_record_and_no_weights() {
        let mut fixture = Fixture::new(300);
        fixture.run.train.recipe.lr_peak = 1e4;
        fixture.run.id = scalelaw_schema::run_id::RunId::of(&fixture.run.train);
        let folder = fixture.folder("a");
        let outcome = fixture.train(&folder, &mut |_| {}).unwrap();
        let record = folder::read_record(&folder).unwrap().unwrap();
        assert_eq!(record.outcome, outcome);
        assert!(matches!(outcome, Outcome::Diverged { step } if step == record.steps && step < 300));
        assert_eq!(record.train_loss, None);
        assert!(!folder.join(WEIGHTS_SAFETENSORS).exists() && folder.join(METRICS_JSONL).exists());
    }

    #[test]
    fn a_branch_takes_up_its_trunks_checkpoint() {
        let trunk = Fixture::new(30);
        let folder = trunk.folder(&trunk.run.folder_name());
        let killed = trunk.train(&folder, &mut |event| {
            assert!(!matches!(event, Event::Step { step: 20, .. }), "killed");
        });
        assert!(killed.is_err());
        // The same schedule from the trunk's step 16 on: it must end as the trunk would.
        let mut branch = trunk.run.clone();
        branch.train.start = Start::Branch { parent: trunk.run.id.clone(), step: 16 };
        branch.id = scalelaw_schema::run_id::RunId::of(&branch.train);
        let branch_folder = trunk.folder("branch");
        trunk.train_run(&branch, &branch_folder, &AtomicBool::new(false), &mut |_| {}).unwrap();
        trunk.train(&folder, &mut |_| {}).unwrap();
        assert_eq!(results(&branch_folder).0, results(&folder).0);
        let record = folder::read_record(&branch_folder).unwrap().unwrap();
        assert_eq!(record.flops_path, trunk.run.train.flops());
        assert_eq!(record.flops_spent, branch.train.flops_of(16..30));
        // Without the trunk's checkpoint, which is gone by now, it says so.
        branch.train.seed += 1;
        let error = trunk.train_run(&branch, &trunk.folder("lost"), &AtomicBool::new(false), &mut |_| {});
        assert!(matches!(error, Err(TrainError::NoTrunk { step: 16, .. })), "{error:?}");
    }

    #[test]
    fn a_trunk_keeps_the_checkpoints_that_its_branches_begin_at() {
        let mut trunk = Fixture::new(30);
        trunk.run.keep_steps = vec![3, 11];
        let folder = trunk.folder(&trunk.run.folder_name());
        trunk.train(&folder, &mut |_| {}).unwrap();
        let kept = || {
            let files = fs::read_dir(folder.join(CHECKPOINT_DIR)).unwrap();
            let mut names: Vec<_> =
                files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        assert_eq!(kept(), ["step-00000003.safetensors", "step-00000011.safetensors"]);
        // To keep a step changes no bit.
        let plain = Fixture::new(30);
        let alone = plain.folder("plain");
        plain.train(&alone, &mut |_| {}).unwrap();
        assert_eq!(results(&folder), results(&alone));
        let mut branch = trunk.run.clone();
        branch.keep_steps.clear();
        branch.train.start = Start::Branch { parent: trunk.run.id.clone(), step: 11 };
        branch.id = scalelaw_schema::run_id::RunId::of(&branch.train);
        let branch_folder = trunk.folder("branch");
        trunk.train_run(&branch, &branch_folder, &AtomicBool::new(false), &mut |_| {}).unwrap();
        assert_eq!(results(&branch_folder).0, results(&alone).0);
        let record = |folder: &Path| folder::read_record(folder).unwrap().unwrap();
        assert_eq!(record(&branch_folder).train_loss, record(&alone).train_loss);
    }

    #[test]
    fn a_run_that_is_worse_than_its_bar_is_stopped_and_goes_on_where_the_record_is_taken_away() {
        let whole = Fixture::new(30);
        whole.train(&whole.folder("whole"), &mut |_| {}).unwrap();
        let expected = results(&whole.folder("whole"));
        let mut fixture = Fixture::new(30);
        fixture.run.early_stop = Some(EarlyStop { at: 0.5, margin: 0.1 });
        let peer: scalelaw_schema::run_id::RunId = "0123456789ab".parse().unwrap();
        // The loss of the window that ends with step 15 is that of its last row.
        let there = expected.1[2].1["train/loss"];
        fixture.bar = Some(EarlyStopThreshold { peer: peer.clone(), loss: there - 0.09 });
        fixture.train(&fixture.folder("good"), &mut |_| {}).unwrap();
        assert_eq!(results(&fixture.folder("good")), expected);

        fixture.bar = Some(EarlyStopThreshold { peer: peer.clone(), loss: there - 0.11 });
        let folder = fixture.folder("bad");
        let outcome = fixture.train(&folder, &mut |_| {}).unwrap();
        let Outcome::Stopped { step: 15, why } = &outcome else { panic!("{outcome:?}") };
        assert!(why.contains(peer.as_str()) && why.contains("50 %"), "{why}");
        let record = folder::read_record(&folder).unwrap().unwrap();
        assert_eq!((record.steps, record.train_loss, &record.outcome), (15, None, &outcome));
        assert!(!folder.join(WEIGHTS_SAFETENSORS).exists() && !folder.join(EVALS_DIR).exists());
        assert_eq!(fixture.train(&folder, &mut |event| panic!("{event:?}")).unwrap(), outcome);
        fs::remove_file(folder.join(RECORD_JSON)).unwrap();
        fixture.bar = None;
        assert_eq!(fixture.train(&folder, &mut |_| {}).unwrap(), Outcome::Finished);
        assert_eq!(results(&folder), expected);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named_and_the_run_goes_on_once_it_can() {
        let fixture = Fixture::new(20);
        let folder = fixture.folder("a");
        let killed = fixture.train(&folder, &mut |event| {
            assert!(!matches!(event, Event::Step { step: 10, .. }), "killed");
        });
        assert!(killed.is_err());
        // A folder in the place of the next checkpoint, as good as a disk that refuses.
        let blocked = folder.join(CHECKPOINT_DIR).join("step-00000016.safetensors");
        fs::create_dir_all(blocked.join("x")).unwrap();
        let error = fixture.train(&folder, &mut |_| {}).unwrap_err();
        assert_eq!(error.failure(), scalelaw_schema::record::Failure::Error);
        let error = error.to_string();
        assert!(error.contains("step-00000016.safetensors") && error.contains("hint"), "{error}");
        fs::remove_dir_all(blocked).unwrap();
        let mut started = None;
        fixture
            .train(&folder, &mut |event| {
                if let Event::Started { step, .. } = event {
                    started = Some(step);
                }
            })
            .unwrap();
        assert_eq!(started, Some(8));
    }

    #[test]
    fn what_is_missing_is_named_before_anything_is_trained() {
        let mut fixture = Fixture::new(20);
        let scalelaw_schema::shape::ModelSpec::Transformer(shape) = &mut fixture.run.train.model;
        shape.vocab_size = 100;
        let error = fixture.train(&fixture.folder("a"), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("`prose`") && error.contains("100"), "{error}");
        let mut fixture = Fixture::new(20);
        fixture.run.evals[0].spec = testing::held_out("no-such-hash", 512, 16);
        assert!(matches!(fixture.train(&fixture.folder("a"), &mut |_| {}), Err(TrainError::Text(_))));
    }
}
