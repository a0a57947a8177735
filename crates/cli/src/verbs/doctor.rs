//! `scalelaw doctor`: the devices, what each can do, and how fast it is.

use std::io::Write;

use anyhow::Result;
use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::device::{DeviceChoice, DeviceKind, DeviceReport, DeviceSpeed};
use scalelaw_schema::run_id::si;
use scalelaw_train::BURN_FEATURES;
use serde::Serialize;

use crate::args::{DeviceArgs, DoctorArgs, Shared};
use crate::paths;
use crate::speed::{self, Placement};

#[derive(Serialize)]
struct Report {
    schema_version: u32,
    program: String,
    /// Features of burn that the program is built with.
    features: &'static [&'static str],
    devices: Vec<Device>,
}

#[derive(Serialize)]
struct Device {
    #[serde(flatten)]
    report: DeviceReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    speed: Option<DeviceSpeed>,
}

pub fn doctor(shared: &Shared, args: &DoctorArgs) -> Result<()> {
    let cache = paths::cache(shared)?;
    let reports = match args.device {
        Some(choice) => vec![scalelaw_train::find_device(choice)?],
        None => scalelaw_train::list_devices(),
    };
    let mut devices = Vec::new();
    for report in reports {
        // A software adapter takes minutes to say that it is slow, so it is measured only when asked for.
        let is_measured = !args.no_speed && (report.kind != DeviceKind::Software || args.device.is_some());
        let speed = if is_measured {
            let device: DeviceChoice = report.choice.parse()?;
            let placement = Placement::choose(&DeviceArgs { device, slots: None })?;
            Some(speed::measured(&placement, &cache)?)
        } else {
            None
        };
        devices.push(Device { report, speed });
    }
    let report = Report {
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
    writeln!(stdout, "{}\nbuilt with {}", report.program, BURN_FEATURES.join(", "))?;
    for device in &report.devices {
        write!(stdout, "\n{}", describe(device))?;
    }
    if !report.devices.iter().any(|device| is_real_gpu(device.report.kind)) {
        writeln!(stdout, "\nno real GPU: `--device auto` takes the CPU")?;
    }
    Ok(())
}

fn is_real_gpu(kind: DeviceKind) -> bool {
    matches!(kind, DeviceKind::DiscreteGpu | DeviceKind::IntegratedGpu | DeviceKind::VirtualGpu)
}

fn describe(device: &Device) -> String {
    let report = &device.report;
    let mut text = format!("{:8} {}\n", report.choice, report.name);
    let mut line = |name: &str, value: String| text.push_str(&format!("         {name:18} {value}\n"));
    let kind = match report.kind {
        DeviceKind::Cpu => "processor",
        DeviceKind::DiscreteGpu => "discrete GPU",
        DeviceKind::IntegratedGpu => "integrated GPU",
        DeviceKind::VirtualGpu => "virtual GPU",
        DeviceKind::Software => "software adapter, for tests: taken only by name",
        DeviceKind::Other => "not told by the driver",
    };
    line("kind", kind.to_string());
    if let Some(api) = &report.api {
        line("interface", api.clone());
    }
    if let Some(driver) = &report.driver {
        line("driver", driver.clone());
    }
    if let Some(bytes) = report.memory_bytes {
        line("memory", format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64));
    }
    if let Some(bytes) = report.max_binding_bytes {
        line("largest binding", format!("{} MiB", bytes >> 20));
    }
    match &device.speed {
        Some(speed) => {
            line("matrix products", format!("{}FLOP/s in one slot, f32", si(speed.matmul_flops_per_second)));
            for rate in &speed.training {
                let name = format!("training N={}", si(rate.n_total));
                line(&name, format!("{}FLOP/s in each of {} slots", si(rate.flops_per_second), speed.slots));
            }
        }
        None => line("speed", "not measured".to_string()),
    }
    text
}
