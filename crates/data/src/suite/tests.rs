use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use scalelaw_schema::corpus::CorpusSource;
use scalelaw_schema::generator::{BiographyForm, BiographyTask, GeneratedSpec, ManoTask, Task};
use scalelaw_schema::overlap::OverlapReport;
use scalelaw_schema::score::Measured;
use scalelaw_schema::skill::{ChoiceRule, Overlap, Scoring, SuiteSource, Target, TokenClass};
use scalelaw_schema::sweep::TokenizerChoice;

use super::overlap::drop_overlapping;
use super::*;
use crate::corpus::reader::Reader;
use crate::testing::{
    bytes, folder, generated, lookup, no_folders, open_files, skill_manifest as manifest, spec, text,
};
use crate::{Corpus, DataError, Tokenizer};

fn jsonl(base: &Path, file: &str, scoring: Scoring) -> Result<Suite, DataError> {
    Suite::open("quiz", &manifest(SuiteSource::Jsonl(vec![file.to_string()]), scoring), None, base)
}

fn corpus(source: CorpusSource, base: &Path) -> Corpus {
    Corpus::open_in("mine", &spec(source), base, &no_folders()).unwrap()
}

/// Losses on every sequence: `of` returns the loss of a target and whether it is the most likely token.
fn losses_of(suite: &TokenSuite, mut of: impl FnMut(&Sequence, usize) -> (f32, bool)) -> Vec<SequenceLosses> {
    suite
        .sequences(suite.n_items())
        .map(|sequence| {
            let each: Vec<(f32, bool)> =
                (1..sequence.tokens.len()).map(|token_idx| of(sequence, token_idx)).collect();
            SequenceLosses {
                losses: each.iter().map(|target| target.0).collect(),
                is_top: each.iter().map(|target| target.1).collect(),
            }
        })
        .collect()
}

#[test]
fn fifty_items_of_a_users_own_become_a_suite_and_a_score() {
    let lines: Vec<String> = (0..50)
        .map(|i| {
            format!("{{\"prompt\": \"{i} and {i} make\", \"answer\": \" {}\", \"group\": \"even\"}}", 2 * i)
        })
        .collect();
    let base = folder(&[("sums.jsonl", &lines.join("\n"))]);
    let suite = jsonl(base.path(), "sums.jsonl", Scoring::Exact).unwrap();
    assert_eq!(suite.items.len(), 50);
    let tokens = TokenSuite::new(&suite, &bytes(), "").unwrap();
    let cache = folder(&[]);
    tokens.save(cache.path()).unwrap();
    assert_eq!(TokenSuite::open(cache.path(), tokens.hash()).unwrap(), tokens);
    // "49 and 49 make 98": 17 inputs, with the end of the document before.
    assert_eq!((tokens.n_items(), tokens.context_len()), (50, 17));
    // One nat per answer token; right where the answer has two letters beside the space.
    let losses = losses_of(&tokens, |sequence, _| (1.0, sequence.answer_bytes == 3));
    let score = tokens.score(50, &losses).unwrap();
    assert_eq!((score.n_items, score.n_tokens, score.n_bytes), (50, 5 * 2 + 45 * 3, 145));
    assert_eq!(score.nll, Measured { value: 1.0, se: Some(0.0) });
    assert!((score.bpb.value - 1.0 / std::f64::consts::LN_2).abs() < 1e-12);
    assert!((score.nll_per_answer.value - 2.9).abs() < 1e-12);
    // 5 of 50 answers have length 2 and 45 length 3: deviation √(0.09 · 50/49), over √50.
    assert!((score.nll_per_answer.se.unwrap() - (0.09_f64 / 49.0).sqrt()).abs() < 1e-12);
    let accuracy = score.accuracy.unwrap();
    assert_eq!(accuracy.value, 0.9);
    let p = 47.0 / 54.0_f64;
    assert!((accuracy.se.unwrap() - (p * (1.0 - p) / 54.0).sqrt()).abs() < 1e-12);
    assert_eq!((score.chance, score.groups["even"].n_items), (None, 50));
    // The parts of a user's prompt are not known.
    assert_eq!(score.classes.keys().collect::<Vec<_>>(), [&TokenClass::Answer]);
}

#[test]
fn the_error_of_a_loss_per_token_is_that_of_a_ratio() {
    let base = folder(&[(
        "two.jsonl",
        "{\"prompt\": \"a\", \"answer\": \"x\"}\n{\"prompt\": \"b\", \"answer\": \"yzw\"}\n",
    )]);
    let tokens =
        TokenSuite::new(&jsonl(base.path(), "two.jsonl", Scoring::Nll).unwrap(), &bytes(), "").unwrap();
    let losses = losses_of(&tokens, |sequence, _| (if sequence.answer_bytes == 1 { 2.0 } else { 1.0 }, true));
    let score = tokens.score(2, &losses).unwrap();
    // 5 nats over 4 tokens; residuals 2 - 1.25 and 3 - 3.75; √(2/1 · (0.5625 + 0.5625)) / 4.
    assert!((score.nll.value - 1.25).abs() < 1e-12);
    assert!((score.nll.se.unwrap() - 2.25_f64.sqrt() / 4.0).abs() < 1e-12, "{score:?}");
    assert_eq!((score.accuracy, score.chance), (None, None));
}

#[test]
fn a_choice_is_right_where_its_rule_says_so_and_a_tie_is_not() {
    let line = "{\"prompt\": \"q\", \"choices\": [\"ab\", \"abcd\", \"xy\"], \"correct\": 1}\n";
    let base = folder(&[("choice.jsonl", line)]);
    for (rule, nats_of_long, expected) in [
        (ChoiceRule::Sum, 0.9, 0.0),
        (ChoiceRule::Sum, 0.2, 1.0),
        (ChoiceRule::PerByte, 0.9, 1.0),
        (ChoiceRule::PerByte, 1.0, 0.0),
    ] {
        let suite = jsonl(base.path(), "choice.jsonl", Scoring::Choice(rule)).unwrap();
        let tokens = TokenSuite::new(&suite, &bytes(), "").unwrap();
        let losses = losses_of(&tokens, |sequence, token_idx| {
            let is_prompt = token_idx < sequence.answer;
            let nats = if sequence.answer_bytes == 4 { nats_of_long } else { 1.0 };
            (if is_prompt { 9.0 } else { nats }, false)
        });
        let score = tokens.score(1, &losses).unwrap();
        assert_eq!(score.accuracy.unwrap().value, expected, "{rule:?} {nats_of_long}");
        assert!((score.chance.unwrap() - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!((score.n_tokens, score.nll_per_answer.se), (4, None));
    }
}

#[test]
fn bad_items_are_named_with_file_and_line() {
    let base = folder(&[
        ("broken.jsonl", "{\"prompt\": \"a\", \"answer\": \"b\"}\n{\"prompt\": \n"),
        ("key.jsonl", "{\"prompt\": \"a\", \"anser\": \"b\"}\n"),
        ("neither.jsonl", "\n{\"prompt\": \"a\"}\n"),
        ("both.jsonl", "{\"prompt\": \"a\", \"answer\": \"b\", \"choices\": [\"b\", \"c\"]}\n"),
        ("none.jsonl", "{\"prompt\": \"a\", \"choices\": [\"b\", \"c\"]}\n"),
        ("beyond.jsonl", "{\"prompt\": \"a\", \"choices\": [\"b\", \"c\"], \"correct\": 2}\n"),
        ("single.jsonl", "{\"prompt\": \"a\", \"choices\": [\"b\"], \"correct\": 0}\n"),
        ("twice.jsonl", "{\"prompt\": \"a\", \"choices\": [\"b\", \"b\"], \"correct\": 0}\n"),
        ("empty_answer.jsonl", "{\"prompt\": \"a\", \"answer\": \"\"}\n"),
        ("answer.jsonl", "{\"prompt\": \"a\", \"answer\": \"b\"}\n"),
        ("empty.jsonl", "\n \n"),
    ]);
    let check = |file: &str, scoring: Scoring, parts: &[&str]| {
        let error = jsonl(base.path(), file, scoring).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{file}: {error}");
    };
    check("broken.jsonl", Scoring::Nll, &["broken.jsonl:2", "column 11"]);
    check("key.jsonl", Scoring::Nll, &["key.jsonl:1", "unknown field `anser`"]);
    check("neither.jsonl", Scoring::Nll, &["neither.jsonl:2", "neither `answer` nor `choices`"]);
    check("both.jsonl", Scoring::Nll, &["both.jsonl:1", "both an `answer` and `choices`"]);
    check("none.jsonl", Scoring::Nll, &["none.jsonl:1", "none of them is `correct`"]);
    check("beyond.jsonl", Scoring::Nll, &["beyond.jsonl:1", "`correct` is 2"]);
    check("single.jsonl", Scoring::Choice(ChoiceRule::Sum), &["single.jsonl:1", "fewer than two"]);
    check("twice.jsonl", Scoring::Choice(ChoiceRule::Sum), &["twice.jsonl:1", "listed twice"]);
    check("empty_answer.jsonl", Scoring::Nll, &["empty_answer.jsonl:1", "answer is empty"]);
    check("answer.jsonl", Scoring::Choice(ChoiceRule::Sum), &["answer.jsonl:1", "no choices"]);
    check("empty.jsonl", Scoring::Nll, &["skill `quiz`", "no items"]);
    check("absent.jsonl", Scoring::Nll, &["absent.jsonl"]);
    let error = Suite::open("quiz", &manifest(SuiteSource::Generated, Scoring::Exact), None, base.path());
    assert!(error.unwrap_err().to_string().contains("no corpus"));
}

#[test]
fn an_answer_that_shares_a_token_with_its_prompt_is_refused_with_its_line() {
    let (cache, docs) =
        (folder(&[]), folder(&[("a", &"walked ".repeat(500)), ("b", &"walker ".repeat(500))]));
    let corpus = open_files(docs.path(), &["."]).unwrap();
    let bpe = Tokenizer::prepare(TokenizerChoice::Bpe(263), &[&corpus], cache.path()).unwrap();
    let base = folder(&[("split.jsonl", "{\"prompt\": \"he wa\", \"answer\": \"lked\"}\n")]);
    let suite = jsonl(base.path(), "split.jsonl", Scoring::Nll).unwrap();
    let error = TokenSuite::new(&suite, &bpe, "").unwrap_err().to_string();
    assert!(
        ["split.jsonl:1", "cannot be tokenised", "hint"].iter().all(|part| error.contains(part)),
        "{error}"
    );
    // By bytes every answer stands by itself, and so does a word with its space.
    assert!(TokenSuite::new(&suite, &bytes(), "").is_ok());
    let base = folder(&[("whole.jsonl", "{\"prompt\": \"he\", \"answer\": \" walked\"}\n")]);
    let suite = jsonl(base.path(), "whole.jsonl", Scoring::Nll).unwrap();
    assert!(TokenSuite::new(&suite, &bpe, "").is_ok());
}

#[test]
fn a_memoriser_by_hand_has_the_bits_that_it_stores() {
    // It knows the values of half of 400 facts, gives 16 values of 256 the same probability for a quarter, and
    // knows nothing of the rest. Of 8 bits per fact it has stored 8, 4 and 0: mean 5, of 400 facts 2000 bits.
    let corpus = lookup(400);
    let suite = Suite::open(
        "lookup",
        &manifest(SuiteSource::Generated, Scoring::Exact),
        Some(&corpus),
        Path::new(""),
    );
    let suite = suite.unwrap();
    assert_eq!(suite.items.len(), 400);
    let tokens = TokenSuite::new(&suite, &bytes(), "").unwrap();
    let mut n_sequences = 0;
    let losses = losses_of(&tokens, |sequence, token_idx| {
        if token_idx == 1 {
            n_sequences += 1;
        }
        let bits_missing = match (n_sequences - 1) % 4 {
            0 | 1 => 0.0,
            2 => 4.0,
            _ => 8.0,
        };
        // An answer has two letters; the key of four costs the entropy of 400 known keys, in its first letter.
        let nats = match token_idx {
            _ if token_idx >= sequence.answer => bits_missing / 2.0 * std::f64::consts::LN_2,
            1 => 400_f64.ln(),
            _ => 0.0,
        };
        (nats as f32, bits_missing == 0.0)
    });
    let score = tokens.score(400, &losses).unwrap();
    let facts = score.facts.unwrap();
    assert_eq!(
        (facts.n_facts, facts.key_bits, facts.value_bits, facts.answers_per_fact),
        (400, 16.0, 8.0, 1)
    );
    let stored_per_fact = facts.value_bits
        - facts.answers_per_fact as f64 * score.nll_per_answer.value / std::f64::consts::LN_2;
    // Losses are f32: seven digits.
    assert!((stored_per_fact - 5.0).abs() < 1e-5, "{stored_per_fact}");
    assert!((score.classes[&TokenClass::Key].loss_per_item - 400_f64.ln()).abs() < 1e-5);
    assert_eq!(score.classes[&TokenClass::Key].n_tokens, 1600);
    assert_eq!((score.accuracy.unwrap().value, score.chance), (0.5, Some(1.0 / 256.0)));
}

#[test]
fn a_tag_stands_before_documents_and_items_alike_and_makes_other_hashes() {
    let corpus = generated(Task::Mano(ManoTask { max_operations: 3 }));
    let tagged = corpus.clone().tagged("R");
    assert_ne!(corpus.identity(), tagged.identity());
    let split = tagged.split().unwrap();
    let document = Reader::train(&split).unwrap().next_text().unwrap().unwrap();
    assert!(document.starts_with("<R>"), "{document}");
    let manifest = manifest(SuiteSource::Generated, Scoring::Exact);
    let suite = Suite::open("mano", &manifest, Some(&tagged), Path::new("")).unwrap();
    let (plain, tokens) = (
        TokenSuite::new(&suite, &bytes(), "").unwrap(),
        TokenSuite::new(&suite, &bytes(), tagged.tag()).unwrap(),
    );
    assert_ne!(plain.hash(), tokens.hash());
    let first = tokens.sequences(1).next().unwrap();
    assert_eq!(&first.tokens[..4], &[256, u16::from(b'<'), u16::from(b'R'), u16::from(b'>')]);
    assert_eq!(tokens.context_len(), plain.context_len() + 3);
    // Three operations: groups of one length each, and the answer is one letter.
    assert_eq!(
        tokens.groups(9),
        BTreeMap::from([("operations=1", 3), ("operations=2", 3), ("operations=3", 3)])
    );
    let all: std::collections::BTreeSet<&[u16]> =
        tokens.sequences(9999).map(|sequence| sequence.tokens.as_slice()).collect();
    assert_eq!(all.len() as u64, tokens.n_items());
    assert!(tokens.sequences(99).all(|sequence| sequence.answer + 1 == sequence.tokens.len()));
}

#[test]
fn a_folder_of_text_becomes_pieces() {
    let base = folder(&[("texts/a.txt", &text(1, 9000)), ("texts/b.txt", &text(2, 9000))]);
    let source = SuiteSource::Text { files: vec!["texts".to_string()], bytes: Some(100) };
    let mut manifest = manifest(source, Scoring::Nll);
    manifest.suite.items = Some(64);
    let suite = Suite::open("letters", &manifest, None, base.path()).unwrap();
    assert_eq!(suite.items.len(), 64);
    let tokens = TokenSuite::new(&suite, &bytes(), "").unwrap();
    assert!(tokens.context_len() <= 100);
    assert_eq!(tokens.spec(10).hash(), tokens.spec(10).hash());
    assert_ne!(tokens.spec(10).hash(), tokens.spec(11).hash());
}

fn overlap(items: &str, documents: &[(&str, &str)]) -> (Suite, OverlapReport) {
    let base = folder(&[("items.jsonl", items)]);
    let mut suite = jsonl(base.path(), "items.jsonl", Scoring::Nll).unwrap();
    let docs = folder(documents);
    let corpus = open_files(docs.path(), &["."]).unwrap();
    let report = drop_overlapping(&mut suite, &[&corpus], folder(&[]).path()).unwrap().unwrap();
    (suite, report)
}

#[test]
fn planted_items_are_dropped_and_others_stay() {
    let long = "the quick brown fox jumps over the lazy dog while seven wizards brew potent jam";
    let items = format!(
        "{{\"prompt\": \"{}\", \"answer\": \"{}\"}}\n{{\"prompt\": \"who painted the ceiling of \", \"answer\": \"that chapel\"}}\n\
         {{\"prompt\": \"an item that nobody has planted anywhere, \", \"answer\": \"so that it must stay in the suite\"}}\n\
         {{\"prompt\": \"1+1=\", \"answer\": \"2\"}}\n",
        &long[..40],
        &long[40..]
    );
    // Near copies: other case, other punctuation, other line ends, and only a part of the long one.
    let near = format!("{} ... {}", text(5, 3000), long[8..70].to_uppercase().replace(' ', ",\n"));
    let short = format!("{}\nWho painted the ceiling of (that chapel)?", text(6, 3000));
    let (held_out, train) = (text(7, 2000), text(8, 2000));
    // Several copies, since a document may be held out.
    let plants: Vec<(String, String)> = (0..12)
        .flat_map(|i| {
            [(format!("near{i}"), format!("{i} {near}")), (format!("short{i}"), format!("{i} {short}"))]
        })
        .collect();
    let mut documents: Vec<(&str, &str)> =
        plants.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    documents.extend([("c", held_out.as_str()), ("d", train.as_str())]);
    let (suite, report) = overlap(&items, &documents);
    assert_eq!((report.n_found, report.n_items, report.n_too_short), (2, 4, 1), "{report:?}");
    assert!(report.examples.iter().any(|(_, passage)| passage.contains("brown fox")), "{report:?}");
    let left: Vec<&str> = suite.items.iter().map(|placed| placed.item.answer()).collect();
    assert_eq!(left, ["so that it must stay in the suite", "2"]);
    let (suite, report) = overlap(&items, &[("c", &held_out), ("d", &train)]);
    assert_eq!((report.n_found, suite.items.len()), (0, 4));
}

#[test]
fn items_that_are_meant_to_be_recalled_are_not_dropped() {
    let corpus = lookup(50);
    let mut manifest = manifest(SuiteSource::Generated, Scoring::Exact);
    manifest.suite.overlap = Some(Overlap::Meant);
    let mut suite = Suite::open("lookup", &manifest, Some(&corpus), Path::new("")).unwrap();
    assert_eq!(drop_overlapping(&mut suite, &[&corpus], folder(&[]).path()).unwrap(), None);
    assert_eq!(suite.items.len(), 50);
}

#[test]
fn a_search_is_kept() {
    let base = folder(&[(
        "items.jsonl",
        "{\"prompt\": \"2 and 2 make, as everybody knows,\", \"answer\": \" 4\"}\n",
    )]);
    let (cache, docs) = (folder(&[]), folder(&[("a", &text(1, 3000)), ("b", &text(2, 3000))]));
    let corpus = open_files(docs.path(), &["."]).unwrap();
    let search = || {
        let mut suite = jsonl(base.path(), "items.jsonl", Scoring::Nll).unwrap();
        let report = drop_overlapping(&mut suite, &[&corpus], cache.path());
        (report.map(|report| report.unwrap().n_found), suite.items.len())
    };
    assert!(matches!(search(), (Ok(0), 1)));
    let kept = std::fs::read_dir(cache.path().join("overlaps")).unwrap().next().unwrap().unwrap().path();
    // The kept result is used as it is; one that cannot be read is made again.
    let whole = std::fs::read_to_string(&kept).unwrap();
    std::fs::write(&kept, whole.replace("\"items\":[]", "\"items\":[0]")).unwrap();
    assert!(matches!(search(), (Err(DataError::AllOverlap { .. }), 1)));
    std::fs::write(&kept, &whole[..20]).unwrap();
    assert!(matches!(search(), (Ok(0), 1)));
}

#[test]
fn a_pass_over_facts_is_as_long_as_its_documents() {
    let corpus = lookup(50);
    let manifest = manifest(SuiteSource::Generated, Scoring::Exact);
    let suite = Suite::open("lookup", &manifest, Some(&corpus), Path::new("")).unwrap();
    // A document has 16 lines of 8 bytes, its tag and its end.
    for (tag, tokens) in [("", 129.0), ("<L>", 132.0)] {
        let token_suite = TokenSuite::new(&suite, &bytes(), tag).unwrap();
        let losses = losses_of(&token_suite, |_, _| (0.0, true));
        let facts = token_suite.score(token_suite.n_items(), &losses).unwrap().facts.unwrap();
        assert_eq!(facts.pass_tokens, Some(50.0 / 16.0 * tokens));
    }
}

#[test]
fn a_dictionary_gives_choices_that_length_does_not_tell() {
    let lines: Vec<String> = (0..300)
        .map(|i| {
            let filler = "very ".repeat(i % 7);
            format!("{i:08} 03 n 01 word{i} 0 000 | a {filler}special thing of kind {i}  ")
        })
        .collect();
    let base = folder(&[("data.noun", &lines.join("\n"))]);
    let corpus = corpus(CorpusSource::Wordnet(vec!["data.noun".to_string()]), base.path());
    let source = SuiteSource::Cloze { choices: 4, bytes: None };
    let suite = Suite::open(
        "words",
        &manifest(source, Scoring::Choice(ChoiceRule::PerByte)),
        Some(&corpus),
        base.path(),
    );
    let suite = suite.unwrap();
    assert!(suite.items.len() > 200);
    let mut positions = [0; 4];
    for placed in &suite.items {
        let Target::Choices { texts, correct } = &placed.item.target else { panic!() };
        positions[*correct] += 1;
        let number = placed.item.prompt.trim_start_matches("word").split(' ').next().unwrap();
        assert!(texts[*correct].ends_with(&format!("kind {number}")), "{placed:?}");
        let lengths: Vec<usize> = texts.iter().map(String::len).collect();
        assert!(lengths.iter().max().unwrap() - lengths.iter().min().unwrap() < 12, "{placed:?}");
        assert_eq!(placed.item.chance, Some(0.25));
    }
    assert!(positions.iter().all(|&n| n > suite.items.len() / 6), "{positions:?}");
}

#[test]
fn a_generated_corpus_becomes_a_token_set_and_a_pool_of_it_ends() {
    use crate::testing::{token_set, train_stream};
    let cache = folder(&[]);
    let task =
        || Task::Biographies(BiographyTask { people: 100, form: BiographyForm::Tuples, exposures: None });
    let set = token_set(&generated(task()), cache.path(), (1 << 20) + 1, 1 << 16);
    assert_eq!((set.train_tokens(), set.is_exhausted(), set.held_out_tokens()), (2 << 20, false, 1 << 16));
    // Without end: no window comes twice.
    assert!(set.corpus_tokens() > 1e15);
    let pool = GeneratedSpec { seed: None, pool: Some(300), task: task() };
    let corpus = corpus(CorpusSource::Generated(pool), Path::new(""));
    assert_ne!(corpus.identity(), generated(task()).identity());
    let pool = token_set(&corpus, cache.path(), 1 << 20, 1 << 16);
    assert!(pool.is_exhausted() && pool.train_tokens() < 300 * 120);
    // The pool is the beginning of the stream.
    let (all, some) = (train_stream(&set), train_stream(&pool));
    assert!(all.starts_with(&some[..some.len() - 1]));
    // Asking in steps gives the same tokens as asking at once.
    let other = folder(&[]);
    token_set(&generated(task()), other.path(), 1, 1 << 16);
    let stepwise = token_set(&generated(task()), other.path(), (1 << 20) + 1, 1 << 16);
    assert!(train_stream(&stepwise) == all);
}

#[test]
fn every_builtin_skill_that_this_machine_has_gives_items_that_fit_a_context_of_256() {
    let cache = std::env::var_os("SCALELAW_CACHE").map(PathBuf::from);
    for (name, manifest) in crate::builtin_skills() {
        let spec = match &manifest.corpus {
            Some(spec) => spec.clone(),
            None => crate::builtin_manifests().into_iter().find(|(corpus, _)| *corpus == name).unwrap().1,
        };
        let base = crate::sources::download::base_of(
            cache.as_deref().unwrap_or(Path::new("no-cache")),
            name,
            &spec,
            Path::new(""),
        );
        let corpus = match Corpus::open(name, &spec, &base) {
            Err(DataError::NotDownloaded { .. } | DataError::NoRegistry { .. }) => {
                println!("skipped: {name} is not on this machine (SCALELAW_CACHE names where it was put)");
                continue;
            }
            opened => opened.unwrap(),
        };
        let suite = Suite::open(name, &manifest, Some(&corpus), &base).unwrap();
        assert!(suite.items.len() >= 500, "{name}: {} items", suite.items.len());
        let tokens = TokenSuite::new(&suite, &bytes(), "").unwrap();
        assert!(tokens.context_len() <= 256, "{name}: {}", tokens.context_len());
        let longest =
            suite.items.iter().map(|placed| placed.item.prompt.len() + placed.item.answer().len()).max();
        println!("{name}: {} items, longest {longest:?}, e.g. {:?}", suite.items.len(), suite.items[0].item);
    }
}
