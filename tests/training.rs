use std::collections::BTreeMap;

use serde_json::Value;

use crate::workbench::Workbench;

fn rows(bench: &Workbench, sweep: &str) -> Vec<Value> {
    let said = bench.expect(0, &["export", sweep, "--format", "json"]);
    let value: Value = serde_json::from_str(&said.stdout).unwrap();
    value["rows"].as_array().unwrap().clone()
}

#[test]
fn loss_falls_with_tokens_at_fixed_size_and_with_size_at_fixed_tokens() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    bench.expect(0, &["run", "tiny.toml"]);
    let losses: BTreeMap<(u64, u64), f64> = rows(&bench, "tiny")
        .iter()
        .map(|row| {
            let key = (row["d_model"].as_u64().unwrap(), row["tokens"].as_u64().unwrap());
            (key, row["loss"].as_f64().unwrap())
        })
        .collect();
    let [short, long] = [20 * 4 * 32, 60 * 4 * 32];
    for d_model in [16, 32] {
        assert!(losses[&(d_model, long)] < losses[&(d_model, short)], "{losses:?}");
    }
    for tokens in [short, long] {
        assert!(losses[&(32, tokens)] < losses[&(16, tokens)], "{losses:?}");
    }
}

#[test]
fn counts_in_the_results_are_those_counted_by_hand() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    bench.expect(0, &["run", "tiny.toml"]);
    let rows = rows(&bench, "tiny");
    assert_eq!(rows.len(), 4);
    for row in &rows {
        let get = |name: &str| row[name].as_u64().unwrap_or_else(|| panic!("{name}: {row}"));
        let [l, d, f, v, t] = ["n_layer", "d_model", "d_ff", "vocab_size", "context_len"].map(get);
        assert_eq!(v, 257);
        let n = v * d + l * (4 * d * d + 3 * d * f) + (2 * l + 1) * d;
        assert_eq!(get("n_total"), n, "{row}");
        assert_eq!(get("n_non_embedding"), l * (4 * d * d + 3 * d * f), "{row}");
        // Per sequence: two FLOPs per matrix entry and token, causal scores twice, three passes.
        let forward = 2 * t * (l * (4 * d * d + 3 * d * f) + v * d) + l * 2 * d * t * (t + 1);
        let sequences = get("tokens") / t;
        assert_eq!(row["flops_path"].as_f64().unwrap(), (3 * forward * sequences) as f64, "{row}");
        assert_eq!(row["flops_spent"], row["flops_path"], "{row}");
    }
}

#[test]
fn a_finished_sweep_is_not_trained_again_and_a_changed_one_is() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    bench.expect(0, &["run", "tiny.toml"]);
    let stamps = |bench: &Workbench| -> BTreeMap<_, _> {
        bench
            .run_folders("tiny")
            .into_iter()
            .map(|run| (run.clone(), std::fs::metadata(run.join("record.json")).unwrap().modified().unwrap()))
            .collect()
    };
    let before = stamps(&bench);
    bench.expect(0, &["run", "tiny.toml"]);
    assert_eq!(before, stamps(&bench));
    bench.expect(0, &["run", "tiny.toml", "--set", "train.lr=1e-3"]);
    let after = stamps(&bench);
    assert_eq!(after.len(), 8);
    assert!(before.iter().all(|(run, stamp)| after[run] == *stamp));
}

#[test]
fn finished_runs_can_be_evaluated_on_other_text() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    bench.expect(0, &["run", "tiny.toml", "--set", "grid.horizon.steps=20"]);
    bench.write("other.toml", "source = { files = [\"notes\"] }\nheld-out = 0.3\n");
    let made = bench.json(&["eval", "tiny", "--corpus", "other.toml"]);
    let evals = made["evaluations"].as_array().unwrap();
    assert_eq!(evals.len(), 2, "{made}");
    for eval in evals {
        assert_eq!(eval["request"]["name"], "other");
        assert!(eval["loss"].as_f64().unwrap() > 0.5 && eval["loss"].as_f64().unwrap() < 6.0, "{eval}");
    }
    let row = &rows(&bench, "tiny")[0];
    assert!(row["loss/other"].is_f64() || row["losses"]["other"].is_f64(), "{row}");
}

#[test]
fn finished_runs_can_be_evaluated_on_skills_and_get_the_evaluations_they_lack() {
    let bench = Workbench::new();
    let sweep = std::fs::read_to_string(bench.tiny_sweep("tiny")).unwrap();
    let sweep = sweep.replace("notes = 1 }", "notes = 1, mano = 1 }\ntag-sources = true");
    let measure = "[measure]\nskills = [\"mano\"]\nitems = 16\n\n[corpus.notes]";
    bench.write("tiny.toml", &sweep.replace("[corpus.notes]", measure));
    bench.expect(0, &["run", "tiny.toml", "--set", "grid.horizon.steps=20", "--set", "model.d-model=16"]);
    let evals = bench.run_folders("tiny")[0].join("evals");
    let mano = || {
        let files = std::fs::read_dir(&evals).unwrap().map(|entry| entry.unwrap().path());
        let read = |path: &std::path::PathBuf| -> Value {
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
        };
        files
            .map(|path| (read(&path), path))
            .find(|(eval, _)| eval["request"]["name"] == "mano" && !eval["skill"].is_null())
    };
    let (during, path) = mano().unwrap();
    // The same items with the same tag: what is there already is not made again.
    for sweep in ["tiny", "tiny.toml"] {
        let made = bench.json(&["eval", sweep, "--skill", "mano", "--items", "16"]);
        assert_eq!(made["evaluations"], serde_json::json!([during]));
    }
    std::fs::remove_file(&path).unwrap();
    bench.expect(0, &["export", "tiny"]).names(&["evaluation of `mano`", "scalelaw eval"]);
    bench.expect(0, &["eval", "tiny"]);
    assert_eq!(mano().unwrap().0["skill"], during["skill"]);
    let said = bench.expect(0, &["eval", "tiny", "--skill", "lookup", "--items", "8"]);
    assert!(said.stdout.contains("lookup  nll ") && said.stdout.contains("accuracy "), "{}", said.stdout);
    bench.expect(2, &["eval", "tiny", "--skill", "juggling"]).names(&["juggling", "lookup", "mano"]);
    let row = &rows(&bench, "tiny")[0];
    assert_eq!(row["skill/mano/nll"], during["skill"]["nll"]["value"], "{row}");
    assert!(
        (row["share/mano"].as_f64().unwrap() - 0.5).abs() < 1e-12 && row["skill/lookup/nll"].is_f64(),
        "{row}"
    );
}

#[test]
fn a_manifest_beside_the_sweep_is_a_corpus_by_its_name() {
    let bench = Workbench::new();
    let sweep = std::fs::read_to_string(bench.tiny_sweep("tiny")).unwrap();
    let (sweep, _) = sweep.split_once("[corpus.notes]").unwrap();
    bench.write("tiny.toml", &sweep.replace("notes = 1", "diary = 1"));
    std::fs::create_dir(bench.path().join("datasets")).unwrap();
    bench.write("datasets/diary.toml", "licence = \"mine\"\nsource = { files = [\"../notes\"] }\n");
    let plan = bench.json(&["plan", "tiny.toml", "--no-speed"]);
    assert_eq!(plan["runs"][0]["run"]["corpora"][0]["name"], "diary");
    bench.expect(0, &["data", "prepare", "tiny.toml"]);
}

#[test]
fn accumulated_gradients_are_those_of_the_whole_batch() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    bench.expect(0, &["run", "tiny.toml", "--set", "grid.horizon.steps=20", "--set", "model.d-model=16"]);
    let whole = rows(&bench, "tiny")[0]["loss"].as_f64().unwrap();
    let run = bench.run_folders("tiny")[0].clone();
    let copy = bench.path().join("runs/copy").join(run.file_name().unwrap());
    std::fs::create_dir_all(&copy).unwrap();
    std::fs::copy(run.join("run.toml"), copy.join("run.toml")).unwrap();
    bench.expect(0, &["train-one", copy.to_str().unwrap(), "--micro-batch-tokens", "1"]);
    let record: Value = serde_json::from_slice(&std::fs::read(copy.join("record.json")).unwrap()).unwrap();
    assert_eq!(record["micro_batch_tokens"], record["train"]["phases"][0]["context_len"]);
    let parts = rows(&bench, "copy")[0]["loss"].as_f64().unwrap();
    // The same sums in another order: float32 rounding over 20 steps.
    assert!((whole - parts).abs() < 1e-4, "{whole} against {parts}");
}
