use serde_json::Value;

use crate::workbench::Workbench;

/// Rates from far too small to far too large, so that the best one lies between.
const PROBE: &str = r#"
question = "What is the best rate?"

[grid]
kind = "lr"
horizon = { steps = 60 }

[model]
d-model = [16, 32]
n-layer = 2
context-len = 32

[data]
tokenizer = "bytes"
mixture = { notes = 1 }

[train]
batch-sequences = 4
lr = { log = [1e-3, 30], steps = 9 }

[corpus.notes]
source = { files = ["notes"] }
"#;

#[test]
fn an_lr_sweep_leaves_a_rule_that_a_later_sweep_follows_and_is_compared_with() {
    let bench = Workbench::new();
    bench.write("probe.toml", PROBE);
    let said = bench.expect(0, &["run", "probe.toml"]);
    for part in ["Best learning rate of each size", "The rule", "beta2 at a batch", "0.95000"] {
        assert!(said.stdout.contains(part), "`{part}` is not in\n{}", said.stdout);
    }
    let conclusion = bench.json(&["fit", "probe"]);
    let optima = conclusion["optima"].as_array().unwrap();
    assert_eq!(optima.len(), 2);
    for optimum in optima {
        let lr = optimum["lr"].as_f64().unwrap();
        assert!((1e-2..10.0).contains(&lr) && optimum["quadratic"][2].as_f64().unwrap() > 0.0, "{optimum}");
    }
    let page = std::fs::read_to_string(bench.path().join("runs/probe/report.html")).unwrap();
    for part in ["figure-learning-rate", "How far each run was from its best learning rate", "lr-rule.toml"] {
        assert!(page.contains(part), "{part}");
    }
    // Run again: nothing is left to train, and the same is said.
    let again = bench.expect(0, &["run", "probe.toml"]);
    assert_eq!(again.stdout, said.stdout);

    let rule = std::fs::read_to_string(bench.path().join("runs/probe/lr-rule.toml")).unwrap();
    let rule: Value = serde_json::to_value(toml::from_str::<toml::Value>(&rule).unwrap()).unwrap();
    assert_eq!((&rule["sweep"], &rule["count-rule"]), (&"probe".into(), &"exact".into()));

    let later = PROBE
        .replace("kind = \"lr\"", "kind = \"product\"")
        .replace("lr = { log = [1e-3, 30], steps = 9 }", "lr-rule = \"runs/probe/lr-rule.toml\"");
    bench.write("later.toml", &later.replace("d-model = [16, 32]", "d-model = [16, 32, 64]"));
    let plan = bench.json(&["plan", "later.toml", "--no-speed"]);
    for (planned, optimum) in plan["runs"].as_array().unwrap().iter().zip(optima) {
        // Through two optima the rule is exact, but for its three digits.
        let lr = planned["run"]["train"]["recipe"]["lr_peak"].as_f64().unwrap();
        assert!((lr / optimum["lr"].as_f64().unwrap() - 1.0).abs() < 6e-3, "{lr}: {optimum}");
    }
    let warnings = plan["warnings"].to_string();
    assert!(warnings.contains("is extrapolated for 1 of 3 runs") && warnings.contains("probe"), "{warnings}");

    bench.write("later.toml", &later);
    bench.expect(0, &["run", "later.toml"]);
    let page = std::fs::read_to_string(bench.path().join("runs/later/report.html")).unwrap();
    assert!(page.contains("the rule of sweep <code>probe</code>"));
}

#[test]
fn a_rule_or_a_sweep_of_rates_that_cannot_be_is_refused_with_place_and_mend() {
    let bench = Workbench::new();
    bench.write("broken.toml.rule", "lr = 3");
    let with = |train: &str| PROBE.replace("lr = { log = [1e-3, 30], steps = 9 }", train);
    let product = |train: &str| with(train).replace("kind = \"lr\"", "kind = \"product\"");
    for (name, text, parts) in [
        ("few", with("lr = [1e-3, 1e-2]"), &["few.toml", "2 different rates", "at least 3"][..]),
        ("none", with(""), &["1 different rate ", "lr-factor"]),
        (
            "missing",
            product("lr-rule = \"nowhere.toml\""),
            &["missing.toml", "nowhere.toml", "kind = \"lr\""],
        ),
        ("broken", product("lr-rule = \"broken.toml.rule\""), &["is no learning-rate rule", "missing field"]),
        ("width", product("parametrisation = { mup = { base-width = 0 } }"), &["width.toml", "base width"]),
        (
            "alpha",
            product("parametrisation = { complete-p = { base-width = 8, base-depth = 2, alpha = 3 } }"),
            &["alpha.toml", "between 0.5 and 1"],
        ),
        ("mupp", product("parametrisation = { mupp = { base-width = 8 } }"), &["mupp", "mup"]),
    ] {
        bench.write(&format!("{name}.toml"), &text);
        bench.expect(2, &["plan", &format!("{name}.toml"), "--no-speed"]).names(parts);
    }
}
