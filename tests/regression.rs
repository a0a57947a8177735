use serde_json::Value;

use crate::workbench::Workbench;

const LAW: &str = "chinchilla:A=480,B=2080,E=1.8,alpha=0.35,beta=0.37,noise=0.005";

/// Enough simulated runs for a law; the shapes are named, so that no setting moves them.
fn wide_sweep(bench: &Workbench) {
    let text = std::fs::read_to_string(bench.tiny_sweep("wide")).unwrap();
    let text = text.replace("[20, 60]", "[40, 80, 160, 320, 640]");
    bench.write("wide.toml", &text.replace("[16, 32]", "[16, 32, 48, 64, 96, 128]"));
    bench.expect(0, &["run", "wide.toml", "--simulate", LAW]);
}

#[test]
fn the_error_of_a_worker_that_starts_and_ends_at_once_was_lost() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    bench.expect(0, &["run", "tiny.toml", "--simulate", LAW]);
    let run = bench.run_folders("tiny-simulated").remove(0);
    std::fs::remove_file(run.join("record.json")).unwrap();
    let run = run.to_str().unwrap();
    // It was a race between the process and its pipe: once proves nothing.
    for _ in 0..10 {
        for args in [
            &["run", "tiny.toml"][..],
            &["train-one", run],
            &["worker", "--threads", "1", "--cache", "cache"],
        ] {
            let args = [args, &["--device", "wgpu:7"]].concat();
            bench.expect(7, &args).names(&["device `wgpu:7` is missing", "scalelaw doctor"]);
        }
    }
}

#[test]
fn the_page_of_a_sweep_without_a_law_did_not_list_what_would_settle_it() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    bench.expect(0, &["run", "tiny.toml", "--simulate", LAW, "--set", "model.d-model=16"]);
    for (file, heading, item) in [
        ("page.md", "What would settle it:", "- add runs at "),
        ("page.html", "<h3>What would settle it</h3>", "<li>Add runs at "),
    ] {
        bench.expect(0, &["report", "tiny-simulated", "-o", file]);
        let page = std::fs::read_to_string(bench.path().join(file)).unwrap();
        let (_, below) = page.split_once(heading).unwrap_or_else(|| panic!("{file}: no `{heading}`\n{page}"));
        assert!(below.contains(item), "{file}: no `{item}`\n{page}");
    }
}

#[test]
fn a_fit_of_bits_per_byte_showed_e_in_no_unit() {
    let bench = Workbench::new();
    wide_sweep(&bench);
    for (loss, unit) in [("loss", "nats per token"), ("bpb", "bits per byte")] {
        let said = bench.expect(0, &["fit", "wide-simulated", "--loss", loss, "--bootstrap", "50"]);
        let e = said.stdout.lines().find(|line| line.trim_start().starts_with("E ")).unwrap();
        assert!(e.contains(unit), "{e}");
    }
}

#[test]
fn a_complete_sweep_whose_plan_changed_showed_the_findings_of_the_older_plan() {
    let bench = Workbench::new();
    wide_sweep(&bench);
    let origin = || -> Value {
        let path = bench.path().join("runs/wide-simulated/findings.json");
        serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap()["origin"]["plan"].clone()
    };
    let again = ["run", "wide.toml", "--simulate", LAW];
    let before = origin();
    let said = bench.expect(0, &again);
    assert!(said.stdout.contains("N and C counted as `exact`"), "{}", said.stdout);
    assert_eq!(origin(), before);
    // The same runs counted by another rule: nothing is left to train, and everything to conclude.
    let changed = [&again[..], &["--set", "count-rule=\"six-n-total\""]].concat();
    for _ in 0..2 {
        let said = bench.expect(0, &changed);
        assert!(said.stdout.contains("N and C counted as `six-n-total`"), "{}", said.stdout);
        assert_ne!(origin(), before);
    }
}
