//! The device, the number of slots, and how fast they are: measured once and kept in the cache.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, bail};
use scalelaw_plan::cost::packing::{Machine, pack};
use scalelaw_plan::facts::PlanFacts;
use scalelaw_schema::device::{DeviceChoice, DeviceKind, DeviceReport, DeviceSpeed};
use scalelaw_schema::plan::{Packing, Plan};
use scalelaw_schema::run::RunSpec;
use tracing::{debug, info};

use crate::args::DeviceArgs;
use crate::sweep_file::{SweepFile, expand};

/// Where a sweep trains.
pub struct Placement {
    /// Never `auto`.
    pub device: DeviceChoice,
    /// What the device is.
    pub report: DeviceReport,
    /// Number of runs at once.
    pub slots: usize,
    /// Threads of each slot.
    pub threads: usize,
    /// The machine that the runs are packed onto.
    machine: Machine,
    /// A warning about the choice.
    pub note: Option<String>,
}

impl Placement {
    /// Environment of the processes that train here.
    pub fn worker_env(&self) -> Vec<(&'static str, &'static str)> {
        match self.report.kind {
            // On a software adapter, comparing kernels takes longer than training.
            DeviceKind::Software => vec![("CUBECL_AUTOTUNE_LEVEL", "0")],
            _ => Vec::new(),
        }
    }

    /// A simulation needs one core and no device.
    pub fn for_simulation() -> Result<Placement> {
        let cpu = DeviceArgs { device: DeviceChoice::Cpu, slots: Some(1) };
        Ok(Placement { note: None, ..Placement::choose(&cpu)? })
    }

    /// Resolves the requested device and slots, for more runs than the machine has cores.
    pub fn choose(args: &DeviceArgs) -> Result<Placement> {
        let report = scalelaw_train::find_device(args.device)?;
        let device: DeviceChoice = report.choice.parse()?;
        let note = (args.device == DeviceChoice::Auto && report.kind == DeviceKind::Cpu)
            .then(|| format!("no GPU found: training on the CPU, {}", report.name));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let asked = args.slots.map(usize::from);
        let machine = Machine { kind: report.kind, cores, memory_bytes: report.memory_bytes, asked };
        let slots = asked.unwrap_or(if report.kind == DeviceKind::Cpu { cores } else { 1 });
        Ok(Placement { device, report, slots, threads: (cores / slots).max(1), machine, note })
    }

    /// The plan of `sweep` with its runs packed onto this machine; sets `slots` and `threads` to what suits the runs, here
    /// and in `facts`.
    pub fn plan(&mut self, sweep: &SweepFile, facts: &mut PlanFacts) -> Result<Plan> {
        // One slot has the most memory, so that no run is dropped for want of it.
        facts.slots = self.machine.asked.unwrap_or(1);
        let plan = expand(sweep, facts)?;
        let packing = self.pack(plan.runs.iter().map(|planned| &planned.run));
        if facts.slots == packing.slots {
            facts.packing = Some(packing.clone());
            return Ok(Plan { packing: Some(packing), ..plan });
        }
        facts.slots = packing.slots;
        facts.packing = Some(packing);
        expand(sweep, facts)
    }

    /// Sets `slots` and `threads` to what suits these runs.
    pub fn pack<'a>(&mut self, runs: impl IntoIterator<Item = &'a RunSpec>) -> Packing {
        let packing = pack(runs, &self.machine);
        (self.slots, self.threads) = (packing.slots, packing.threads);
        packing
    }
}

/// The speed of this placement, from the cache if the same program measured it before.
pub fn measured(placement: &Placement, cache: &Path) -> Result<DeviceSpeed> {
    let report = &placement.report;
    let key = format!(
        "{}|{}|{:?}|{}|{}|{}",
        crate::provenance::program_name(),
        report.name,
        report.driver,
        report.choice,
        placement.slots,
        placement.threads
    );
    let name = &blake3::hash(key.as_bytes()).to_hex()[..16];
    let path = cache.join("speed").join(format!("{name}.json"));
    let kept = scalelaw_disk::read(&path).ok().flatten();
    if let Some(speed) = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
        return Ok(speed);
    }
    info!("measuring the speed of {} ({} at once) ...", report.name, placement.slots);
    let speed = measure(placement)?;
    // A cache that cannot be written costs a few seconds next time, nothing else.
    let bytes = serde_json::to_vec_pretty(&speed).expect("a speed is plain data");
    if let Err(error) = scalelaw_disk::write(&path, &bytes) {
        debug!("the speed is not kept: {error}");
    }
    Ok(speed)
}

/// Measures in as many concurrent processes as there are slots, as they will train.
fn measure(placement: &Placement) -> Result<DeviceSpeed> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let children: Vec<Result<Child>> = (0..placement.slots)
        .map(|_| {
            Command::new(&program)
                .args(["worker", "--measure-speed", "--device", &placement.device.to_string()])
                .args(["--threads", &placement.threads.to_string()])
                .envs(placement.worker_env())
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .with_context(|| format!("cannot start `{}`", program.display()))
        })
        .collect();
    // All are waited for, whatever the first says: none may go on measuring beside what comes next.
    let outputs: Vec<Result<Output>> = children
        .into_iter()
        .map(|child| child?.wait_with_output().context("cannot read from the speed-measurement process"))
        .collect();
    let mut speeds: Vec<DeviceSpeed> = Vec::new();
    for output in outputs {
        let Output { status, stdout, stderr } = output?;
        if !status.success() {
            bail!("cannot measure the speed ({status}): {}", String::from_utf8_lossy(&stderr).trim());
        }
        let speed = serde_json::from_slice(&stdout);
        speeds.push(speed.context("the speed-measurement process returned no result")?);
    }
    let n = speeds.len() as f64;
    let mut mean = speeds[0].clone();
    mean.slots = placement.slots;
    mean.matmul_flops_per_second = speeds.iter().map(|speed| speed.matmul_flops_per_second).sum::<f64>() / n;
    for (rate_idx, rate) in mean.training.iter_mut().enumerate() {
        rate.flops_per_second =
            speeds.iter().map(|speed| speed.training[rate_idx].flops_per_second).sum::<f64>() / n;
    }
    Ok(mean)
}
