//! One run for another launcher.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use scalelaw_runner::folder::attempts::failed_attempts;
use scalelaw_runner::folder::holder::{LeaseState, inspect};
use scalelaw_runner::folder::lease::{Leases, Take};
use scalelaw_runner::folder::prepare;
use scalelaw_runner::worker::train_one::{OneRun, train_one};
use scalelaw_schema::event::Event;
use scalelaw_schema::record::{Failure, Outcome};

use crate::fixture::{
    BATCH_SEQUENCES, HEARTBEAT, assert_all_ended_right, folder_of, run_spec, runs, tokens, train,
};

fn attempt(folder: &Path, mode: &str) -> OneRun {
    let stop = AtomicBool::new(false);
    train_one(folder, HEARTBEAT, &stop, &mut |_| {}, |task, emit| train(task, emit, mode, 0)).unwrap()
}

#[test]
fn the_exit_code_tells_another_launcher_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let runs = runs(2);
    let folders = [0, 1].map(|run_idx: usize| {
        let folder = folder_of(dir.path(), &runs[run_idx]);
        fs::create_dir_all(&folder).unwrap();
        prepare(&folder, &runs[run_idx]).unwrap();
        folder
    });
    for micro_batch_tokens in [None, Some(tokens(BATCH_SEQUENCES / 2))] {
        let found = attempt(&folders[0], "oom-above-2");
        assert!(
            matches!(&found, OneRun::Failed(failed) if failed.failure == Failure::OutOfMemory),
            "{found:?}"
        );
        assert_eq!(found.exit_code(), 75);
        let attempts = failed_attempts(&folders[0]).unwrap();
        assert_eq!(attempts.last().unwrap().micro_batch_tokens, micro_batch_tokens);
        assert_eq!(inspect(&folders[0]), LeaseState::Free);
    }
    for expected in [OneRun::Trained(Outcome::Finished), OneRun::AlreadyEnded(Outcome::Finished)] {
        let found = attempt(&folders[0], "oom-above-2");
        assert_eq!((found.exit_code(), found), (0, expected));
    }
    let diverged = Outcome::Diverged { step: 7 };
    for expected in [OneRun::Trained(diverged.clone()), OneRun::AlreadyEnded(diverged)] {
        let found = attempt(&folders[1], "diverge");
        assert_eq!((found.exit_code(), found), (76, expected));
    }
}

#[test]
fn a_run_in_other_hands_is_left_alone_and_a_panic_is_a_failed_attempt() {
    let dir = tempfile::tempdir().unwrap();
    let run = run_spec(2);
    let folder = folder_of(dir.path(), &run);
    fs::create_dir_all(&folder).unwrap();
    prepare(&folder, &run).unwrap();
    let leases = Leases::new(HEARTBEAT);
    let Take::Taken(lease) = leases.take(&folder, &mut None).unwrap() else { panic!("nobody has it") };
    let found = attempt(&folder, "");
    assert!(matches!(&found, OneRun::Held(Some(holder)) if holder.pid == std::process::id()), "{found:?}");
    assert_eq!(found.exit_code(), 75);
    drop(lease);
    let found = attempt(&folder, "panic-at-25");
    assert_eq!(found.exit_code(), 1, "{found:?}");
    let attempts = failed_attempts(&folder).unwrap();
    assert_eq!((attempts[0].failure, attempts[0].resume_step), (Failure::Error, Some(20)));
    assert!(attempts[0].why.contains("index out of bounds, say"), "{attempts:?}");
}

#[test]
fn an_interrupted_run_asks_to_be_tried_again_and_resumes_from_its_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let run = run_spec(1);
    let folder = folder_of(dir.path(), &run);
    fs::create_dir_all(&folder).unwrap();
    prepare(&folder, &run).unwrap();
    let stop = AtomicBool::new(false);
    let mut emit = |event: Event| {
        if matches!(event, Event::Checkpoint { step: 10, .. }) {
            stop.store(true, Ordering::Relaxed);
        }
    };
    let found =
        train_one(&folder, Duration::from_secs(5), &stop, &mut emit, |task, emit| train(task, emit, "", 0))
            .unwrap();
    assert_eq!(found.exit_code(), 75, "{found:?}");
    assert_eq!(failed_attempts(&folder).unwrap(), []);
    assert_eq!(attempt(&folder, "").exit_code(), 0);
    assert_all_ended_right(dir.path(), &[run]);
}
