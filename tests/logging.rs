use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::workbench::{Said, Workbench};

/// A sweep of one run of 20 steps.
const ONE_RUN: [&str; 4] = ["--set", "grid.horizon.steps=20", "--set", "model.d-model=16"];

fn run<'a>(flags: &[&'a str]) -> Vec<&'a str> {
    ["run", "tiny.toml"].into_iter().chain(ONE_RUN).chain(flags.iter().copied()).collect()
}

fn log_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log.txt")).unwrap()
}

/// Expects the parts in this order.
fn expect_in_order(text: &str, parts: &[&str]) {
    let mut rest = text;
    for part in parts {
        let Some(start) = rest.find(part) else {
            panic!("`{part}` is missing, or comes too early, in\n{text}")
        };
        rest = &rest[start + part.len()..];
    }
}

fn expect_json_lines(text: &str) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let values: Vec<Value> = text.lines().map(parse).collect();
    assert!(!values.is_empty());
    values
}

#[test]
fn the_log_of_a_run_tells_its_device_start_checkpoints_evaluations_and_end() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    bench.expect(0, &run(&["--set", "train.checkpoints=2"]));
    let folder = bench.run_folders("tiny").remove(0);
    let whole = [
        "training on ",
        "attempt 1: started: 20 steps",
        "checkpoint at step",
        "evaluation at step 20: eval/",
    ];
    expect_in_order(&log_of(&folder), &whole);
    expect_in_order(&log_of(&folder), &["evaluation at step 20", "finished"]);

    // The same run in a folder of its own, by `train-one`: there the messages are on standard error too.
    let copy = bench.path().join("runs/copy").join(folder.file_name().unwrap());
    std::fs::create_dir_all(&copy).unwrap();
    std::fs::copy(folder.join("run.toml"), copy.join("run.toml")).unwrap();
    let said = bench.expect(0, &["train-one", copy.to_str().unwrap()]);
    expect_in_order(&log_of(&copy), &whole);
    expect_in_order(&log_of(&copy), &["evaluation at step 20", "finished"]);
    expect_in_order(&said.stderr, &["training on ", "started: 20 steps", "finished"]);
}

#[test]
fn the_log_of_a_failed_run_holds_the_failure() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    bench.expect(0, &run(&[]));
    let folder = bench.run_folders("tiny").remove(0);
    for name in ["record.json", "metrics.jsonl", "log.txt"] {
        std::fs::remove_file(folder.join(name)).unwrap();
    }
    std::fs::create_dir(folder.join("metrics.jsonl")).unwrap();
    let quiet = bench.expect(3, &run(&["-q"]));
    assert!(quiet.stderr.lines().all(|line| line.starts_with("error: ")), "{}", quiet.stderr);
    quiet.names(&["metrics.jsonl"]);
    expect_in_order(&log_of(&folder), &["training on ", "warning: attempt failed: ", "metrics.jsonl"]);

    std::fs::remove_file(folder.join("log.txt")).unwrap();
    bench
        .expect(1, &["train-one", folder.to_str().unwrap()])
        .names(&["error: attempt failed", "metrics.jsonl"]);
    expect_in_order(&log_of(&folder), &["training on ", "error: attempt failed: ", "metrics.jsonl"]);
}

#[test]
fn a_log_in_json_is_one_value_a_line_in_the_worker_too() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    let said = bench.expect(0, &run(&["-vv", "--log-format", "json"]));
    let values = expect_json_lines(&said.stderr);
    let in_run = values.iter().find(|value| value["message"] == "step").expect("steps are traced");
    assert_eq!(
        (&in_run["spans"][0]["sweep"], &in_run["level"]),
        (&"tiny".into(), &"TRACE".into()),
        "{in_run}"
    );
    let log = expect_json_lines(&log_of(&bench.run_folders("tiny")[0]));
    let start = log.iter().find(|value| value["message"] == "started: 20 steps").expect("the worker's start");
    assert_eq!(start["spans"][1]["attempt"], 1, "{start}");
    let refused = bench.expect(2, &["plan", "absent.toml", "--log-format", "json"]);
    assert_eq!(expect_json_lines(&refused.stderr)[0]["level"], "ERROR");
}

#[test]
fn quiet_usual_verbose_and_rust_log_each_show_what_they_say() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    let said = |name: &str, flags: &[&str], rust_log: Option<&str>| {
        let flags: Vec<&str> = flags.iter().copied().chain(["--runs", name]).collect();
        let mut command = bench.scalelaw(&run(&flags));
        command.envs(rust_log.map(|filter| ("RUST_LOG", filter)));
        Said::of(command.output().unwrap(), 0, &flags).stderr
    };
    assert_eq!(said("quiet", &["-q"], None), "");
    let usual = said("usual", &[], None);
    assert!(usual.contains(": finished (1 of 1 runs)") && !usual.contains("sweep tiny"), "{usual}");
    let verbose = said("verbose", &["-v"], None);
    expect_in_order(&verbose, &["Z sweep tiny: run n", ": finished (1 of 1 runs)"]);
    assert!(verbose.contains("worker ready") && !verbose.contains("scalelaw::"), "{verbose}");
    assert!(said("all", &["-vv"], None).contains("Z scalelaw::progress: sweep tiny: run n"));
    assert_eq!(said("warnings", &[], Some("warn")).matches("finished").count(), 0);
    let by_module = said("module", &[], Some("scalelaw::progress=info"));
    assert!(
        by_module.lines().all(|line| line.starts_with('n')) && by_module.contains("finished"),
        "{by_module}"
    );
    assert!(said("wrong", &[], Some("a=b=c")).contains("`RUST_LOG=a=b=c` is ignored"));
}

#[test]
fn skipped_steps_of_a_sweep_are_one_warning() {
    let bench = Workbench::new();
    bench.tiny_sweep("tiny");
    let args = ["run", "tiny.toml", "--set", "train.lr=1e30", "--set", "grid.horizon.steps=60"];
    let said = bench.expect(0, &args);
    let lines: Vec<&str> = said.stderr.lines().filter(|line| line.contains("skipped")).collect();
    assert_eq!(lines.len(), 1, "{}", said.stderr);
    assert!(lines[0].starts_with("warning: ") && lines[0].contains(" of 2 runs"), "{}", lines[0]);
    for folder in bench.run_folders("tiny") {
        expect_in_order(&log_of(&folder), &["steps were skipped", "diverged at step"]);
    }
}

#[test]
fn the_version_names_the_commit_where_there_is_one() {
    let bench = Workbench::new();
    let version = bench.expect(0, &["--version"]).stdout;
    let program = bench.json(&["doctor", "--no-speed"])["program"].clone();
    assert_eq!(Value::from(version.trim()), program);
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let bench = Workbench::new();
    for args in [&["init", "--completions", "bash"][..], &["init", "--schema"], &["data", "list"]] {
        let mut child = bench.scalelaw(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let said = Said::of(child.wait_with_output().unwrap(), 0, args);
        assert_eq!(said.stderr, "", "{args:?}");
    }
}

#[test]
fn every_help_ends_with_examples_and_has_the_shared_flags_last() {
    let bench = Workbench::new();
    let verbs = "plan run status eval fit report export doctor init train-one";
    for verb in verbs.split(' ') {
        let help = bench.expect(0, &[verb, "--help"]).stdout;
        expect_in_order(
            &help,
            &["\nOptions:\n", "--help", "\nGlobal options:\n", "--log-format", "\nExample"],
        );
        expect_in_order(&help, &["\nExample", &format!("scalelaw {verb}")]);
    }
}
