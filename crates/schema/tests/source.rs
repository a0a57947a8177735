//! Layered TOML: what is read, and how an error is shown.

use scalelaw_schema::source::{Layers, TomlText};
use scalelaw_schema::sweep::SweepSpec;

const SWEEP: &str = r#"# A sweep.
[grid]
kind = "isoflop"
budgets = [1e10, 1e11]
sizes = 5
span-decades = 0.5
tokens-per-param = 20

[model]
context-len = 128

[data]
tokenizer = "bytes"
mixture = [{ code = 1, prose = 1 }, { code = 1 }]

[train]
lr = { log = [1e-4, 1e-2], steps = 3 }
warmup = { fraction = 0.1 }
"#;

fn layers(text: &str) -> Layers {
    let mut layers = Layers::default();
    layers.push(TomlText { name: "a.toml".to_string(), text: text.to_string() }).unwrap();
    layers
}

fn error(layers: &Layers) -> String {
    layers.parse::<SweepSpec>().unwrap_err().to_string()
}

#[test]
fn an_error_names_the_line_and_puts_the_caret_under_the_culprit() {
    // What is replaced by what, the place, the text that the carets stand under, and a part of the message.
    for (old, new, place, marked, part) in [
        ("sizes = 5", "sizez = 5", "a.toml:5:1", "sizez", "did you mean `sizes`?"),
        (
            "sizes = 5",
            "sizes = \"five\"",
            "a.toml:5:1",
            "sizes",
            "`sizes` must be a whole number without quotes, got \"five\"",
        ),
        ("sizes = 5", "sizes = -5", "a.toml:5:1", "sizes", "it cannot be negative"),
        (
            "{ fraction = 0.1 }",
            "100",
            "a.toml:18:1",
            "warmup",
            "write `{ fraction = 0.1 }` or `{ steps = 100 }`",
        ),
        ("[train]", "[train]\nschedule = \"cosine\"", "a.toml:17:1", "schedule", "`cosine` needs a value"),
        ("[train]", "[train]\nschedule = { cosin = 1 }", "a.toml:17:14", "cosin", "unknown schedule `cosin`"),
        (
            "context-len = 128",
            "width-range = [8]",
            "a.toml:10:1",
            "width-range",
            "must be a list of length 2, got 1",
        ),
        ("sizes = 5", "sizes = 5.5", "a.toml:5:1", "sizes", "`sizes` must be a whole number, got `5.5`"),
        ("sizes = 5", "", "a.toml:2:2", "grid", "missing field `sizes`"),
        ("\"isoflop\"", "\"isoflopp\"", "a.toml:3:1", "kind", "did you mean `isoflop`?"),
        ("[1e10, 1e11]", "[]", "a.toml:4:1", "budgets", "list of values is empty"),
        ("[1e10, 1e11]", "{ log = [1, 2], stepz = 3 }", "a.toml:4:27", "stepz", "did you mean `steps`?"),
        ("context-len", "context_len", "a.toml:10:1", "context_len", "did you mean `context-len`?"),
        ("[train]", "[trian]", "a.toml:16:2", "trian", "did you mean `train`?"),
        ("\"bytes\"", "\"byte\"", "a.toml:13:1", "tokenizer", "did you mean `bytes`?"),
        ("\"bytes\"", "\"gpt2\"", "a.toml:13:1", "tokenizer", "unknown tokenizer `gpt2`"),
        ("\"bytes\"", "\"gpt2\"", "a.toml:13:1", "tokenizer", "write `\"bytes\"` or `{ bpe = 1024 }`"),
        (
            "[1e10, 1e11]",
            "\"1e10\"",
            "a.toml:4:1",
            "budgets",
            "`budgets` must be a number, a list of numbers",
        ),
        (
            "\"bytes\"",
            "{ bpe = \"x\" }",
            "a.toml:13:15",
            "bpe",
            "`bpe` must be a whole number without quotes, got \"x\"",
        ),
        (
            "{ code = 1 }",
            "{ code = \"x\" }",
            "a.toml:14:39",
            "code",
            "`code` must be a number without quotes, got \"x\"",
        ),
        ("{ code = 1 }", "3", "a.toml:14:37", "3", "`mixture[1]` must be a table, got `3`"),
        ("steps = 3", "steps = 1", "a.toml:17:1", "lr", "at least 2"),
        ("steps = 3", "stepz = 3", "a.toml:17:28", "stepz", "did you mean `steps`?"),
        ("{ fraction = 0.1 }", "{ fraktion = 0.1 }", "a.toml:18:12", "fraktion", "did you mean `fraction`?"),
        (
            "{ fraction = 0.1 }",
            "{ fraction = \"x\" }",
            "a.toml:18:12",
            "fraction",
            "`fraction` must be a number without quotes, got \"x\"",
        ),
        ("sizes = 5", "sizes = ", "a.toml:5:9", "", "string"),
        ("sizes = 5", "sizes = 5\nsizes = 6", "a.toml:6:1", "sizes", "duplicate"),
    ] {
        assert!(SWEEP.contains(old));
        let text = SWEEP.replacen(old, new, 1);
        let mut layers = Layers::default();
        let message = match layers.push(TomlText { name: "a.toml".to_string(), text }) {
            Err(error) => error.to_string(),
            Ok(()) => error(&layers),
        };
        let lines: Vec<&str> = message.lines().collect();
        let found = lines.iter().position(|line| line.contains("-->")).map(|arrow| {
            let carets = lines[arrow + 3];
            let start = carets.find('^').unwrap_or(0);
            let under = lines[arrow + 2].get(start..start + carets.matches('^').count());
            (lines[arrow].trim_start(), under.unwrap_or(""))
        });
        let expected_place = format!("--> {place}");
        assert_eq!(found, Some((expected_place.as_str(), marked)), "{old} -> {new}\n{message}");
        assert!(message.contains(part), "{old} -> {new}: {part}\n{message}");
    }
}

#[test]
fn an_override_replaces_a_value_and_an_error_in_it_names_the_option() {
    let mut changed = layers(SWEEP);
    for assignment in [
        "grid.sizes=7",
        "train.lr={ from = 1e-3, to = 2e-3, steps = 2 }",
        "data.mixture={ prose = 2 }",
        "name=x-1",
    ] {
        changed.push_override(assignment).unwrap();
    }
    let sweep: SweepSpec = changed.parse().unwrap();
    assert_eq!(sweep.name.as_deref(), Some("x-1"), "what is not TOML is a string");
    let mut by_hand = layers(
        &SWEEP
            .replace("sizes = 5", "sizes = 7")
            .replace("{ log = [1e-4, 1e-2], steps = 3 }", "[1e-3, 2e-3]")
            .replace("[{ code = 1, prose = 1 }, { code = 1 }]", "{ prose = 2 }"),
    );
    by_hand.push_override("name = \"x-1\"").unwrap();
    assert_eq!(sweep, by_hand.parse().unwrap());

    for (assignment, expected) in [
        ("grid.sizes=x", "--set grid.sizes=\"x\": `sizes` must be a whole number without quotes, got \"x\""),
        ("grid.sizez=3", "--set grid.sizez=3: unknown field `sizez`"),
        ("train.lrr=3", "--set train.lrr=3: unknown field `lrr`"),
        ("data.mixture=[{ code = \"x\" }]", "--set data.mixture=[{ code = \"x\" }]: `code` must be a number"),
        ("limits.hourz=3", "--set limits.hourz=3: unknown field `hourz`"),
        ("limits.hourz=3", "did you mean `hours`?"),
    ] {
        let mut layers = layers(SWEEP);
        layers.push_override(assignment).unwrap();
        let message = error(&layers);
        assert!(message.contains(expected), "{assignment}: {message}");
    }
    for assignment in ["", "x", "=3", "a..b=3", ".a=3"] {
        assert!(Layers::default().push_override(assignment).is_err(), "{assignment}");
    }
}

#[test]
fn an_override_is_not_blamed_for_what_the_file_lacks() {
    let mut layers = layers(&SWEEP.replace("budgets", "# budgets"));
    layers.push_override("grid.sizes=7").unwrap();
    let message = error(&layers);
    assert!(message.contains("missing field `budgets`") && message.contains("a.toml:2:2"), "{message}");
}

#[test]
fn sections_merge_and_inline_tables_are_replaced() {
    let mut layers = layers(SWEEP);
    let above = "include = [\"a.toml\"]\n[data]\nmixture = { prose = 1 }\n[train]\nlr = { from = 1, to = 2, steps = 2 }\n";
    layers.push(TomlText { name: "b.toml".to_string(), text: above.to_string() }).unwrap();
    let sweep: SweepSpec = layers.parse().unwrap();
    assert_eq!(sweep.data.mixture.0.len(), 1);
    assert_eq!(sweep.data.mixture.0[0].keys().collect::<Vec<_>>(), ["prose"]);
    let train = sweep.train.unwrap();
    assert_eq!(train.lr.unwrap().values(), [1.0, 2.0]);
    assert!(train.warmup.is_some(), "the rest of [train] stays");
}

#[test]
fn an_error_shows_the_layer_that_wrote_the_value_last() {
    let mut layers = layers(SWEEP);
    layers.push(TomlText { name: "b.toml".to_string(), text: "[grid]\nsizes = 0".to_string() }).unwrap();
    for (path, expected) in [
        ("grid.sizes", "none\n --> b.toml:2:1"),
        ("grid.budgets", "none\n --> a.toml:4:1"),
        ("grid.budgets[1]", "none\n --> a.toml:4:18"),
        ("grid.min-steps", "none\n --> b.toml:1:2"),
        ("data.mixture[0].prose", "none\n  --> a.toml:14:24"),
        ("data.mixture.prose", "none\n  --> a.toml:14:1"),
        ("train.lr.steps", "none\n  --> a.toml:17:28"),
        ("limits.hours", "b.toml: none"),
    ] {
        let message = layers.error_at(path, "none".to_string()).to_string();
        assert!(message.starts_with(expected), "{path}: {message}");
    }
    assert_eq!(Layers::default().error_at("x", "none".to_string()).to_string(), "none");
}

#[test]
fn a_caret_stands_below_its_mark_after_tabs_and_letters_of_several_bytes() {
    let message = layers("x = [\"\u{e9}\", 1]").error_at("x[1]", "none".to_string()).to_string();
    assert!(message.ends_with("1 | x = [\"\u{e9}\", 1]\n  |           ^"), "{message}");
    let layers = layers("[grid]\n\tsizes = 1\n");
    let message = layers.error_at("grid.sizes", "none".to_string()).to_string();
    assert!(message.ends_with("2 | \tsizes = 1\n  | \t^^^^^"), "{message}");
}

#[test]
fn includes_are_told_as_written_and_a_wrong_form_is_an_error_with_its_place() {
    let text = |text: &str| TomlText { name: "a.toml".to_string(), text: text.to_string() };
    assert_eq!(Layers::includes(&text("x = 1")).unwrap(), Vec::<String>::new());
    assert_eq!(Layers::includes(&text("include = [\"../b.toml\"]")).unwrap(), ["../b.toml"]);
    let message = Layers::includes(&text("\ninclude = \"b.toml\"")).unwrap_err().to_string();
    assert!(message.contains("list of file names") && message.contains("a.toml:2:1"), "{message}");
}

#[test]
fn what_is_written_out_again_reads_as_the_same() {
    let layers = layers(SWEEP);
    let again = crate::layers(&layers.to_toml());
    assert_eq!(layers.parse::<SweepSpec>().unwrap(), again.parse().unwrap());
}

#[test]
fn a_slip_in_every_kind_of_grid_is_shown_at_its_line() {
    for (kind, more) in [
        ("isoflop", ""),
        ("validation", ""),
        ("mix", "swept = [\"code\"]\nfractions = { log = [0.05, 0.8], steps = 5 }\n"),
    ] {
        let grid = format!("kind = \"{kind}\"\n{more}");
        let text = SWEEP.replace("kind = \"isoflop\"\n", &grid);
        let sweep: SweepSpec = layers(&text).parse().unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(sweep.grid.center(), None);
        let message = error(&layers(&text.replace("span-decades", "span-decade")));
        assert!(message.contains("| span-decade = 0.5"), "{kind}: {message}");
        assert!(message.contains("did you mean `span-decades`?"), "{kind}: {message}");
        let message = error(&layers(&text.replace("sizes = 5", "sizes = \"five\"")));
        assert!(
            message.contains("| sizes = \"five\"") && message.contains("must be a whole number"),
            "{kind}: {message}"
        );
        let message = error(&layers(&text.replace("sizes = 5\n", "")));
        assert!(
            message.contains("| [grid]") && message.contains("missing field `sizes`"),
            "{kind}: {message}"
        );
    }
    let message = error(&layers(&SWEEP.replace("sizes = 5", "sizes = 5\nswept = [\"code\"]")));
    assert!(message.contains("| swept = ") && message.contains("unknown field `swept`"), "{message}");
}

#[test]
fn the_schema_for_editors_knows_the_fields_of_each_kind_of_grid_and_no_others() {
    let schema = serde_json::to_value(schemars::schema_for!(SweepSpec)).unwrap();
    let kinds = schema["$defs"]["Grid"]["oneOf"].as_array().unwrap();
    let isoflop = [
        "budgets",
        "center",
        "kind",
        "min-steps",
        "shared-sizes",
        "sizes",
        "span-decades",
        "tokens-per-param",
    ];
    let required = ["budgets", "kind", "sizes", "span-decades", "tokens-per-param"];
    let with = |fields: &[&str], more: &[&str]| {
        let mut all: Vec<String> = fields.iter().chain(more).map(|field| field.to_string()).collect();
        all.sort();
        all
    };
    let swept = ["fractions", "swept"];
    for (kind, fields, required) in [
        ("isoflop", with(&isoflop, &[]), with(&required, &[])),
        ("validation", with(&isoflop, &[]), with(&required, &[])),
        ("mix", with(&isoflop, &swept), with(&required, &swept)),
    ] {
        let is_kind = |found: &&serde_json::Value| found["properties"]["kind"]["const"] == kind;
        let found = kinds.iter().find(is_kind).unwrap_or_else(|| panic!("no `{kind}` in {kinds:?}"));
        let properties: Vec<String> = found["properties"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(with(&[], &properties.iter().map(String::as_str).collect::<Vec<_>>()), fields, "{kind}");
        let names: Vec<&str> =
            found["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        assert_eq!(with(&[], &names), required, "{kind}");
        // A reference to a definition that refuses unknown fields would refuse `kind`.
        assert_eq!((&found["additionalProperties"], found.get("$ref")), (&false.into(), None), "{kind}");
    }
}
