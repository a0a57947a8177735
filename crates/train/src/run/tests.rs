use super::*;
use crate::folder::MetricsFile;
use crate::testing::{self, Fixture};
use scalelaw_schema::folder::{CHECKPOINT_DIR, EVALS_DIR, METRICS_JSONL, RECORD_JSON, WEIGHTS_SAFETENSORS};
use scalelaw_schema::run::EarlyStop;
use scalelaw_schema::score::Score;
use scalelaw_schema::train_spec::Start;
use std::fs;
use std::sync::atomic::Ordering;

/// What must be equal between two ways to train the same run.
fn results(folder: &Path) -> (Vec<u8>, Vec<(u64, Values)>) {
    let weights = fs::read(folder.join(WEIGHTS_SAFETENSORS)).unwrap();
    let (file, _) = MetricsFile::cut_back(folder, u64::MAX).unwrap();
    let rows = file.rows().unwrap().into_iter().map(|mut row| {
        row.values.retain(|name, _| name.starts_with("train/") || name.starts_with("eval/"));
        (row.step, row.values)
    });
    (weights, rows.collect())
}

#[test]
fn a_run_leaves_weights_metrics_evaluations_and_a_record() {
    let fixture = Fixture::new(20);
    let folder = fixture.folder("a");
    let mut events = Vec::new();
    let outcome = fixture.train(&folder, &mut |event| events.push(event)).unwrap();
    assert_eq!(outcome, Outcome::Finished);
    let record = folder::read_record(&folder).unwrap().unwrap();
    let run = &fixture.run;
    assert_eq!(record.params, run.train.model.params());
    assert_eq!((record.steps, record.tokens), (20, run.train.tokens()));
    assert_eq!((record.flops_path, record.flops_spent), (run.train.flops(), run.train.flops()));
    assert_eq!((record.attempts, record.micro_batch_tokens), (1, Some(6 * 16)));
    assert!(record.train_loss.unwrap() < 5.5 && record.tokens_per_second.unwrap() > 0.0);
    assert!(record.epochs["prose"] > 0.0, "{:?}", record.epochs);
    assert_eq!(record.provenance.backend, "cpu");
    let (_, rows) = results(&folder);
    assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), [5, 10, 15, 20]);
    // The last row's evaluation is that of the record, and of the weights on the disk.
    let eval = folder::read_eval(&folder, &run.evals[0].spec).unwrap().unwrap();
    let Score::Text { loss, bpb, n_bytes, .. } = eval.score else { panic!("{eval:?}") };
    assert_eq!((rows[3].1["eval/prose/loss"], rows[3].1["eval/prose/bpb"]), (loss, bpb));
    assert!((bpb - loss * 512.0 / (2f64.ln() * n_bytes as f64)).abs() < 1e-12);
    fs::remove_dir_all(folder.join(EVALS_DIR)).unwrap();
    assert_eq!(fixture.evaluate(&folder, 0).unwrap().score, eval.score);
    // Another one, made later, on other windows; the second time it is read.
    let later = fixture.evaluate(&folder, 1).unwrap();
    assert!(matches!(later.score, Score::Text { loss: other, .. } if other > 0.0 && other != loss));
    assert_eq!(fixture.evaluate(&folder, 1).unwrap(), later);

    assert!(!folder.join(CHECKPOINT_DIR).exists());
    assert!(matches!(events.first(), Some(Event::Started { step: 0, total_steps: 20, .. })));
    // Again: nothing is trained and nothing changes, also where the record counts its micro-batch in sequences.
    let path = folder.join(RECORD_JSON);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"micro_batch_tokens\": 96"), "{text}");
    fs::write(&path, text.replace("\"micro_batch_tokens\": 96", "\"micro_batch\": 6")).unwrap();
    let before = fs::read(&path).unwrap();
    fixture.train(&folder, &mut |event| panic!("{event:?}")).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_run_that_was_stopped_or_killed_ends_with_the_bits_of_one_that_was_not() {
    for micro_batch_tokens in [None, Some(4 * 16)] {
        let mut fixture = Fixture::new(30);
        fixture.micro_batch_tokens = micro_batch_tokens;
        let whole = fixture.folder("whole");
        fixture.train(&whole, &mut |_| {}).unwrap();
        let expected = results(&whole);

        let broken = fixture.folder("broken");
        // Asked to stop after step 5, which is between two checkpoints.
        let stop = AtomicBool::new(false);
        let stopped = fixture.train_until(&broken, &stop, &mut |event| {
            if matches!(event, Event::Step { step: 5, .. }) {
                stop.store(true, Ordering::Relaxed);
            }
        });
        assert!(matches!(stopped, Err(TrainError::Interrupted { step: 5 })), "{stopped:?}");
        // Killed after steps 15, 25 and 30: the steps since 8 and since 24 are lost, and 25 to 30 again,
        // since the last row comes before the last checkpoint.
        for at in [15, 25, 30] {
            let killed = fixture.train(&broken, &mut |event| {
                assert!(!matches!(event, Event::Step { step, .. } if step == at), "killed");
            });
            assert!(killed.is_err());
        }
        fixture.train(&broken, &mut |_| {}).unwrap();
        assert_eq!(results(&broken), expected, "micro-batch {micro_batch_tokens:?}");
        let record = folder::read_record(&broken).unwrap().unwrap();
        assert_eq!(record.attempts, 5);
        let (spent, path) = (record.flops_spent.total(), record.flops_path.total());
        // Repeated: 9 to 15, 25, and 25 to 30.
        assert!((spent / path - 44.0 / 30.0).abs() < 1e-12, "{}", spent / path * 30.0);
    }
}

#[test]
fn a_damaged_checkpoint_is_passed_over_with_a_warning() {
    let fixture = Fixture::new(30);
    let whole = fixture.folder("whole");
    fixture.train(&whole, &mut |_| {}).unwrap();
    let expected = results(&whole);
    type Damage = fn(&Path);
    let flip: Damage = |path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let truncate: Damage = |path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 3]).unwrap();
    };
    let garbage: Damage = |path| fs::write(path, [0xff; 100]).unwrap();
    for (name, damage, files, resumed_at) in
        [("flip", flip, &[24][..], 16), ("truncate", truncate, &[24], 16), ("garbage", garbage, &[24, 16], 0)]
    {
        let folder = fixture.folder(name);
        let killed = fixture.train(&folder, &mut |event| {
            assert!(!matches!(event, Event::Step { step: 25, .. }), "killed");
        });
        assert!(killed.is_err());
        let checkpoint = |step| folder.join(CHECKPOINT_DIR).join(format!("step-{step:08}.safetensors"));
        assert!(!checkpoint(8).exists() && checkpoint(16).exists());
        for &step in files {
            damage(&checkpoint(step));
        }
        let (mut warnings, mut started) = (0, None);
        fixture
            .train(&folder, &mut |event| match event {
                Event::Warning { .. } => warnings += 1,
                Event::Started { step, .. } => started = Some(step),
                _ => {}
            })
            .unwrap();
        assert_eq!((warnings, started), (files.len(), Some(resumed_at)), "{name}");
        assert_eq!(results(&folder), expected, "{name}");
    }
}

#[test]
fn a_run_that_diverges_leaves_a_record_and_no_weights() {
    let mut fixture = Fixture::new(300);
    fixture.run.train.recipe.lr_peak = 1e4;
    fixture.run.id = scalelaw_schema::run_id::RunId::of(&fixture.run.train);
    let folder = fixture.folder("a");
    let outcome = fixture.train(&folder, &mut |_| {}).unwrap();
    let record = folder::read_record(&folder).unwrap().unwrap();
    assert_eq!(record.outcome, outcome);
    assert!(matches!(outcome, Outcome::Diverged { step } if step == record.steps && step < 300));
    assert_eq!(record.train_loss, None);
    assert!(!folder.join(WEIGHTS_SAFETENSORS).exists() && folder.join(METRICS_JSONL).exists());
}

#[test]
fn a_branch_resumes_from_its_trunks_checkpoint() {
    let trunk = Fixture::new(30);
    let folder = trunk.folder(&trunk.run.folder_name());
    let killed = trunk.train(&folder, &mut |event| {
        assert!(!matches!(event, Event::Step { step: 20, .. }), "killed");
    });
    assert!(killed.is_err());
    // The same schedule from the trunk's step 16 on: it must end as the trunk would.
    let mut branch = trunk.run.clone();
    branch.train.start = Start::Branch { parent: trunk.run.id.clone(), step: 16 };
    branch.id = scalelaw_schema::run_id::RunId::of(&branch.train);
    let branch_folder = trunk.folder("branch");
    trunk.train_run(&branch, &branch_folder, &AtomicBool::new(false), &mut |_| {}).unwrap();
    trunk.train(&folder, &mut |_| {}).unwrap();
    assert_eq!(results(&branch_folder).0, results(&folder).0);
    let record = folder::read_record(&branch_folder).unwrap().unwrap();
    assert_eq!(record.flops_path, trunk.run.train.flops());
    assert_eq!(record.flops_spent, branch.train.flops_of(16..30));
    // Without the trunk's checkpoint, which is gone by now, it says so.
    branch.train.seed += 1;
    let error = trunk.train_run(&branch, &trunk.folder("lost"), &AtomicBool::new(false), &mut |_| {});
    assert!(matches!(error, Err(TrainError::NoTrunk { step: 16, .. })), "{error:?}");
}

#[test]
fn a_trunk_keeps_the_checkpoints_that_its_branches_begin_at() {
    let mut trunk = Fixture::new(30);
    trunk.run.keep_steps = vec![3, 11];
    let folder = trunk.folder(&trunk.run.folder_name());
    trunk.train(&folder, &mut |_| {}).unwrap();
    let kept = || {
        let files = fs::read_dir(folder.join(CHECKPOINT_DIR)).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(kept(), ["step-00000003.safetensors", "step-00000011.safetensors"]);
    // To keep a step changes no bit.
    let plain = Fixture::new(30);
    let alone = plain.folder("plain");
    plain.train(&alone, &mut |_| {}).unwrap();
    assert_eq!(results(&folder), results(&alone));
    let mut branch = trunk.run.clone();
    branch.keep_steps.clear();
    branch.train.start = Start::Branch { parent: trunk.run.id.clone(), step: 11 };
    branch.id = scalelaw_schema::run_id::RunId::of(&branch.train);
    let branch_folder = trunk.folder("branch");
    trunk.train_run(&branch, &branch_folder, &AtomicBool::new(false), &mut |_| {}).unwrap();
    assert_eq!(results(&branch_folder).0, results(&alone).0);
    let record = |folder: &Path| folder::read_record(folder).unwrap().unwrap();
    assert_eq!(record(&branch_folder).train_loss, record(&alone).train_loss);
}

#[test]
fn a_run_that_is_worse_than_another_is_stopped_early_and_goes_on_once_its_record_is_deleted() {
    let whole = Fixture::new(30);
    whole.train(&whole.folder("whole"), &mut |_| {}).unwrap();
    let expected = results(&whole.folder("whole"));
    let mut fixture = Fixture::new(30);
    fixture.run.early_stop = Some(EarlyStop { at: 0.5, margin: 0.1 });
    let peer: scalelaw_schema::run_id::RunId = "0123456789ab".parse().unwrap();
    // The loss of the window that ends with step 15 is that of its last row.
    let there = expected.1[2].1["train/loss"];
    fixture.threshold = Some(EarlyStopThreshold { peer: peer.clone(), loss: there - 0.09 });
    fixture.train(&fixture.folder("good"), &mut |_| {}).unwrap();
    assert_eq!(results(&fixture.folder("good")), expected);

    fixture.threshold = Some(EarlyStopThreshold { peer: peer.clone(), loss: there - 0.11 });
    let folder = fixture.folder("bad");
    let outcome = fixture.train(&folder, &mut |_| {}).unwrap();
    let Outcome::Stopped { step: 15, why } = &outcome else { panic!("{outcome:?}") };
    assert!(why.contains(peer.as_str()) && why.contains("50 %"), "{why}");
    let record = folder::read_record(&folder).unwrap().unwrap();
    assert_eq!((record.steps, record.train_loss, &record.outcome), (15, None, &outcome));
    assert!(!folder.join(WEIGHTS_SAFETENSORS).exists() && !folder.join(EVALS_DIR).exists());
    assert_eq!(fixture.train(&folder, &mut |event| panic!("{event:?}")).unwrap(), outcome);
    fs::remove_file(folder.join(RECORD_JSON)).unwrap();
    fixture.threshold = None;
    assert_eq!(fixture.train(&folder, &mut |_| {}).unwrap(), Outcome::Finished);
    assert_eq!(results(&folder), expected);
}

#[test]
fn a_folder_that_cannot_be_written_is_named_and_the_run_goes_on_once_it_can() {
    let fixture = Fixture::new(20);
    let folder = fixture.folder("a");
    let killed = fixture.train(&folder, &mut |event| {
        assert!(!matches!(event, Event::Step { step: 10, .. }), "killed");
    });
    assert!(killed.is_err());
    // A folder in the place of the next checkpoint, as good as a disk that refuses.
    let blocked = folder.join(CHECKPOINT_DIR).join("step-00000016.safetensors");
    fs::create_dir_all(blocked.join("x")).unwrap();
    let error = fixture.train(&folder, &mut |_| {}).unwrap_err();
    assert_eq!(error.failure(), scalelaw_schema::record::Failure::Error);
    let error = error.to_string();
    assert!(error.contains("step-00000016.safetensors") && error.contains("hint"), "{error}");
    fs::remove_dir_all(blocked).unwrap();
    let mut started = None;
    fixture
        .train(&folder, &mut |event| {
            if let Event::Started { step, .. } = event {
                started = Some(step);
            }
        })
        .unwrap();
    assert_eq!(started, Some(8));
}

#[test]
fn what_is_missing_is_named_before_anything_is_trained() {
    let mut fixture = Fixture::new(20);
    let scalelaw_schema::model::ModelSpec::Transformer(shape) = &mut fixture.run.train.model;
    shape.vocab_size = 100;
    let error = fixture.train(&fixture.folder("a"), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("`prose`") && error.contains("100"), "{error}");
    let mut fixture = Fixture::new(20);
    fixture.run.evals[0].spec = testing::held_out("no-such-hash", 512, 16);
    assert!(matches!(fixture.train(&fixture.folder("a"), &mut |_| {}), Err(TrainError::Text(_))));
}
