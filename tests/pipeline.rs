use serde_json::Value;

use crate::workbench::Workbench;

/// Simulated losses: no training, so a real grid can be had in a second.
const SWEEP: &str = r#"
question = "Does the pipeline find the law it drew from?"

[grid]
kind = "isoflop"
budgets = [1e14, 1e15, 1e16, 1e17]
sizes = 7
span-decades = 0.6
tokens-per-param = 20

[model]
context-len = 256

[data]
tokenizer = "bytes"
mixture = { notes = 1 }

[train]
seed = [0, 1]

[corpus.notes]
source = { files = ["notes"] }
"#;

const LAW: &str = "chinchilla:A=480,B=2080,E=1.8,alpha=0.35,beta=0.37,noise=0.005";

#[test]
fn a_simulated_sweep_goes_through_everything_and_the_fit_finds_the_law() {
    let bench = Workbench::new();
    bench.write("known.toml", SWEEP);
    let said = bench.expect(0, &["run", "known.toml", "--simulate", LAW]);
    assert!(said.stdout.contains("alpha") && said.stdout.contains("report.html"), "{}", said.stdout);

    let folder = bench.path().join("runs/known-simulated");
    for file in ["plan.json", "results.parquet", "metrics.parquet", "fit.json", "report.html"] {
        assert!(folder.join(file).exists(), "{file} is missing");
    }
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("Does the pipeline find the law it drew from?") && page.contains("<svg"));

    let fit = bench.json(&["fit", "known-simulated", "--bootstrap", "200"]);
    let chosen = &fit["fits"][0];
    for (name, truth) in [("alpha", 0.35), ("beta", 0.37), ("E", 1.8)] {
        let interval = &chosen["intervals"][name];
        let [low, high] = ["low", "high"].map(|end| interval[end].as_f64().unwrap());
        // A 95 % interval misses once in twenty; twice its width practically never does.
        let (middle, half) = ((low + high) / 2.0, (high - low) / 2.0);
        assert!(
            (truth - middle).abs() < 2.0 * half && half < 0.25 * truth,
            "{name}: {truth}, [{low}, {high}]"
        );
    }
    let a = chosen["optimum"]["a"].as_f64().unwrap();
    assert!((a - 0.37 / 0.72).abs() < 0.03, "a = {a}");
}

#[test]
fn a_simulated_sweep_never_mixes_with_a_trained_one() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    bench.expect(0, &["run", "tiny.toml", "--simulate", LAW]);
    assert!(!bench.path().join("runs/tiny").exists());
    let folder = &bench.run_folders("tiny-simulated")[0];
    let record: Value = serde_json::from_slice(&std::fs::read(folder.join("record.json")).unwrap()).unwrap();
    assert_eq!(record["provenance"]["backend"], "simulated");
}
