use crate::workbench::Workbench;

#[test]
fn every_reading_verb_prints_one_json_value_with_its_version() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    let law = "chinchilla:A=480,B=2080,E=1.8,alpha=0.35,beta=0.37,noise=0.01";
    bench.expect(0, &["run", "tiny.toml", "--simulate", law]);
    for args in [
        &["plan", "tiny.toml", "--no-speed"][..],
        &["status", "tiny-simulated"],
        &["data", "list"],
        &["doctor", "--no-speed"],
    ] {
        assert_eq!(bench.json(args)["schema_version"], 1, "{args:?}");
    }
}

#[test]
fn standard_output_holds_data_and_standard_error_the_rest() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    let said = bench.expect(0, &["run", "tiny.toml", "--set", "grid.horizon.steps=20"]);
    assert!(said.stdout.contains("report.html"), "{}", said.stdout);
    assert!(!said.stderr.contains('\u{1b}'), "no colour off a terminal: {:?}", said.stderr);
    let quiet = bench.expect(0, &["run", "tiny.toml", "--set", "grid.horizon.steps=20", "-q"]);
    assert_eq!(quiet.stderr, "");
}

#[test]
fn a_dry_run_writes_nothing() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    bench.expect(0, &["run", "tiny.toml", "--dry-run"]);
    bench.expect(0, &["init", "new.toml", "--dry-run"]);
    assert!(!bench.path().join("runs").exists() && !bench.path().join("new.toml").exists());
}

#[test]
fn a_plan_says_how_many_runs_train_at_once_and_why() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    let text = bench.expect(0, &["plan", "tiny.toml", "--no-speed"]).stdout;
    let cores = std::thread::available_parallelism().unwrap().get();
    let expected = format!("at once: {} run", cores.min(4));
    assert!(text.contains(&expected), "not `{expected}`:\n{text}");
    let packing = &bench.json(&["plan", "tiny.toml", "--no-speed", "--slots", "3"])["packing"];
    assert_eq!((&packing["slots"], &packing["why"]), (&3.into(), &"as requested".into()), "{packing}");
    // One run has all cores.
    let one = ["tiny.toml", "--set", "grid.horizon.steps=20", "--set", "model.d-model=16"];
    let plan: Vec<&str> = ["plan", "--no-speed"].into_iter().chain(one).collect();
    assert_eq!(bench.json(&plan)["packing"]["threads"], cores);
    let run: Vec<&str> = ["run"].into_iter().chain(one).collect();
    bench.expect(0, &run);
    let record = std::fs::read(bench.run_folders("tiny")[0].join("record.json")).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(record["provenance"]["threads"], cores);
    assert_eq!(record["provenance"]["backend"], "cpu");
}

#[test]
fn what_init_writes_can_be_planned() {
    let bench = Workbench::new();
    bench.expect(0, &["init", "new.toml"]);
    bench.expect(2, &["init", "new.toml"]).names(&["new.toml", "--force"]);
    let schema: serde_json::Value =
        serde_json::from_str(&bench.expect(0, &["init", "--schema"]).stdout).unwrap();
    assert!(schema["properties"]["grid"].is_object(), "{schema}");
    let completions = bench.expect(0, &["init", "--completions", "bash"]).stdout;
    assert!(completions.contains("train-one"), "{completions}");
    bench.expect(0, &["init", "--man", "man"]);
    assert!(bench.path().join("man/scalelaw-run.1").exists());
}

#[test]
fn a_fit_that_cannot_be_is_refused_with_its_own_code() {
    let bench = Workbench::new();
    bench.write("one-size.csv", "N,D,loss\n1e6,1e7,3.0\n1e6,2e7,2.9\n1e6,4e7,2.8\n");
    bench.expect(6, &["fit", "one-size.csv"]).names(&["size"]);
}

#[test]
fn a_users_table_is_fitted_under_any_column_names() {
    let bench = Workbench::new();
    let mut csv = "size,toks,nll\n".to_string();
    for n in [1e6f64, 3e6, 1e7, 3e7, 1e8] {
        for d in [1e8f64, 3e8, 1e9, 3e9, 1e10] {
            csv.push_str(&format!("{n},{d},{}\n", 1.8 + 480.0 / n.powf(0.35) + 2080.0 / d.powf(0.37)));
        }
    }
    bench.write("mine.csv", &csv);
    let args = ["fit", "mine.csv", "--n", "size", "--d", "toks", "--loss", "nll", "--bootstrap", "50"];
    let fit = bench.json(&args);
    let params = &fit["fits"][0]["params"];
    for (name, truth) in [("alpha", 0.35), ("beta", 0.37), ("E", 1.8)] {
        let found = params[name].as_f64().unwrap();
        assert!((found - truth).abs() < 1e-5, "{name}: {found}");
    }
    assert!(fit["fits"][0]["params"]["A"].as_f64().is_some());
    let text = bench.expect(0, &args).stdout;
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
}
