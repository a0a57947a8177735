//! Hashes and cached files that must never change. Run ids are hashes over them: if one of these values moves,
//! finished runs are orphaned and cached tokens are made again.

use std::fs;
use std::path::Path;

use scalelaw_schema::corpus::{CorpusSource, CorpusSpec};
use scalelaw_schema::generator::{BiographyForm, BiographyTask, GeneratedSpec, Task};
use scalelaw_schema::skill::{ChoiceRule, Scoring, SuiteSource};
use scalelaw_schema::sweep::TokenizerChoice;

use crate::sources::Folders;
use crate::suite::overlap::drop_overlapping;
use crate::testing::{
    bytes, documents, folder, lookup, no_folders, open_files, registry, skill_manifest, spec, token_set,
};
use crate::{Corpus, Suite, TokenSuite, Tokenizer, token_set_hash};

/// The first 16 hex digits: enough to see a change.
fn short(hash: &str) -> &str {
    &hash[..16]
}

fn open(source: CorpusSource, base: &Path) -> Corpus {
    Corpus::open_in("mine", &spec(source), base, &no_folders()).unwrap()
}

#[test]
fn identities_of_corpora() {
    let base = folder(&[
        ("a.txt", "first"),
        ("b.txt", "second"),
        ("c.jsonl", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n"),
        ("data.noun", "00000001 03 n 01 cat 0 000 | a beast  \n00000002 03 n 01 dog 0 000 | another  \n"),
    ]);
    let files = open_files(base.path(), &["a.txt", "b.txt"]).unwrap();
    let jsonl = CorpusSource::Jsonl { files: vec!["c.jsonl".to_string()], field: "text".to_string() };
    let wordnet = CorpusSource::Wordnet(vec!["data.noun".to_string()]);
    let task = Task::Biographies(BiographyTask { people: 9, form: BiographyForm::Tuples, exposures: None });
    let pool = GeneratedSpec { seed: Some(3), pool: Some(7), task };
    let file: &[(&str, &str)] = &[("lib.rs", "fn a() {}")];
    let (folder, crates) = registry(&[("aa", "1.0.0", file), ("bb", "2.0.0", file)]);
    let crates = CorpusSpec { max_document_bytes: Some(99), held_out: Some(0.25), ..crates };
    let folders = Folders { registry: folder.path().to_path_buf(), ..no_folders() };
    let found = [
        ("files", files.clone()),
        ("tagged", files.tagged("R")),
        ("jsonl", open(jsonl, base.path())),
        ("wordnet", open(wordnet, base.path())),
        ("lookup", lookup(64)),
        ("pool", open(CorpusSource::Generated(pool), Path::new(""))),
        ("crates", Corpus::open_in("code", &crates, Path::new(""), &folders).unwrap()),
    ]
    .map(|(name, corpus)| format!("{name} {}", short(corpus.identity())));
    assert_eq!(
        found,
        [
            "files 5eeb3cd1971fbd83",
            "tagged 2a15f54503bbb2a4",
            "jsonl dec50755c906d62d",
            "wordnet 75492c396f80dd18",
            "lookup 76db7bf0256d3fdd",
            "pool 362b1e58f612efa8",
            "crates 0ceec77a266fd70b"
        ]
    );
}

#[test]
fn hashes_and_files_of_token_sets() {
    let (base, cache) = (documents(0, 30, 50_000), folder(&[]));
    let corpus = open_files(base.path(), &["."]).unwrap();
    let bpe = Tokenizer::prepare(TokenizerChoice::Bpe(300), &[&corpus], cache.path()).unwrap();
    assert_eq!(
        [bytes().hash(), bpe.hash(), &token_set_hash(&corpus, &bpe)].map(short),
        ["80afbb98fa530f1f", "7b949947d534b170", "026d546295accc18"]
    );
    let set = token_set(&corpus, cache.path(), 1, 1);
    let folder = cache.path().join("tokens").join(set.hash());
    let found = ["set.json", "train-00000.bin", "held_out-65537.bin"]
        .map(|file| blake3::hash(&fs::read(folder.join(file)).unwrap()).to_hex().to_string());
    assert_eq!(
        found.each_ref().map(|hash| short(hash)),
        ["ab2a6c89753c4137", "f46ac685ef7123a9", "ae6f941cba06d05a"]
    );
}

#[test]
fn hashes_of_suites() {
    let base = folder(&[
        (
            "sums.jsonl",
            "{\"prompt\": \"1+1=\", \"answer\": \"2\"}\n{\"prompt\": \"1+2=\", \"answer\": \"3\"}\n",
        ),
        ("choice.jsonl", "{\"prompt\": \"q\", \"choices\": [\"ab\", \"cd\"], \"correct\": 1}\n"),
    ]);
    let documents = documents(0, 30, 2_000);
    let text = open_files(documents.path(), &["."]).unwrap();
    let facts = lookup(64);
    let choice = Scoring::Choice(ChoiceRule::PerByte);
    let jsonl = |file: &str| SuiteSource::Jsonl(vec![file.to_string()]);
    let found = [
        ("jsonl", jsonl("sums.jsonl"), Scoring::Exact, None, ""),
        ("choice", jsonl("choice.jsonl"), choice, None, ""),
        ("facts", SuiteSource::Generated, Scoring::Exact, Some(&facts), ""),
        ("tagged", SuiteSource::Generated, Scoring::Exact, Some(&facts), "<L>"),
        ("pieces", SuiteSource::HeldOut { bytes: None, answer_after: None }, Scoring::Nll, Some(&text), ""),
    ]
    .map(|(name, source, scoring, corpus, tag)| {
        let mut manifest = skill_manifest(source, scoring);
        manifest.suite.items = Some(40);
        let suite = Suite::open(name, &manifest, corpus, base.path()).unwrap();
        format!("{name} {}", short(TokenSuite::new(&suite, &bytes(), tag).unwrap().hash()))
    });
    assert_eq!(
        found,
        [
            "jsonl df5ad101d8c5015b",
            "choice c6cf267a76cfcb23",
            "facts 83a0c7ae52a86565",
            "tagged fbda4aab516803e5",
            "pieces 93d2858461ad8c66"
        ]
    );
}

#[test]
fn names_of_kept_searches() {
    let base = folder(&[("i.jsonl", "{\"prompt\": \"2 and 2 make, as all know,\", \"answer\": \" 4\"}\n")]);
    let manifest = skill_manifest(SuiteSource::Jsonl(vec!["i.jsonl".to_string()]), Scoring::Nll);
    let mut suite = Suite::open("quiz", &manifest, None, base.path()).unwrap();
    let (cache, docs) = (folder(&[]), documents(0, 4, 3_000));
    let corpus = open_files(docs.path(), &["."]).unwrap();
    drop_overlapping(&mut suite, &[&corpus], cache.path()).unwrap();
    let file = fs::read_dir(cache.path().join("overlaps")).unwrap().next().unwrap().unwrap();
    let content = blake3::hash(&fs::read(file.path()).unwrap()).to_hex().to_string();
    let found = [file.file_name().to_string_lossy().into_owned(), content];
    assert_eq!(found.each_ref().map(|hash| short(hash)), ["67a95bd8cdcd5e32", "ed20411cb83384bb"]);
}
