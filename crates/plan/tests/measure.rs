//! The skills that a sweep evaluates, and grids of the kind `validation`.

use scalelaw_plan::facts::PlanFacts;
use scalelaw_plan::{PlanError, expand};
use scalelaw_schema::plan::Plan;
use scalelaw_schema::source::{Layers, TomlText};
use scalelaw_schema::sweep::SweepSpec;

const VALIDATION: &str = r#"
[grid]
kind = "validation"
budgets = [1e11, 1e12]
sizes = 5
span-decades = 0.5
tokens-per-param = 20
[model]
context-len = 128
[data]
tokenizer = "bytes"
mixture = { prose = 1 }
[train]
batch-sequences = 8
"#;

const MEASURE: &str = r#"
[measure]
skills = ["lookup", "mano"]
items = 200
items-during = 20
uses = { tutor = { lookup = 1, mano = 3 }, clerk = { lookup = 1 } }
targets = { lookup = { nll = 0.5 }, mano = { accuracy = 0.9 } }
"#;

fn layers(text: &str) -> Layers {
    let mut layers = Layers::default();
    layers.push(TomlText { name: "a.toml".to_string(), text: text.to_string() }).unwrap();
    layers
}

/// The plan, or its error as a person sees it.
fn planned(text: &str) -> Result<Plan, String> {
    let layers = layers(text);
    let sweep: SweepSpec = layers.parse().unwrap_or_else(|error| panic!("{text}\n{error}"));
    expand(&sweep, &PlanFacts::draft(&sweep)).map_err(|error| match error {
        PlanError::Sweep { path, message } => layers.error_at(&path, message).to_string(),
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_validation_grid_has_the_runs_of_the_isoflop_grid() {
    let text = VALIDATION.replace("{ prose = 1 }", "{ prose = 1, code = 1 }");
    let validation = planned(&text).unwrap();
    let isoflop = planned(&text.replace("\"validation\"", "\"isoflop\"")).unwrap();
    assert_eq!((validation.kind.as_str(), isoflop.kind.as_str()), ("validation", "isoflop"));
    assert_eq!((&validation.runs, &validation.budgets), (&isoflop.runs, &isoflop.budgets));
}

#[test]
fn a_validation_grid_takes_two_texts_that_every_run_is_evaluated_on() {
    for (mixture, rest, lacks) in [
        ("{ prose = 1 }", "", Some("evaluated only on `prose`")),
        ("{ prose = 1 }", "[eval]\ncorpora = [\"prose\"]", Some("evaluated only on `prose`")),
        ("[{ prose = 1 }, { code = 1 }]", "", Some("no text is common")),
        ("[{ prose = 1, code = 1 }, { code = 1 }]", "", Some("evaluated only on `code`")),
        ("{ prose = 1, code = 1 }", "", None),
        ("{ prose = 1 }", "[eval]\ncorpora = [\"code\"]", None),
        ("{ prose = 1 }", "[measure]\nskills = [\"lookup\"]", None),
        ("[{ prose = 1 }, { code = 1 }]", "[measure]\nskills = [\"lookup\", \"mano\"]", None),
    ] {
        let text = format!("{}{rest}", VALIDATION.replace("{ prose = 1 }", mixture));
        match (planned(&text), lacks) {
            (Ok(_), None) => {}
            (Err(shown), Some(part)) => {
                assert!(shown.contains("| kind = \"validation\"") && shown.contains(part), "{shown}");
                assert!(shown.contains("`measure.skills`") && shown.contains("`eval.corpora`"), "{shown}");
            }
            (found, _) => panic!("{text}\n{:?}", found.map(|plan| plan.runs.len())),
        }
    }
}

#[test]
fn uses_and_targets_are_those_of_the_file() {
    let plan = planned(&format!("{VALIDATION}{MEASURE}")).unwrap();
    assert_eq!(plan.uses["tutor"]["mano"], 3.0);
    assert_eq!((plan.uses.len(), plan.targets.len()), (2, 2));
}

#[test]
fn an_invalid_number_or_name_is_an_error_at_its_line() {
    for (old, new, line, parts) in [
        ("[\"lookup\", \"mano\"]", "[]", "skills = []", ["`skills` is empty", "remove `[measure]`"]),
        ("\"mano\"]", "\"mano\", \"mano\"]", "skills = ", ["`mano` is listed twice", "remove one"]),
        ("items = 200", "items = 0", "items = 0", ["at least 1", "remove it"]),
        ("items-during = 20", "items-during = 0", "items-during = 0", ["at least 1", "`eval.during`"]),
        ("mano = 3", "manno = 3", "uses = ", ["unknown skill `manno`", "did you mean `mano`?"]),
        (
            "mano = 3",
            "sort = 3",
            "uses = ",
            ["unknown skill `sort`", "in `measure.skills`: `lookup`, `mano`"],
        ),
        ("mano = 3", "mano = 0", "uses = ", ["weight 0 of `mano` must be positive", "remove"]),
        ("mano = 3", "mano = -1", "uses = ", ["weight -1 of `mano`", "positive"]),
        ("mano = 3", "mano = inf", "uses = ", ["weight inf of `mano`", "positive"]),
        (
            "clerk = { lookup = 1 }",
            "clerk = {}",
            "uses = ",
            ["`clerk` has no skill", "`clerk = { lookup = 1 }`"],
        ),
        (
            "{ lookup = { nll",
            "{ lokup = { nll",
            "targets = ",
            ["unknown skill `lokup`", "did you mean `lookup`?"],
        ),
        ("nll = 0.5", "nll = 0", "targets = ", ["`0` must be positive", "nats"]),
        ("nll = 0.5", "nll = nan", "targets = ", ["`NaN` must be positive", "nats"]),
        ("accuracy = 0.9", "accuracy = 90", "targets = ", ["`90` must be above 0 and below 1", "`0.9`"]),
        ("accuracy = 0.9", "accuracy = 1", "targets = ", ["`1` must be above 0 and below 1", "`0.9`"]),
    ] {
        assert!(MEASURE.contains(old), "{old}");
        let shown = planned(&format!("{VALIDATION}{}", MEASURE.replacen(old, new, 1))).unwrap_err();
        assert!(shown.contains(&format!("| {line}")), "{new}: {line}\n{shown}");
        assert!(parts.iter().all(|part| shown.contains(part)), "{new}: {parts:?}\n{shown}");
    }
}
