//! `scalelaw train-one`: the run of one folder, for every other launcher.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use scalelaw_runner::folder::lease::HEARTBEAT;
use scalelaw_runner::folder::read_run;
use scalelaw_runner::worker::Task;
use scalelaw_runner::worker::train_one::{OneRun, train_one as train_run};
use scalelaw_schema::record::Failure;
use tracing::{error, info};

use crate::args::{Shared, TrainOneArgs};
use crate::logging;
use crate::progress::outcome_text;
use crate::verbs::worker::OpenWorker;

static STOP: AtomicBool = AtomicBool::new(false);

pub fn train_one(shared: &Shared, args: &TrainOneArgs) -> Result<u8> {
    ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed)).context("cannot listen for Ctrl-C")?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let asked = match args.micro_batch {
        Some(sequences) => Some(sequences * read_run(&args.folder)?.train.longest_context()),
        None => args.micro_batch_tokens,
    };
    let mut worker = OpenWorker::open(shared, args.device, args.threads.unwrap_or(cores), None)?;
    // The trainer writes the messages of a run itself.
    let ignore = &mut |_| {};
    let outcome = train_run(&args.folder, HEARTBEAT, &STOP, ignore, |task, emit| {
        // A smaller one of its own was found necessary after an attempt that ran out of memory.
        let micro_batch_tokens = asked.into_iter().chain(task.micro_batch_tokens).min();
        worker.train(&Task { micro_batch_tokens, ..*task }, emit)
    })?;
    match &outcome {
        OneRun::Trained(outcome) => info!("{}", outcome_text(outcome)),
        OneRun::AlreadyEnded(outcome) => info!("nothing to do: {}", outcome_text(outcome)),
        OneRun::Held(_) => info!("another process trains this run"),
        OneRun::TrunkPending => info!("its trunk has not reached the step where this run branches off"),
        OneRun::Failed(failed) => {
            // It may have failed before the training began.
            logging::open_run_log(&args.folder);
            match failed.failure {
                Failure::Interrupted => info!("{}", failed.why),
                _ => error!("attempt failed: {}", failed.why),
            }
        }
    }
    Ok(outcome.exit_code())
}
