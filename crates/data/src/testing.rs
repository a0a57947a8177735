//! Text, corpora, token sets and manifests for the tests of this crate.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use scalelaw_schema::corpus::{CorpusSource, CorpusSpec};
use scalelaw_schema::generator::{GeneratedSpec, LookupTask, Task};
use scalelaw_schema::skill::{Scoring, SkillFamily, SkillManifest, SuiteSource, SuiteSpec};
use scalelaw_schema::sweep::TokenizerChoice;
use tempfile::TempDir;

use crate::corpus::split::Documents;
use crate::sources::Folders;
use crate::sources::document::Document;
use crate::{Corpus, DataError, Needed, TokenSet, Tokenizer, ensure_tokens};

/// About `bytes` of text that depends on `seed`: words of an invented language, some of them not ASCII.
pub(crate) fn text(seed: u64, bytes: usize) -> String {
    const SYLLABLES: [&str; 16] =
        ["ka", "ro", "mi", "ten", "lu", "é", "sho", "na", "fn ", "(x)", "\n", " ", " ", ". ", "7", "—"];
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1;
    let mut text = format!("document {seed}\n");
    while text.len() < bytes {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.push_str(SYLLABLES[(state >> 60) as usize]);
    }
    text
}

/// A spec with only a source.
pub(crate) fn spec(source: CorpusSource) -> CorpusSpec {
    CorpusSpec {
        description: None,
        licence: None,
        how_to_obtain: None,
        obtain: None,
        tag: None,
        max_documents: None,
        source,
        max_document_bytes: None,
        held_out: None,
    }
}

/// The folders of a machine without registry and documentation.
pub(crate) fn no_folders() -> Folders {
    Folders { registry: PathBuf::from("no-such-folder"), rust_docs: || None }
}

/// Writes the files into a new folder.
pub(crate) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

/// `n` documents of `bytes` each, with seeds from `first` on.
pub(crate) fn documents(first: u64, n: u64, bytes: usize) -> TempDir {
    let folder = TempDir::new().unwrap();
    for seed in first..first + n {
        fs::write(folder.path().join(format!("{seed}.txt")), text(seed, bytes)).unwrap();
    }
    folder
}

/// The corpus of all files in a folder.
pub(crate) fn open_files(base: &Path, entries: &[&str]) -> Result<Corpus, DataError> {
    let entries = entries.iter().map(ToString::to_string).collect();
    Corpus::open_in("mine", &spec(CorpusSource::Files(entries)), base, &no_folders())
}

/// The documents of a part that is not generated.
pub(crate) fn listed(documents: &Documents) -> &[Document] {
    match documents {
        Documents::Listed(documents) => documents,
        Documents::Generated(..) => panic!("the corpus is generated"),
    }
}

/// The corpus that a generator makes.
pub(crate) fn generated(task: Task) -> Corpus {
    let source = CorpusSource::Generated(GeneratedSpec { seed: None, pool: None, task });
    Corpus::open_in("mine", &spec(source), Path::new(""), &no_folders()).unwrap()
}

/// The corpus of so many random facts.
pub(crate) fn lookup(facts: u64) -> Corpus {
    generated(Task::Lookup(LookupTask { facts, key_bits: None, value_bits: None, exposures: None }))
}

/// The manifest of a skill with only a source and its scoring.
pub(crate) fn skill_manifest(source: SuiteSource, scoring: Scoring) -> SkillManifest {
    let suite = SuiteSpec { source, scoring, items: None, overlap: None };
    SkillManifest { description: None, family: SkillFamily::Knowledge, corpus: None, suite }
}

/// Names and contents of files.
type Files<'a> = &'a [(&'a str, &'a str)];

/// A registry folder with these crates (name, version, files), and the spec that pins all of them.
pub(crate) fn registry(crates: &[(&str, &str, Files)]) -> (TempDir, CorpusSpec) {
    let registry = TempDir::new().unwrap();
    let mut pins = BTreeMap::new();
    for (name, version, files) in crates {
        pins.insert(name.to_string(), version.to_string());
        for (file, content) in *files {
            let path = registry.path().join("index").join(format!("{name}-{version}")).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }
    (registry, spec(CorpusSource::Registry { extensions: vec!["rs".to_string()], crates: pins }))
}

/// The tokenizer by bytes.
pub(crate) fn bytes() -> Tokenizer {
    Tokenizer::prepare(TokenizerChoice::Bytes, &[], Path::new("")).unwrap()
}

/// Tokenises by bytes and opens the result.
pub(crate) fn token_set(corpus: &Corpus, cache: &Path, train_tokens: u64, held_out_tokens: u64) -> TokenSet {
    let needed = Needed { train_tokens, held_out_tokens };
    let facts = ensure_tokens(corpus, &bytes(), cache, needed, &mut |_, _| {}).unwrap();
    TokenSet::open(cache, &facts.hash).unwrap()
}

/// All training tokens of a set, in their order.
pub(crate) fn train_stream(set: &TokenSet) -> Vec<u16> {
    let mut stream: Vec<u16> = Vec::new();
    for block in 0..set.n_blocks() {
        // A block ends with the token that the next one begins with.
        stream.pop();
        stream.extend(set.window(block, 0, set.windows(block, 1) as usize));
    }
    stream
}
