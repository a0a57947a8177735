//! Grids of the kind `mix`: the share of a source swept at fixed budgets.

use std::collections::{BTreeMap, BTreeSet};

use scalelaw_plan::facts::PlanFacts;
use scalelaw_plan::{PlanError, expand};
use scalelaw_schema::plan::{Plan, PlannedRun};
use scalelaw_schema::source::{Layers, TomlText};
use scalelaw_schema::sweep::SweepSpec;

const MIX: &str = r#"
[grid]
kind = "mix"
budgets = [1e11, 1e12]
sizes = 5
span-decades = 0.5
tokens-per-param = 20
swept = ["lookup", "mano"]
fractions = [0.05, 0.2, 0.8]
[model]
context-len = 128
[data]
tokenizer = "bytes"
mixture = { lookup = 1, mano = 1, prose = 3 }
[train]
batch-sequences = 8
"#;

fn layers(text: &str) -> Layers {
    let mut layers = Layers::default();
    layers.push(TomlText { name: "a.toml".to_string(), text: text.to_string() }).unwrap();
    layers
}

fn plan(text: &str) -> Plan {
    let sweep: SweepSpec = layers(text).parse().unwrap_or_else(|error| panic!("{error}"));
    expand(&sweep, &PlanFacts::draft(&sweep)).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// Shares by name, to nine digits.
fn shares(run: &PlannedRun) -> BTreeMap<String, String> {
    let sources = run.run.train.mixture.sources.iter();
    sources
        .map(|source| (run.run.corpus_name(&source.tokens).to_string(), format!("{:.9}", source.weight)))
        .collect()
}

#[test]
fn the_swept_source_has_its_share_and_the_others_keep_their_ratios() {
    let plan = plan(MIX);
    let found: BTreeSet<BTreeMap<String, String>> = plan.runs.iter().map(shares).collect();
    let expected = [
        [0.05, 0.95 / 4.0, 0.95 * 3.0 / 4.0],
        // The base, which both of the swept reach.
        [0.2, 0.2, 0.6],
        [0.8, 0.05, 0.15],
        [0.95 / 4.0, 0.05, 0.95 * 3.0 / 4.0],
        [0.05, 0.8, 0.15],
    ];
    let expected: BTreeSet<BTreeMap<String, String>> = expected
        .iter()
        .map(|shares| {
            let names = ["lookup", "mano", "prose"].map(str::to_string);
            names.into_iter().zip(shares.iter().map(|share| format!("{share:.9}"))).collect()
        })
        .collect();
    assert_eq!(found, expected);
    assert_eq!((plan.kind.as_str(), plan.runs.len()), ("mix", 2 * 5 * 5));
}

#[test]
fn every_mixture_has_the_sizes_and_steps_of_the_isoflop_grid() {
    let mix = plan(MIX);
    let isoflop = plan(
        &MIX.replace("\"mix\"", "\"isoflop\"")
            .replace("swept = [\"lookup\", \"mano\"]\n", "")
            .replace("fractions = [0.05, 0.2, 0.8]\n", ""),
    );
    let cell = |run: &PlannedRun| {
        let budget = run.run.cell.budget_flops.map(f64::to_bits);
        (budget, run.n.to_bits(), run.run.train.total_steps())
    };
    let mut by_mixture: BTreeMap<BTreeMap<String, String>, Vec<_>> = BTreeMap::new();
    for run in &mix.runs {
        by_mixture.entry(shares(run)).or_default().push(cell(run));
    }
    let expected: Vec<_> = isoflop.runs.iter().map(cell).collect();
    assert_eq!(by_mixture.len(), 5);
    assert!(by_mixture.values().all(|cells| *cells == expected), "{by_mixture:?}");
    assert_eq!(mix.budgets, isoflop.budgets);
    let ids: BTreeSet<_> = mix.runs.iter().map(|run| &run.run.id).collect();
    assert_eq!(ids.len(), mix.runs.len());
}

#[test]
fn equal_mixtures_are_one_whichever_way_they_are_reached() {
    // In thirds the shares of the others are rounded on the way; 0.3 of one of two sources is 0.7 of the other.
    for (mixture, swept, fractions, n_mixtures) in [
        ("{ a = 1, b = 1, c = 1 }", "[\"a\", \"b\", \"c\"]", "0.3333333333333333", 1),
        ("{ a = 1, b = 6 }", "[\"a\", \"b\"]", "[0.1, 0.3, 0.5, 0.7, 0.9]", 5),
        ("{ a = 0.25, b = 0.75 }", "[\"a\"]", "[0.3, 0.3]", 1),
    ] {
        let text = MIX
            .replace("{ lookup = 1, mano = 1, prose = 3 }", mixture)
            .replace("[\"lookup\", \"mano\"]", swept)
            .replace("[0.05, 0.2, 0.8]", fractions);
        let plan = plan(&text);
        assert_eq!(plan.runs.len(), 2 * 5 * n_mixtures, "{text}");
        assert!(plan.warnings.is_empty(), "{:?}", plan.warnings);
    }
}

#[test]
fn every_run_of_a_mix_is_evaluated_on_all_of_its_text_and_on_what_else_is_named() {
    let text = MIX.replace("[0.05, 0.2, 0.8]", "[0.001, 0.999]");
    for run in plan(&format!("{text}[eval]\ncorpora = [\"code\"]")).runs {
        let names: BTreeSet<&str> = run.run.evals.iter().map(|request| request.name.as_str()).collect();
        assert_eq!(names, BTreeSet::from(["code", "lookup", "mano", "prose"]));
    }
}

#[test]
fn an_invalid_mix_is_an_error_at_its_line() {
    let mixture = "{ lookup = 1, mano = 1, prose = 3 }";
    for (old, new, line, parts) in [
        (mixture, "{ lookup = 1 }", "mixture = ", ["two or more sources", "add a source"]),
        (
            mixture,
            "[{ lookup = 1, mano = 1 }, { mano = 1 }]",
            "mixture = ",
            ["varies one mixture", "keep one table"],
        ),
        (mixture, "{ lookup = 0.1, mano = 1.2 }", "mixture = ", ["sum to 1.3", "ratio"]),
        ("\"mano\"]", "\"manno\"]", "swept = ", ["unknown source `manno`", "did you mean `mano`?"]),
        ("\"mano\"]", "\"lookup\"]", "swept = ", ["`lookup` is listed", "twice"]),
        ("[\"lookup\", \"mano\"]", "[]", "swept = ", ["is empty", "a source of `data.mixture`"]),
        ("0.8]", "1.0]", "fractions = ", ["`1` must be above 0 and below 1", "hint"]),
        ("0.05,", "0,", "fractions = ", ["`0` must be above 0 and below 1", "hint"]),
        ("0.05,", "-0.1,", "fractions = ", ["`-0.1` must be", "hint"]),
        ("[model]", "[model]\nsize = 3", "size = 3", ["the grid `mix` chooses the sizes itself", "hint"]),
        ("sizes = 5", "sizes = 0", "sizes = 0", ["between", "1 and"]),
        (
            "[train]",
            "[train]\nearly-stop = { margin = 0.1 }",
            "early-stop",
            ["different mixtures", "remove it"],
        ),
    ] {
        assert!(MIX.contains(old), "{old}");
        let layers = layers(&MIX.replace(old, new));
        let sweep: SweepSpec = layers.parse().unwrap_or_else(|error| panic!("{new}\n{error}"));
        let error = expand(&sweep, &PlanFacts::draft(&sweep)).map(|_| ()).unwrap_err();
        let PlanError::Sweep { path, message } = error else { panic!("{error:?}") };
        let shown = layers.error_at(&path, message).to_string();
        assert!(shown.contains(&format!("| {line}")), "{new}: {line}\n{shown}");
        assert!(parts.iter().all(|part| shown.contains(part)), "{new}: {parts:?}\n{shown}");
    }
}
