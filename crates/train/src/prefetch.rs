//! Batches made on another thread while the device computes: one ahead, in the order of the steps, so that the loop
//! sees the same batches and the same errors at the same steps as without.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use scalelaw_data::Batch;
use scalelaw_schema::train_spec::{Phase, TrainSpec};

use crate::error::TrainError;
use crate::steps::Progress;

/// Where the next batch is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// In the loop's own thread, when it is asked for: for a processor, whose threads all compute already. There a
    /// batch takes some 20 us of a step of milliseconds, and a further thread would take them from the step anyway.
    Inline,
    /// On a thread of its own, one ahead: for a device that the loop only feeds.
    Prefetch,
}

type MadeAt = (u64, Result<Batch, TrainError>);

/// Gives the batches of a run one after the other.
pub(crate) struct Source<F> {
    batch_at: F,
    /// With [`Mode::Prefetch`]: what comes from the thread, and the thread.
    ahead: Option<(Receiver<MadeAt>, JoinHandle<()>)>,
}

impl<F> Source<F>
where
    F: Fn(u64, &Phase) -> Result<Batch, TrainError> + Clone + Send + 'static,
{
    /// The batches of `train` from `progress` on; `batch_at` makes the one at a cursor.
    pub fn new(mode: Mode, train: &TrainSpec, progress: &Progress, batch_at: F) -> Source<F> {
        if mode == Mode::Inline {
            return Source { batch_at, ahead: None };
        }
        // A channel without room: the thread waits with one batch in its hands.
        let (sender, batches) = sync_channel(0);
        let (train, batch_of) = (train.clone(), batch_at.clone());
        let (first_step, mut cursor) = (progress.step, progress.cursor);
        let thread = std::thread::spawn(move || {
            for step in first_step..train.total_steps() {
                let phase = train.phase_at(step);
                let batch = batch_of(cursor, phase);
                let is_last = batch.is_err();
                // The receiver is gone: the loop has ended.
                if sender.send((cursor, batch)).is_err() || is_last {
                    return;
                }
                cursor += phase.batch_tokens();
            }
        });
        Source { batch_at, ahead: Some((batches, thread)) }
    }

    /// The batch at a cursor.
    ///
    /// # Errors
    /// Those of making it.
    pub fn at(&mut self, cursor: u64, phase: &Phase) -> Result<Batch, TrainError> {
        match self.ahead.as_ref().map(|(batches, _)| batches.recv()) {
            Some(Ok((made_at, batch))) if made_at == cursor => batch,
            // Nothing is made ahead, or the loop asks out of order and gets what it asks for.
            _ => (self.batch_at)(cursor, phase),
        }
    }
}

impl<F> Drop for Source<F> {
    /// Lets the thread go and waits for it.
    fn drop(&mut self) {
        if let Some((batches, thread)) = self.ahead.take() {
            drop(batches);
            // Had it panicked, the loop would have made the batch itself and panicked too.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use burn::tensor::Device;
    use scalelaw_schema::record::Outcome;

    use super::*;
    use crate::testing::{self, train_in_memory, train_spec};

    /// Three phases of other lengths and batches.
    fn phased() -> TrainSpec {
        let phases = vec![
            Phase { context_len: 8, batch_sequences: 2, steps: 3 },
            Phase { context_len: 16, batch_sequences: 4, steps: 4 },
            Phase { context_len: 8, batch_sequences: 6, steps: 5 },
        ];
        TrainSpec { phases, ..train_spec(12) }
    }

    /// Asks for all batches from `first_step` on; the text ends at step 9.
    fn ask(mode: Mode, train: &TrainSpec, first_step: u64) -> Vec<Result<Batch, String>> {
        let progress = Progress::new(first_step, train.tokens_until(first_step));
        let fails_at = train.tokens_until(9);
        let mut source = Source::new(mode, train, &progress, move |cursor, phase| match cursor {
            cursor if cursor == fails_at => Err(TrainError::backend("no text left")),
            _ => testing::batch(cursor, phase),
        });
        let mut all = Vec::new();
        for step in first_step..train.total_steps() {
            let batch = source.at(train.tokens_until(step), train.phase_at(step));
            let is_over = batch.is_err();
            all.push(batch.map_err(|error| error.to_string()));
            if is_over {
                break;
            }
        }
        all
    }

    #[test]
    fn batches_and_errors_come_at_the_same_steps_as_without() {
        let train = phased();
        for first_step in [0, 2, 3, 8, 10] {
            let expected = ask(Mode::Inline, &train, first_step);
            assert_eq!(expected.last().unwrap().is_err(), first_step <= 9, "from step {first_step}");
            assert_eq!(ask(Mode::Prefetch, &train, first_step), expected, "from step {first_step}");
        }
    }

    #[test]
    fn a_loop_that_ends_early_ends_the_thread_with_one_batch_to_spare() {
        let train = train_spec(1000);
        for n_asked in [0, 1, 5] {
            let n_made = Arc::new(AtomicU64::new(0));
            let counter = Arc::clone(&n_made);
            let batch_at = move |cursor: u64, phase: &Phase| {
                counter.fetch_add(1, Ordering::Relaxed);
                testing::batch(cursor, phase)
            };
            let mut source = Source::new(Mode::Prefetch, &train, &Progress::new(0, 0), batch_at);
            for step in 0..n_asked {
                source.at(train.tokens_until(step), train.phase_at(step)).unwrap();
            }
            drop(source);
            // The thread has ended: it holds no counter any more.
            assert_eq!(Arc::strong_count(&n_made), 1);
            let n_made = n_made.load(Ordering::Relaxed);
            assert!((n_asked..=n_asked + 1).contains(&n_made), "{n_asked} asked for, {n_made} made");
        }
    }

    #[test]
    fn a_loop_that_asks_out_of_order_gets_what_it_asks_for() {
        let train = phased();
        let mut source = Source::new(Mode::Prefetch, &train, &Progress::new(0, 0), testing::batch);
        for step in [3, 0, 11] {
            let (cursor, phase) = (train.tokens_until(step), train.phase_at(step));
            assert_eq!(
                source.at(cursor, phase).unwrap(),
                testing::batch(cursor, phase).unwrap(),
                "step {step}"
            );
        }
    }

    #[test]
    fn a_run_has_the_same_bits_in_both_modes() {
        let train = phased();
        let of = |mode| {
            let mut source = Source::new(mode, &train, &Progress::new(0, 0), testing::batch);
            let (outcome, state, rows) =
                train_in_memory(&train, 96, &Device::flex(), &mut |cursor, phase| source.at(cursor, phase));
            let losses: Vec<f64> = rows.iter().map(|row| row.values["train/loss"]).collect();
            (outcome, testing::weights(&state.model), losses)
        };
        let expected = of(Mode::Inline);
        assert_eq!(expected.0, Outcome::Finished);
        assert_eq!(of(Mode::Prefetch), expected);
    }
}
