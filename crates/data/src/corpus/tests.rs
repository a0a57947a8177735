use std::collections::BTreeSet;

use std::fs;

use super::*;
use crate::sources::rust_docs;
use crate::testing::{folder, listed, no_folders, open_files, registry, spec, text};

fn jsonl(base: &Path, file: &str) -> Result<Corpus, DataError> {
    let source = CorpusSource::Jsonl { files: vec![file.to_string()], field: "text".to_string() };
    Corpus::open_in("mine", &spec(source), base, &no_folders())
}

#[test]
fn bad_text_is_refused_with_its_name_and_a_hint() {
    let base = folder(&[
        ("one.txt", "alone"),
        ("blank/a", " \n"),
        ("blank/b", ""),
        ("broken.jsonl", "{\"text\": \"a\"}\n\n{\"text\": \n"),
        ("lacking.jsonl", "{\"text\": \"a\"}\n{\"body\": \"b\", \"id\": 1}\n"),
        ("number.jsonl", "{\"text\": 7}\n"),
        ("list.jsonl", "[1]\n"),
        ("empty.jsonl", "\n"),
    ]);
    fs::create_dir(base.path().join("nothing")).unwrap();
    fs::write(base.path().join("image.png"), [0x89, b'P', 0, 0, 0xff]).unwrap();
    let check = |entries: &[&str], expected: &[&str]| {
        let error = open_files(base.path(), entries).unwrap_err().to_string();
        assert!(expected.iter().all(|part| error.contains(part)), "{entries:?}: {error}");
    };
    check(&["absent.txt"], &["corpus `mine`", "absent.txt", "no file or folder"]);
    check(&["*.absent"], &["no file matches `*.absent`"]);
    check(&["a[.txt"], &["`a[.txt` is not a valid glob"]);
    check(&["nothing"], &["no documents", "no file"]);
    check(&["image.png"], &["image.png", "binary"]);
    check(&["blank"], &["blank"]);
    check(&["one.txt"], &["only one document", "hint"]);
    let check = |file: &str, expected: &[&str]| {
        let error = jsonl(base.path(), file).unwrap_err().to_string();
        assert!(expected.iter().all(|part| error.contains(part)), "{file}: {error}");
    };
    check("broken.jsonl", &["broken.jsonl:3: invalid JSON"]);
    check("lacking.jsonl", &["lacking.jsonl:2: there is no field `text`", "`body`, `id`"]);
    check("number.jsonl", &["number.jsonl:1: the field `text` is not a string"]);
    check("list.jsonl", &["list.jsonl:1: not a JSON object"]);
    check("empty.jsonl", &["no documents"]);
}

#[test]
fn a_share_outside_of_0_to_1_and_a_limit_below_all_documents_are_refused() {
    let base = folder(&[("a", "first"), ("b", "second")]);
    let source = spec(CorpusSource::Files(vec![".".to_string()]));
    for share in [0.0, 1.0, -0.5, f64::NAN] {
        let spec = CorpusSpec { held_out: Some(share), ..source.clone() };
        let error = Corpus::open_in("mine", &spec, base.path(), &no_folders()).unwrap_err();
        assert!(matches!(error, DataError::BadShare { .. }), "{share}: {error}");
    }
    let spec = CorpusSpec { max_document_bytes: Some(3), ..source };
    let error = Corpus::open_in("mine", &spec, base.path(), &no_folders()).unwrap_err().to_string();
    assert!(error.contains("2 are longer than `max-document-bytes`"), "{error}");
}

#[test]
fn identity_is_of_the_texts_and_not_of_names_and_places() {
    let (a, b, c) = (text(1, 100), text(2, 100), text(3, 100));
    let first = folder(&[("a.txt", &a), ("b.txt", &b), (".hidden/c.txt", &c)]);
    let line = |text: &str| serde_json::json!({ "text": text }).to_string();
    let lines = [line(&b), String::new(), line(&a), line(&a)].join("\n");
    let second = folder(&[("x/deep/y.md", &b), ("x/z.md", &a), ("copy.txt", &a), ("all.jsonl", &lines)]);
    let identity = |corpus: Result<Corpus, DataError>| corpus.unwrap().identity().to_string();
    let by_folder = identity(open_files(first.path(), &["."]));
    assert_eq!(by_folder, identity(open_files(second.path(), &["x"])));
    assert_eq!(by_folder, identity(open_files(second.path(), &["**/*.md", "copy.txt", "x"])));
    assert_eq!(by_folder, identity(jsonl(second.path(), "*.jsonl")));
    assert_ne!(by_folder, identity(open_files(first.path(), &[".", ".hidden/c.txt"])));
    fs::write(first.path().join("a.txt"), format!("{a}!")).unwrap();
    assert_ne!(by_folder, identity(open_files(first.path(), &["."])));
}

#[test]
fn a_document_that_changed_since_it_was_listed_is_refused() {
    let base = folder(&[("a", "first"), ("b", "second")]);
    let corpus = open_files(base.path(), &["."]).unwrap();
    fs::write(base.path().join("a"), "other").unwrap();
    fs::write(base.path().join("b"), "other").unwrap();
    let split = corpus.split().unwrap();
    assert!(matches!(listed(&split.train)[0].read(), Err(DataError::Changed { .. })));
}

#[test]
fn crates_are_split_whole_and_only_wanted_files_are_taken() {
    let files: &[(&str, &str)] =
        &[("src/lib.rs", "fn a() {}"), ("src/b.rs", "fn b() {}"), ("README.md", "no Rust")];
    let names: Vec<String> = (0..40).map(|idx| format!("crate{idx}")).collect();
    let crates: Vec<_> = names.iter().map(|name| (name.as_str(), "1.0.0", files)).collect();
    let (folder, mut spec) = registry(&crates);
    spec.held_out = Some(0.3);
    let folders = Folders { registry: folder.path().to_path_buf(), ..no_folders() };
    let split = Corpus::open_in("code", &spec, Path::new(""), &folders).unwrap().split().unwrap();
    let crates_of = |documents: &[Document]| -> BTreeSet<String> {
        let name = |document: &Document| {
            let path = document.source.path().strip_prefix(folder.path()).unwrap().to_path_buf();
            path.iter().nth(1).unwrap().to_string_lossy().into_owned()
        };
        documents.iter().map(name).collect()
    };
    assert_eq!((listed(&split.train).len(), listed(&split.held_out).len()), (56, 24));
    assert_eq!(crates_of(listed(&split.held_out)).len(), 12);
    assert!(crates_of(listed(&split.train)).is_disjoint(&crates_of(listed(&split.held_out))));
    // A larger share keeps what is held out.
    spec.held_out = Some(0.5);
    let larger = Corpus::open_in("code", &spec, Path::new(""), &folders).unwrap().split().unwrap();
    assert!(crates_of(listed(&larger.held_out)).is_superset(&crates_of(listed(&split.held_out))));
}

#[test]
fn a_missing_crate_is_named_and_a_missing_registry_is_replaced_or_refused() {
    let file: &[(&str, &str)] = &[("lib.rs", "fn a() {}")];
    let (folder, mut spec) = registry(&[("aa", "1.0.0", file), ("bb", "1.0.0", file)]);
    let folders = Folders { registry: folder.path().to_path_buf(), ..no_folders() };
    let open = |spec: &CorpusSpec, folders: &Folders| Corpus::open_in("code", spec, Path::new(""), folders);
    let CorpusSource::Registry { crates, .. } = &mut spec.source else { unreachable!() };
    crates.insert("cc".to_string(), "0.3.1".to_string());
    let error = open(&spec, &folders).unwrap_err().to_string();
    assert!(
        error.contains("1 of its 3") && error.contains("`cc 0.3.1`") && error.contains("cargo fetch"),
        "{error}"
    );
    let error = open(&spec, &no_folders()).unwrap_err().to_string();
    assert!(error.contains("no-such-folder") && error.contains("rust-docs"), "{error}");
    match rust_docs::find() {
        None => println!("skipped: the toolchain has no documentation"),
        Some(_) => {
            let folders = Folders { rust_docs: rust_docs::find, ..no_folders() };
            let corpus = open(&spec, &folders).unwrap();
            assert!(corpus.note().unwrap().contains("used instead"));
            let split = corpus.split().unwrap();
            let first = listed(&split.train)[0].read().unwrap().unwrap().text;
            assert!(first.contains("fn ") && !first.contains("data-nosnippet"), "{first}");
        }
    }
}
