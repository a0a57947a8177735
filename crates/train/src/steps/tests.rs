use burn::tensor::Device;
use scalelaw_schema::model::{Head, ModelSpec};
use scalelaw_schema::recipe::Precision;

use super::gradient::{Parts, gradient};
use super::*;
use crate::models::TokenBatch;
use crate::testing::{self, train_in_memory, train_spec};

#[test]
fn gradients_agree_with_finite_differences() {
    let device = Device::flex();
    for head in [Head::Tied, Head::Untied] {
        let shape = testing::shape(head);
        let phase = Phase { context_len: 8, batch_sequences: 2, steps: 1 };
        let batch = testing::batch(0, &phase).unwrap();
        let model = testing::model(&shape, 0.2, 2, &device);
        let backend = model.backend(8);
        let parts = Parts { context_len: 8, micro_batch_tokens: 16, precision: Precision::F32 };
        let (_, grads) = gradient(&model, &batch, parts, &backend, &device);
        let loss_at = |tensor_idx: usize, move_by: &[f32]| -> f64 {
            let mut moved = 0;
            let model = Model::build(&ModelSpec::Transformer(shape.clone()), &device, |spec| {
                let values = testing::weights(&model)[moved].clone();
                moved += 1;
                Ok::<_, TrainError>(if spec.name == model.specs()[tensor_idx].name {
                    values.iter().zip(move_by).map(|(a, b)| a + b).collect()
                } else {
                    values
                })
            })
            .unwrap();
            let tokens = TokenBatch::new(&batch.inputs, &batch.targets, 8, &device);
            let losses = models::read(model.token_losses(&tokens, &backend)).unwrap();
            losses.iter().map(|&loss| f64::from(loss)).sum::<f64>() / losses.len() as f64
        };
        for (tensor_idx, spec) in model.specs().iter().enumerate() {
            // Along the gradient itself, where the difference is largest against the rounding of f32.
            let grad = models::to_host(&grads[tensor_idx], spec).unwrap();
            let norm = grad.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
            let h = 3e-3;
            let direction = |sign: f64| -> Vec<f32> {
                grad.iter().map(|&g| (sign * h * f64::from(g) / norm) as f32).collect()
            };
            let slope =
                (loss_at(tensor_idx, &direction(1.0)) - loss_at(tensor_idx, &direction(-1.0))) / (2.0 * h);
            // Losses of about 3 carry some 4e-7 of rounding, which 2h makes 7e-5 of slope; the third
            // derivative adds about 3e-4 of it.
            assert!(
                (slope - norm).abs() < 1e-4 + 1e-3 * norm,
                "{head:?} {}: slope {slope}, norm {norm}",
                spec.name
            );
        }
    }
}

#[test]
fn the_loss_falls_on_a_text_that_can_be_learnt_and_the_schedule_is_applied() {
    let train = train_spec(60);
    let (outcome, state, rows) = train_in_memory(&train, 96, &Device::flex(), &mut testing::batch);
    assert_eq!(outcome, Outcome::Finished);
    let loss = |row: &MetricsRow| row.values[metrics::TRAIN_LOSS];
    assert!((loss(&rows[0]) - 29f64.ln()).abs() < 0.1, "{}", loss(&rows[0]));
    assert!(loss(&rows[59]) < 1.5, "{}", loss(&rows[59]));
    for (step, row) in rows.iter().enumerate() {
        assert_eq!(row.values[metrics::TRAIN_LR], train.recipe.lr(step as u64, 60), "step {step}");
    }
    let last = &rows[59];
    assert_eq!((last.step, last.tokens, last.flops), (60, 60 * 96, train.flops().total()));
    let tail: f64 = rows[57..].iter().map(loss).sum::<f64>() / 3.0;
    assert!((state.progress.tail.mean().unwrap() - tail).abs() < 1e-12);
}

#[test]
fn a_run_has_the_same_bits_each_time_and_for_any_number_of_threads() {
    let train = train_spec(12);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (_, state, _) = train_in_memory(&train, 96, &Device::flex(), &mut testing::batch);
            testing::weights(&state.model)
        })
    };
    let one = run(1);
    assert_eq!(one, run(1));
    assert_eq!(one, run(2));
}

#[test]
fn micro_batches_change_the_rounding_alone() {
    let train = train_spec(10);
    let losses = |micro_batch_tokens: u64| -> Vec<f64> {
        let (_, _, rows) = train_in_memory(&train, micro_batch_tokens, &Device::flex(), &mut testing::batch);
        rows.iter().map(|row| row.values[metrics::TRAIN_LOSS]).collect()
    };
    let whole = losses(6 * 16);
    // 4 sequences leave a smaller part of 2; less than one is one, and 99 are more than there are.
    for micro_batch in [1, 16, 2 * 16, 5 * 16 - 1, 99 * 16] {
        for (a, b) in whole.iter().zip(losses(micro_batch)) {
            // The rounding of f32 sums grows a little from step to step.
            assert!((a - b).abs() < 1e-4, "micro-batch {micro_batch}: {a} {b}");
        }
    }
}

#[test]
fn phases_may_change_context_and_batch() {
    let mut train = train_spec(0);
    train.phases = vec![
        Phase { context_len: 8, batch_sequences: 4, steps: 3 },
        Phase { context_len: 16, batch_sequences: 2, steps: 5 },
    ];
    let mut cursors = Vec::new();
    let (outcome, state, rows) = train_in_memory(&train, 144, &Device::flex(), &mut |cursor, phase| {
        cursors.push(cursor);
        testing::batch(cursor, phase)
    });
    assert_eq!(outcome, Outcome::Finished);
    assert_eq!(cursors, [0, 32, 64, 96, 128, 160, 192, 224]);
    assert_eq!((state.progress.cursor, rows[7].tokens), (256, 256));
}

#[test]
fn a_learning_rate_beyond_reason_ends_as_diverged_at_the_same_step_however_often_it_is_logged() {
    let mut train = train_spec(300);
    train.recipe.lr_peak = 1e4;
    let (outcome, state, rows) = train_in_memory(&train, 96, &Device::flex(), &mut testing::batch);
    let Outcome::Diverged { step } = outcome else { panic!("{outcome:?}") };
    assert_eq!((state.progress.step, rows.len() as u64), (step, step - 1));
    assert!(step < 300);
    let cadence = Cadence { log_steps: 1000, checkpoint_steps: 0, eval_steps: 0, eval_items: None };
    let device = Device::flex();
    let one = Step { train: &train, micro_batch_tokens: 96, device: &device };
    let setup = StepSetup { step: one, cadence: &cadence, keep_steps: &[], matmul_peak: None };
    let hooks = Hooks {
        batch: &mut testing::batch,
        evaluate: &mut |_, _| Ok(Values::new()),
        sink: &mut |_, _| Ok(ControlFlow::Continue(())),
    };
    let again = run_steps(setup, &mut testing::fresh(&train, &device), hooks, &AtomicBool::new(false));
    assert_eq!(again.unwrap(), Outcome::Diverged { step });
}
