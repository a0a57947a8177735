//! `kill -9` of workers and of launchers.
#![cfg(unix)]

use std::time::Duration;

use scalelaw_runner::folder::attempts::failed_attempts;
use scalelaw_runner::folder::lock_for_writing;
use scalelaw_runner::launcher::progress::Progress;
use scalelaw_runner::launcher::run_all;
use scalelaw_runner::launcher::stop::Stop;
use scalelaw_schema::record::Failure;
use scalelaw_schema::run::RunSpec;

use crate::fixture::{
    assert_all_ended_right, book, folder_of, is_alive, kill_9, launch_in, launcher, runs, wait_until, worker,
};

/// Pseudo-random, the same in every test run.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn workers_killed_at_random_moments_cost_no_run_and_no_run_ends_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let runs = runs(6);
    let order: Vec<&RunSpec> = runs.iter().collect();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let mut n_done = 0;
    let summary = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut state = 7;
            for _ in 0..20 {
                std::thread::sleep(Duration::from_millis(50 + draw(&mut state) % 150));
                let book = book(dir.path());
                let recent = book.len().saturating_sub(2);
                if is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                // One of the two that began last, so as a rule one that lives.
                if let Some(taken) = book.get(recent + draw(&mut state) as usize % 2) {
                    kill_9(taken.pid);
                }
            }
        });
        let launch = launch_in(dir.path(), worker("", 6));
        let summary = run_all(&order, &launch, &Stop::new(), &mut |news| {
            n_done += usize::from(matches!(news, Progress::Done { .. }));
        });
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        summary.unwrap()
    });
    assert_eq!((summary.counts.finished, n_done), (6, 6), "{summary:?}");
    assert_all_ended_right(dir.path(), &runs);
    let died: Vec<_> =
        runs.iter().flat_map(|run| failed_attempts(&folder_of(dir.path(), run)).unwrap()).collect();
    println!("{} deaths", died.len());
    assert!(died.len() >= 3, "{died:?}");
    assert!(died.iter().all(|attempt| attempt.failure == Failure::WorkerDied), "{died:?}");
    assert!(died[0].why.contains("signal: 9"), "{died:?}");
}

#[test]
fn a_launcher_killed_at_random_moments_leaves_no_worker_and_the_next_one_resumes_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let runs = runs(4);
    let mut state = 3;
    for round in 0..6 {
        let n_taken = book(dir.path()).len();
        // Deaf: it would not leave for a closed input, so it must kill itself.
        let mut launcher = launcher(dir.path(), 4, "deaf", 10).spawn().unwrap();
        if round > 0 {
            // At once: the dead launcher's leases are not waited for, since their locks are free.
            wait_until("a run starts", Duration::from_secs(10), || book(dir.path()).len() > n_taken);
        }
        std::thread::sleep(Duration::from_millis(draw(&mut state) % 200));
        kill_9(launcher.id());
        launcher.wait().unwrap();
        wait_until("orphans die", Duration::from_secs(5), || {
            book(dir.path()).iter().all(|taken| !is_alive(taken.pid))
        });
    }
    let output = launcher(dir.path(), 4, "", 0).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_all_ended_right(dir.path(), &runs);
}

#[test]
fn beside_a_launcher_that_is_killed_again_and_again_another_ends_all_runs() {
    let dir = tempfile::tempdir().unwrap();
    let runs = runs(8);
    let steady = launcher(dir.path(), 8, "", 10).spawn().unwrap();
    let mut state = 5;
    for _ in 0..5 {
        let mut launcher = launcher(dir.path(), 8, "deaf", 10).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(200 + draw(&mut state) % 300));
        kill_9(launcher.id());
        launcher.wait().unwrap();
    }
    let output = steady.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_all_ended_right(dir.path(), &runs);
    assert!(book(dir.path()).iter().any(|taken| taken.step > 0), "no run resumed from a checkpoint");
}

#[test]
fn a_worker_waits_while_another_process_still_writes_in_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let runs = runs(1);
    let folder = folder_of(dir.path(), &runs[0]);
    std::fs::create_dir_all(&folder).unwrap();
    let orphan = lock_for_writing(&folder, Duration::ZERO).unwrap();
    let mut launcher = launcher(dir.path(), 1, "", 0).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(book(dir.path()), [], "the other has not left");
    drop(orphan);
    assert!(launcher.wait().unwrap().success());
    assert_all_ended_right(dir.path(), &runs);
}
