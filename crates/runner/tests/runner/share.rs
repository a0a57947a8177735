//! Two launchers on one folder.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use scalelaw_runner::folder::holder::Holder;
use scalelaw_runner::launcher::progress::Progress;
use scalelaw_schema::folder::LEASE;

use crate::fixture::{
    HEARTBEAT, assert_all_ended_right, book, folder_of, launch_in, launcher, run, runs, wait_until, worker,
};

#[test]
fn two_launchers_share_the_runs_and_none_is_trained_twice() {
    let dir = tempfile::tempdir().unwrap();
    let runs = runs(10);
    let both = [(); 2].map(|()| launcher(dir.path(), 10, "", 5).spawn().unwrap());
    for launcher in both {
        let output = launcher.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{told}");
        // Each ends only when all runs are over, whoever has trained them.
        assert!(
            told.contains("finished: 10, diverged: 0, stopped: 0, failed: 0, running: 0, elsewhere: 0"),
            "{told}"
        );
    }
    assert_all_ended_right(dir.path(), &runs);
    let book = book(dir.path());
    assert_eq!(book.len(), 10, "{book:?}");
    let mut by_worker = BTreeMap::new();
    for taken in &book {
        *by_worker.entry(taken.pid).or_insert(0) += 1;
    }
    assert!(by_worker.len() > 2, "only one launcher's two workers have trained: {by_worker:?}");
}

/// The lease of a launcher on another machine, where no lock is seen here.
fn lease_elsewhere(beat: u64) -> String {
    let holder = Holder {
        host: "elsewhere".to_string(),
        pid: 1,
        machine: "another boot".to_string(),
        token: "theirs".to_string(),
        heartbeat_seconds: HEARTBEAT.as_secs_f64(),
        beat,
        at: "2000-01-01T00:00:00Z".to_string(),
        released: false,
    };
    format!("{:<511}\n", serde_json::to_string(&holder).unwrap())
}

#[test]
fn a_lease_from_another_machine_is_honoured_while_it_beats_and_taken_over_when_it_stands_still() {
    let dir = tempfile::tempdir().unwrap();
    let runs = runs(2);
    let folder = folder_of(dir.path(), &runs[0]);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(LEASE), lease_elsewhere(0)).unwrap();
    let beating = Duration::from_secs(2);
    let clock = Instant::now();
    let told = std::thread::scope(|scope| {
        scope.spawn(|| {
            for beat in 1.. {
                if clock.elapsed() > beating {
                    return;
                }
                std::thread::sleep(HEARTBEAT / 2);
                fs::write(folder.join(LEASE), lease_elsewhere(beat)).unwrap();
            }
        });
        run(&launch_in(dir.path(), worker("", 0)), &runs).1
    });
    let waited = clock.elapsed();
    assert!(waited > beating + 2 * HEARTBEAT, "taken over while it beat: {waited:?}");
    assert_eq!(book(dir.path()).iter().map(|taken| taken.seed).collect::<Vec<_>>(), [2, 1]);
    let holder = Some("elsewhere pid 1".to_string());
    assert!(told.contains(&Progress::Elsewhere { run: runs[0].id.clone(), holder }), "{told:?}");
    assert_all_ended_right(dir.path(), &runs);
}

#[test]
fn a_run_whose_lease_was_taken_over_is_left_to_the_other_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let runs = runs(1);
    let folder = folder_of(dir.path(), &runs[0]);
    let (summary, told) = std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("the run begins", Duration::from_secs(10), || !book(dir.path()).is_empty());
            fs::write(folder.join(LEASE), lease_elsewhere(0)).unwrap();
        });
        run(&launch_in(dir.path(), worker("", 20)), &runs)
    });
    let lost = |news: &Progress| matches!(news, Progress::Warning { text } if text.contains("taken over"));
    assert!(told.iter().any(lost), "{told:?}");
    // The other stood still, so in the end the run came back.
    assert_eq!(summary.counts.finished, 1);
    assert_eq!(book(dir.path()).len(), 2);
    assert_all_ended_right(dir.path(), &runs);
    assert!(!folder.join("attempts.jsonl").exists(), "a lost lease is no failed attempt");
}
