//! A worker: opens the device once, then trains run after run as the runner commands.

use std::io::{BufReader, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use scalelaw_fit::{KnownLaw, parse_law_with_params};
use scalelaw_runner::folder::read_run;
use scalelaw_runner::serve::{Task, TrainFailure, serve};
use scalelaw_schema::count::CountRule;
use scalelaw_schema::device::DeviceChoice;
use scalelaw_schema::event::Event;
use scalelaw_schema::record::{Failure, Outcome};
use scalelaw_train::{OpenDevice, TrainJob};

use crate::args::{Shared, WorkerArgs};
use crate::provenance::{Origin, now, provenance};
use crate::simulate::simulate;
use crate::{exit, paths};

/// What trains: a device, or a known law.
pub struct OpenWorker {
    cache: PathBuf,
    matmul_peak: Option<f64>,
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
        set_threads(threads)?;
        let device = scalelaw_train::open_device(device, threads)?;
        Ok(OpenWorker { cache: paths::cache(shared)?, matmul_peak, kind: Kind::Device(Box::new(device)) })
    }

    /// Name of the device.
    pub fn device_name(&self) -> String {
        match &self.kind {
            Kind::Device(device) => device.report().name.clone(),
            Kind::Law(..) => "a known law".to_string(),
        }
    }

    /// Trains the run of one folder.
    pub fn train(&mut self, task: &Task, emit: &mut dyn FnMut(Event)) -> Result<Outcome, TrainFailure> {
        let started = now();
        let other = |error: anyhow::Error| TrainFailure { failure: Failure::Error, why: format!("{error:#}") };
        let run = read_run(task.folder).map_err(|error| other(error.into()))?;
        match &self.kind {
            Kind::Law(law, rule) => simulate(task.folder, &run, law, *rule).map_err(other),
            Kind::Device(device) => {
                let origin = origin(device);
                let job = TrainJob {
                    run: &run,
                    folder: task.folder,
                    cache: &self.cache,
                    device,
                    micro_batch: task.micro_batch,
                    matmul_peak: self.matmul_peak,
                    provenance: &|| provenance(&origin, &started),
                };
                scalelaw_train::train(&job, task.stop, emit)
                    .map_err(|error| TrainFailure { failure: error.failure(), why: error.to_string() })
            }
        }
    }
}

/// What records say of an open device.
pub fn origin(device: &OpenDevice) -> Origin {
    let report = device.report();
    let backend = report.choice.split(':').next().unwrap_or_default().to_string();
    Origin { backend, device: report.name.clone(), driver: report.driver.clone(), threads: device.threads() }
}

/// Threads of this process' products.
pub fn set_threads(threads: usize) -> Result<()> {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("cannot start the threads")
}

pub fn worker(shared: &Shared, args: &WorkerArgs) -> Result<u8> {
    // Ctrl-C reaches the whole process group; what a worker should do about it, its launcher says.
    ctrlc::set_handler(|| {}).context("cannot listen for Ctrl-C")?;
    if args.measure_speed {
        set_threads(args.threads)?;
        let device = scalelaw_train::open_device(args.device, args.threads)?;
        let speed = scalelaw_train::measure_speed(&device)?;
        std::io::stdout().lock().write_all(&serde_json::to_vec(&speed)?)?;
        return Ok(exit::OK);
    }
    let mut worker = match (&args.simulate, args.count_rule) {
        (Some(law), Some(rule)) => OpenWorker {
            cache: paths::cache(shared)?,
            matmul_peak: None,
            kind: Kind::Law(parse_law_with_params(law)?, rule),
        },
        (None, _) => OpenWorker::open(shared, args.device, args.threads, args.matmul_peak)?,
        (Some(_), None) => bail!("a simulation needs the rule that N is counted by"),
    };
    let name = worker.device_name();
    serve(BufReader::new(std::io::stdin()), std::io::stdout(), &name, |task, emit| {
        worker.train(task, emit)
    })?;
    Ok(exit::OK)
}
