//! `scalelaw doctor`: the devices, what each can do, and how fast it is.

use std::io::Write;

use anyhow::Result;
use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::device::{DeviceChoice, DeviceKind, DoctorDevice, DoctorReport};
use scalelaw_train::BURN_FEATURES;

use crate::args::{DeviceArgs, DoctorArgs, Shared};
use crate::paths;
use crate::speed::{self, Placement};

pub fn doctor(shared: &Shared, args: &DoctorArgs) -> Result<()> {
    let cache = paths::cache(shared)?;
    let reports = match args.device {
        Some(choice) => vec![scalelaw_train::find_device(choice)?],
        None => scalelaw_train::list_devices(),
    };
    let mut devices = Vec::new();
    for report in reports {
        // A software adapter takes minutes to measure, so it is measured only if it was asked for.
        let is_measured = !args.no_speed && (report.kind != DeviceKind::Software || args.device.is_some());
        let speed = if is_measured {
            let device: DeviceChoice = report.choice.parse()?;
            let placement = Placement::choose(&DeviceArgs { device, slots: None })?;
            Some(speed::measured(&placement, &cache)?)
        } else {
            None
        };
        devices.push(DoctorDevice { report, speed });
    }
    let report = DoctorReport {
        schema_version: SCHEMA_VERSION,
        program: crate::provenance::program_name(),
        features: BURN_FEATURES,
        devices,
    };
    let mut stdout = anstream::stdout().lock();
    if args.json {
        writeln!(stdout, "{}", serde_json::to_string_pretty(&report)?)?;
        return Ok(());
    }
    write!(stdout, "{}", scalelaw_report::terminal::doctor::doctor(&report))?;
    Ok(())
}
