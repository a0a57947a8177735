//! A worker: opens the device once, then trains run after run as the runner commands.

use std::io::{BufReader, Write};
use std::path::PathBuf;
use std::sync::mpsc::channel;

use anyhow::{Context, Result, bail};
use scalelaw_fit::{KnownLaw, parse_law_with_params};
use scalelaw_runner::folder::read_run;
use scalelaw_runner::worker::serve::serve;
use scalelaw_runner::worker::{Task, TrainFailure};
use scalelaw_schema::count::CountRule;
use scalelaw_schema::device::DeviceChoice;
use scalelaw_schema::event::Event;
use scalelaw_schema::record::{Failure, Outcome};
use scalelaw_schema::run_name::readable;
use scalelaw_train::{OpenDevice, Program, TrainJob};
use tracing::{Span, error_span, info, warn};

use crate::args::{Shared, WorkerArgs};
use crate::progress::outcome_text;
use crate::provenance::program;
use crate::simulate::simulate;
use crate::{exit, logging, paths};

/// What trains: a device, or a known law.
pub struct OpenWorker {
    cache: PathBuf,
    matmul_peak: Option<f64>,
    program: Program,
    kind: Kind,
}

enum Kind {
    Device(Box<OpenDevice>),
    Law(KnownLaw, CountRule),
}

impl OpenWorker {
    /// Opens the device with so many threads.
    pub fn open(
        shared: &Shared,
        device: DeviceChoice,
        threads: usize,
        matmul_peak: Option<f64>,
    ) -> Result<OpenWorker> {
        let device = scalelaw_train::open_device(device, threads)?;
        Ok(OpenWorker {
            program: program(),
            cache: paths::cache(shared)?,
            matmul_peak,
            kind: Kind::Device(Box::new(device)),
        })
    }

    /// Name of the device.
    pub fn device_name(&self) -> String {
        match &self.kind {
            Kind::Device(device) => device.report.name.clone(),
            Kind::Law(..) => "a known law".to_string(),
        }
    }

    /// Trains the run of one folder, and writes its log.
    pub fn train(&mut self, task: &Task, emit: &mut dyn FnMut(Event)) -> Result<Outcome, TrainFailure> {
        let other =
            |error: anyhow::Error| TrainFailure { failure: Failure::Error, why: format!("{error:#}") };
        logging::open_run_log(task.folder);
        let run = read_run(task.folder).map_err(|error| other(error.into()))?;
        let _run = error_span!("run", run = %readable(&run.train)).entered();
        match &self.kind {
            Kind::Law(law, rule) => {
                info!("drawing the losses from a known law");
                simulate(task.folder, &run, law, *rule).map_err(other)
            }
            Kind::Device(device) => {
                info!("training on {} ({})", device.report.name, device.report.choice);
                let job = TrainJob {
                    run: &run,
                    folder: task.folder,
                    cache: &self.cache,
                    device,
                    micro_batch_tokens: task.micro_batch_tokens,
                    matmul_peak: self.matmul_peak,
                    threshold: task.threshold,
                    program: &self.program,
                };
                // The trainer works on threads of its own; what it tells is passed on from here.
                let (sender, events) = channel();
                let span = Span::current();
                std::thread::scope(|scope| {
                    let trainer = scope.spawn(|| {
                        let _span = span.entered();
                        scalelaw_train::train(&job, task.stop, &mut move |event| drop(sender.send(event)))
                    });
                    events.into_iter().for_each(emit);
                    trainer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .map_err(|error| TrainFailure { failure: error.failure(), why: error.to_string() })
            }
        }
    }
}

pub fn worker(shared: &Shared, args: &WorkerArgs) -> Result<u8> {
    if args.measure_speed {
        let device = scalelaw_train::open_device(args.device, args.threads)?;
        let speed = scalelaw_train::measure_speed(&device, 1)?;
        std::io::stdout().lock().write_all(&serde_json::to_vec(&speed)?)?;
        return Ok(exit::OK);
    }
    if let Some(path) = &args.time_steps {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        let device = scalelaw_train::open_device(args.device, args.threads)?;
        let steps = scalelaw_train::time_steps(&device, &serde_json::from_str(&text)?)?;
        std::io::stdout().lock().write_all(&serde_json::to_vec(&steps)?)?;
        return Ok(exit::OK);
    }
    let mut worker = match (&args.simulate, args.count_rule) {
        (Some(law), Some(rule)) => OpenWorker {
            cache: paths::cache(shared)?,
            matmul_peak: None,
            program: program(),
            kind: Kind::Law(parse_law_with_params(law)?, rule),
        },
        (None, _) => OpenWorker::open(shared, args.device, args.threads, args.matmul_peak)?,
        (Some(_), None) => bail!("a simulation needs the rule that N is counted by"),
    };
    let name = worker.device_name();
    serve(BufReader::new(std::io::stdin()), std::io::stdout(), &name, |task, emit| {
        let ended = worker.train(task, emit);
        match &ended {
            Ok(outcome) => info!("{}", outcome_text(outcome)),
            Err(TrainFailure { failure: Failure::Interrupted, why }) => info!("{why}"),
            Err(failed) => warn!("attempt failed: {}", failed.why),
        }
        logging::close_run_log();
        ended
    })?;
    Ok(exit::OK)
}
