//! From a sweep file to a plan, as a person meets it.

use std::collections::{BTreeMap, BTreeSet};

use scalelaw_plan::cost::limits::check_limits;
use scalelaw_plan::facts::{CorpusFacts, PlanFacts};
use scalelaw_plan::learning_rate::lr_by_rule;
use scalelaw_plan::{PlanError, expand, outstanding, tokens_needed};
use scalelaw_schema::count::CountRule;
use scalelaw_schema::device::{DeviceSpeed, TrainingSpeed};
use scalelaw_schema::eval::EvalSpec;
use scalelaw_schema::plan::{CenterSource, Plan};
use scalelaw_schema::recipe::Schedule;
use scalelaw_schema::source::{Layers, TomlText};
use scalelaw_schema::sweep::{SweepSpec, TokenizerChoice};

const ISOFLOP: &str = r#"
name = "iso"
[grid]
kind = "isoflop"
budgets = [1e12, 1e11]
sizes = 5
span-decades = 0.5
tokens-per-param = 20
[model]
context-len = 128
[data]
tokenizer = "bytes"
mixture = { code = 1 }
[train]
batch-sequences = 8
"#;

const PRODUCT: &str = r#"
[grid]
kind = "product"
horizon = { steps = 100 }
[model]
d-model = 32
n-layer = 2
[data]
tokenizer = "bytes"
mixture = { code = 1 }
[train]
"#;

fn layers(text: &str) -> Layers {
    let mut layers = Layers::default();
    layers.push(TomlText { name: "a.toml".to_string(), text: text.to_string() }).unwrap();
    layers
}

fn sweep(text: &str) -> SweepSpec {
    layers(text).parse().unwrap_or_else(|error| panic!("{error}"))
}

fn plan(text: &str) -> Plan {
    let sweep = sweep(text);
    expand(&sweep, &PlanFacts::draft(&sweep)).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

fn speed(flops_per_second: f64) -> Option<DeviceSpeed> {
    let training = vec![TrainingSpeed { n_total: 1e5, flops_per_second }];
    Some(DeviceSpeed { matmul_flops_per_second: flops_per_second, training, slots: 1 })
}

#[test]
fn every_isoflop_cell_hits_its_budget_to_within_half_a_step_under_every_rule() {
    for rule in CountRule::ALL {
        let plan = plan(&format!("count-rule = \"{rule}\"\n{ISOFLOP}"));
        assert_eq!(plan.count_rule, rule);
        for planned in &plan.runs {
            let budget = planned.run.cell.budget_flops.unwrap();
            let half_a_step = 0.5 * planned.c / planned.run.train.total_steps() as f64;
            assert!((planned.c - budget).abs() <= half_a_step * 1.0001, "{rule} {budget:e}: {:e}", planned.c);
            assert_eq!(planned.n, rule.n(&planned.run.train.model));
            assert_eq!(planned.d, planned.run.train.tokens() as f64);
        }
        assert_eq!(plan.budgets.iter().map(|budget| budget.flops).collect::<Vec<_>>(), [1e11, 1e12]);
    }
}

#[test]
fn the_prior_centre_has_the_tokens_per_param_asked_for_at_its_budget() {
    // With C = 6·N·D and D = 20·N the optimum is known in closed form: N = √(C / 120).
    let plan_of = |rule| plan(&format!("count-rule = \"{rule}\"\n{ISOFLOP}"));
    for budget in plan_of(CountRule::SixNTotal).budgets {
        let expected = (budget.flops / 120.0).sqrt();
        assert!((budget.center_n / expected - 1.0).abs() < 1e-9, "{budget:?}, expected {expected}");
    }
    // Counted exactly, a token costs more than 6·N here (attention's scores), so the optimum is smaller; the run
    // in the middle has 20 tokens per parameter, as far as there is a shape of that size (18 % at 3e4 parameters).
    let exact = plan_of(CountRule::Exact);
    for budget in &exact.budgets {
        let bound = (budget.flops / 120.0).sqrt();
        assert!(budget.center_n < bound && budget.center_n > 0.7 * bound, "{budget:?}");
        let of_budget = exact.runs.iter().filter(|run| run.run.cell.budget_flops == Some(budget.flops));
        let middle = of_budget
            .min_by(|a, b| (a.n / budget.center_n).ln().abs().total_cmp(&(b.n / budget.center_n).ln().abs()))
            .unwrap();
        let ratio = middle.d / middle.n * (middle.n / budget.center_n).powi(2);
        assert!((ratio / 20.0 - 1.0).abs() < 0.1, "{ratio} tokens per parameter at the centre");
    }
}

#[test]
fn every_horizon_comes_out_as_the_nearest_whole_number_of_steps() {
    let product = |horizon: &str| {
        let text = PRODUCT
            .replace("{ steps = 100 }", horizon)
            .replace("n-layer = 2", "n-layer = 2\ncontext-len = 64");
        plan(&format!("{text}batch-sequences = 4"))
    };
    // 256 tokens per step; N = 8224 + 2·(4096 + 3·32·88 + 64) + 32 = 33472.
    assert_eq!(product("{ steps = 7 }").runs[0].n, 33472.0);
    let c_of_one_step = product("{ steps = 1 }").runs[0].c;
    for (horizon, steps) in [
        ("{ steps = 7 }".to_string(), 7),
        ("{ tokens = 1e5 }".to_string(), 391),
        ("{ tokens = 1 }".to_string(), 1),
        ("{ tokens-per-param = 2 }".to_string(), 262),
        (format!("{{ flops = {} }}", 10.4 * c_of_one_step), 10),
        (format!("{{ flops = {} }}", 10.6 * c_of_one_step), 11),
    ] {
        let plan = product(&horizon);
        assert_eq!(plan.runs[0].run.train.total_steps(), steps, "{horizon}");
        assert_eq!(plan.runs[0].d, steps as f64 * 256.0, "{horizon}");
        assert!((plan.runs[0].c - steps as f64 * c_of_one_step).abs() < 1e-3, "{horizon}");
    }
}

#[test]
fn a_ladder_is_its_sizes_times_its_ratios() {
    let grid = "kind = \"ladder\"\nsizes = { log = [3e4, 3e5], steps = 3 }\ntokens-per-param = [5, 20]\n";
    let text = PRODUCT.replace("kind = \"product\"\nhorizon = { steps = 100 }\n", grid);
    let plan = plan(&text.replace("d-model = 32\nn-layer = 2\n", ""));
    assert_eq!((plan.runs.len(), plan.kind.as_str()), (6, "ladder"));
    for run in &plan.runs {
        let ratio = run.d / run.n;
        let nearest = if ratio < 10.0 { 5.0 } else { 20.0 };
        // One step has 4096 tokens.
        assert!((run.d - nearest * run.n).abs() <= 2048.0, "{ratio}");
    }
}

#[test]
fn every_swept_value_multiplies_and_equal_runs_are_merged_with_a_warning() {
    for (line, n_runs) in [
        ("seed = [0, 1, 2]", 3),
        ("lr = { log = [1e-4, 1e-2], steps = 5 }", 5),
        ("lr-factor = [0.5, 1, 2]", 3),
        ("batch-sequences = [4, 8]", 2),
        ("beta1 = [0.8, 0.9]\nbeta2 = [0.95, 0.99]", 4),
        ("weight-decay = [0, 0.1]\nseed = [0, 1]", 4),
    ] {
        let plan = plan(&format!("{PRODUCT}{line}"));
        assert_eq!((plan.runs.len(), plan.warnings.len()), (n_runs, 0), "{line}");
    }
    for (old, new, n_runs) in [
        ("n-layer = 2", "n-layer = [1, 2, 3]", 3),
        ("d-model = 32", "d-model = [32, 64]\nd-ff = [64, 96]\nn-head = [2, 4]", 8),
        ("d-model = 32\nn-layer = 2", "size = [3e4, 1e5]", 2),
        ("n-layer = 2", "n-layer = 2\ncontext-len = [64, 128]", 2),
        ("{ steps = 100 }", "{ tokens = [1e5, 2e5] }", 2),
        ("\"bytes\"", "[\"bytes\", { bpe = 512 }]", 2),
        ("{ code = 1 }", "[{ code = 1 }, { code = 1, prose = 1 }]", 2),
    ] {
        let plan = plan(&PRODUCT.replace(old, new));
        assert_eq!((plan.runs.len(), plan.warnings.len()), (n_runs, 0), "{new}");
        let ids: BTreeSet<_> = plan.runs.iter().map(|run| &run.run.id).collect();
        assert_eq!(ids.len(), n_runs);
    }
    let plan = plan(&format!("{PRODUCT}seed = [0, 1, 0]\nlr = [1e-3, 1e-3]"));
    assert_eq!(plan.runs.len(), 2);
    assert!(plan.warnings[0].starts_with("4 duplicate runs"), "{:?}", plan.warnings);
}

#[test]
fn what_is_not_written_is_chosen_by_the_documented_defaults() {
    let plan = plan(&PRODUCT.replace("steps = 100", "steps = 1001"));
    let run = &plan.runs[0].run;
    let train = &run.train;
    assert_eq!((train.phases[0].context_len, train.phases[0].batch_sequences), (256, 16));
    assert_eq!((train.seed, train.recipe.warmup_steps), (0, 100));
    assert_eq!(train.recipe.schedule, Schedule::Cosine { final_fraction: 0.1 });
    assert_eq!(train.recipe.lr_peak, lr_by_rule(33472.0));
    assert_eq!(
        (run.cadence.log_steps, run.cadence.checkpoint_steps, run.cadence.eval_steps),
        (11, 101, 1001)
    );
    let EvalSpec::HeldOut { tokens, n_tokens, context_len } = &run.evals[0].spec else { panic!("no skill") };
    assert_eq!(
        (run.evals[0].name.as_str(), tokens.as_str(), *n_tokens, *context_len),
        ("code", "code", 65536, 256)
    );
    assert_eq!(run.cell.cluster.as_ref(), Some(&run.id));
    run.train.check().unwrap();
}

#[test]
fn evaluations_are_whole_windows_of_every_corpus_named() {
    let text = PRODUCT.replace("n-layer = 2", "n-layer = 2\ncontext-len = 100");
    let plan = plan(&format!("{text}[eval]\ncorpora = [\"prose\", \"code\"]\nduring = 3"));
    let run = &plan.runs[0].run;
    assert_eq!(run.evals.iter().map(|eval| eval.name.as_str()).collect::<Vec<_>>(), ["code", "prose"]);
    for eval in &run.evals {
        let EvalSpec::HeldOut { n_tokens, .. } = eval.spec else { panic!("no skill") };
        assert_eq!(n_tokens, 65600);
    }
    assert_eq!((run.cadence.eval_steps, run.corpora.len(), run.train.mixture.sources.len()), (25, 2, 1));
}

#[test]
fn warm_up_and_cool_down_are_lengths_or_shares() {
    let text = format!(
        "{PRODUCT}warmup = {{ fraction = 0.25 }}\nschedule = {{ wsd = {{ cooldown = {{ steps = 30 }} }} }}"
    );
    let recipe = plan(&text).runs[0].run.train.recipe.clone();
    assert_eq!((recipe.warmup_steps, recipe.schedule), (25, Schedule::Wsd { cooldown_steps: 30 }));
    let recipe = plan(&format!("{PRODUCT}schedule = \"constant\"\nwarmup = {{ steps = 0 }}")).runs[0]
        .run
        .train
        .recipe
        .clone();
    assert_eq!((recipe.warmup_steps, recipe.schedule), (0, Schedule::Constant));
}

#[test]
fn an_untrainable_cell_is_dropped_with_its_reason_and_the_others_stay() {
    let memory = |bytes| PlanFacts { memory_bytes: Some(bytes), slots: 2, ..PlanFacts::new(BTreeMap::new()) };
    let binding = |bytes| PlanFacts { max_binding_bytes: Some(bytes), ..PlanFacts::new(BTreeMap::new()) };
    let plain = || PlanFacts::new(BTreeMap::new());
    let iso = |old: &str, new: &str| ISOFLOP.replace(old, new);
    let product = |old: &str, new: &str| PRODUCT.replace(old, new);
    let train = |text: &str, line: &str| format!("{text}{line}");
    // The file, the machine, the numbers of runs and of dropped cells, and the first dropped cell with its reason.
    for (text, machine, counts, cell, why) in [
        (
            iso("[model]", "min-steps = 200\n[model]"),
            plain(),
            (9, 1),
            "budget 1.00e11, N 81.3K",
            "174 steps, fewer than `min-steps` = 200",
        ),
        (
            train(ISOFLOP, "warmup = { steps = 200 }"),
            plain(),
            (9, 1),
            "budget 1.00e11, N 81.3K",
            "a warm-up of 200",
        ),
        (
            iso("sizes = 5", "sizes = 20"),
            plain(),
            (28, 12),
            "budget 1.00e11, N 10.4K",
            "same shape as N 9.17K",
        ),
        (
            iso("[model]", "[model]\nwidth-range = [20, 64]"),
            plain(),
            (8, 2),
            "N 8.13K",
            "the smallest has N 15.2K",
        ),
        (
            iso("[model]", "[model]\nwidth-range = [8, 56]"),
            plain(),
            (8, 2),
            "budget 1.00e12, N 150K",
            "the largest has N 90.8K",
        ),
        (product("= 32", "= [32, 33]"), plain(), (1, 1), "L2 d33, 100 steps", "heads of even width"),
        (product("= 32", "= [32, 48]\nd-head = 32"), plain(), (1, 1), "L2 d48, 100 steps", "heads of 32"),
        (product("= 32", "= 32\nn-head = [2, 3]"), plain(), (1, 1), "L2 d32 h3", "3 heads"),
        (product("= 32", "= [32, 1024]"), memory(200_000_000), (1, 1), "L2 d1024", "fewer `--slots`"),
        (product("= 32", "= [32, 4096]"), binding(100_000_000), (1, 1), "L2 d4096", "binds at most 100 MB"),
        (product("steps = 100", "tokens = [1e5, 1e17]"), plain(), (1, 1), "D 100000T", "counted exactly"),
        (product("n-layer = 2", "n-layer = [2, 1e15]"), plain(), (1, 1), "d32, 100 steps", "counted exactly"),
        (
            train(PRODUCT, "batch-sequences = [1, 1e15]\nseed = [0, 1]"),
            plain(),
            (2, 1),
            ", batch 1",
            "counted exactly",
        ),
    ] {
        let sweep = sweep(&text);
        let facts = PlanFacts { corpora: PlanFacts::draft(&sweep).corpora, ..machine };
        let plan = expand(&sweep, &facts).unwrap_or_else(|error| panic!("{text}\n{error}"));
        assert_eq!((plan.runs.len(), plan.dropped.len()), counts, "{text}\n{:?}", plan.dropped);
        let dropped = &plan.dropped[0];
        assert!(dropped.cell.contains(cell) && dropped.why.contains(why), "{text}\n{dropped:?}");
    }
}

#[test]
fn a_smaller_micro_batch_saves_a_cell_from_being_dropped() {
    let sweep = sweep(PRODUCT);
    let draft = PlanFacts::draft(&sweep);
    let whole = expand(&sweep, &draft).unwrap().runs[0].estimate.memory_bytes;
    let facts = PlanFacts { memory_bytes: Some((whole * 0.6) as u64), ..draft };
    let less = expand(&sweep, &facts).unwrap().runs[0].estimate.memory_bytes;
    assert!(less < whole * 0.6 && less > whole * 0.4, "{less} of {whole}");
}

#[test]
fn a_bad_value_is_an_error_at_its_line() {
    let iso = |old: &str, new: &str| {
        assert!(ISOFLOP.contains(old), "{old}");
        ISOFLOP.replace(old, new)
    };
    let product = |old: &str, new: &str| {
        assert!(PRODUCT.contains(old), "{old}");
        PRODUCT.replace(old, new)
    };
    let train = |line: &str| format!("{PRODUCT}{line}");
    for (text, line, part) in [
        (iso("sizes = 5", "sizes = 0"), "sizes = 0", "between 1 and"),
        (iso("0.5", "-0.5"), "span-decades = -0.5", "must be positive"),
        (iso("= 20", "= 0"), "tokens-per-param = 0", "must be positive"),
        (iso("[1e12, 1e11]", "[1e12, 1e12]"), "budgets = [1e12, 1e12]", "is listed twice"),
        (iso("[1e12, 1e11]", "[0, 1e12]"), "budgets = [0, 1e12]", "must be positive"),
        (iso("[1e12, 1e11]", "[1e3]"), "budgets = [1e3]", "has no optimum at 20 tokens per parameter"),
        (iso("sizes = 5", "sizes = 5\nmin-steps = 1000000000"), "[grid]", "budget 1.00e11, N"),
        (iso("[model]", "[model]\nsize = 3"), "size = 3", "the grid `isoflop` chooses the sizes itself"),
        (iso("name = \"iso\"", "name = \"../x\""), "name = \"../x\"", "is not a valid folder name"),
        (product("n-layer = 2", "n-layer = 2\nsize = 1e5"), "size = 1e5", "give either"),
        (product("n-layer = 2", ""), "d-model = 32", "also needs `n-layer`"),
        (product("d-model = 32\nn-layer = 2", ""), "[model]", "`size`, or `d-model` with `n-layer`"),
        (product("d-model = 32\nn-layer = 2", "size = 1e5\nn-head = 2"), "n-head = 2", "goes with `d-model`"),
        (product("n-layer = 2", "n-layer = 2.5"), "n-layer = 2.5", "not a whole number"),
        (product("n-layer = 2", "n-layer = 0"), "n-layer = 0", "at least 1"),
        (product("n-layer = 2", "n-layer = 2\nd-head = 7"), "d-head = 7", "even"),
        (product("n-layer = 2", "n-layer = 2\nwidth-range = [9, 8]"), "width-range", "[9, 8] is empty"),
        (product("n-layer = 2", "n-layer = 2\ncontext-len = 0"), "context-len = 0", "at least 1"),
        (product("{ steps = 100 }", "{ steps = 0.5 }"), "horizon", "not a whole number"),
        (product("{ steps = 100 }", "{ tokens = -1 }"), "horizon", "must be positive"),
        (product("d-model = 32", "d-model = 33"), "[grid]", "L2 d33, 100 steps: d_model 33 is not divisible"),
        (product("\"bytes\"", "{ bpe = 256 }"), "tokenizer = { bpe = 256 }", "room for merges"),
        (
            product("\"bytes\"", "[\"bytes\", \"bytes\"]"),
            "tokenizer = [\"bytes\", \"bytes\"]",
            "is listed twice",
        ),
        (product("{ code = 1 }", "{ code = 0 }"), "mixture = { code = 0 }", "must be positive"),
        (product("{ code = 1 }", "[{ code = 1 }, { code = -1 }]"), "mixture", "must be positive"),
        (product("{ code = 1 }", "{}"), "mixture = {}", "no source"),
        (train("batch-sequences = [8, 8.5]"), "batch-sequences", "`8.5` is not a whole number"),
        (train("lr = 0"), "lr = 0", "must be positive"),
        (train("lr = 1e-3\nlr-factor = 2"), "lr-factor = 2", "remove one of the two"),
        (train("beta2 = 1"), "beta2 = 1", "below 1"),
        (train("weight-decay = -0.1"), "weight-decay = -0.1", "at least 0"),
        (train("seed = -1"), "seed = -1", "not a whole number"),
        (train("grad-clip-norm = 0"), "grad-clip-norm = 0", "must be positive"),
        (train("warmup = { fraction = 1.0 }"), "warmup = { fraction = 1.0 }", "below 1"),
        (train("schedule = { cosine = { final-fraction = 2 } }"), "schedule", "between 0 and 1"),
        (train("schedule = { wsd = { cooldown = { fraction = -1 } } }"), "schedule", "below 1"),
        (train("[eval]\ntokens = 1000"), "tokens = 1000", "at least 65536"),
        (train("[limits]\nhours = -1"), "hours = -1", "at least 0"),
        (train("[cost]\nwatts = nan"), "watts = nan", "at least 0"),
        (
            train("seed = { from = 0, to = 9999, steps = 10000 }\nlr = { log = [1, 2], steps = 10000 }"),
            "[train]",
            "multiply to 100000000",
        ),
    ] {
        let layers = layers(&text);
        let sweep: SweepSpec = layers.parse().unwrap_or_else(|error| panic!("{text}\n{error}"));
        let error = expand(&sweep, &PlanFacts::draft(&sweep)).map(|_| ()).unwrap_err();
        let PlanError::Sweep { path, message } = error else { panic!("{error:?}") };
        let shown = layers.error_at(&path, message).to_string();
        assert!(shown.contains(&format!("| {line}")) && shown.contains(part), "{line} | {part}\n{shown}");
    }
}

#[test]
fn an_unknown_corpus_is_told_with_the_nearest_known_one() {
    let text = PRODUCT.replace("{ code = 1 }", "{ cod = 1 }");
    let layers = layers(&text);
    let sweep: SweepSpec = layers.parse().unwrap();
    let corpora = ["code", "prose"].map(|name| {
        let facts = CorpusFacts { tokens: name.to_string(), vocab_size: 257, train_tokens: None };
        ((TokenizerChoice::Bytes, name.to_string()), facts)
    });
    let error = expand(&sweep, &PlanFacts::new(BTreeMap::from(corpora))).unwrap_err();
    let PlanError::Sweep { path, message } = error else { panic!("{error:?}") };
    let shown = layers.error_at(&path, message).to_string();
    assert!(shown.contains("unknown corpus `cod`") && shown.contains("did you mean `code`?"), "{shown}");
    assert!(shown.contains("mixture = { cod = 1 }"), "{shown}");
}

#[test]
fn budgets_go_in_order_and_other_grids_by_cost() {
    let iso = plan(&format!("{ISOFLOP}seed = [0, 1]"));
    let keys: Vec<(f64, f64)> =
        iso.runs.iter().map(|run| (run.run.cell.budget_flops.unwrap(), run.n)).collect();
    assert!(keys.is_sorted(), "{keys:?}");
    let product = plan(
        &PRODUCT
            .replace("d-model = 32", "d-model = [64, 32]")
            .replace("steps = 100", "steps = [30, 10, 200]"),
    );
    let costs: Vec<f64> = product.runs.iter().map(|run| run.c).collect();
    assert!(costs.is_sorted() && costs.len() == 6, "{costs:?}");
}

#[test]
fn a_later_budget_moves_to_the_fit_and_one_that_has_started_stays() {
    let text = ISOFLOP.replace("sizes = 5", "sizes = 5\ncenter = \"fit\"");
    let sweep = sweep(&text);
    let draft = PlanFacts::draft(&sweep);
    let before = expand(&sweep, &draft).unwrap();
    assert!(before.budgets.iter().all(|budget| budget.center == CenterSource::Prior));

    // The first budget never moves, the second does.
    let centers = BTreeMap::from([(0, 5e4), (1, 2e5)]);
    let facts = PlanFacts { centers, frozen: Some(before.clone()), ..draft };
    let fitted = expand(&sweep, &facts).unwrap();
    assert_eq!(fitted.budgets[0], before.budgets[0]);
    assert_eq!((fitted.budgets[1].center, fitted.budgets[1].center_n), (CenterSource::Fit, 2e5));
    assert_eq!(fitted.runs[..5], before.runs[..5]);
    assert_ne!(fitted.runs[5..], before.runs[5..]);

    // Once a run of it has started, another fit changes nothing, also after a way through the disk.
    let frozen: Plan = serde_json::from_str(&serde_json::to_string(&fitted).unwrap()).unwrap();
    let started = BTreeSet::from([fitted.runs[7].run.id.clone()]);
    let facts = PlanFacts { centers: BTreeMap::from([(1, 3e5)]), started, frozen: Some(frozen), ..facts };
    assert_eq!(expand(&sweep, &facts).unwrap(), fitted);

    // A seed that is added joins the grid that is there; a rate that is changed leaves the started run behind.
    let more = expand(&self::sweep(&format!("{text}seed = [0, 1]")), &facts).unwrap();
    assert_eq!((more.runs.len(), more.warnings.len()), (20, 0), "{:?}", more.warnings);
    assert!(fitted.runs.iter().all(|run| more.runs.contains(run)));
    let other = expand(&self::sweep(&format!("{text}lr = 1e-3")), &facts).unwrap();
    assert!(other.warnings[0].starts_with("1 started run is no longer in the plan"), "{:?}", other.warnings);

    // Without `fit` the file's guess holds, and a started budget still stays, which is said where it matters.
    let prior = self::sweep(&ISOFLOP.replace("tokens-per-param = 20", "tokens-per-param = 40"));
    let moved =
        expand(&prior, &PlanFacts { frozen: Some(before.clone()), ..PlanFacts::draft(&prior) }).unwrap();
    assert_ne!(moved.budgets, before.budgets);
    let started = before.runs.iter().map(|run| run.run.id.clone()).collect();
    let facts = PlanFacts { frozen: Some(before.clone()), started, ..PlanFacts::draft(&prior) };
    let stayed = expand(&prior, &facts).unwrap();
    assert_eq!((&stayed.budgets, stayed.runs.len()), (&before.budgets, 10));
    assert!(stayed.warnings[0].contains("stays centred"), "{:?}", stayed.warnings);
}

#[test]
fn beyond_a_limit_the_plan_is_refused_with_what_was_allowed_and_what_is_planned() {
    let cost = "[cost]\nwatts = 360\nprice-per-kwh = 0.5\ncurrency = \"EUR\"\n";
    for (limit, expected) in [
        ("hours = 0.01", Some("`limits.hours` allows 36s, the plan needs 9m")),
        ("hours = 10", None),
        ("flops = 1e12", Some("`limits.flops` allows 1.000e12 FLOPs, the plan needs 5.5")),
        ("flops = 1e15", None),
        ("disk-bytes = 1e3", Some("`limits.disk-bytes` allows 1.0 kB")),
        ("kwh = 0.001", Some("`limits.kwh` allows 0.001 kWh")),
        ("money = 0.01", Some("`limits.money` allows 0.01, the plan needs 0.0")),
        ("money = 10", None),
    ] {
        let sweep = sweep(&format!("{ISOFLOP}{cost}[limits]\n{limit}"));
        let facts = PlanFacts { speed: speed(1e10), ..PlanFacts::draft(&sweep) };
        let plan = expand(&sweep, &facts).unwrap();
        assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
        let error = check_limits(&sweep, &plan.total).err().map(|error| error.to_string());
        match (expected, error) {
            (None, None) => {}
            (Some(part), Some(message)) if message.contains(part) => {}
            (expected, found) => panic!("{limit}: {expected:?}, found {found:?}"),
        }
    }
    // A limit that cannot be checked is said, not passed over.
    let plan = plan(&format!("{ISOFLOP}[limits]\nhours = 1e-9\nmoney = 1"));
    assert_eq!(plan.warnings.len(), 2, "{:?}", plan.warnings);
}

#[test]
fn time_and_cost_follow_from_the_measured_speed() {
    let sweep = sweep(&format!("{ISOFLOP}[cost]\nwatts = 100\nprice-per-kwh = 0.2"));
    let facts = PlanFacts { speed: speed(1e10), slots: 2, ..PlanFacts::draft(&sweep) };
    let plan = expand(&sweep, &facts).unwrap();
    for run in &plan.runs {
        let training = run.run.train.flops().total() / 1e10;
        let seconds = run.estimate.seconds.unwrap();
        // The held-out tokens come on top: a forward pass over 65536 of them.
        assert!(seconds > training && seconds < training + 6.0, "{seconds} of {training}");
        let kwh = run.estimate.kwh.unwrap();
        assert!((kwh - 100.0 * seconds / 2.0 / 3.6e6).abs() < 1e-12);
        assert!((run.estimate.money.unwrap() - 0.2 * kwh).abs() < 1e-12);
    }
    let sum: f64 = plan.runs.iter().map(|run| run.estimate.seconds.unwrap()).sum();
    let wall = plan.total.wall_seconds.unwrap();
    assert!(wall >= sum / 2.0 && wall < sum, "{wall} of {sum}");
    assert_eq!(plan.total.n_runs, 10);
    assert_eq!(plan.total.flops, plan.runs.iter().map(|run| run.c).sum::<f64>());
}

#[test]
fn a_corpus_that_is_too_small_is_said_with_how_often_it_is_read() {
    let text = PRODUCT
        .replace("{ code = 1 }", "{ code = 3, prose = 1 }")
        .replace("{ steps = 100 }", "{ tokens = [1e6, 4e6] }");
    let sweep = sweep(&text);
    let mut facts = PlanFacts::draft(&sweep);
    let needed = tokens_needed(&expand(&sweep, &facts).unwrap());
    // 4e6 tokens are 976.56 steps of 4096.
    assert_eq!(needed, BTreeMap::from([("code".to_string(), 3_001_344), ("prose".to_string(), 1_000_448)]));
    for corpus in facts.corpora.values_mut() {
        corpus.train_tokens = Some(1_500_672);
    }
    let warnings = expand(&sweep, &facts).unwrap().warnings;
    assert_eq!(
        warnings,
        ["corpus `code` has 1.50M training tokens: 1 of 2 runs read it more than once, at most 2.0 times"]
    );
}

#[test]
fn the_same_sweep_gives_the_same_plan_and_what_is_done_is_not_outstanding() {
    let text = format!("{ISOFLOP}seed = [0, 1]");
    let (first, second) = (plan(&text), plan(&text));
    assert_eq!(first, second);
    let done: BTreeSet<_> = first.runs[..7].iter().map(|run| run.run.id.clone()).collect();
    let left = outstanding(&first, &done);
    assert_eq!(left.len(), first.runs.len() - 7);
    assert!(left.iter().all(|run| !done.contains(&run.run.id)));
}

#[test]
fn counting_otherwise_trains_nothing_anew_where_the_shapes_are_given() {
    let ids = |rule: &str| {
        let plan = plan(&format!("count-rule = \"{rule}\"\n{PRODUCT}"));
        plan.runs.into_iter().map(|run| run.run.id).collect::<Vec<_>>()
    };
    assert_eq!(ids("exact"), ids("six-n-non-embedding"));
}

#[test]
fn ten_thousand_runs_are_planned_within_a_second() {
    let sweep = sweep(&format!(
        "{ISOFLOP}seed = {{ from = 0, to = 99, steps = 100 }}\nlr = {{ log = [1e-4, 1e-2], steps = 10 }}"
    ));
    let begin = std::time::Instant::now();
    let plan = expand(&sweep, &PlanFacts::draft(&sweep)).unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    assert_eq!(plan.runs.len(), 10_000);
    // Measured 0.3 s on a busy core.
    assert!(seconds < 1.0, "{seconds} s");
}
