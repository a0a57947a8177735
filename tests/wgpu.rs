#[cfg(target_os = "linux")]
use std::io::{BufRead, BufReader, Write};
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
    let sweep = std::fs::read_to_string(bench.tiny_sweep("tiny")).unwrap();
    let measure = "[measure]\nskills = [\"lookup\"]\nitems = 48\n\n[corpus.notes]";
    bench.write("tiny.toml", &sweep.replace("[corpus.notes]", measure));
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

    let losses = |runs: &str| -> Vec<(String, [f64; 2])> {
        let said = bench.expect(0, &["export", "tiny", "--runs", runs, "--format", "json"]);
        let table: Value = serde_json::from_str(&said.stdout).unwrap();
        table["rows"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                let losses = ["loss", "skill/lookup/nll"].map(|column| row[column].as_f64().unwrap());
                (row["run_id"].as_str().unwrap().to_string(), losses)
            })
            .collect()
    };
    let (cpu, gpu) = (losses("on-cpu"), losses("on-gpu"));
    assert_eq!(cpu.len(), 2);
    for ((run, on_cpu), (same_run, on_gpu)) in cpu.iter().zip(&gpu) {
        assert_eq!(run, same_run);
        for (on_cpu, on_gpu) in on_cpu.iter().zip(on_gpu) {
            assert!((on_cpu - on_gpu).abs() < 1e-3, "{run}: {on_cpu} on the CPU, {on_gpu} through WGPU");
        }
    }
}

/// Backends that keep what a step allocated grow with the steps: by buffers, or by entries in tables of kernels,
/// bindings and fences. What is left of that is contained by replacing the worker (`--worker-memory`).
#[test]
#[cfg(target_os = "linux")]
fn memory_stays_flat_over_hundreds_of_steps() {
    const LAST_STEP: u64 = 600;
    /// All kernels are compiled in the first steps, and the allocators have settled after some 200 more.
    const SETTLED: u64 = 240;
    /// Steps between two samples: those of an event of the worker.
    const EVERY: u64 = 8;
    /// What is allowed, a hundredth of what a step allocates.
    const BYTES_PER_STEP: f64 = 7e3;
    let bench = Workbench::new();
    let Some(adapter) = software_adapter(&bench) else { return };
    bench.tiny_sweep("tiny");
    let sweep = ["tiny.toml", "--set", "grid.horizon.steps=800", "--set", "model.d-model=16"];
    let prepare: Vec<&str> = ["data", "prepare"].into_iter().chain(sweep).collect();
    bench.expect(0, &prepare);
    let resolve: Vec<&str> = ["plan", "--no-speed", "--resolved"].into_iter().chain(sweep).collect();
    let resolved = bench.expect(0, &resolve).stdout;
    let (name, run) = resolved.split_once('\n').unwrap();
    let folder = bench.path().join("runs/tiny").join(name.trim_start_matches("# "));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("run.toml"), run).unwrap();

    let mut worker = bench
        .scalelaw(&["worker", "--device", &adapter, "--threads", "1"])
        .env("CUBECL_AUTOTUNE_LEVEL", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let command = serde_json::json!({ "command": "train", "folders": [folder] });
    let mut stdin = worker.stdin.take().unwrap();
    stdin.write_all(format!("{command}\n").as_bytes()).unwrap();
    let mut samples = Vec::new();
    for line in BufReader::new(worker.stdout.take().unwrap()).lines() {
        let event: Value = serde_json::from_str(&line.unwrap()).unwrap();
        assert_ne!(event["event"], "failed", "{event}");
        if event["event"] != "step" {
            continue;
        }
        let step = event["step"].as_u64().unwrap();
        samples.push((step, resident_bytes(worker.id())));
        if step > LAST_STEP {
            break;
        }
    }
    worker.kill().unwrap();
    worker.wait().unwrap();
    samples.retain(|(step, _)| *step >= SETTLED);
    assert!(samples.len() as u64 >= (LAST_STEP - SETTLED) / EVERY - 1, "{samples:?}");
    // What grows with the steps grows between most pairs of samples; an allocator that takes a larger piece once does
    // so between few (the median of all slopes: Theil 1950, Sen 1968).
    let slope = |(one, other): (&(u64, u64), &(u64, u64))| {
        (other.1 as f64 - one.1 as f64) / (other.0 as f64 - one.0 as f64)
    };
    let mut slopes: Vec<f64> = (0..samples.len())
        .flat_map(|idx| samples[idx + 1..].iter().map(move |other| (idx, other)))
        .map(|(idx, other)| slope((&samples[idx], other)))
        .collect();
    slopes.sort_by(f64::total_cmp);
    let growth = slopes[slopes.len() / 2];
    eprintln!("{growth:.0} bytes a step");
    assert!(growth < BYTES_PER_STEP, "resident memory grows by {growth:.0} bytes a step: {samples:?}");
}

/// Resident memory of a process.
#[cfg(target_os = "linux")]
fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
