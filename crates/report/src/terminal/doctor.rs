//! The devices of a machine: what each can do, and how fast it is.

use scalelaw_schema::device::{DeviceKind, DoctorDevice, DoctorReport};

use crate::text::{counted, flop_rate, si};

/// The report, a block per device.
pub fn doctor(report: &DoctorReport) -> String {
    let mut text = format!("{}\nbuilt with {}\n", report.program, report.features.join(", "));
    for device in &report.devices {
        text += &format!("\n{}", describe(device));
    }
    if !report.devices.iter().any(|device| device.report.kind.is_real_gpu()) {
        text += "\nno GPU found: `--device auto` uses the CPU\n";
    }
    text
}

fn describe(device: &DoctorDevice) -> String {
    let report = &device.report;
    let mut text = format!("{:8} {}\n", report.choice, report.name);
    let mut line = |name: &str, value: &str| text.push_str(&format!("         {name:18} {value}\n"));
    let kind = match report.kind {
        DeviceKind::Cpu => "CPU",
        DeviceKind::DiscreteGpu => "discrete GPU",
        DeviceKind::IntegratedGpu => "integrated GPU",
        DeviceKind::VirtualGpu => "virtual GPU",
        DeviceKind::Software => "software adapter, for tests: used only if named",
        DeviceKind::Other => "not reported by the driver",
    };
    line("kind", kind);
    if let Some(api) = &report.api {
        line("interface", api);
    }
    if let Some(driver) = &report.driver {
        line("driver", driver);
    }
    // Memory is sold in powers of two, so these two are written in them.
    if let Some(bytes) = report.memory_bytes {
        line("memory", &format!("{:.1} GiB", bytes as f64 / (1u64 << 30) as f64));
    }
    if let Some(bytes) = report.max_binding_bytes {
        line("largest binding", &format!("{} MiB", bytes >> 20));
    }
    match &device.speed {
        Some(speed) => {
            line(
                "matrix products",
                &format!("{} in one slot, f32", flop_rate(speed.matmul_flops_per_second)),
            );
            let slots = match speed.slots {
                1 => "in one slot".to_string(),
                n => format!("in each of {}", counted(n, "slot")),
            };
            for rate in &speed.training {
                let name = format!("training N={}", si(rate.n_total));
                line(&name, &format!("{} {slots}", flop_rate(rate.flops_per_second)));
            }
        }
        None => line("speed", "not measured"),
    }
    text
}

#[cfg(test)]
mod tests {
    use scalelaw_schema::device::{DeviceReport, DeviceSpeed, TrainingSpeed};

    use super::*;

    #[test]
    fn every_device_has_its_facts_and_its_speed() {
        let cpu = DeviceReport {
            choice: "cpu".to_string(),
            name: "Example 8-core".to_string(),
            kind: DeviceKind::Cpu,
            api: None,
            driver: None,
            pci_bus_id: None,
            max_binding_bytes: None,
            memory_bytes: Some(16 << 30),
        };
        let software = DeviceReport {
            choice: "wgpu:0".to_string(),
            name: "llvmpipe".to_string(),
            kind: DeviceKind::Software,
            api: Some("vulkan".to_string()),
            driver: Some("llvmpipe 25".to_string()),
            max_binding_bytes: Some(128 << 20),
            ..cpu.clone()
        };
        let speed = DeviceSpeed {
            matmul_flops_per_second: 1.2e11,
            training: vec![TrainingSpeed { n_total: 1.2e5, flops_per_second: 3e10 }],
            slots: 8,
        };
        let report = DoctorReport {
            schema_version: 1,
            program: "scalelaw 0.1.0".to_string(),
            features: &["flex", "wgpu"],
            devices: vec![
                DoctorDevice { report: cpu, speed: Some(speed) },
                DoctorDevice { report: software, speed: None },
            ],
        };
        let expected = "\
scalelaw 0.1.0
built with flex, wgpu

cpu      Example 8-core
         kind               CPU
         memory             16.0 GiB
         matrix products    120 GFLOP/s in one slot, f32
         training N=120K    30 GFLOP/s in each of 8 slots

wgpu:0   llvmpipe
         kind               software adapter, for tests: used only if named
         interface          vulkan
         driver             llvmpipe 25
         memory             16.0 GiB
         largest binding    128 MiB
         speed              not measured

no GPU found: `--device auto` uses the CPU
";
        assert_eq!(doctor(&report), expected);
    }
}
