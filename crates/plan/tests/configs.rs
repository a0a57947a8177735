//! The files under `configs/`, read and expanded as a person would.

use scalelaw_plan::cost::limits::check_limits;
use scalelaw_plan::expand;
use scalelaw_plan::facts::PlanFacts;
use scalelaw_schema::device::{DeviceSpeed, TrainingSpeed};
use scalelaw_schema::model::ModelSpec;
use scalelaw_schema::plan::Plan;
use scalelaw_schema::source::{Layers, TomlText};
use scalelaw_schema::sweep::SweepSpec;

/// The plan of a file under `configs/`, before any text is read, for a device that trains at this rate in each of
/// its slots.
fn plan_of(name: &str, flops_per_second: f64, slots: usize) -> Plan {
    let path = format!("{}/../../configs/{name}.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let header: Vec<&str> = text.lines().take(3).collect();
    for (line, start) in header.iter().zip(["# Question: ", "# Cost: ", "# Result so far: "]) {
        assert!(line.starts_with(start), "{name}: `{line}` does not start with `{start}`");
    }
    let mut layers = Layers::default();
    layers.push(TomlText { name: path, text }).unwrap();
    let sweep: SweepSpec = layers.parse().unwrap_or_else(|error| panic!("{error}"));
    let facts = PlanFacts {
        slots,
        speed: Some(DeviceSpeed {
            matmul_flops_per_second: flops_per_second,
            training: vec![TrainingSpeed { n_total: 1e5, flops_per_second }],
            slots,
        }),
        ..PlanFacts::draft(&sweep)
    };
    let plan = expand(&sweep, &facts).unwrap_or_else(|error| panic!("{name}: {error}"));
    check_limits(&sweep, &plan.total).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(plan.sweep, name);
    assert!(plan.dropped.is_empty(), "{name}: {:?}", plan.dropped);
    assert!(plan.warnings.is_empty(), "{name}: {:?}", plan.warnings);
    plan
}

#[test]
fn the_quickstart_is_15_runs_of_2e13_flops_with_200_steps_each() {
    // The middle of the 22e9 to 35e9 that two slots were measured to give in sum at these sizes.
    let plan = plan_of("quickstart", 14e9, 2);
    let minutes = plan.total.wall_seconds.unwrap() / 60.0;
    assert!(minutes < 15.0, "{minutes:.1} minutes");
    assert_eq!((plan.runs.len(), plan.budgets.len()), (15, 3));
    assert!((1.8e13..2.2e13).contains(&plan.total.flops), "{:e}", plan.total.flops);
    for planned in &plan.runs {
        let run = &planned.run;
        let ModelSpec::Transformer(shape) = &run.train.model;
        let phase = &run.train.phases[0];
        assert!((16..=96).contains(&shape.d_model), "{shape:?}");
        assert!(shape.vocab_size <= 512, "{shape:?}");
        assert_eq!((phase.context_len, phase.batch_sequences), (128, 8));
        assert!(phase.steps >= 200, "{shape:?}: {} steps", phase.steps);
        let budget = run.cell.budget_flops.unwrap();
        let one_step = planned.c / phase.steps as f64;
        assert!((planned.c - budget).abs() <= one_step / 2.0 + 1.0, "{:e} for {budget:e}", planned.c);
    }
}

#[test]
fn the_smoke_test_is_at_most_1e12_flops_with_100_steps_in_each_run() {
    let plan = plan_of("smoke", 11e9, 2);
    let seconds = plan.total.wall_seconds.unwrap();
    assert!(seconds < 30.0, "{seconds:.0} s of training leave too little of a minute");
    assert_eq!(plan.runs.len(), 9);
    assert!(plan.total.flops <= 1e12, "{:e}", plan.total.flops);
    assert!(plan.runs.iter().all(|run| run.run.train.total_steps() >= 100));
}

#[test]
fn the_wgpu_smoke_test_is_two_runs_of_24_steps() {
    let plan = plan_of("wgpu-smoke", 1e9, 1);
    assert_eq!(plan.runs.len(), 2);
    assert!(plan.runs.iter().all(|run| run.run.train.total_steps() == 24));
}

#[test]
fn the_gpu_sweep_takes_a_night_at_20_teraflops() {
    let plan = plan_of("isoflop-gpu", 20e12, 1);
    assert_eq!(plan.runs.len(), 6 * 7 * 3);
    let hours = plan.total.wall_seconds.unwrap() / 3600.0;
    assert!((6.0..12.0).contains(&hours), "{hours:.1} h");
}

#[test]
fn the_sweeps_of_learning_rates_take_minutes() {
    // A sixth of what one thread was measured to give with two blocks of width 64.
    for (name, n_runs, flops_per_second) in
        [("lr", 30, 30e9), ("lr-batch", 50, 30e9), ("mup-transfer", 20, 30e9)]
    {
        let plan = plan_of(name, flops_per_second, 2);
        assert_eq!((plan.runs.len(), plan.kind.as_str()), (n_runs, "lr"), "{name}");
        let minutes = plan.total.wall_seconds.unwrap() / 60.0;
        assert!(minutes < 8.0, "{name}: {minutes:.1} minutes");
    }
}

#[test]
fn the_sweeps_of_skills_take_an_hour_at_most() {
    // What one of two slots gives to the smallest models; most of these are larger and faster.
    for (name, kind, n_runs, minutes) in [
        ("skills-quick", "isoflop", 15, 15.0),
        ("skills", "isoflop", 4 * 5 * 2, 70.0),
        ("mix", "mix", 3 * 5 * 5, 70.0),
        ("capacity", "product", 3 * 5 * 2, 30.0),
    ] {
        let plan = plan_of(name, 60e9, 2);
        assert_eq!((plan.runs.len(), plan.kind.as_str()), (n_runs, kind), "{name}");
        let planned = plan.total.wall_seconds.unwrap() / 60.0;
        assert!(planned < minutes, "{name}: {planned:.1} minutes");
        let largest = plan.runs.iter().map(|run| run.n).fold(0.0, f64::max);
        assert!(name != "capacity" || largest <= 1e5, "{largest:e}");
    }
}

#[test]
fn the_check_of_the_rate_rule_is_three_rates_at_two_sizes() {
    let plan = plan_of("lr-rule", 14e9, 2);
    assert_eq!(plan.runs.len(), 6);
    let minutes = plan.total.wall_seconds.unwrap() / 60.0;
    assert!(minutes < 10.0, "{minutes:.1} minutes");
}

#[test]
fn the_two_sides_of_the_comparison_of_flops_cost_about_the_same_and_neither_holds_the_target() {
    let [naive, trunk, target] =
        ["naive", "trunk", "target"].map(|name| plan_of(&format!("flops-{name}"), 30e9, 2));
    assert_eq!((naive.runs.len(), naive.total.flops_separate), (20, None));
    assert!(trunk.total.flops < 0.8 * naive.total.flops, "{:e} {:e}", trunk.total.flops, naive.total.flops);
    assert!(trunk.total.flops < 0.65 * trunk.total.flops_separate.unwrap(), "{:?}", trunk.total);
    let aim = &target.runs[0];
    for run in naive.runs.iter().chain(&trunk.runs) {
        assert!(run.n < aim.n && run.c < aim.c, "{:?}", run.run.train);
    }
    for plan in [&naive, &trunk, &target] {
        let minutes = plan.total.wall_seconds.unwrap() / 60.0;
        assert!(minutes < 10.0, "{}: {minutes:.1} minutes", plan.sweep);
    }
}
