//! A launch from its first run to its last.

use std::fs;
use std::time::{Duration, Instant};

use scalelaw_runner::folder::attempts::failed_attempts;
use scalelaw_runner::folder::ended_runs;
use scalelaw_runner::launcher::progress::{Counts, Next, Progress};
use scalelaw_runner::launcher::stop::Stop;
use scalelaw_runner::launcher::{Launch, run_all};
use scalelaw_schema::folder::{LEASE, LOG_TXT, RECORD_JSON, RUN_TOML};
use scalelaw_schema::record::Failure;
use scalelaw_schema::run::RunSpec;

use crate::fixture::{
    assert_all_ended_right, book, expected, folder_of, launch_in, record, run, runs, tokens, wait_until,
    worker,
};

#[test]
fn runs_start_in_the_order_given_and_a_worker_takes_run_after_run() {
    let dir = tempfile::tempdir().unwrap();
    let sweep_dir = dir.path().join("new").join("sweep");
    let mut runs = runs(5);
    runs.reverse();
    let (summary, told) = run(&Launch { slots: 1, ..launch_in(&sweep_dir, worker("", 0)) }, &runs);
    assert_eq!(summary.counts, Counts { finished: 5, ..Counts::default() });
    assert!(!summary.interrupted && summary.failed.is_empty(), "{summary:?}");
    assert_all_ended_right(&sweep_dir, &runs);
    let book = book(&sweep_dir);
    assert_eq!(book.iter().map(|taken| taken.seed).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
    assert!(book.iter().all(|taken| taken.pid == book[0].pid), "{book:?}");
    for run in &runs {
        assert!(!folder_of(&sweep_dir, run).join(LEASE).exists(), "a finished run needs no lease");
        assert!(told.iter().any(|news| matches!(news, Progress::Step { run: id, .. } if id == &run.id)));
    }
    assert!(told.contains(&Progress::WorkerReady { slot: 0, device: "fixture".to_string() }));
}

#[test]
fn a_finished_sweep_starts_no_worker_and_a_diverged_run_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let runs = runs(3);
    let (summary, _) = run(&launch_in(dir.path(), worker("diverge", 0)), &runs);
    assert_eq!(summary.counts, Counts { finished: 2, diverged: 1, ..Counts::default() });
    assert_eq!(ended_runs(dir.path()).unwrap().len(), 3);
    let clock = Instant::now();
    let (summary, told) = run(&launch_in(dir.path(), worker("no-device", 0)), &runs);
    assert_eq!(summary.counts, Counts { finished: 2, diverged: 1, ..Counts::default() });
    assert!(!told.iter().any(|news| matches!(news, Progress::WorkerReady { .. })), "{told:?}");
    assert!(clock.elapsed() < Duration::from_millis(500), "{:?}", clock.elapsed());
}

#[test]
fn an_interrupted_sweep_resumes_from_its_checkpoints_and_an_interruption_is_no_attempt() {
    let dir = tempfile::tempdir().unwrap();
    let runs = runs(4);
    let stop = Stop::new();
    let launch = launch_in(dir.path(), worker("", 5));
    let order: Vec<&RunSpec> = runs.iter().collect();
    let mut told = Vec::new();
    let summary = run_all(&order, &launch, &stop, &mut |news| {
        if matches!(news, Progress::Checkpoint { .. }) && !stop.is_requested() {
            stop.request();
        }
        told.push(news);
    })
    .unwrap();
    assert!(summary.interrupted, "{summary:?}");
    assert_eq!(summary.counts, Counts { waiting: 4, ..Counts::default() });
    assert!(told.contains(&Progress::Stopping));
    for run in &runs {
        assert_eq!(failed_attempts(&folder_of(dir.path(), run)).unwrap(), []);
    }
    let (summary, _) = run(&launch, &runs);
    assert_eq!(summary.counts.finished, 4);
    assert_all_ended_right(dir.path(), &runs);
    let resumed = book(dir.path()).iter().filter(|taken| taken.step > 0).count();
    assert_eq!(resumed, 2, "{:?}", book(dir.path()));
}

#[test]
fn a_second_stop_request_kills_a_worker_that_ignores_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let runs = runs(2);
    let stop = Stop::new();
    let order: Vec<&RunSpec> = runs.iter().collect();
    let clock = Instant::now();
    let launch = launch_in(dir.path(), worker("deaf", 1000));
    let summary = run_all(&order, &launch, &stop, &mut |news| {
        if matches!(news, Progress::Started { .. } | Progress::Stopping) {
            stop.request();
        }
    })
    .unwrap();
    assert!(summary.interrupted && clock.elapsed() < Duration::from_secs(5), "{:?}", clock.elapsed());
}

#[test]
fn lack_of_memory_halves_the_micro_batch_until_it_fits_and_is_written_down() {
    for mode in ["oom-above-2", "abort-above-2"] {
        let dir = tempfile::tempdir().unwrap();
        let runs = runs(2);
        let (summary, told) =
            run(&Launch { max_attempts: 1, ..launch_in(dir.path(), worker(mode, 0)) }, &runs);
        assert_eq!(summary.counts.finished, 2, "{mode}: {summary:?}");
        for run in &runs {
            let attempts = failed_attempts(&folder_of(dir.path(), run)).unwrap();
            let lacked: Vec<_> =
                attempts.iter().map(|attempt| (attempt.failure, attempt.micro_batch_tokens)).collect();
            let halved = [(Failure::OutOfMemory, None), (Failure::OutOfMemory, Some(tokens(4)))];
            assert_eq!(lacked, halved, "{mode}");
            assert_eq!(record(dir.path(), run)["micro_batch_tokens"], tokens(2), "{mode}");
            assert_eq!(record(dir.path(), run)["x"], expected(run.train.seed), "{mode}");
        }
        let next = Next::Retry { micro_batch_tokens: Some(tokens(2)) };
        let halved =
            |news: &&Progress| matches!(news, Progress::Failed { next: found, .. } if *found == next);
        assert_eq!(told.iter().filter(halved).count(), 2, "{mode}: {told:?}");
    }
}

#[test]
fn a_worker_above_the_memory_limit_is_replaced_between_runs() {
    let dir = tempfile::tempdir().unwrap();
    let runs = runs(4);
    // One hoarded block of 64 MiB fits, two do not.
    let launch =
        Launch { slots: 1, memory_limit_bytes: Some(120 << 20), ..launch_in(dir.path(), worker("hoard", 0)) };
    let (summary, told) = run(&launch, &runs);
    assert_eq!(summary.counts.finished, 4);
    let pids: Vec<u32> = book(dir.path()).iter().map(|taken| taken.pid).collect();
    assert!(pids[0] == pids[1] && pids[1] != pids[2] && pids[2] == pids[3], "{pids:?}");
    assert!(
        told.iter().any(|news| matches!(news, Progress::WorkerLeft { why, .. } if why.contains("120 MiB")))
    );
}

#[test]
fn a_run_that_always_dies_fails_with_its_stderr_tail_and_stops_no_other() {
    for (mode, failure, words) in [
        ("die-at-25", Failure::WorkerDied, "the very last words"),
        ("panic-at-25", Failure::Error, "index out of bounds, say"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let runs = runs(4);
        let (summary, _) = run(&launch_in(dir.path(), worker(mode, 0)), &runs);
        assert_eq!(summary.counts, Counts { finished: 3, failed: 1, ..Counts::default() }, "{mode}");
        assert_eq!(summary.failed[0].run, runs[1].id, "{mode}");
        assert!(summary.failed[0].why.contains(words), "{mode}: {summary:?}");
        let folder = folder_of(dir.path(), &runs[1]);
        let log = fs::read_to_string(folder.join(LOG_TXT)).unwrap();
        assert!(log.contains(words) && log.contains("the worker died ("), "{mode}: {log}");
        // The first attempt gets to step 20, and three more from there do not get beyond it.
        let steps: Vec<_> = failed_attempts(&folder)
            .unwrap()
            .iter()
            .map(|attempt| (attempt.failure, attempt.resume_step))
            .collect();
        assert_eq!(steps, [(failure, Some(20)); 3], "{mode}");
        // Tried again by the next launch, and finishes then.
        let (summary, _) = run(&launch_in(dir.path(), worker("", 0)), &runs);
        assert_eq!(summary.counts.finished, 4, "{mode}");
    }
}

#[test]
fn a_worker_without_a_device_ends_the_launch_with_its_exit_code_and_words() {
    let dir = tempfile::tempdir().unwrap();
    let runs = runs(2);
    let order: Vec<&RunSpec> = runs.iter().collect();
    let launch = launch_in(dir.path(), worker("no-device", 0));
    let error = run_all(&order, &launch, &Stop::new(), &mut |_| {}).unwrap_err();
    let scalelaw_runner::RunnerError::WorkerStart { code, .. } = &error else { panic!("{error}") };
    assert_eq!(*code, Some(7));
    assert!(error.to_string().contains("device `wgpu:7` is missing"), "{error}");
    assert_eq!(failed_attempts(&folder_of(dir.path(), &runs[0])).unwrap(), []);

    let mut launch = launch_in(dir.path(), worker("", 0));
    launch.worker.program = dir.path().join("none");
    let error = run_all(&order, &launch, &Stop::new(), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("cannot start the worker") && error.contains("none"), "{error}");
}

#[test]
fn a_foreign_run_toml_and_a_corrupt_record_are_refused_and_stop_no_other_run() {
    let dir = tempfile::tempdir().unwrap();
    let runs = runs(4);
    for (run, name, text) in
        [(&runs[0], RUN_TOML, "schema_version = 1\n"), (&runs[2], RECORD_JSON, "{\"run\":")]
    {
        fs::create_dir_all(folder_of(dir.path(), run)).unwrap();
        fs::write(folder_of(dir.path(), run).join(name), text).unwrap();
    }
    let (summary, told) = run(&launch_in(dir.path(), worker("", 0)), &runs);
    assert_eq!(summary.counts, Counts { finished: 2, failed: 2, ..Counts::default() });
    for (failed, name) in summary.failed.iter().zip([RUN_TOML, RECORD_JSON]) {
        assert!(failed.why.contains(name) && failed.why.contains("hint"), "{failed:?}");
    }
    assert_eq!(told.iter().filter(|news| matches!(news, Progress::Refused { .. })).count(), 2);
    assert_eq!(fs::read_to_string(folder_of(dir.path(), &runs[2]).join(RECORD_JSON)).unwrap(), "{\"run\":");
    // Its lease was given back, so a repaired run resumes at once.
    fs::remove_file(folder_of(dir.path(), &runs[0]).join(RUN_TOML)).unwrap();
    fs::remove_file(folder_of(dir.path(), &runs[2]).join(RECORD_JSON)).unwrap();
    let (summary, _) = run(&launch_in(dir.path(), worker("", 0)), &runs);
    assert_eq!(summary.counts.finished, 4);
}

#[test]
fn status_reads_a_live_sweep_from_its_folders() {
    use scalelaw_runner::folder::status::status;
    use scalelaw_schema::status::RunState;
    let dir = tempfile::tempdir().unwrap();
    let runs = runs(4);
    crate::storage::write_plan(dir.path(), &runs);
    fs::create_dir_all(folder_of(dir.path(), &runs[3])).unwrap();
    fs::write(folder_of(dir.path(), &runs[3]).join(RECORD_JSON), "").unwrap();
    run(&Launch { max_attempts: 1, ..launch_in(dir.path(), worker("die-at-25", 0)) }, &runs[..2]);
    let mut launcher = crate::fixture::launcher(dir.path(), 3, "", 30).spawn().unwrap();
    // Seed 2 resumes at step 20 and seed 3 starts at 0.
    wait_until("a loss of seed 3", Duration::from_secs(20), || {
        status(dir.path()).unwrap().runs[2].loss.is_some()
    });
    let found = status(dir.path()).unwrap();
    launcher.kill().unwrap();
    launcher.wait().unwrap();
    let pid = Some(launcher.id());
    assert_eq!(found.runs[0].state, RunState::Finished);
    for running in &found.runs[1..3] {
        assert!(matches!(&running.state, RunState::Running { pid: p, .. } if *p == pid), "{running:?}");
    }
    assert!(matches!(found.runs[3].state, RunState::Broken { .. }), "{:?}", found.runs[3]);
    assert_eq!(found.runs[1].failed_attempts, 1);
    assert_eq!((found.counts.finished, found.counts.running, found.counts.broken), (1, 2, 1));
    assert!(found.flops_done > 0.25 && found.flops_done < 0.75, "{}", found.flops_done);
    if cfg!(unix) {
        let after = status(dir.path()).unwrap();
        assert_eq!((after.counts.failed, after.counts.paused), (1, 1), "the launcher is dead: {after:?}");
    }
}
