use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::workbench::Workbench;

/// How to ask for the software adapter, or `None` where there is no driver.
fn software_adapter(bench: &Workbench) -> Option<String> {
    let report = bench.json(&["doctor", "--no-speed"]);
    let found = report["devices"]
        .as_array()
        .unwrap()
        .iter()
        .find(|device| device["kind"] == "software" && device["api"] == "vulkan")
        .map(|device| device["choice"].as_str().unwrap().to_string());
    if found.is_none() {
        assert!(
            std::env::var_os("SCALELAW_REQUIRE_WGPU").is_none(),
            "SCALELAW_REQUIRE_WGPU is set and there is no software Vulkan: {report}"
        );
        eprintln!("skipped: no software Vulkan here");
    }
    found
}

#[test]
fn a_software_adapter_is_taken_only_by_name() {
    let bench = Workbench::new();
    let Some(adapter) = software_adapter(&bench) else { return };
    bench.tiny_sweep("tiny");
    let real = bench.json(&["doctor", "--no-speed"])["devices"].as_array().unwrap().iter().any(|device| {
        ["discrete-gpu", "integrated-gpu", "virtual-gpu"].iter().any(|kind| device["kind"] == *kind)
    });
    if !real {
        bench.expect(7, &["run", "tiny.toml", "--device", "wgpu"]).names(&["software", &adapter]);
    }
}

#[test]
fn a_sweep_on_the_gpu_path_survives_a_kill_and_agrees_with_the_cpu() {
    let bench = Workbench::new();
    let Some(adapter) = software_adapter(&bench) else { return };
    bench.tiny_sweep("tiny");
    // Twenty steps: float32 sums in another order have not grown apart yet.
    let args = |device: &'static str, runs: &'static str| {
        vec!["run", "tiny.toml", "--set", "grid.horizon.steps=20", "--device", device, "--runs", runs]
    };
    bench.expect(0, &args("cpu", "on-cpu"));
    let adapter: &'static str = adapter.leak();
    let mut child =
        bench.scalelaw(&args(adapter, "on-gpu")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let folder = bench.path().join("on-gpu/tiny");
    // Kill it as soon as the first run has a checkpoint.
    for _ in 0..6000 {
        let checkpointed = std::fs::read_dir(&folder).is_ok_and(|entries| {
            entries.flatten().any(|entry| {
                std::fs::read_dir(entry.path().join("checkpoint"))
                    .is_ok_and(|mut files| files.next().is_some())
            })
        });
        if checkpointed || child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    bench.expect(0, &args(adapter, "on-gpu"));

    let losses = |runs: &str| -> Vec<(String, f64)> {
        let said = bench.expect(0, &["export", "tiny", "--runs", runs, "--format", "json"]);
        let table: Value = serde_json::from_str(&said.stdout).unwrap();
        table["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["run_id"].as_str().unwrap().to_string(), row["loss"].as_f64().unwrap()))
            .collect()
    };
    let (cpu, gpu) = (losses("on-cpu"), losses("on-gpu"));
    assert_eq!(cpu.len(), 2);
    for ((run, on_cpu), (same_run, on_gpu)) in cpu.iter().zip(&gpu) {
        assert_eq!(run, same_run);
        assert!((on_cpu - on_gpu).abs() < 1e-3, "{run}: {on_cpu} on the CPU, {on_gpu} through WGPU");
    }
}
