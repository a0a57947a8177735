use std::collections::BTreeMap;
use std::path::Path;

use rand::SeedableRng;
use scalelaw_fit::parse_law_with_params;
use scalelaw_schema::eval::{EvalRequest, EvalSpec, Evaluation};
use scalelaw_schema::plan::{Plan, PlannedRun};
use scalelaw_schema::score::{ClassLoss, FactSpace, Measured, Score, SkillScore};
use scalelaw_schema::skill::TokenClass;
use scalelaw_schema::sweep::SkillTarget;
use serde_json::Value;

use crate::workbench::Workbench;

/// A grid whose losses are drawn, with the skills' scores written beside them: no training.
const GRID: &str = r#"
[grid]
kind = "isoflop"
budgets = [1e14, 1e15, 1e16, 1e17]
sizes = 7
span-decades = 0.7
tokens-per-param = 20

[model]
context-len = 256

[data]
tokenizer = "bytes"
mixture = { facts = 1 }

[train]
seed = [0, 1]

[corpus.facts]
source = { files = ["notes"] }
"#;

const AGGREGATE: &str = "chinchilla:A=480,B=2080,E=1.8,alpha=0.35,beta=0.37,noise=0.005";

/// Skills whose optima lie above, below and at the aggregate's: N* goes as (A/B)^(1/(alpha + beta)).
const SKILLS: [(&str, &str); 3] = [
    ("facts", "chinchilla:A=768,B=2080,E=0.5,alpha=0.35,beta=0.37,noise=0.005"),
    ("sums", "chinchilla:A=480,B=3328,E=0.5,alpha=0.35,beta=0.37,noise=0.005"),
    ("tie", "chinchilla:A=480,B=2080,E=0.9,alpha=0.35,beta=0.37,noise=0.005"),
];

/// What the links of all skills are: a quarter right by chance, halfway at 4.5 nats.
fn accuracy(nll: f64) -> f64 {
    0.25 + 0.75 / (1.0 + (nll - 4.5).exp())
}

fn read_plan(sweep: &Path) -> Plan {
    serde_json::from_slice(&std::fs::read(sweep.join("plan.json")).unwrap()).unwrap()
}

/// Writes an evaluation by a skill beside those that the run has.
fn add_score(sweep: &Path, planned: &PlannedRun, name: &str, nll: f64, facts: Option<FactSpace>) {
    let evals = sweep.join(planned.run.folder_name()).join("evals");
    let any = std::fs::read_dir(&evals).unwrap().next().unwrap().unwrap().path();
    let of_text: Evaluation = serde_json::from_slice(&std::fs::read(any).unwrap()).unwrap();
    let measured = |value: f64| Measured { value, se: Some(0.01 * value) };
    let spec = EvalSpec::Skill { suite: name.to_string(), n_items: 512, n_sequences: 512, context_len: 32 };
    let key = ClassLoss { n_tokens: 512, loss: 10.0, loss_per_item: 10.0 * std::f64::consts::LN_2 };
    let record = Evaluation {
        request: EvalRequest { name: name.to_string(), spec: spec.clone() },
        score: Score::Items(SkillScore {
            n_items: 512,
            n_tokens: 1024,
            n_bytes: 1024,
            nll_per_answer: measured(2.0 * nll),
            nll: measured(nll),
            bpb: measured(nll / std::f64::consts::LN_2),
            accuracy: Some(measured(accuracy(nll))),
            chance: Some(0.25),
            classes: facts.iter().map(|_| (TokenClass::Key, key)).collect(),
            groups: BTreeMap::new(),
            facts,
        }),
        ..of_text
    };
    std::fs::write(evals.join(format!("{}.json", spec.hash())), serde_json::to_vec(&record).unwrap())
        .unwrap();
}

/// A simulated sweep whose runs are evaluated on [`SKILLS`]; its plan asks for a use and a target.
fn evaluated(bench: &Workbench) {
    bench.write("grid.toml", GRID);
    bench.expect(0, &["run", "grid.toml", "--simulate", AGGREGATE]);
    let sweep = bench.path().join("runs/grid-simulated");
    let mut plan = read_plan(&sweep);
    plan.targets.insert("sums".to_string(), SkillTarget::Accuracy(0.5));
    plan.uses
        .insert("tutor".to_string(), BTreeMap::from([("facts".to_string(), 1.0), ("sums".to_string(), 3.0)]));
    std::fs::write(sweep.join("plan.json"), serde_json::to_vec(&plan).unwrap()).unwrap();
    let facts = FactSpace {
        n_facts: 1024,
        key_bits: 16.0,
        value_bits: 16.0,
        answers_per_fact: 1,
        pass_tokens: Some(1e5),
    };
    for (idx, planned) in plan.runs.iter().enumerate() {
        for (place, (name, law)) in SKILLS.iter().enumerate() {
            let law = parse_law_with_params(law).unwrap();
            let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64((10 * idx + place) as u64);
            let nll = law.draw(planned.n, planned.d, &mut rng);
            add_score(&sweep, planned, name, nll, (*name == "facts").then_some(facts));
        }
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"))
}

#[test]
fn known_skills_give_back_their_optima_their_residuals_and_their_labels() {
    let bench = Workbench::new();
    evaluated(&bench);
    let found =
        bench.json(&["fit", "grid-simulated", "--skill", "--target", "tie=nll:2.0", "--bootstrap", "400"]);
    let skills = &found["skills"];
    let shift = 1.6f64.ln() / (0.35 + 0.37);
    for (idx, (name, truth, label)) in
        [("facts", shift, "capacity-hungry"), ("sums", -shift, "data-hungry"), ("tie", 0.0, "undecided")]
            .into_iter()
            .enumerate()
    {
        let residual = &skills["residuals"][idx];
        assert_eq!((&residual["skill"], &residual["label"]), (&name.into(), &label.into()), "{residual}");
        let pooled = &residual["by_surface"]["pooled"];
        let [low, high] = ["low", "high"].map(|end| number(&pooled["interval"][end]));
        // A 95 % interval misses once in twenty; twice its width practically never does.
        let (middle, half) = ((low + high) / 2.0, (high - low) / 2.0);
        assert!((truth - middle).abs() < 2.0 * half && half < 0.3, "{name}: {truth}, [{low}, {high}]");
        let text = &skills["skills"][idx];
        let at = &text["by_surface"][2];
        let (n, d) = (number(&at["n"]), number(&at["d"]));
        let [a, b] = [[768.0, 2080.0], [480.0, 3328.0], [480.0, 2080.0]][idx];
        // N and D of the whole budget trade by dN/N = −dD/D: alpha·A/N^alpha = beta·B/D^beta.
        let balance = (0.35 * a / n.powf(0.35)) / (0.37 * b / d.powf(0.37));
        assert!(balance.ln().abs() < 0.15, "{name}: N* {n}, D* {d}, terms {balance} apart");
    }
    // The accuracy of one half lies at a known likelihood, and the cheapest model has about it.
    let viable = found["viable"].as_array().unwrap();
    let sums = viable.iter().find(|one| one["skill"] == "sums").unwrap();
    let nll = number(&sums["found"]["target"]["loss"]);
    assert!((accuracy(nll) - 0.5).abs() < 1e-3, "{nll}");
    let (n, d) = (number(&sums["found"]["cheapest"]["n"]), number(&sums["found"]["cheapest"]["d"]));
    let loss = 0.5 + 480.0 / n.powf(0.35) + 3328.0 / d.powf(0.37);
    assert!(loss < nll && loss > 0.95 * nll, "{loss} where {nll} is asked");
    assert!(viable.iter().any(|one| one["skill"] == "tie" && one["goal"]["nll"] == 2.0));
    // Bits by hand: 16 of the value and 6 of the name, less nats of the answer and 10 − 10 bits of the name.
    let run = &found["capacity"][0]["found"]["runs"][0];
    assert_eq!(found["capacity"][0]["skill"], "facts");
    let learned = number(&run["learned_bits"]);
    let rest = 22.0 - learned / 1024.0;
    let nlls: Vec<f64> = skills["skills"][0]["fit"]["residuals"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["name"] == run["name"])
        .map(|row| 2.0 * number(&row["loss"]) / std::f64::consts::LN_2)
        .collect();
    assert!((rest - nlls[0]).abs() < 1e-9, "{rest} and {nlls:?}");
    // A use needs mixtures, and there is one.
    let absent = found["absent"].as_array().unwrap();
    assert!(absent.iter().any(|one| one["part"] == "best: tutor"), "{absent:?}");
}

#[test]
fn the_report_shows_skills_and_leaves_them_as_json_and_what_is_not_there_is_told() {
    let bench = Workbench::new();
    bench.write("grid.toml", GRID);
    bench.expect(0, &["run", "grid.toml", "--simulate", AGGREGATE]);
    bench
        .expect(6, &["fit", "grid-simulated", "--skill"])
        .names(&["56 runs", "scalelaw eval grid-simulated --skill"]);
    evaluated(&bench);
    bench.expect(0, &["report", "grid-simulated"]);
    let folder = bench.path().join("runs/grid-simulated");
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    for part in ["What each skill wants more of", "capacity-hungry", "Knowledge capacity", "Minimum viable"] {
        assert!(page.contains(part), "`{part}` is missing");
    }
    let said = bench.expect(
        0,
        &["fit", "grid-simulated", "--skill", "--validation", "--aggregate", "tie", "--bootstrap", "200"],
    );
    for part in [
        "capacity-hungry",
        "Every skill is compared with `tie`",
        "CHOICE OF VALIDATION TEXT",
        "bits per parameter",
        "sums, accuracy",
    ] {
        assert!(said.stdout.contains(part), "`{part}` is missing in\n{}", said.stdout);
    }
    bench
        .expect(1, &["fit", "grid-simulated", "--skill", "--aggregate", "verse"])
        .names(&["verse", "skill/tie/nll"]);
    bench.expect(2, &["fit", "grid-simulated", "--skill", "--target", "tie=0.5"]).names(&["tie=0.5", "nll:"]);
    bench
        .expect(2, &["fit", "grid-simulated", "--skill", "--target", "rhyme=nll:1"])
        .names(&["rhyme", "tie"]);
    let law = bench.json(&["fit", "grid-simulated", "--loss", "skill/facts", "--bootstrap", "0"]);
    assert!((number(&law["fits"][0]["params"]["E"]) - 0.5).abs() < 0.2, "{law}");
}

/// A skill of the notes, with a file of items.
fn add_skill(bench: &Workbench, items: &str) {
    std::fs::create_dir_all(bench.path().join("datasets/skills")).unwrap();
    bench.write(
        "datasets/skills/quiz.toml",
        "family = \"knowledge\"\n\n[corpus]\nsource = { files = [\"../../notes\"] }\n\n\
         [suite]\nsource = { jsonl = [\"quiz.jsonl\"] }\nscoring = \"exact\"\n",
    );
    bench.write("datasets/skills/quiz.jsonl", items);
}

#[test]
fn fifty_items_of_ones_own_need_no_rust_and_planted_ones_are_found() {
    let bench = Workbench::new();
    let mut items: Vec<String> = (0..49)
        .map(|i| {
            format!("{{\"prompt\": \"question number {i} of the quiz asks for\", \"answer\": \" {i}\"}}")
        })
        .collect();
    // Two thirds of a planted text, in another spelling.
    let planted = "Zebras and quokkas played forty games of chess beneath the violet moon of Umbriel";
    items.push(format!("{{\"prompt\": \"{}\", \"answer\": \"{}\"}}", &planted[..60], &planted[60..]));
    add_skill(&bench, &items.join("\n"));
    assert_eq!(bench.json(&["data", "items", "quiz"])["items"].as_array().unwrap().len(), 50);
    for copy in 0..20 {
        let text = format!("{copy} copies. {}", planted[..66].to_uppercase().replace(' ', " - "));
        std::fs::write(bench.path().join(format!("notes/planted-{copy}.txt")), text).unwrap();
    }
    let found = bench.json(&["data", "items", "quiz"]);
    assert_eq!((&found["left_out"], found["items"].as_array().unwrap().len()), (&1.into(), 49));
    bench.expect(0, &["data", "items", "quiz"]).names(&["1 of 50 items", "quokkas played forty games"]);
}

#[test]
fn a_bad_item_is_named_with_its_line_and_an_unknown_skill_with_the_known_ones() {
    let bench = Workbench::new();
    add_skill(
        &bench,
        "{\"prompt\": \"a\", \"answer\": \"b\"}\n{\"prompt\": \"a\", \"choices\": [\"b\", \"c\"]}\n",
    );
    bench.expect(1, &["data", "items", "quiz"]).names(&["quiz.jsonl:2", "none of them is `correct`", "hint"]);
    bench.expect(2, &["data", "items", "juggling"]).names(&["juggling", "lookup", "mano"]);
    bench.expect(2, &["data", "get", "code"]).names(&["nothing to download", "dictionary"]);
}

#[test]
fn generated_skills_are_mixed_and_tagged_and_shares_must_sum_to_one() {
    let bench = Workbench::new();
    let sweep = |data: &str| {
        format!(
            "[grid]\nkind = \"product\"\nhorizon = {{ steps = 20 }}\n[model]\nd-model = 16\nn-layer = 2\n\
             context-len = 32\n[data]\ntokenizer = \"bytes\"\n{data}\n[train]\nbatch-sequences = 4\n\
             [corpus.notes]\nsource = {{ files = [\"notes\"] }}\n"
        )
    };
    bench.write("shares.toml", &sweep("mixture = { lookup = 0.3, notes = 0.6 }"));
    bench.expect(2, &["plan", "shares.toml", "--no-speed"]).names(&[
        "shares.toml:",
        "sum to",
        "whole numbers",
    ]);
    let mixture = "mixture = { lookup = 0.3, mano = 0.3, notes = 0.4 }";
    bench.write("plain.toml", &sweep(mixture));
    bench.write("tagged.toml", &sweep(&format!("{mixture}\ntag-sources = true")));
    let ids = ["plain.toml", "tagged.toml"].map(|file| {
        let plan = bench.json(&["plan", file, "--no-speed"]);
        plan["runs"][0]["run"]["id"].as_str().unwrap().to_string()
    });
    // Other text, so other runs.
    assert_ne!(ids[0], ids[1]);
    let said = bench.expect(0, &["data", "prepare", "tagged.toml"]);
    let stdout = said.stdout.replace(['\u{202f}', ','], "");
    assert!(
        ["lookup: 1048576", "mano: 1048576", "notes: "].iter().all(|part| stdout.contains(part)),
        "{said:?}"
    );
}

#[test]
fn the_list_says_what_is_missing_and_how_to_get_it() {
    let bench = Workbench::new();
    let list = bench.json(&["data", "list"]);
    let skill = |name: &str| {
        list["skills"].as_array().unwrap().iter().find(|skill| skill["name"] == name).unwrap().clone()
    };
    assert!((skill("lookup")["fact_bits"].as_f64().unwrap() - 65536.0).abs() < 1e-6);
    assert!(skill("mano")["missing"].is_null() && skill("mano")["fact_bits"].is_null());
    let missing = skill("metamath")["missing"].as_str().unwrap().to_string();
    assert!(missing.contains("scalelaw data get metamath") && missing.contains("--path"), "{missing}");
    bench.expect(0, &["data", "get", "metamath", "--dry-run"]);
    // A path without the file: named, and nothing else stops.
    bench.expect(1, &["data", "get", "metamath", "--path", "notes"]).names(&["set.mm"]);
    assert_eq!(bench.json(&["data", "items", "mano"])["items"].as_array().unwrap().len(), 1024);
}

/// Six small models at two budgets, evaluated on items and on text of one's own.
const OWN: &str = r#"
[grid]
kind = "isoflop"
budgets = [1e9, 3e9]
sizes = 3
span-decades = 0.3
tokens-per-param = 1
min-steps = 2

[model]
context-len = 64

[data]
tokenizer = "bytes"
mixture = { notes = 3, sums = 1 }
tag-sources = true

[train]
batch-sequences = 2

[eval]
during = 2

[measure]
skills = ["sums", "letters"]
items-during = 5

[corpus.notes]
source = { files = ["notes"] }

[skill.sums]
family = "reasoning"
corpus = { tag = "S", source = { generated = { task = { mano = { max-operations = 1 } } } } }
suite = { source = { jsonl = ["quiz.jsonl"] }, scoring = { choice = "sum" } }

[skill.letters]
family = "prose"
suite = { source = { text = { files = ["letters"], bytes = 40 } }, scoring = "nll" }
"#;

fn quiz(n: usize) -> String {
    let item = |i: usize| {
        format!("{{\"prompt\": \"item {i}: \", \"choices\": [\"x{i}\", \"y{i}\"], \"correct\": {}}}\n", i % 2)
    };
    (0..n).map(item).collect()
}

#[test]
fn items_and_text_of_ones_own_evaluate_a_sweep_without_rust() {
    let bench = Workbench::new();
    bench.write("own.toml", OWN);
    let planted = "{\"prompt\": \"forty white herons stood beside the frozen \", \"choices\": [\"canal at dusk\", \"x\"], \"correct\": 0}\n";
    bench.write("quiz.jsonl", &(quiz(49) + planted));
    std::fs::create_dir(bench.path().join("letters")).unwrap();
    let letter = "Dear reader, nobody has written these words in this order before. ".repeat(9);
    bench.write("letters/one.txt", &letter);
    for copy in 0..20 {
        let text = format!("{copy}. Forty white herons stood beside the frozen canal at dusk.");
        std::fs::write(bench.path().join(format!("notes/heron-{copy}.txt")), text).unwrap();
    }
    bench.expect(0, &["run", "own.toml"]).names(&["skill `sums`: 1 of 50 items"]);
    let folders = bench.run_folders("own");
    assert!(folders.len() >= 5, "{folders:?}");
    for run_folder in &folders {
        let metrics = std::fs::read_to_string(run_folder.join("metrics.jsonl")).unwrap();
        assert!(
            metrics.contains("skill/sums/accuracy") && metrics.contains("skill/letters/nll"),
            "{metrics}"
        );
        assert!(!metrics.contains("skill/letters/accuracy"), "text has no accuracy: {metrics}");
    }
    let said = bench.expect(0, &["export", "own", "--format", "json"]);
    let table: Value = serde_json::from_str(&said.stdout).unwrap();
    for row in table["rows"].as_array().unwrap() {
        assert_eq!(row["skill/sums/chance"], 0.5, "{row}");
        assert!(number(&row["skill/letters/nll"]) > 0.5, "{row}");
    }
    let found = bench.json(&["fit", "own", "--skill", "--bootstrap", "200"]);
    let names: Vec<&Value> =
        found["skills"]["skills"].as_array().unwrap().iter().map(|text| &text["name"]).collect();
    assert_eq!(names, ["letters"]);
    // Nobody can learn which of two made-up words is meant, so nothing is said of it.
    let absent = &found["absent"][0];
    assert_eq!(absent["part"], "skills: sums");
    assert!(absent["why"].as_str().unwrap().contains("at chance, 0.500, in each of"), "{absent}");
    let page = std::fs::read_to_string(bench.path().join("runs/own/report.html")).unwrap();
    assert!(page.contains("What each skill wants more of"));
}

#[test]
fn what_a_sweep_cannot_be_evaluated_on_is_named_with_its_place() {
    let bench = Workbench::new();
    std::fs::create_dir(bench.path().join("letters")).unwrap();
    bench.write("letters/one.txt", &"Nobody has written these words in this order. ".repeat(9));
    let refuse = |sweep: &str, items: &str, parts: &[&str]| {
        bench.write("own.toml", sweep);
        bench.write("quiz.jsonl", items);
        let output = bench.scalelaw(&["plan", "own.toml", "--no-speed"]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{items}");
        assert!(parts.iter().all(|part| said.contains(part)), "{parts:?} in {said}");
    };
    let one = quiz(1);
    refuse(OWN, &format!("{one}{{\"prompt\": \"a\"\n"), &["quiz.jsonl:2"]);
    refuse(
        OWN,
        &format!("{one}{{\"prompt\": \"a\", \"choices\": [\"b\", \"c\"]}}\n"),
        &["quiz.jsonl:2", "none of them is `correct`"],
    );
    refuse(OWN, &format!("{one}{{\"prompt\": \"a\", \"answer\": \"b\"}}\n"), &["quiz.jsonl:2", "no choices"]);
    refuse(OWN, "", &["sums", "no item"]);
    refuse(
        &OWN.replace("\"letters\"]", "\"juggling\"]"),
        &one,
        &["own.toml:", "juggling", "letters", "lookup"],
    );
    refuse(
        &OWN.replace("context-len = 64", "context-len = 16"),
        &one,
        &["own.toml:", "letters", "hint: a longer"],
    );
    refuse(&OWN.replace("notes = 3, sums = 1", "notes = 0.5, sums = 0.2"), &one, &["own.toml:", "sum to"]);
    // A tokenizer that has learned `the` joins the end of a prompt with the beginning of its answer.
    let bpe = OWN.replace("\"bytes\"", "{ bpe = 300 }");
    let answer = "{\"prompt\": \"the t\", \"choices\": [\"he\", \"o\"], \"correct\": 0}\n";
    for copy in 0..20 {
        std::fs::write(bench.path().join(format!("notes/the-{copy}.txt")), "the the the the ".repeat(50))
            .unwrap();
    }
    refuse(&bpe, &format!("{one}{answer}"), &["quiz.jsonl:2", "cannot be tokenised by itself"]);
}

/// Two skills and prose; simulated, each skill follows the law with its own share of the tokens.
const MEASURED: &str = r#"
[grid]
kind = "mix"
budgets = [1e15]
sizes = 7
span-decades = 0.9
tokens-per-param = 20
swept = ["lookup", "mano"]
fractions = [0.1, 0.2, 0.4, 0.7]

[model]
context-len = 256

[data]
tokenizer = "bytes"
mixture = { lookup = 1, mano = 1, notes = 2 }

[measure]
skills = ["lookup", "mano"]
items = 64
uses = { tutor = { lookup = 1, mano = 1 } }
targets = { mano = { nll = 5.0 } }

[corpus.notes]
source = { files = ["notes"] }
"#;

#[test]
fn a_mix_sweep_finds_the_slope_of_its_law_and_the_mixture_for_a_use() {
    let bench = Workbench::new();
    bench.write("mix.toml", MEASURED);
    let said = bench.expect(0, &["run", "mix.toml", "--simulate", AGGREGATE]);
    assert!(
        said.stdout.contains("different mixtures") && said.stdout.contains("Best mixture for tutor"),
        "{said:?}"
    );
    let folder = bench.path().join("runs/mix-simulated");
    let found: Value = serde_json::from_slice(&std::fs::read(folder.join("findings.json")).unwrap()).unwrap();
    let found = &found["skills"];
    let slope = 0.37 / (0.35 + 0.37);
    for skill in ["lookup", "mano"] {
        let curves = found["fractions"].as_array().unwrap();
        let curve = curves.iter().find(|curve| curve["skill"] == skill).unwrap();
        assert_eq!(curve["points"].as_array().unwrap().len(), 4, "{curve}");
        for by in ["slope", "slope_by_law"] {
            let interval = &curve[format!("{by}_interval")];
            let [low, high] = ["low", "high"].map(|end| number(&interval[end]));
            let (middle, half) = ((low + high) / 2.0, (high - low) / 2.0);
            assert!(
                (slope - middle).abs() < 2.0 * half && half < 0.3,
                "{skill} {by}: {slope}, [{low}, {high}]"
            );
        }
    }
    // Both count alike, and nobody asks for the notes.
    let shares = found["best"][0]["mixture"]["shares"].as_array().unwrap();
    let share = |name: &str| number(&shares.iter().find(|share| share["source"] == name).unwrap()["share"]);
    assert!(share("notes") < 0.25 && (share("lookup") - share("mano")).abs() < 0.15, "{shares:?}");
    let page = std::fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.contains("Mixtures of training data") && page.contains("Best mixture for"));
    // All of it again, from what lies in the folder.
    let again = bench.expect(0, &["run", "mix.toml", "--simulate", AGGREGATE]);
    assert!(
        again.stderr.contains("are complete") && again.stdout.contains("Best mixture for tutor"),
        "{again:?}"
    );
}

#[test]
fn a_validation_sweep_says_what_a_wrong_text_costs() {
    let bench = Workbench::new();
    let sweep = MEASURED
        .replace("kind = \"mix\"", "kind = \"validation\"")
        .replace("budgets = [1e15]", "budgets = [1e14, 1e15, 1e16]")
        .replace("swept = [\"lookup\", \"mano\"]\nfractions = [0.1, 0.2, 0.4, 0.7]\n", "")
        .replace("lookup = 1, mano = 1, notes = 2 }", "lookup = 1, mano = 3, notes = 16 }");
    bench.write("wrong.toml", &sweep);
    bench.expect(0, &["run", "wrong.toml", "--simulate", AGGREGATE]);
    let args = ["fit", "wrong-simulated", "--skill", "--bootstrap", "200"];
    let found = bench.json(&args);
    let validation = &found["validation"];
    let names: Vec<&str> =
        validation["mixtures"].as_array().unwrap().iter().map(|mix| mix["name"].as_str().unwrap()).collect();
    assert!(["lookup", "mano", "loss/notes", "tutor"].iter().all(|name| names.contains(name)), "{names:?}");
    // A skill with a twentieth of the tokens wants (1/20)^(beta/(alpha+beta)) of the size that all of them want.
    let truth = 20f64.powf(0.37 / 0.72) - 1.0;
    let spread = &validation["spreads"][1];
    assert_eq!(spread["smallest"], "lookup", "{spread}");
    assert!((number(&spread["spread"]) / truth - 1.0).abs() < 0.25, "{spread}, truth {truth}");
    // A text that is farther from what counts chooses worse.
    let regret = |target: &str, chosen: &str| {
        let regrets = validation["regrets"].as_array().unwrap();
        let found = regrets.iter().find(|one| one["target"] == target && one["chosen"] == chosen).unwrap();
        number(&found["nats"])
    };
    assert!(regret("lookup", "loss/notes") > 1.5 * regret("mano", "loss/notes"), "{validation}");
    assert_eq!(found["viable"][0]["skill"], "mano");
}
