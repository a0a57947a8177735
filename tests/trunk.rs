use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::workbench::Workbench;

/// Three horizons of two sizes; the cool-down is a fifth of each.
fn sweep(bench: &Workbench, name: &str, trunk: bool) -> PathBuf {
    bench.write(
        &format!("{name}.toml"),
        &format!(
            r#"
[grid]
kind = "product"
horizon = {{ steps = [50, 75, 100] }}
[model]
d-model = [16, 24]
n-layer = 2
context-len = 32
[data]
tokenizer = "bytes"
mixture = {{ notes = 1 }}
[train]
batch-sequences = 4
lr = 3e-3
warmup = {{ steps = 5 }}
schedule = {{ wsd = {{ cooldown = {{ fraction = 0.2 }} }} }}
checkpoints = 7
trunk = {trunk}
[corpus.notes]
source = {{ files = ["notes"] }}
"#
        ),
    )
}

fn rows(bench: &Workbench, sweep: &str) -> BTreeMap<(u64, u64), Value> {
    let said = bench.expect(0, &["export", sweep, "--format", "json"]);
    let value: Value = serde_json::from_str(&said.stdout).unwrap();
    let key = |row: &Value| (row["d_model"].as_u64().unwrap(), row["steps"].as_u64().unwrap());
    value["rows"].as_array().unwrap().iter().map(|row| (key(row), row.clone())).collect()
}

fn folder(bench: &Workbench, sweep: &str, row: &Value) -> PathBuf {
    bench.path().join("runs").join(sweep).join(row["folder"].as_str().unwrap())
}

/// Training losses by step.
fn losses(folder: &Path) -> BTreeMap<u64, f64> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| (row["step"].as_u64().unwrap(), row["values"]["train/loss"].as_f64().unwrap())).collect()
}

#[test]
fn branches_end_with_the_bits_of_the_runs_that_they_replace_for_little_more_than_half_the_flops() {
    let bench = Workbench::new();
    sweep(&bench, "together", true);
    sweep(&bench, "apart", false);
    let plan = bench.expect(0, &["plan", "together.toml", "--no-speed"]);
    assert!(plan.stdout.contains("from step") && plan.stdout.contains("44 % less"), "{}", plan.stdout);
    for name in ["together", "apart"] {
        bench.expect(0, &["run", &format!("{name}.toml")]);
    }
    let (together, apart) = (rows(&bench, "together"), rows(&bench, "apart"));
    assert_eq!((together.len(), apart.len()), (6, 6));
    for (key, alone) in &apart {
        let row = &together[key];
        for name in ["loss", "bpb", "train_loss", "tokens", "flops_path", "n_total"] {
            assert_eq!(row[name], alone[name], "{key:?}: {name}");
        }
        let weights =
            |sweep, row| std::fs::read(folder(&bench, sweep, row).join("weights.safetensors")).unwrap();
        assert!(weights("together", row) == weights("apart", alone), "{key:?}: other weights");
        // One draw of seed and data for all horizons of a size.
        let of_size = |steps| &together[&(key.0, steps)];
        assert_eq!(row["cluster"], of_size(50)["run_id"], "{key:?}");
        // The separate run has the losses of the shorter ones up to where they cool down, and then those of its own.
        let shared = [(50, 40), (75, 60)].into_iter().filter(|(steps, _)| *steps < key.1);
        let parts: Vec<(BTreeMap<u64, f64>, u64)> = shared
            .chain([(key.1, key.1)])
            .map(|(steps, end)| (losses(&folder(&bench, "together", of_size(steps))), end))
            .collect();
        for (step, loss) in losses(&folder(&bench, "apart", alone)) {
            let (part, _) = parts.iter().find(|(_, end)| step <= *end).unwrap();
            assert_eq!(part.get(&step), Some(&loss), "{key:?} step {step}");
        }
        // Only the longest keeps a checkpoint, for a longer one to come.
        let left = folder(&bench, "together", row).join("checkpoint");
        assert_eq!(left.exists(), key.1 == 100, "{}", left.display());
    }
    let spent = |rows: &BTreeMap<_, Value>| -> f64 {
        rows.values().map(|row| row["flops_spent"].as_f64().unwrap()).sum()
    };
    // 50, 75 - 40 and 100 - 60 of 50 + 75 + 100 steps were taken.
    assert!((spent(&together) / spent(&apart) - 125.0 / 225.0).abs() < 1e-9, "{}", spent(&together));
    // What reads a sweep reads a trunk's as well.
    let status = bench.expect(0, &["status", "together"]);
    assert!(status.stdout.contains("6 finished") && status.stdout.contains("100.0 %"), "{}", status.stdout);
    let page = std::fs::read_to_string(bench.path().join("runs/together/report.html")).unwrap();
    assert!(page.contains("by trunks and branches"));
    bench.expect(0, &["run", "together.toml"]).names(&["all 6 runs of `together` are complete"]);
}

#[test]
#[cfg(unix)]
fn kills_change_no_bit_of_a_branch() {
    let weights = |bench: &Workbench| -> BTreeMap<PathBuf, Vec<u8>> {
        let read = |run: PathBuf| {
            let bytes = std::fs::read(run.join("weights.safetensors")).unwrap();
            (PathBuf::from(run.file_name().unwrap()), bytes)
        };
        bench.run_folders("tiny").into_iter().map(read).collect()
    };
    let calm = Workbench::new();
    sweep(&calm, "tiny", true);
    let args = ["run", "tiny.toml", "--set", "train.checkpoints=25"];
    let began = Instant::now();
    calm.expect(0, &args);
    let whole = began.elapsed();
    let killed = Workbench::new();
    sweep(&killed, "tiny", true);
    killed.expect(0, &["data", "prepare", "tiny.toml"]);
    for share in [0.2, 0.3, 0.15, 0.4, 0.25, 0.35, 0.3, 0.5] {
        let mut child = killed.scalelaw(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_secs_f64(whole.as_secs_f64() * share));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    killed.expect(0, &args);
    let (expected, found) = (weights(&calm), weights(&killed));
    assert_eq!(expected.keys().collect::<Vec<_>>(), found.keys().collect::<Vec<_>>());
    for (run, bytes) in &expected {
        assert!(bytes == &found[run], "{}: other weights than in a run never killed", run.display());
    }
}

#[test]
fn a_longer_horizon_goes_on_from_the_trunk_and_one_between_says_that_it_cannot() {
    let bench = Workbench::new();
    sweep(&bench, "tiny", true);
    let run = |horizons: &str| {
        let horizons = format!("grid.horizon.steps={horizons}");
        bench.expect(0, &["run", "tiny.toml", "--set", "model.d-model=16", "--set", &horizons])
    };
    let spent = || -> BTreeMap<u64, f64> {
        let share = |row: &Value| {
            let [spent, path] = ["flops_spent", "flops_path"].map(|name| row[name].as_f64().unwrap());
            spent / path
        };
        rows(&bench, "tiny").iter().map(|(key, row)| (key.1, share(row))).collect()
    };
    run("[50, 75]");
    let said = run("[50, 75, 100]");
    assert!(!said.stderr.contains("too late"), "{}", said.stderr);
    assert_eq!(spent()[&100], 0.4);
    run("[50, 60, 75, 100]").names(&["1 horizon added too late"]);
    assert_eq!(spent()[&60], 1.0);
    let clusters: std::collections::BTreeSet<String> =
        rows(&bench, "tiny").values().map(|row| row["cluster"].to_string()).collect();
    assert_eq!(clusters.len(), 1, "{clusters:?}");
    run("[50, 60, 75, 100]").names(&["all 4 runs of `tiny` are complete"]);
}

#[test]
fn a_simulated_sweep_branches_as_well() {
    let bench = Workbench::new();
    sweep(&bench, "tiny", true);
    let law = "chinchilla:A=480,B=2080,E=1.8,alpha=0.35,beta=0.37,noise=0.005";
    bench.expect(0, &["run", "tiny.toml", "--simulate", law]);
    let rows = rows(&bench, "tiny-simulated");
    assert_eq!(rows.len(), 6);
    let [spent, path] = ["flops_spent", "flops_path"].map(|name| rows[&(16, 100)][name].as_f64().unwrap());
    assert!((spent / path - 0.4).abs() < 1e-12, "{spent} of {path}");
}

#[test]
fn a_rate_that_falls_behind_is_stopped_early_and_never_fitted() {
    let bench = Workbench::new();
    let text = std::fs::read_to_string(bench.tiny_sweep("tiny")).unwrap();
    let text = text
        .replace("lr = 3e-3", "lr = [3e-3, 1e-6]\nearly-stop = { margin = 0.3 }")
        .replace("[16, 32]", "16")
        .replace("[20, 60]", "60");
    bench.write("tiny.toml", &text);
    let said = bench.expect(0, &["run", "tiny.toml", "--slots", "1"]);
    assert!(said.stderr.contains("stopped early at step 30"), "{}", said.stderr);
    let status = bench.expect(0, &["status", "tiny"]);
    assert!(status.stdout.contains("1 finished, 1 stopped early"), "{}", status.stdout);
    let said = bench.expect(0, &["export", "tiny", "--format", "json"]);
    let value: Value = serde_json::from_str(&said.stdout).unwrap();
    let stopped = value["rows"].as_array().unwrap().iter().find(|row| row["outcome"] == "stopped").unwrap();
    assert_eq!((&stopped["stopped_step"], &stopped["loss"]), (&Value::from(30), &Value::Null));
    let page = std::fs::read_to_string(bench.path().join("runs/tiny/report.html")).unwrap();
    assert!(page.contains("stopped early") && page.contains("train.early-stop"));
    // Without the rule it is trained to its end, from where it was.
    let open = text.replace("early-stop = { margin = 0.3 }", "");
    bench.write("tiny.toml", &open);
    let said = bench.expect(0, &["run", "tiny.toml"]);
    assert!(said.stderr.contains("from step "), "{}", said.stderr);
    assert!(bench.expect(0, &["status", "tiny"]).stdout.contains("2 finished"));
}
