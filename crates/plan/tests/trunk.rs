//! Trunks and branches of a plan: who branches where, what that saves, and what is already on the disk.

use std::collections::{BTreeMap, BTreeSet};

use scalelaw_plan::facts::PlanFacts;
use scalelaw_plan::table::table;
use scalelaw_plan::{PlanError, expand};
use scalelaw_schema::device::{DeviceSpeed, TrainingSpeed};
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
    run.run.train.model.shape().d_model
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
fn the_longest_horizon_is_the_trunk_and_each_shorter_one_branches_where_it_cools_down() {
    let plan = plan(PRODUCT);
    assert_eq!(plan.warnings, Vec::<String>::new());
    for d_model in [16, 32] {
        let runs = of_width(&plan, d_model);
        let [trunk, short, middle] = runs[..] else { panic!("{runs:?}") };
        assert_eq!((trunk.run.train.total_steps(), &trunk.run.train.start), (400, &Start::Init));
        assert_eq!(trunk.run.keep_steps, [80, 160]);
        assert_eq!(short.run.train.start, branch(&trunk.run.id, 80));
        assert_eq!(middle.run.train.start, branch(&trunk.run.id, 160));
        for run in runs {
            // A tenth of the shortest horizon, for all.
            assert_eq!(run.run.train.recipe.warmup_steps, 10);
            assert_eq!(run.run.train.recipe.lr_peak, trunk.run.train.recipe.lr_peak);
            assert_eq!(run.run.cell.cluster.as_ref(), Some(&trunk.run.id));
            assert_eq!(run.run.id, RunId::of(&run.run.train));
            let Schedule::Wsd { cooldown_steps } = run.run.train.recipe.schedule else { panic!() };
            assert_eq!(cooldown_steps, run.run.train.total_steps() / 5);
        }
    }
    // The cheaper trunk and all its branches first.
    assert_eq!(plan.runs.iter().map(width).collect::<Vec<_>>(), [16, 16, 16, 32, 32, 32]);
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
    let short = with_horizon(&plan, 100);
    assert!((short.spent_c() / short.c - 0.2).abs() < 1e-12);
    // Time: training at 1e9 FLOP/s, and the evaluation, which is the same for a branch.
    let seconds = |steps| with_horizon(&plan, steps).estimate.seconds.unwrap();
    let of_20_steps = short.c / 5.0 / 1e9;
    let eval = seconds(100) - of_20_steps;
    assert!((seconds(200) - eval - 2.0 * of_20_steps).abs() < 1e-9);
    assert!((seconds(400) - eval - 20.0 * of_20_steps).abs() < 1e-9);
    let text = table(&plan, 140);
    for part in ["trunk", "branch at 80", "branch at 160", "as separate runs: 34 % less"] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}

#[test]
fn what_else_is_swept_has_a_trunk_of_its_own() {
    let plan = plan(&PRODUCT.replace("trunk = true", "trunk = true\nseed = [0, 1]\nlr = [1e-3, 2e-3]"));
    let trunks = plan.runs.iter().filter(|run| !run.run.keep_steps.is_empty());
    assert_eq!((plan.runs.len(), trunks.count()), (24, 8));
    let by_id: BTreeMap<&RunId, usize> =
        plan.runs.iter().enumerate().map(|(idx, run)| (&run.run.id, idx)).collect();
    for (idx, run) in plan.runs.iter().enumerate() {
        let Start::Branch { parent, .. } = &run.run.train.start else { continue };
        let place = by_id[parent];
        let trunk = &plan.runs[place].run.train;
        assert!(place < idx, "a branch before its trunk");
        assert_eq!((trunk.seed, trunk.recipe.lr_peak), (run.run.train.seed, run.run.train.recipe.lr_peak));
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
    // Each size has one trunk, at its largest budget.
    let trunks: Vec<_> = plan.runs.iter().filter(|run| run.run.train.start == Start::Init).collect();
    let all: BTreeSet<u64> = small.iter().chain(&middle).chain(&large).copied().collect();
    assert_eq!(trunks.len(), all.len());
    assert!(plan.total.flops < 0.85 * plan.total.flops_separate.unwrap(), "{:?}", plan.total);
    // A budget that is added leaves the sizes of the others where they are.
    let more = plan_with(&ISOFLOP.replace("[1e11, ", "[3e10, 1e11, "), |_| {}).unwrap();
    assert_eq!(sizes_of(&more, 9e11), large);
    assert!(table(&plan, 140).contains("budget"), "{}", table(&plan, 140));
}

#[test]
fn a_trunk_that_cannot_be_is_refused_where_it_is_written() {
    let wsd = "schedule = { wsd = { cooldown = { fraction = 0.2 } } }";
    for (text, part) in [
        (PRODUCT.replace(wsd, ""), "one rate until"),
        (PRODUCT.replace(wsd, "schedule = { cosine = { final-fraction = 0.1 } }"), "hint: `schedule = { wsd"),
        (ISOFLOP.replace("shared-sizes = true", ""), "hint: `shared-sizes = true`"),
        (ISOFLOP.replace("shared-sizes = true", "shared-sizes = true\ncenter = \"fit\""), "center"),
    ] {
        let error = plan_with(&text, |_| {}).unwrap_err();
        let PlanError::Sweep { path, message } = &error else { panic!("{error}") };
        assert!(path == "train.trunk" && message.contains(part), "{part}: {error}");
    }
    let alone = plan(&PRODUCT.replace("[100, 200, 400]", "100"));
    assert!(alone.warnings[0].contains("shares nothing"), "{:?}", alone.warnings);
    assert_eq!(alone.total.flops_separate, None);
}

#[test]
fn a_plan_stays_the_same_while_it_is_carried_out() {
    let text = PRODUCT.replace("[16, 32]", "16");
    let first = plan(&text);
    let [trunk, short, middle] = [400, 100, 200].map(|steps| with_horizon(&first, steps).run.id.clone());
    let over = |ids: &[&RunId]| ids.iter().map(|id| ((*id).clone(), Outcome::Finished)).collect();
    type Disk = (BTreeMap<RunId, Outcome>, BTreeMap<RunId, BTreeSet<u64>>);
    let disks: [Disk; 5] = [
        (over(&[]), BTreeMap::from([(trunk.clone(), BTreeSet::from([40]))])),
        (over(&[]), BTreeMap::from([(trunk.clone(), BTreeSet::from([80, 120, 160]))])),
        (over(&[&trunk]), BTreeMap::from([(trunk.clone(), BTreeSet::from([80, 160]))])),
        // The short one is over and its checkpoint is gone; the middle one has one of its own.
        (over(&[&trunk, &short]), BTreeMap::from([(middle.clone(), BTreeSet::from([180]))])),
        (over(&[&trunk, &short, &middle]), BTreeMap::new()),
    ];
    for (over, checkpoints) in disks {
        let found = plan_with(&text, |facts| {
            (facts.over, facts.checkpoints) = (over.clone(), checkpoints.clone());
        })
        .unwrap();
        assert_eq!(found, first, "{over:?} {checkpoints:?}");
    }
    // Diverged after the first branch: that one goes on, the other is left to the runner, which says why.
    let diverged = plan_with(&text, |facts| {
        facts.over = BTreeMap::from([(trunk.clone(), Outcome::Diverged { step: 120 })]);
        facts.checkpoints = BTreeMap::from([(trunk.clone(), BTreeSet::from([80]))]);
    });
    assert_eq!(diverged.unwrap(), first);
}

#[test]
fn a_horizon_that_comes_too_late_for_its_trunk_is_trained_from_what_is_left_and_said() {
    let text = PRODUCT.replace("[16, 32]", "16");
    let first = plan(&text);
    let trunk = with_horizon(&first, 400).run.id.clone();
    let more = text.replace("[100, 200, 400]", "[100, 150, 200, 300, 400]");
    let late = |kept: &[u64]| {
        plan_with(&more, |facts| {
            facts.over = BTreeMap::from([(trunk.clone(), Outcome::Finished)]);
            facts.checkpoints = BTreeMap::from([(trunk.clone(), kept.iter().copied().collect())]);
            facts.frozen = Some(first.clone());
        })
        .unwrap()
    };
    // 150 would branch at 120 and 300 at 240.
    let found = late(&[80, 160]);
    let start = |plan: &Plan, steps| with_horizon(plan, steps).run.train.start.clone();
    assert_eq!(start(&found, 150), branch(&trunk, 80));
    assert_eq!(start(&found, 300), branch(&trunk, 160));
    assert_eq!(start(&found, 100), branch(&trunk, 80));
    assert_eq!(with_horizon(&found, 400).run.keep_steps, [80, 160]);
    assert!(
        found.warnings.iter().any(|text| text.contains("2 of the horizons came too late")),
        "{:?}",
        found.warnings
    );
    // Nothing is left: the longest of them is a trunk for the others, and all stay one cluster.
    let found = late(&[]);
    assert_eq!(start(&found, 300), Start::Init);
    let second = &with_horizon(&found, 300).run;
    assert_eq!(second.keep_steps, [80, 120, 160]);
    for (steps, step) in [(100, 80), (150, 120), (200, 160)] {
        assert_eq!(start(&found, steps), branch(&second.id, step), "{steps}");
    }
    assert!(found.runs.iter().all(|run| run.run.cell.cluster.as_ref() == Some(&trunk)));
    assert!(found.warnings.iter().any(|text| text.contains("from initial weights")), "{:?}", found.warnings);
    // A longer one is a new trunk; what is over stays what it is.
    let longer = plan_with(&text.replace("[100, 200, 400]", "[100, 200, 400, 800]"), |facts| {
        let over = first.runs.iter().map(|run| (run.run.id.clone(), Outcome::Finished));
        facts.over = over.collect();
        facts.frozen = Some(first.clone());
    })
    .unwrap();
    for run in &first.runs {
        assert!(longer.runs.iter().any(|found| found.run.id == run.run.id), "{:?}", run.run.train.start);
    }
    assert_eq!(start(&longer, 800), Start::Init);
}

#[test]
fn an_early_stop_changes_no_id_and_spares_trunks_and_branches() {
    let rule = "early-stop = { margin = 0.1 }";
    let plain = plan(&PRODUCT.replace("trunk = true", "seed = [0, 1]"));
    let stopping = plan(&PRODUCT.replace("trunk = true", &format!("seed = [0, 1]\n{rule}")));
    for (a, b) in plain.runs.iter().zip(&stopping.runs) {
        assert_eq!(a.run.id, b.run.id);
        let rule = b.run.early_stop.unwrap();
        assert_eq!((a.run.early_stop, rule.at, rule.margin), (None, 0.5, 0.1));
    }
    let trunks = plan(&PRODUCT.replace("trunk = true", &format!("trunk = true\n{rule}")));
    assert!(trunks.runs.iter().all(|run| run.run.early_stop.is_none()));
    for (rule, path) in [
        ("early-stop = { margin = 0 }", "train.early-stop.margin"),
        ("early-stop = { margin = 0.1, at = 1 }", "train.early-stop.at"),
    ] {
        let error = plan_with(&PRODUCT.replace("trunk = true", rule), |_| {}).unwrap_err();
        assert!(matches!(&error, PlanError::Sweep { path: p, .. } if p == path), "{error}");
    }
}
