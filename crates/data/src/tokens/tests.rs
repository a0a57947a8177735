use std::collections::BTreeSet;

use std::fs;
use std::path::Path;

use super::*;
use crate::sources::Folders;
use crate::testing::{
    bytes, documents, folder, listed, no_folders, open_files, registry, text, token_set, train_stream,
};
use crate::tokens::token_set::{BLOCK_TOKENS, folder_of};
use crate::{Corpus, DataError, Needed, TokenSet, TokenSetFacts, ensure_tokens, token_set_hash};

fn ensure(corpus: &Corpus, cache: &Path, train: u64, held_out: u64) -> Result<TokenSetFacts, DataError> {
    let needed = Needed { train_tokens: train, held_out_tokens: held_out };
    ensure_tokens(corpus, &bytes(), cache, needed, &mut |_, _| {})
}

fn files_of(cache: &Path) -> Vec<(String, Vec<u8>)> {
    let set = fs::read_dir(cache.join("tokens")).unwrap().next().unwrap().unwrap().path();
    let mut files: Vec<_> = fs::read_dir(set)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn asking_again_for_more_gives_the_same_files_as_asking_at_once() {
    let base = documents(0, 60, 50_000);
    let corpus = open_files(base.path(), &["."]).unwrap();
    let (stepwise, at_once) = (folder(&[]), folder(&[]));
    let facts = ensure(&corpus, stepwise.path(), 0, 100).unwrap();
    assert_eq!((facts.train_tokens, facts.train_documents, facts.held_out_tokens), (0, 0, 65536));
    let estimate = facts.corpus_tokens;
    let facts = ensure(&corpus, stepwise.path(), 1, 100_000).unwrap();
    assert_eq!((facts.train_tokens, facts.is_exhausted, facts.held_out_tokens), (1 << 20, false, 131_072));
    let before = files_of(stepwise.path());
    ensure(&corpus, stepwise.path(), (1 << 20) + 1, 100).unwrap();
    let after = files_of(stepwise.path());
    assert!(before.iter().filter(|file| file.0 != "set.json").all(|file| after.contains(file)));
    let facts = ensure(&corpus, stepwise.path(), 1 << 40, 100).unwrap();
    assert!(facts.is_exhausted);
    assert_eq!(facts, ensure(&corpus, at_once.path(), 1 << 40, 100_000).unwrap());
    assert_eq!(files_of(stepwise.path()), files_of(at_once.path()));
    let error = (estimate / facts.train_tokens as f64 - 1.0).abs();
    assert!(error < 0.001, "estimated {estimate}, are {}", facts.train_tokens);
}

#[test]
fn documents_that_end_where_a_block_ends_are_neither_lost_nor_repeated() {
    // 81 documents of 2^15 tokens each with their ends: 17 are held out, 64 fill two blocks exactly.
    let base = folder(&[]);
    for seed in 0..81 {
        let text: String = text(seed, 40_000).chars().filter(char::is_ascii).take(32_766).collect();
        fs::write(base.path().join(seed.to_string()), format!("{text}.")).unwrap();
    }
    let corpus = open_files(base.path(), &["."]).unwrap();
    let (stepwise, at_once) = (folder(&[]), folder(&[]));
    for n_tokens in [1, BLOCK_TOKENS + 1, 2 * BLOCK_TOKENS + 1] {
        ensure(&corpus, stepwise.path(), n_tokens, 65536).unwrap();
    }
    let set = token_set(&corpus, at_once.path(), 1 << 40, 65536);
    assert_eq!(files_of(stepwise.path()), files_of(at_once.path()));
    assert_eq!((set.train_tokens(), set.n_blocks()), (2 * BLOCK_TOKENS, 2));
    let texts: Vec<String> = listed(&corpus.split().unwrap().train)
        .iter()
        .map(|document| document.read().unwrap().unwrap().text)
        .collect();
    let stream = train_stream(&set);
    assert_eq!(stream.len() as u64, 2 * BLOCK_TOKENS);
    assert!(stream == bytes().encode_documents(&texts).concat());
}

#[test]
fn the_stream_is_every_training_document_once_and_no_held_out_one() {
    let copy = text(1000, 40_000);
    let names: Vec<String> = (0..60).map(|idx| format!("crate{idx}")).collect();
    let files: Vec<Vec<(&str, String)>> = (0..60)
        .map(|seed| {
            vec![("a.rs", text(seed, 30_000)), ("b/c.rs", copy.clone()), ("bad.rs", "\0".to_string())]
        })
        .collect();
    let files: Vec<Vec<(&str, &str)>> =
        files.iter().map(|files| files.iter().map(|(name, text)| (*name, text.as_str())).collect()).collect();
    let crates: Vec<_> =
        names.iter().zip(&files).map(|(name, files)| (name.as_str(), "1.0.0", &files[..])).collect();
    let (registry, spec) = registry(&crates);
    let folders = Folders { registry: registry.path().to_path_buf(), ..no_folders() };
    let corpus = Corpus::open_in("code", &spec, Path::new(""), &folders).unwrap();
    let cache = folder(&[]);
    let facts = ensure(&corpus, cache.path(), 1 << 40, 65536).unwrap();
    let set = TokenSet::open(cache.path(), &facts.hash).unwrap();
    let texts = |tokens: &[u16]| -> Vec<String> {
        let documents = tokens.split(|&token| token == END_OF_DOCUMENT);
        documents.map(|tokens| String::from_utf8(bytes().decode(tokens)).unwrap()).collect()
    };
    let mut train = train_stream(&set);
    assert_eq!(train.pop(), Some(END_OF_DOCUMENT));
    let train = texts(&train);
    let split = corpus.split().unwrap();
    let read = |document: &crate::sources::document::Document| document.read().unwrap().map(|text| text.text);
    let held_out: BTreeSet<String> = listed(&split.held_out).iter().filter_map(read).collect();
    let expected: Vec<String> =
        listed(&split.train).iter().filter_map(read).filter(|text| !held_out.contains(text)).collect();
    // Compared by hand, since they are too long to be printed.
    assert!(train == expected, "{} documents instead of {}", train.len(), expected.len());
    assert!(held_out.contains(&copy) && facts.dropped.duplicates > 40, "{:?}", facts.dropped);
    assert_eq!(facts.train_documents, train.len() as u64);
    assert_eq!(facts.dropped.not_text, facts.train_documents);
}

#[test]
fn held_out_bytes_are_counted_exactly() {
    let base = documents(0, 30, 50_000);
    let corpus = open_files(base.path(), &["."]).unwrap();
    let cache = folder(&[]);
    let set = token_set(&corpus, cache.path(), 0, 65536);
    let targets = &set.held_out(60_000).unwrap()[1..];
    let ends = targets.iter().filter(|&&token| token == END_OF_DOCUMENT).count() as u64;
    assert_eq!(ends, 1);
    assert_eq!(set.held_out_bytes(60_000).unwrap(), 60_000 - ends);
    assert_eq!(set.held_out(100).unwrap(), set.held_out(60_000).unwrap()[..101]);
    assert!(matches!(set.held_out(1 << 30), Err(DataError::TooFewHeldOut { .. })));
}

#[test]
fn too_little_held_out_text_is_refused_before_and_after_it_is_cached() {
    let base = documents(0, 10, 1_000);
    let corpus = open_files(base.path(), &["."]).unwrap();
    let cache = folder(&[]);
    for _ in 0..2 {
        let error = ensure(&corpus, cache.path(), 1, 65536).unwrap_err().to_string();
        assert!(error.contains("`mine`") && error.contains("65536 are needed"), "{error}");
    }
}

#[test]
fn a_damaged_shard_is_named_and_made_again_when_it_is_deleted() {
    let base = documents(0, 30, 50_000);
    let corpus = open_files(base.path(), &["."]).unwrap();
    let cache = folder(&[]);
    let facts = ensure(&corpus, cache.path(), 1, 65536).unwrap();
    let whole = files_of(cache.path());
    let folder = folder_of(cache.path(), &facts.hash);
    let shard = folder.join("train-00000.bin");
    let content = fs::read(&shard).unwrap();
    let expect = |error: DataError, expected: &str| {
        let error = error.to_string();
        assert!(error.contains("train-00000.bin") && error.contains(expected), "{error}");
        assert!(error.contains("delete it"), "{error}");
    };
    fs::write(&shard, &content[..content.len() - 1]).unwrap();
    expect(TokenSet::open(cache.path(), &facts.hash).unwrap_err(), "instead of");
    expect(ensure(&corpus, cache.path(), 1, 65536).unwrap_err(), "instead of");
    for (place, expected) in [(0, "header"), (1000, "checksum")] {
        let mut damaged = content.clone();
        damaged[place] ^= 1;
        fs::write(&shard, &damaged).unwrap();
        expect(TokenSet::open(cache.path(), &facts.hash).unwrap_err(), expected);
    }
    fs::remove_file(&shard).unwrap();
    assert_eq!(ensure(&corpus, cache.path(), 1, 65536).unwrap(), facts);
    assert_eq!(files_of(cache.path()), whole);
    fs::write(folder.join("set.json"), "{").unwrap();
    let error = ensure(&corpus, cache.path(), 1, 65536).unwrap_err().to_string();
    assert!(error.contains("set.json") && error.contains("delete it"), "{error}");
}

#[test]
fn an_impossible_cache_folder_is_named() {
    let base = documents(0, 4, 1_000);
    let corpus = open_files(base.path(), &["."]).unwrap();
    let error = ensure(&corpus, &base.path().join("0.txt"), 1, 1).unwrap_err().to_string();
    assert!(error.contains("0.txt"), "{error}");
    let error = TokenSet::open(base.path(), "abc").unwrap_err().to_string();
    assert!(error.contains("abc") && error.contains("hint"), "{error}");
}

#[test]
fn concurrent_callers_all_get_the_same_set() {
    let base = documents(0, 30, 50_000);
    let corpus = open_files(base.path(), &["."]).unwrap();
    let cache = folder(&[]);
    let facts: Vec<TokenSetFacts> = std::thread::scope(|scope| {
        let ask = || scope.spawn(|| ensure(&corpus, cache.path(), 1 << 40, 65536).unwrap());
        let asked: Vec<_> = (0..4).map(|_| ask()).collect();
        asked.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(facts.windows(2).all(|pair| pair[0] == pair[1]), "{facts:?}");
    TokenSet::open(cache.path(), &facts[0].hash).unwrap();
}

#[test]
fn hashes_of_token_sets_stay_what_they_are() {
    // Every run holds such hashes in its identity. A change here orphans finished runs: raise FORMAT.
    let base = folder(&[("a.txt", "first"), ("b.txt", "second")]);
    let corpus = open_files(base.path(), &["."]).unwrap();
    let file: &[(&str, &str)] = &[("lib.rs", "fn a() {}")];
    let (registry, spec) = registry(&[("aa", "1.0.0", file), ("bb", "2.0.0", file)]);
    let folders = Folders { registry: registry.path().to_path_buf(), ..no_folders() };
    let crates = Corpus::open_in("code", &spec, Path::new(""), &folders).unwrap();
    let hashes = [&corpus, &crates].map(|corpus| token_set_hash(corpus, &bytes()));
    assert_eq!(
        hashes,
        [
            "25c8dd3d99dc21dd55672f7801f11f277d8cd0f01b69d57473c0bc34e611eabd",
            "6f95eb80a4f423179517e0d4bad1631fdc9f2083d527fb201e77f1e0e1de4d72"
        ]
    );
}
