use crate::workbench::Workbench;

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
    bench.expect(2, &["data", "get", "code"]).names(&["nothing to get", "dictionary"]);
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
    bench.expect(2, &["plan", "shares.toml", "--no-speed"]).names(&["shares.toml:", "sum to", "parts"]);
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
    assert!(
        ["lookup: 1048576", "mano: 1048576", "notes: "].iter().all(|part| said.stdout.contains(part)),
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
