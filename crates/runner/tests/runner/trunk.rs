//! Trunks and branches: a branch begins when its trunk has come to its step, wherever that is trained.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use scalelaw_runner::folder::attempts::failed_attempts;
use scalelaw_runner::folder::trunk::remove_unneeded;
use scalelaw_runner::folder::{checkpoint_steps, ended_runs, prepare};
use scalelaw_runner::launcher::progress::{Counts, Progress};
use scalelaw_runner::launcher::stop::Stop;
use scalelaw_runner::launcher::{Launch, run_all};
use scalelaw_runner::worker::train_one::{OneRun, train_one};
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run::{EarlyStop, RunSpec};

use crate::fixture::{
    HEARTBEAT, STEPS, assert_all_ended_right, book, chain, families, family, folder_of, launch_in,
    launcher_of_families, run, runs, train, worker,
};

fn refs(runs: &[RunSpec]) -> Vec<&RunSpec> {
    runs.iter().collect()
}

#[test]
fn a_branch_begins_at_its_trunks_checkpoint_and_does_not_wait_for_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let runs = families(1);
    let (summary, told) = run(&launch_in(dir.path(), worker("", 10)), &runs);
    assert_eq!(summary.counts, Counts { finished: 4, ..Counts::default() });
    assert_all_ended_right(dir.path(), &runs);
    let mut steps: Vec<u64> = book(dir.path()).iter().map(|taken| taken.step).collect();
    steps.sort_unstable();
    assert_eq!(steps, [0, 20, 25, 40], "each run takes its own steps only");
    let place = |is: &dyn Fn(&Progress) -> bool| told.iter().position(is).unwrap();
    let began = place(&|news| matches!(news, Progress::Started { run, .. } if run == &runs[1].id));
    let ended = place(&|news| matches!(news, Progress::Done { run, .. } if run == &runs[0].id));
    assert!(began < ended, "the first branch waited for the trunk's end");
    // Its checkpoints stay until no branch needs them.
    assert_eq!(checkpoint_steps(&folder_of(dir.path(), &runs[0])).unwrap(), [20, 25, 40].into());
    fs::remove_file(folder_of(dir.path(), &runs[2]).join("record.json")).unwrap();
    assert_eq!(remove_unneeded(dir.path(), &refs(&runs)).unwrap(), 2);
    assert_eq!(checkpoint_steps(&folder_of(dir.path(), &runs[0])).unwrap(), [25].into());
    let (summary, _) = run(&launch_in(dir.path(), worker("", 0)), &runs[2..3]);
    assert_eq!(summary.counts.finished, 1);
    assert_eq!(remove_unneeded(dir.path(), &refs(&runs)).unwrap(), 1);
    assert!(!folder_of(dir.path(), &runs[0]).join("checkpoint").exists());
}

#[test]
fn one_slot_and_an_order_that_puts_branches_first_come_to_an_end_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let mut runs = families(3);
    runs.reverse();
    let (summary, _) = run(&Launch { slots: 1, ..launch_in(dir.path(), worker("", 0)) }, &runs);
    assert_eq!(summary.counts, Counts { finished: 12, ..Counts::default() });
    assert_all_ended_right(dir.path(), &runs);
}

#[test]
fn a_trunk_that_diverges_takes_the_branches_after_it_with_it_and_leaves_those_before() {
    let dir = tempfile::tempdir().unwrap();
    let runs = families(2);
    for launch in 0..2 {
        let done = ended_runs(dir.path()).unwrap();
        let left: Vec<RunSpec> = runs.iter().filter(|run| !done.contains_key(&run.id)).cloned().collect();
        let (summary, told) = run(&launch_in(dir.path(), worker("diverge-at-30", 0)), &left);
        if launch == 0 {
            let expected = Counts { finished: 6, diverged: 1, failed: 1, ..Counts::default() };
            assert_eq!(summary.counts, expected, "{summary:?}");
        }
        let [failed] = &summary.failed[..] else { panic!("{summary:?}") };
        assert_eq!(failed.run, runs[7].id);
        for part in [&runs[4].folder_name(), "diverged at step 30", "step 40"] {
            assert!(failed.why.contains(part), "{part}: {}", failed.why);
        }
        assert!(told.iter().any(|news| matches!(news, Progress::Refused { run, .. } if run == &runs[7].id)));
        // Told once in its folder, where status and the report find it.
        let attempts = failed_attempts(&folder_of(dir.path(), &runs[7])).unwrap();
        assert_eq!((attempts.len(), &attempts[0].why), (1, &failed.why));
    }
    let others: Vec<RunSpec> = [0, 1, 2, 3, 5, 6].map(|idx: usize| runs[idx].clone()).to_vec();
    assert_all_ended_right(dir.path(), &others);
    use scalelaw_runner::folder::status::status;
    use scalelaw_schema::status::RunState;
    crate::storage::write_plan(dir.path(), &runs);
    let found = status(dir.path()).unwrap();
    assert_eq!((found.counts.finished, found.counts.diverged, found.counts.failed), (6, 1, 1));
    assert_eq!(found.runs[7].state, RunState::Failed);
    let why = found.runs[7].last_failure.as_ref().unwrap();
    assert!(why.starts_with("its trunk "), "{why}");
}

#[test]
fn the_branches_of_a_trunk_that_is_given_up_fail_by_its_name_and_resume_when_it_does() {
    let dir = tempfile::tempdir().unwrap();
    let runs = family(2, &[(20, 24), (25, 35), (40, 50)]);
    let (summary, _) = run(&launch_in(dir.path(), worker("die-at-25", 0)), &runs);
    assert_eq!(summary.counts, Counts { finished: 1, failed: 3, ..Counts::default() }, "{summary:?}");
    for failed in summary.failed.iter().filter(|failed| failed.run != runs[0].id) {
        assert!(failed.why.contains(&format!("its trunk {} failed", runs[0].folder_name())), "{failed:?}");
        assert!(failed.why.contains("the very last words"), "{failed:?}");
    }
    let (summary, _) = run(&launch_in(dir.path(), worker("", 0)), &runs);
    assert_eq!(summary.counts.finished, 4, "{summary:?}");
    assert_all_ended_right(dir.path(), &runs);
}

#[test]
fn runs_that_branch_from_each_other_take_every_step_of_the_trunk_once() {
    let dir = tempfile::tempdir().unwrap();
    let runs = [chain(1), chain(3)].concat();
    let (summary, _) = run(&launch_in(dir.path(), worker("", 1)), &runs);
    assert_eq!(summary.counts, Counts { finished: 8, ..Counts::default() }, "{summary:?}");
    assert_all_ended_right(dir.path(), &runs);
    let mut steps: Vec<u64> = book(dir.path()).iter().map(|taken| taken.step).collect();
    steps.sort_unstable();
    assert_eq!(steps, [0, 0, 20, 20, 35, 35, 50, 50]);
    // The last keeps its checkpoint for a longer one to come.
    assert_eq!(remove_unneeded(dir.path(), &refs(&runs)).unwrap(), 6);
    assert_eq!(checkpoint_steps(&folder_of(dir.path(), &runs[3])).unwrap(), [65].into());
}

#[test]
fn where_one_of_a_row_fails_all_after_it_name_that_one() {
    let dir = tempfile::tempdir().unwrap();
    let runs = chain(2);
    // The first leaves its checkpoint of step 20 before it dies; the second dies as well.
    let (summary, _) = run(&launch_in(dir.path(), worker("die-at-25", 0)), &runs);
    assert_eq!(summary.counts, Counts { failed: 4, ..Counts::default() }, "{summary:?}");
    let why = |run: &RunSpec| &summary.failed.iter().find(|failed| failed.run == run.id).unwrap().why;
    for run in &runs[2..] {
        assert!(
            why(run).starts_with(&format!("its trunk {} failed: ", runs[1].folder_name())),
            "{}",
            why(run)
        );
    }
    let (summary, _) = run(&launch_in(dir.path(), worker("", 0)), &runs);
    assert_eq!(summary.counts.finished, 4, "{summary:?}");
    assert_all_ended_right(dir.path(), &runs);
}

#[test]
fn a_branch_without_a_trunk_says_so_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let runs = family(1, &[(20, 24), (40, 50)]);
    let (summary, _) = run(&launch_in(dir.path(), worker("", 0)), &runs[1..2]);
    assert!(summary.failed[0].why.contains("neither trained nor among the runs"), "{summary:?}");
    // A trunk that was trained without the second branch in mind.
    let trunk = RunSpec { keep_steps: vec![20], ..runs[0].clone() };
    let (summary, _) = run(&launch_in(dir.path(), worker("", 0)), &[trunk]);
    assert_eq!(summary.counts.finished, 1);
    let (summary, _) = run(&launch_in(dir.path(), worker("", 0)), &runs[1..]);
    assert_eq!((summary.counts.finished, summary.counts.failed), (1, 1));
    let why = &summary.failed[0].why;
    assert!(why.contains("left no checkpoint of step 40") && why.contains("hint"), "{why}");
}

#[test]
fn an_interrupted_family_resumes_with_the_bits_it_would_have_had() {
    let dir = tempfile::tempdir().unwrap();
    let runs = families(2);
    // Stopped while trunks train, then while branches do.
    for at in [10, 30, 45] {
        let stop = Stop::new();
        let launch = launch_in(dir.path(), worker("", 3));
        let done = ended_runs(dir.path()).unwrap();
        let left: Vec<&RunSpec> = runs.iter().filter(|run| !done.contains_key(&run.id)).collect();
        let summary = run_all(&left, &launch, &stop, &mut |news| {
            if matches!(news, Progress::Checkpoint { step, .. } if step >= at) && !stop.is_requested() {
                stop.request();
            }
        })
        .unwrap();
        assert!(summary.interrupted, "{at}: {summary:?}");
    }
    let (summary, _) = run(&launch_in(dir.path(), worker("", 0)), &runs);
    assert_eq!(summary.counts.finished, 8, "{summary:?}");
    assert_all_ended_right(dir.path(), &runs);
}

#[test]
fn two_launchers_share_trunks_and_branches() {
    let dir = tempfile::tempdir().unwrap();
    let runs = families(4);
    let both = [(); 2].map(|()| launcher_of_families(dir.path(), 4, 5).spawn().unwrap());
    for launcher in both {
        let output = launcher.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{told}");
        assert!(told.contains("finished: 16, diverged: 0, stopped: 0, failed: 0"), "{told}");
    }
    assert_all_ended_right(dir.path(), &runs);
    assert_eq!(book(dir.path()).len(), 16, "a run was trained twice: {:?}", book(dir.path()));
}

#[test]
fn a_branch_whose_trunk_is_pending_asks_to_be_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let runs = family(1, &[(20, 24)]);
    let folders: Vec<_> = runs
        .iter()
        .map(|run| {
            let folder = folder_of(dir.path(), run);
            fs::create_dir_all(&folder).unwrap();
            prepare(&folder, run).unwrap();
            folder
        })
        .collect();
    let attempt = |folder: &Path| {
        let stop = AtomicBool::new(false);
        train_one(folder, HEARTBEAT, &stop, &mut |_| {}, |task, emit| train(task, emit, "", 0)).unwrap()
    };
    assert_eq!((attempt(&folders[1]).exit_code(), attempt(&folders[1])), (75, OneRun::TrunkPending));
    assert_eq!(attempt(&folders[0]), OneRun::Trained(Outcome::Finished));
    assert_eq!(attempt(&folders[1]), OneRun::Trained(Outcome::Finished));
    assert_all_ended_right(dir.path(), &runs);
}

#[test]
fn a_run_that_is_stopped_early_resumes_once_its_rule_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let rule = Some(EarlyStop { at: 0.5, margin: 0.1 });
    let plain = runs(3);
    let ruled: Vec<RunSpec> = plain.iter().map(|run| RunSpec { early_stop: rule, ..run.clone() }).collect();
    // Of one slot the first run has no peer yet and the others have it.
    let launch = Launch { slots: 1, ..launch_in(dir.path(), worker("stop-above-threshold", 0)) };
    let (summary, _) = run(&launch, &ruled);
    assert_eq!(summary.counts, Counts { finished: 1, stopped: 2, ..Counts::default() });
    use scalelaw_runner::folder::status::status;
    use scalelaw_schema::status::RunState;
    crate::storage::write_plan(dir.path(), &ruled);
    let found = status(dir.path()).unwrap();
    assert_eq!((found.counts.finished, found.counts.stopped), (1, 2));
    assert_eq!(found.runs[1].state, RunState::Stopped { step: 30, why: "high".to_string() });
    let (summary, _) = run(&launch, &ruled);
    assert_eq!(summary.counts.stopped, 2, "it has ended as long as it has its rule");
    let clock = std::time::Instant::now();
    let (summary, _) = run(&launch, &plain);
    assert_eq!(summary.counts, Counts { finished: 3, ..Counts::default() }, "{summary:?}");
    assert!(clock.elapsed() < Duration::from_secs(20));
    assert_all_ended_right(dir.path(), &plain);
    assert_eq!(plain[0].train.total_steps(), STEPS);
}
