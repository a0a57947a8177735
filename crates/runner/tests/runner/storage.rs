//! Disks that are full and folders that cannot be written.

use std::fs;
use std::path::Path;

use scalelaw_runner::launcher::run_all;
use scalelaw_runner::launcher::stop::Stop;
use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::count::CountRule;
use scalelaw_schema::folder::PLAN_JSON;
use scalelaw_schema::plan::{Estimate, Plan, PlanTotal, PlannedRun};
use scalelaw_schema::run::RunSpec;

use crate::fixture::{assert_all_ended_right, launch_in, launcher, runs, worker};

pub fn write_plan(sweep_dir: &Path, runs: &[RunSpec]) {
    let planned = runs.iter().map(|run| PlannedRun {
        run: run.clone(),
        n: 1.0,
        d: 1.0,
        c: 1.0,
        estimate: Estimate { seconds: None, memory_bytes: 0.0, disk_bytes: 0.0, kwh: None, money: None },
    });
    let plan = Plan {
        schema_version: SCHEMA_VERSION,
        sweep: "fixture".to_string(),
        question: None,
        kind: "product".to_string(),
        count_rule: CountRule::Exact,
        runs: planned.collect(),
        dropped: vec![],
        budgets: vec![],
        warnings: vec![],
        lr_rule: None,
        uses: Default::default(),
        targets: Default::default(),
        total: PlanTotal {
            n_runs: runs.len(),
            flops: 0.0,
            flops_separate: None,
            tokens: 0.0,
            wall_seconds: None,
            disk_bytes: 0.0,
            kwh: None,
            money: None,
            currency: None,
        },
        packing: None,
    };
    fs::create_dir_all(sweep_dir).unwrap();
    fs::write(sweep_dir.join(PLAN_JSON), serde_json::to_string(&plan).unwrap()).unwrap();
}

#[test]
fn a_folder_that_cannot_be_written_is_named_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    let runs = runs(2);
    let order: Vec<&RunSpec> = runs.iter().collect();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let read_only = dir.path().join("read-only");
    fs::create_dir(&read_only).unwrap();
    let mut permissions = fs::metadata(&read_only).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&read_only, permissions).unwrap();
    // Root may write in a read-only folder, but not here.
    let system = Path::new("/sys/kernel");
    for (sweep_dir, hint) in [(&*file, ""), (&read_only, "hint: make the folder writable"), (system, "hint")]
    {
        let is_writable = fs::write(sweep_dir.join("probe"), "").is_ok();
        if is_writable || !sweep_dir.exists() {
            println!("skipped {}: it can be written, or is not there", sweep_dir.display());
            continue;
        }
        let launch = launch_in(sweep_dir, worker("", 0));
        let error = run_all(&order, &launch, &Stop::new(), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains(&sweep_dir.display().to_string()) && error.contains(hint), "{error}");
    }
}

/// A file system of a megabyte, in a mount namespace of its own that ends with the launcher.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_launch_with_its_path_and_a_hint_and_loses_no_run() {
    let dir = tempfile::tempdir().unwrap();
    let small = dir.path().join("small");
    fs::create_dir(&small).unwrap();
    let inner = launcher(&small.join("sweep"), 3, "", 0);
    // Filled but for what a run.toml and a lease take, then freed: the same launcher's second start ends all runs.
    let script = r#"
        mount -t tmpfs -o size=1m none "$1" || exit 99
        dd if=/dev/zero of="$1/filler" bs=1k count=980 2>/dev/null
        "$2" entry --exact --nocapture; echo "first: $?" >&2
        rm "$1/filler"
        "$2" entry --exact --nocapture; echo "second: $?" >&2
        cp -r "$1/sweep" "$1.saved"
    "#;
    let mut command = std::process::Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(&small)
        .arg(inner.get_program())
        .envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = match command.output() {
        Ok(output) if output.status.code() != Some(99) && output.status.code() != Some(1) => output,
        other => return println!("skipped: no file system can be mounted here ({other:?})"),
    };
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("first: 1") && told.contains("second: 0"), "{told}");
    assert!(told.contains("hint: free some space"), "{told}");
    assert!(told.contains(&small.display().to_string()), "{told}");
    assert_all_ended_right(&dir.path().join("small.saved"), &runs(3));
}
