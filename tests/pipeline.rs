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
    for file in ["plan.json", "results.parquet", "metrics.parquet", "findings.json", "report.html"] {
        assert!(folder.join(file).exists(), "{file} is missing");
    }
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("Does the pipeline find the law it drew from?") && page.contains("<svg"));

    // A chart of its own shows all that the page shows: it needs none of the page's variables.
    let said = bench.expect(0, &["report", "known-simulated", "--figures", "charts"]);
    assert!(said.stdout.contains("isoflop.svg"), "{}", said.stdout);
    for path in said.stdout.lines() {
        let svg = std::fs::read_to_string(bench.path().join(path)).unwrap();
        assert!(svg.starts_with("<svg xmlns") && !svg.contains("var("), "{path}");
    }

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
fn a_table_has_the_same_numbers_in_every_form() {
    let bench = Workbench::new();
    bench.write("known.toml", SWEEP);
    bench.expect(0, &["run", "known.toml", "--simulate", LAW]);
    for (table, numbers) in
        [("runs", ["loss", "flops_path", "seed"]), ("metrics", ["value", "flops", "step"])]
    {
        let said = bench.expect(0, &["export", "known-simulated", "--table", table, "--to", "json"]);
        let json: Value = serde_json::from_str(&said.stdout).unwrap();
        let rows = json["rows"].as_array().unwrap();
        assert!(rows.len() >= 56 && json["schema_version"] == 1, "{table}: {}", rows.len());
        let csv = bench.expect(0, &["export", "known-simulated", "--table", table]).stdout;
        let mut lines = csv.lines();
        let header: Vec<&str> = lines.next().unwrap().split(',').collect();
        assert_eq!(lines.clone().count(), rows.len(), "{table}");
        for (line, row) in lines.zip(rows) {
            let fields: Vec<&str> = line.split(',').collect();
            for number in numbers {
                let place = header.iter().position(|name| *name == number).unwrap();
                let (found, expected) = (fields[place].parse::<f64>(), row[number].as_f64());
                assert_eq!(found.ok(), expected, "{table}: {number} of {line}");
            }
        }
        for form in ["csv", "parquet", "arrow"] {
            let file = format!("{table}.{form}");
            bench.expect(0, &["export", "known-simulated", "--table", table, "--to", form, "-o", &file]);
            assert!(bench.path().join(&file).metadata().unwrap().len() > 1000, "{file}");
        }
        assert_eq!(std::fs::read_to_string(bench.path().join(format!("{table}.csv"))).unwrap(), csv);
        bench
            .expect(2, &["export", "known-simulated", "--table", table, "--to", "arrow"])
            .names(&["-o FILE"]);
    }
    // What was exported is fitted as the folders are.
    let fit = |table: &str| {
        let found = bench.json(&["fit", table, "--bootstrap", "0"]);
        (found["fits"][0]["params"].clone(), found["measure"].clone())
    };
    let of_folders = fit("known-simulated");
    assert_eq!(of_folders.1["unit"]["kind"], "nats-per-token", "{}", of_folders.1);
    for file in ["runs.csv", "runs.parquet"] {
        assert_eq!(fit(file), of_folders, "{file}");
    }
    // The older flags do as they did.
    let old = bench.expect(0, &["export", "known-simulated", "--format", "csv"]).stdout;
    assert_eq!(old, std::fs::read_to_string(bench.path().join("runs.csv")).unwrap());
    let written = bench.path().join("runs/known-simulated/results.parquet");
    std::fs::remove_file(&written).unwrap();
    bench.expect(0, &["export", "known-simulated", "--parquet"]);
    assert_eq!(std::fs::read(written).unwrap(), std::fs::read(bench.path().join("runs.parquet")).unwrap());
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

#[test]
fn later_budgets_are_centred_on_what_the_smaller_ones_show() {
    let bench = Workbench::new();
    // The guess is off by a factor of three in N; the truth has its optimum near 20 tokens per parameter.
    let sweep = SWEEP.replace("tokens-per-param = 20", "tokens-per-param = 180\ncenter = \"fit\"");
    bench.write("known.toml", &sweep);
    bench.expect(0, &["run", "known.toml", "--simulate", LAW]);
    let plan: Value =
        serde_json::from_slice(&std::fs::read(bench.path().join("runs/known-simulated/plan.json")).unwrap())
            .unwrap();
    let budgets = plan["budgets"].as_array().unwrap();
    assert_eq!(budgets[0]["center"], "prior");
    assert_eq!(budgets.last().unwrap()["center"], "fit", "{plan}");
    let fit = bench.json(&["fit", "known-simulated", "--bootstrap", "0"]);
    let [a, coefficient] =
        ["a", "n_coefficient"].map(|name| fit["fits"][0]["optimum"][name].as_f64().unwrap());
    let last = budgets.last().unwrap();
    let optimum = coefficient * last["flops"].as_f64().unwrap().powf(a);
    let ratio = last["center_n"].as_f64().unwrap() / optimum;
    assert!((0.6..1.6).contains(&ratio), "the last budget is centred at {ratio} times its optimum");
    // Nothing is left: what was planned for the moved budgets is what was run.
    let again = bench.expect(0, &["run", "known.toml", "--simulate", LAW]);
    assert!(again.stderr.contains("are complete"), "{}", again.stderr);
}

#[test]
fn the_power_of_a_plan_is_known_before_it_runs() {
    let bench = Workbench::new();
    bench.write("known.toml", SWEEP);
    let args = ["plan", "known.toml", "--power", LAW, "--draws", "20"];
    let power = bench.json(&args);
    let alpha = &power["power"]["expected"]["alpha"];
    assert_eq!(alpha["truth"], 0.35);
    let [low, high] = ["low", "high"].map(|end| alpha[end].as_f64().unwrap());
    assert!(low < 0.35 && 0.35 < high && high - low < 0.2, "{alpha}");
    // Fewer runs know less.
    let fewer = bench.json(&[&args[..], &["--set", "grid.sizes=5", "--set", "train.seed=0"]].concat());
    let width = |power: &Value| power["power"]["expected"]["a"]["width"].as_f64().unwrap();
    assert!(width(&fewer) > width(&power), "{} and {}", width(&fewer), width(&power));
    assert!(!bench.path().join("runs").exists());
    bench.expect(2, &["plan", "known.toml", "--power", "fitted"]).names(&["no fit yet"]);
}

#[test]
fn the_labels_that_a_plan_will_give_are_known_before_it_runs() {
    let bench = Workbench::new();
    bench.write("known.toml", SWEEP);
    // Two thirds of A: the skill wants models (2 / 3)^(1 / 0.72) times as large under C = 6·N·D.
    let skill = LAW.replace("A=480", "A=320");
    let args = ["plan", "known.toml", "--power", LAW, "--power-skill", &skill, "--draws", "12"];
    let with_skills = [&args[..], &["--set", "measure.skills=[\"lookup\", \"mano\"]"]].concat();
    let found = bench.json(&with_skills);
    let labels = &found["labels"];
    assert_eq!((&labels["n_skills"], &labels["tie"]["truth"]), (&2.into(), &0.0.into()), "{labels}");
    let truth = labels["skill"]["truth"].as_f64().unwrap();
    // Counted exactly, C is not quite 6·N·D.
    assert!((truth / ((2.0_f64 / 3.0).ln() / 0.72) - 1.0).abs() < 0.2, "{truth}");
    assert_eq!((&labels["skill"]["wrong"], &found["skill_law"]), (&0.0.into(), &skill.as_str().into()));
    let shown = bench.expect(0, &with_skills).stdout;
    for part in ["loss at ten times the compute", "Labels of 2 skills", "a tie", "A skill of the assumed law"]
    {
        assert!(shown.contains(part), "`{part}`\n{shown}");
    }

    let ladder = "grid={ kind = \"ladder\", sizes = [1e5, 3e5, 1e6], tokens-per-param = [10, 30] }";
    let no_budgets = bench.json(&[&with_skills[..], &["--set", ladder]].concat());
    assert!(no_budgets["labels"].is_null() && no_budgets["power"]["runs"] == 12, "{no_budgets}");
    assert!(no_budgets["why_no_labels"].as_str().unwrap().contains("budget"), "{no_budgets}");
    bench.expect(2, &args).names(&["--power-skill", "`[measure]`"]);
}

#[test]
fn a_mix_trains_every_size_on_every_mixture_and_its_power_is_that_of_one() {
    let bench = Workbench::new();
    let mix = SWEEP
        .replace("\"isoflop\"", "\"mix\"\nswept = [\"notes\"]\nfractions = [0.2, 0.5]")
        .replace("{ notes = 1 }", "{ notes = 1, code = 2 }")
        .replace("[1e14, 1e15, 1e16, 1e17]", "[1e14, 1e15, 1e16]");
    bench.write("mix.toml", &mix);
    let power = bench.json(&["plan", "mix.toml", "--power", LAW, "--draws", "8"]);
    assert_eq!(power["power"]["runs"], 3 * 7 * 2);
    bench.expect(0, &["run", "mix.toml", "--simulate", LAW]);
    assert_eq!(bench.run_folders("mix-simulated").len(), 3 * 7 * 2 * 2);
    let bad = mix.replace("swept = [\"notes\"]", "swept = [\"note\"]");
    bench.write("bad.toml", &bad);
    bench.expect(2, &["plan", "bad.toml"]).names(&[
        "bad.toml:",
        "unknown source `note`",
        "did you mean `notes`",
    ]);
}

#[test]
fn a_fit_predicts_and_is_scored_on_rows_held_out() {
    let bench = Workbench::new();
    bench.write("known.toml", SWEEP);
    bench.expect(0, &["run", "known.toml", "--simulate", LAW]);
    let args = ["fit", "known-simulated", "--holdout-compute", "0.75", "--predict", "N=1e9,D=2e10"];
    let fit = bench.json(&args);
    let held_out = &fit["fits"][0]["holdout"];
    assert!(held_out["rows"].as_u64().unwrap() > 5 && held_out["are"].as_f64().unwrap() < 0.03, "{held_out}");
    let prediction = &fit["fits"][0]["predictions"][0];
    let truth = 1.8 + 480.0 / 1e9f64.powf(0.35) + 2080.0 / 2e10f64.powf(0.37);
    assert!((prediction["loss"].as_f64().unwrap() / truth - 1.0).abs() < 0.05, "{prediction}, truth {truth}");
    assert_eq!(prediction["kind"], "extrapolation");
    let counts = bench.json(&["fit", "known-simulated", "--every-count", "--bootstrap", "0"]);
    assert_eq!(counts["exponents"].as_array().unwrap().len(), 5);
}
