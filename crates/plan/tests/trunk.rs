//! Trunks and branches of a plan: who branches where, what that saves, and what is already on the disk.

use std::collections::{BTreeMap, BTreeSet};

use scalelaw_plan::facts::PlanFacts;
use scalelaw_plan::{PlanError, expand};
use scalelaw_schema::device::{DeviceSpeed, TrainingSpeed};
use scalelaw_schema::model::ModelSpec;
use scalelaw_schema::plan::{Plan, PlannedRun};
use scalelaw_schema::recipe::Schedule;
use scalelaw_schema::record::Outcome;
use scalelaw_schema::run_id::RunId;
use scalelaw_schema::source::{Layers, TomlText};
use scalelaw_schema::sweep::SweepSpec;
use scalelaw_schema::train_spec::Start;

const PRODUCT: &str = r#"
[grid]
kind = "product"
horizon = { steps = [100, 200, 400] }
[model]
d-model = [16, 32]
n-layer = 2
context-len = 64
[data]
tokenizer = "bytes"
mixture = { code = 1 }
[train]
batch-sequences = 4
schedule = { wsd = { cooldown = { fraction = 0.2 } } }
trunk = true
"#;

const ISOFLOP: &str = r#"
[grid]
kind = "isoflop"
budgets = [1e11, 3e11, 9e11]
sizes = 5
span-decades = 0.4
tokens-per-param = 20
shared-sizes = true
[model]
context-len = 64
[data]
tokenizer = "bytes"
mixture = { code = 1 }
[train]
batch-sequences = 4
schedule = { wsd = { cooldown = { fraction = 0.2 } } }
trunk = true
"#;

fn sweep(text: &str) -> SweepSpec {
    let mut layers = Layers::default();
    layers.push(TomlText { name: "a.toml".to_string(), text: text.to_string() }).unwrap();
    layers.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn plan_with(text: &str, change: impl Fn(&mut PlanFacts)) -> Result<Plan, PlanError> {
    let sweep = sweep(text);
    let mut facts = PlanFacts::draft(&sweep);
    change(&mut facts);
    expand(&sweep, &facts)
}

fn plan(text: &str) -> Plan {
    plan_with(text, |_| {}).unwrap_or_else(|error| panic!("{error}"))
}

fn width(run: &PlannedRun) -> usize {
    let ModelSpec::Transformer(shape) = &run.run.train.model;
    shape.d_model
}

fn of_width(plan: &Plan, d_model: usize) -> Vec<&PlannedRun> {
    plan.runs.iter().filter(|run| width(run) == d_model).collect()
}

fn with_horizon(plan: &Plan, steps: u64) -> &PlannedRun {
    plan.runs.iter().find(|run| run.run.train.total_steps() == steps).unwrap()
}

fn branch(parent: &RunId, step: u64) -> Start {
    Start::Branch { parent: parent.clone(), step }
}

#[test]
fn each_horizon_goes_on_from_where_the_next_shorter_one_begins_to_cool_down() {
    let plan = plan(PRODUCT);
    assert_eq!(plan.warnings, Vec::<String>::new());
    for d_model in [16, 32] {
        let runs = of_width(&plan, d_model);
        let [short, middle, long] = runs[..] else { panic!("{runs:?}") };
        assert_eq!(runs.iter().map(|run| run.run.train.total_steps()).collect::<Vec<_>>(), [100, 200, 400]);
        assert_eq!(short.run.train.start, Start::Init);
        assert_eq!(middle.run.train.start, branch(&short.run.id, 80));
        assert_eq!(long.run.train.start, branch(&middle.run.id, 160));
        // The last for a longer horizon that may come.
        assert_eq!(runs.iter().map(|run| run.run.keep_steps[0]).collect::<Vec<_>>(), [80, 160, 320]);
        for run in runs {
            // A tenth of the shortest horizon, for all.
            assert_eq!(run.run.train.recipe.warmup_steps, 10);
            assert_eq!(run.run.train.recipe.lr_peak, short.run.train.recipe.lr_peak);
            assert_eq!(run.run.cell.cluster.as_ref(), Some(&short.run.id));
            assert_eq!(run.run.id, RunId::of(&run.run.train));
            let Schedule::Wsd { cooldown_steps } = run.run.train.recipe.schedule else { panic!() };
            assert_eq!(cooldown_steps, run.run.train.total_steps() / 5);
        }
    }
    // The cheapest first, whatever its size.
    let costs: Vec<f64> = plan.runs.iter().map(|run| run.c).collect();
    assert!(costs.is_sorted(), "{costs:?}");
    let bare = plan_with(&format!("keep = \"none\"\n{PRODUCT}"), |_| {}).unwrap();
    assert_eq!(with_horizon(&bare, 400).run.keep_steps, Vec::<u64>::new());
}

#[test]
fn n_d_and_c_are_those_of_the_whole_path_and_the_sums_those_of_what_is_spent() {
    let separate = plan(&PRODUCT.replace("trunk = true", "warmup = { steps = 10 }"));
    let plan = plan_with(PRODUCT, |facts| {
        let training = vec![TrainingSpeed { n_total: 1e5, flops_per_second: 1e9 }];
        facts.speed = Some(DeviceSpeed { matmul_flops_per_second: 1e9, training, slots: 1 });
    })
    .unwrap();
    let key = |run: &PlannedRun| (run.n.to_bits(), run.d.to_bits(), run.c.to_bits());
    let keys = |plan: &Plan| plan.runs.iter().map(key).collect::<BTreeSet<_>>();
    assert_eq!(keys(&plan), keys(&separate));
    // Of 400 + 200 + 100 steps, 400 + 40 + 20 are taken.
    let (total, before) = (&plan.total, &separate.total);
    assert!((total.flops / before.flops - 46.0 / 70.0).abs() < 1e-12, "{total:?}");
    assert!((total.tokens / before.tokens - 46.0 / 70.0).abs() < 1e-12, "{total:?}");
    assert_eq!((total.flops_separate, before.flops_separate), (Some(before.flops), None));
    // Of each its own 100, 120 and 240.
    let long = with_horizon(&plan, 400);
    assert!((long.spent_c() / long.c - 0.6).abs() < 1e-12);
    // Time: training at 1e9 FLOP/s, and the evaluation, which is the same for a branch.
    let seconds = |steps| with_horizon(&plan, steps).estimate.seconds.unwrap();
    let of_20_steps = with_horizon(&plan, 100).c / 5.0 / 1e9;
    let eval = seconds(100) - 5.0 * of_20_steps;
    assert!((seconds(200) - eval - 6.0 * of_20_steps).abs() < 1e-9);
    assert!((seconds(400) - eval - 12.0 * of_20_steps).abs() < 1e-9);
}

#[test]
fn what_else_is_swept_has_a_trunk_of_its_own() {
    let plan = plan(&PRODUCT.replace("trunk = true", "trunk = true\nseed = [0, 1]\nlr = [1e-3, 2e-3]"));
    let firsts = plan.runs.iter().filter(|run| run.run.train.start == Start::Init);
    assert_eq!((plan.runs.len(), firsts.count()), (24, 8));
    let by_id: BTreeMap<&RunId, usize> =
        plan.runs.iter().enumerate().map(|(idx, run)| (&run.run.id, idx)).collect();
    for (idx, run) in plan.runs.iter().enumerate() {
        let Start::Branch { parent, .. } = &run.run.train.start else { continue };
        let place = by_id[parent];
        let parent = &plan.runs[place].run.train;
        assert!(place < idx, "a branch before its trunk");
        assert_eq!((parent.seed, parent.recipe.lr_peak), (run.run.train.seed, run.run.train.recipe.lr_peak));
    }
}

#[test]
fn budgets_share_the_sizes_of_one_ladder_and_so_their_trunks() {
    let plan = plan(ISOFLOP);
    let sizes_of = |plan: &Plan, budget: f64| -> BTreeSet<u64> {
        let of_budget = plan.runs.iter().filter(|run| run.run.cell.budget_flops == Some(budget));
        of_budget.map(|run| run.n as u64).collect()
    };
    let [small, middle, large] = [1e11, 3e11, 9e11].map(|budget| sizes_of(&plan, budget));
    assert_eq!((small.len(), middle.len(), large.len()), (5, 5, 5));
    assert!(small.intersection(&middle).count() >= 3, "{small:?} {middle:?}");
    assert!(middle.intersection(&large).count() >= 3, "{middle:?} {large:?}");
    // Each size begins once, at its smallest budget.
    let firsts: Vec<_> = plan.runs.iter().filter(|run| run.run.train.start == Start::Init).collect();
    let all: BTreeSet<u64> = small.iter().chain(&middle).chain(&large).copied().collect();
    assert_eq!(firsts.len(), all.len());
    assert!(plan.total.flops < 0.85 * plan.total.flops_separate.unwrap(), "{:?}", plan.total);
    // A budget that is added leaves the sizes of the others where they are.
    let more = plan_with(&ISOFLOP.replace("9e11]", "9e11, 2.7e12]"), |_| {}).unwrap();
    assert_eq!(sizes_of(&more, 9e11), large);
    // ... and their runs what they are.
    for run in &plan.runs {
        assert!(more.runs.iter().any(|found| found.run.id == run.run.id));
    }
}

#[test]
fn a_budget_that_moves_to_the_fit_branches_from_the_smaller_completed_ones() {
    let text = ISOFLOP.replace("shared-sizes = true", "shared-sizes = true\ncenter = \"fit\"");
    let first = plan(&text);
    let done: Vec<&PlannedRun> =
        first.runs.iter().filter(|run| run.run.cell.budget_flops == Some(1e11)).collect();
    let moved = plan_with(&text, |facts| {
        facts.started = done.iter().map(|run| run.run.id.clone()).collect();
        facts.over = done.iter().map(|run| (run.run.id.clone(), Outcome::Finished)).collect();
        let kept = |run: &&PlannedRun| (run.run.id.clone(), run.run.keep_steps.iter().copied().collect());
        facts.checkpoints = done.iter().map(kept).collect();
        facts.frozen = Some(first.clone());
        facts.centers = BTreeMap::from([(1, 1.5 * first.budgets[1].center_n)]);
    })
    .unwrap();
    for run in &done {
        assert!(moved.runs.iter().any(|found| found == *run));
    }
    let ids: BTreeSet<&RunId> = done.iter().map(|run| &run.run.id).collect();
    let n_going_on =
        moved.runs.iter().filter(|run| run.run.cell.budget_flops == Some(3e11)).filter(
            |run| matches!(&run.run.train.start, Start::Branch { parent, .. } if ids.contains(parent)),
        );
    assert!(n_going_on.count() >= 2, "{:#?}", moved.runs);
}

#[test]
fn an_invalid_trunk_is_refused_where_it_is_written() {
    let wsd = "schedule = { wsd = { cooldown = { fraction = 0.2 } } }";
    for (text, part) in [
        (PRODUCT.replace(wsd, ""), "rate is constant until"),
        (PRODUCT.replace(wsd, "schedule = { cosine = { final-fraction = 0.1 } }"), "hint: `schedule = { wsd"),
        (ISOFLOP.replace("shared-sizes = true", ""), "hint: `shared-sizes = true`"),
    ] {
        let error = plan_with(&text, |_| {}).unwrap_err();
        let PlanError::Sweep { path, message } = &error else { panic!("{error}") };
        assert!(path == "train.trunk" && message.contains(part), "{part}: {error}");
    }
    let alone = plan(&PRODUCT.replace("[100, 200, 400]", "100"));
    assert!(alone.warnings[0].contains("has no effect"), "{:?}", alone.warnings);
    assert_eq!(alone.total.flops_separate, None);
}

#[test]
fn a_plan_stays_the_same_while_it_is_carried_out() {
    let text = PRODUCT.replace("[16, 32]", "16");
    let first = plan(&text);
    let [short, middle, long] = [100, 200, 400].map(|steps| with_horizon(&first, steps).run.id.clone());
    let over = |ids: &[&RunId]| ids.iter().map(|id| ((*id).clone(), Outcome::Finished)).collect();
    let kept = |run: &RunId, steps: &[u64]| (run.clone(), steps.iter().copied().collect());
    type Disk = (BTreeMap<RunId, Outcome>, BTreeMap<RunId, BTreeSet<u64>>);
    let disks: [Disk; 6] = [
        (over(&[]), BTreeMap::from([kept(&short, &[40])])),
        (over(&[]), BTreeMap::from([kept(&short, &[80, 90, 95]), kept(&middle, &[100])])),
        (over(&[&short]), BTreeMap::from([kept(&short, &[80])])),
        // The middle one has one of its own, and what it came from is gone.
        (over(&[&short]), BTreeMap::from([kept(&middle, &[120])])),
        (over(&[&short, &middle]), BTreeMap::from([kept(&middle, &[160])])),
        (over(&[&short, &middle, &long]), BTreeMap::from([kept(&long, &[320])])),
    ];
    for (over, checkpoints) in disks {
        let found = plan_with(&text, |facts| {
            (facts.over, facts.checkpoints) = (over.clone(), checkpoints.clone());
        })
        .unwrap();
        assert_eq!(found, first, "{over:?} {checkpoints:?}");
    }
    // Diverged before the next one begins: that is left to the runner, which says why.
    let diverged = plan_with(&text, |facts| {
        facts.over = BTreeMap::from([(short.clone(), Outcome::Diverged { step: 70 })]);
    });
    assert_eq!(diverged.unwrap(), first);
}

#[test]
fn a_horizon_that_is_added_goes_on_from_what_is_left_and_says_so_where_it_is_late() {
    let text = PRODUCT.replace("[16, 32]", "16");
    let first = plan(&text);
    let [short, middle, long] = [100, 200, 400].map(|steps| with_horizon(&first, steps).run.id.clone());
    let start = |plan: &Plan, steps| with_horizon(plan, steps).run.train.start.clone();
    let with = |horizons: &str, kept: &[(&RunId, u64)]| {
        plan_with(&text.replace("[100, 200, 400]", horizons), |facts| {
            facts.over = first.runs.iter().map(|run| (run.run.id.clone(), Outcome::Finished)).collect();
            facts.checkpoints =
                kept.iter().map(|(id, step)| ((*id).clone(), BTreeSet::from([*step]))).collect();
            facts.frozen = Some(first.clone());
        })
        .unwrap()
    };
    // A longer one goes on from the end of the trunk; nobody is late.
    let longer = with("[100, 200, 400, 800]", &[(&long, 320)]);
    assert_eq!((start(&longer, 800), longer.warnings.len()), (branch(&long, 320), 0));
    // Between two finished runs, it can only branch from a shorter one.
    let between = with("[100, 200, 300, 350, 400]", &[(&short, 80), (&long, 320)]);
    assert_eq!(start(&between, 300), branch(&short, 80));
    let of_300 = with_horizon(&between, 300).run.id.clone();
    assert_eq!(start(&between, 350), branch(&of_300, 240));
    assert!(
        between.warnings.iter().any(|text| text.contains("1 horizon added too late")),
        "{:?}",
        between.warnings
    );
    let from_nothing = with("[100, 150, 200, 400]", &[(&long, 320)]);
    assert_eq!(start(&from_nothing, 150), Start::Init);
    assert_eq!(from_nothing.warnings.len(), 1, "{:?}", from_nothing.warnings);
    for plan in [&longer, &between, &from_nothing] {
        assert!(plan.runs.iter().all(|run| run.run.cell.cluster.as_ref() == Some(&short)), "one draw");
        for id in [&short, &middle, &long] {
            assert!(plan.runs.iter().any(|run| run.run.id == *id), "what is over stays what it is");
        }
    }
}

#[test]
fn an_early_stop_changes_no_id_and_goes_with_no_trunk() {
    let rule = "early-stop = { margin = 0.1 }";
    let plain = plan(&PRODUCT.replace("trunk = true", "seed = [0, 1]"));
    let stopping = plan(&PRODUCT.replace("trunk = true", &format!("seed = [0, 1]\n{rule}")));
    for (a, b) in plain.runs.iter().zip(&stopping.runs) {
        assert_eq!(a.run.id, b.run.id);
        let rule = b.run.early_stop.unwrap();
        assert_eq!((a.run.early_stop, rule.at, rule.margin), (None, 0.5, 0.1));
    }
    for (rule, path) in [
        ("trunk = true\nearly-stop = { margin = 0.1 }", "train.early-stop"),
        ("early-stop = { margin = 0 }", "train.early-stop.margin"),
        ("early-stop = { margin = 0.1, at = 1 }", "train.early-stop.at"),
    ] {
        let error = plan_with(&PRODUCT.replace("trunk = true", rule), |_| {}).unwrap_err();
        assert!(matches!(&error, PlanError::Sweep { path: p, .. } if p == path), "{error}");
    }
}
