use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::workbench::Workbench;

/// Small steps with a checkpoint after nearly each: many kills fall into the writing of one.
const SETTINGS: [&str; 6] = [
    "--set",
    "grid.horizon.steps=[60, 90]",
    "--set",
    "train.checkpoints=30",
    "--set",
    "model.d-model=[16, 24]",
];

/// Bytes of the final weights of each run.
fn weights(bench: &Workbench) -> BTreeMap<PathBuf, Vec<u8>> {
    bench
        .run_folders("tiny")
        .into_iter()
        .map(|run| {
            let bytes = std::fs::read(run.join("weights.safetensors")).unwrap();
            (PathBuf::from(run.file_name().unwrap()), bytes)
        })
        .collect()
}

#[test]
#[cfg(unix)]
fn twenty_kills_at_random_moments_change_no_bit() {
    let calm = Workbench::new();
    calm.tiny_sweep("tiny");
    let args: Vec<&str> = ["run", "tiny.toml"].into_iter().chain(SETTINGS).collect();
    let began = Instant::now();
    calm.expect(0, &args);
    let whole = began.elapsed();

    let killed = Workbench::new();
    killed.tiny_sweep("tiny");
    // Text and plan first, so that the kills fall into training.
    killed.expect(0, &["data", "prepare", "tiny.toml"]);
    let mut state = 12345u64;
    for kill_idx in 0..20 {
        let mut child = killed.scalelaw(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        // Between a twentieth and a half of an undisturbed sweep.
        let share = 0.05 + 0.45 * (state >> 33) as f64 / (1u64 << 31) as f64;
        std::thread::sleep(Duration::from_secs_f64(whole.as_secs_f64() * share));
        child.kill().unwrap();
        child.wait().unwrap();
        let over = killed.run_folders("tiny").iter().filter(|run| run.join("record.json").exists()).count();
        eprintln!("kill {kill_idx}: {over} of 4 runs over");
    }
    killed.expect(0, &args);
    let (expected, found) = (weights(&calm), weights(&killed));
    assert_eq!(expected.len(), 4);
    assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    for (run, bytes) in &expected {
        assert!(bytes == &found[run], "{}: other weights than in a run never killed", run.display());
    }
    for run in killed.run_folders("tiny") {
        let rows = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let steps: Vec<u64> = rows
            .lines()
            .map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap()["step"].as_u64().unwrap())
            .collect();
        assert!(steps.is_sorted(), "{}: rows of a lost attempt are left: {steps:?}", run.display());
    }
}

#[test]
#[cfg(unix)]
fn ctrl_c_keeps_what_is_done_and_the_next_run_goes_on_from_there() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    let args = ["run", "tiny.toml", "--set", "grid.horizon.steps=4000", "--set", "model.d-model=16"];
    let child = bench.scalelaw(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let log = || {
        let run = std::fs::read_dir(bench.path().join("runs/tiny")).ok()?.flatten().map(|entry| entry.path());
        run.filter(|path| path.is_dir())
            .find_map(|path| std::fs::read_to_string(path.join("metrics.jsonl")).ok())
    };
    // Some steps are behind, the end is far.
    while log().is_none_or(|rows| rows.lines().count() < 3) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let said = crate::workbench::Said::of(child.wait_with_output().unwrap(), 130, &args);
    said.names(&["interrupted", "run the same command"]);
    let folder = bench.run_folders("tiny").remove(0);
    assert!(!folder.join("record.json").exists());
    assert!(!folder.join("attempts.jsonl").exists(), "a wish to stop is no failed attempt");
    let again = bench.expect(0, &args);
    assert!(again.stderr.contains("from step "), "{}", again.stderr);
    let record: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("record.json")).unwrap()).unwrap();
    assert_eq!(record["flops_spent"], record["flops_path"], "a clean stop repeats no step: {record}");
}
