//! The text of plans that the planner makes.

use scalelaw_plan::expand;
use scalelaw_plan::facts::PlanFacts;
use scalelaw_report::terminal::plan as terminal;
use scalelaw_schema::device::{DeviceSpeed, TrainingSpeed};
use scalelaw_schema::plan::Plan;
use scalelaw_schema::source::{Layers, TomlText};
use scalelaw_schema::sweep::SweepSpec;

fn plan(text: &str) -> Plan {
    let mut layers = Layers::default();
    layers.push(TomlText { name: "a.toml".to_string(), text: text.to_string() }).unwrap();
    let sweep: SweepSpec = layers.parse().unwrap_or_else(|error| panic!("{error}"));
    let training = vec![TrainingSpeed { n_total: 1e5, flops_per_second: 1e10 }];
    let speed = DeviceSpeed { matmul_flops_per_second: 1e11, training, slots: 2 };
    expand(&sweep, &PlanFacts { speed: Some(speed), slots: 2, ..PlanFacts::draft(&sweep) }).unwrap()
}

const PRICED: &str = r#"
name = "priced"
question = "What does it cost to know how the loss of a small transformer falls with its size and its text?"
[grid]
kind = "isoflop"
budgets = [1e11, 4e11]
sizes = 3
span-decades = 0.4
tokens-per-param = 20
min-steps = 450
[model]
context-len = 128
[data]
tokenizer = "bytes"
mixture = { code = 1 }
[train]
batch-sequences = 8
seed = [0, 1]
[limits]
money = 10
[cost]
watts = 100
price-per-kwh = 0.3
price-per-hour = 1.5
currency = "EUR"
"#;

#[test]
fn a_plan_reads_well_at_80_columns() {
    let expected = r#"priced: isoflop grid, N and C counted by `exact`
  What does it cost to know how the loss of a small transformer falls with its
    size and its text?

  runs  model       N      D        C   D/N       lr  time     kWh   money
budget 1.00e11, centred on N 25.7K by the sweep's guess
     2  L2 d16  10.8K  1.12M  1.00e11   103  1.58e-2   10s  1.4e-4  2.2e-3
     2  L2 d28  27.0K   488K  1.00e11  18.1  1.17e-2   10s  1.5e-4  2.2e-3
budget 4.00e11, centred on N 52.7K by the sweep's guess
     2  L2 d24  20.1K  2.55M  4.00e11   127  1.29e-2   40s  5.6e-4  8.6e-3
     2  L2 d40  50.2K  1.11M  4.00e11  22.0  9.49e-3   41s  5.7e-4  8.7e-3
  (no room for: steps, disk, memory)

total: 8 runs, 2.00e12 FLOPs, 10.5M tokens, 1m42s, 6.6 MB of disk, 2.8e-3 kWh,
  0.04 EUR

DROPPED 2 cells
  budget 1.00e11, N 64.5K (2 runs): 203 steps, fewer than `min-steps` = 450
  budget 4.00e11, N 132K (2 runs): 443 steps, fewer than `min-steps` = 450
"#;
    assert_eq!(terminal::plan(&plan(PRICED), 80), expected);
}

#[test]
fn a_plan_reads_well_at_120_columns() {
    let expected = r#"priced: isoflop grid, N and C counted by `exact`
  What does it cost to know how the loss of a small transformer falls with its size and its text?

  runs  model       N      D        C   D/N  steps       lr  time   memory    disk     kWh   money
budget 1.00e11, centred on N 25.7K by the sweep's guess
     2  L2 d16  10.8K  1.12M  1.00e11   103   1093  1.58e-2   10s  17.0 MB  377 kB  1.4e-4  2.2e-3
     2  L2 d28  27.0K   488K  1.00e11  18.1    477  1.17e-2   10s  20.3 MB  829 kB  1.5e-4  2.2e-3
budget 4.00e11, centred on N 52.7K by the sweep's guess
     2  L2 d24  20.1K  2.55M  4.00e11   127   2486  1.29e-2   40s  19.0 MB  636 kB  5.6e-4  8.6e-3
     2  L2 d40  50.2K  1.11M  4.00e11  22.0   1080  9.49e-3   41s  23.7 MB  1.5 MB  5.7e-4  8.7e-3

total: 8 runs, 2.00e12 FLOPs, 10.5M tokens, 1m42s, 6.6 MB of disk, 2.8e-3 kWh, 0.04 EUR

DROPPED 2 cells
  budget 1.00e11, N 64.5K (2 runs): 203 steps, fewer than `min-steps` = 450
  budget 4.00e11, N 132K (2 runs): 443 steps, fewer than `min-steps` = 450
"#;
    assert_eq!(terminal::plan(&plan(PRICED), 120), expected);
}

#[test]
fn what_is_swept_has_a_column() {
    let text = r#"
[grid]
kind = "product"
horizon = { steps = [100, 200] }
[model]
d-model = 32
n-layer = 2
n-head = [2, 4]
[data]
tokenizer = ["bytes", { bpe = 512 }]
mixture = [{ code = 1 }, { code = 3, prose = 1 }]
[train]
batch-sequences = [4, 8]
lr = [1e-3, 3e-3]
weight-decay = [0, 0.1]
"#;
    let plan = plan(text);
    assert_eq!(plan.runs.len(), 128);
    let shown = terminal::plan(&plan, 120);
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(
        lines[2],
        "  model   heads  vocab  batch  mixture               decay      N     D        C   D/N       lr  time   memory    disk"
    );
    let rows: std::collections::BTreeSet<&str> =
        lines.iter().filter(|line| line.contains("L2 d32")).copied().collect();
    assert_eq!(rows.len(), 128, "each run has a line of its own");
}

#[test]
fn a_mix_shows_each_size_once_and_its_mixtures_below() {
    let text = PRICED
        .replace("kind = \"isoflop\"", "kind = \"mix\"\nswept = [\"lookup\"]\nfractions = [0.005, 0.2, 0.4]")
        .replace("{ code = 1 }", "{ code = 3, lookup = 1, prose = 1 }")
        .replace("[1e11, 4e11]", "1e11")
        .replace("seed = [0, 1]", "seed = [0, 1]\nlr-factor = [1, 2]");
    let expected = r#"priced: mix grid, N and C counted by `exact`
  What does it cost to know how the loss of a small transformer falls with its
    size and its text?

  runs  model       N      D        C   D/N       lr  time     kWh   money
budget 1.00e11, centred on N 25.7K by the sweep's guess
     6  L2 d16  10.8K  1.12M  1.00e11   103  1.58e-2   11s  1.5e-4  2.3e-3
     6  L2 d16  10.8K  1.12M  1.00e11   103  3.16e-2   11s  1.5e-4  2.3e-3
     6  L2 d28  27.0K   488K  1.00e11  18.1  1.17e-2   11s  1.6e-4  2.4e-3
     6  L2 d28  27.0K   488K  1.00e11  18.1  2.34e-2   11s  1.6e-4  2.4e-3
  (no room for: steps, disk, memory)

3 mixtures, each at all of these sizes:
  8 runs: code 0.746, lookup 5.0e-3, prose 0.249
  8 runs: code 0.600, lookup 0.200, prose 0.200
  8 runs: code 0.450, lookup 0.400, prose 0.150
"#;
    let shown = terminal::plan(&plan(&text), 80);
    assert!(shown.starts_with(expected), "{shown}");
}

#[test]
fn no_line_is_wider_than_asked_unless_what_identifies_a_run_is() {
    for text in [PRICED.to_string(), PRICED.replace("context-len = 128", "context-len = [64, 128]")] {
        let plan = plan(&text);
        for width in [70, 80, 100, 120, 200] {
            for line in terminal::plan(&plan, width).lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }
}

#[test]
fn a_large_plan_is_cut_and_says_so() {
    let plan = plan(&PRICED.replace("seed = [0, 1]", "lr = { log = [1e-4, 1e-1], steps = 200 }"));
    let shown = terminal::plan(&plan, 80);
    assert!(shown.lines().count() < 450, "{}", shown.lines().count());
    assert!(shown.contains("and 400 more lines"), "{}", &shown[shown.len() - 900..]);
}

#[test]
fn branches_show_where_they_begin_and_what_a_trunk_saves() {
    let text = r#"
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
    let text = terminal::plan(&plan(text), 140);
    for part in ["from step", "160", "as separate runs: 34 % less"] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
}
