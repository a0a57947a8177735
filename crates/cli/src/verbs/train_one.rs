//! `scalelaw train-one`: the run of one folder, for every other launcher.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use scalelaw_runner::folder::lease::HEARTBEAT;
use scalelaw_runner::folder::read_run;
use scalelaw_runner::worker::Task;
use scalelaw_runner::worker::train_one::OneRun;

use crate::args::{Shared, TrainOneArgs};
use crate::say::Say;
use crate::verbs::worker::OpenWorker;

static STOP: AtomicBool = AtomicBool::new(false);

pub fn train_one(shared: &Shared, say: Say, args: &TrainOneArgs) -> Result<u8> {
    ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed)).context("cannot listen for Ctrl-C")?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let asked = match args.micro_batch {
        Some(sequences) => Some(sequences * read_run(&args.folder)?.train.longest_context()),
        None => args.micro_batch_tokens,
    };
    let mut worker = OpenWorker::open(shared, args.device, args.threads.unwrap_or(cores), None)?;
    say.line(&format!("training on {}", worker.device_name()));
    let outcome = scalelaw_runner::worker::train_one::train_one(
        &args.folder,
        HEARTBEAT,
        &STOP,
        &mut |event| say.detail(&format!("{event:?}")),
        |task, emit| {
            // A smaller one of its own was found necessary after an attempt that ran out of memory.
            let micro_batch_tokens = asked.into_iter().chain(task.micro_batch_tokens).min();
            worker.train(&Task { micro_batch_tokens, ..*task }, emit)
        },
    )?;
    say.line(&match &outcome {
        OneRun::Trained(ending) => format!("{ending:?}"),
        OneRun::AlreadyEnded(ending) => format!("over before: {ending:?}"),
        OneRun::Held(_) => "another process trains this run".to_string(),
        OneRun::TrunkPending => "its trunk has not come to the step where it branches off".to_string(),
        OneRun::Failed(failed) => format!("failed: {}", failed.why),
    });
    Ok(outcome.exit_code())
}
