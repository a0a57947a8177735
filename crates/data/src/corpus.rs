//! A corpus on this machine: its identity, its documents in their order, and which of them are held out.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use scalelaw_schema::canonical::to_canonical_json;
use scalelaw_schema::corpus::{CorpusSource, CorpusSpec};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::DataError;
use crate::document::{Digest, Document, Listed, Place, order_of, text_of_bytes};
use crate::registry::{self, PinnedCrates};
use crate::skills::{Generated, Part, SkillEntropy};
use crate::split::{self, DEFAULT_SHARE};
use crate::{files, jsonl, metamath, rust_docs, wordnet};

/// A corpus, found on this machine and identified, hardly read yet.
#[derive(Debug, Clone)]
pub struct Corpus {
    name: String,
    identity: String,
    share: f64,
    content: Content,
    left_out: LeftOut,
    note: Option<String>,
    /// What the manifest names as tag, used only where asked for.
    named_tag: String,
    /// What stands before every document.
    tag: Option<String>,
}

#[derive(Debug, Clone)]
enum Content {
    /// Split by crate.
    Crates(PinnedCrates),
    /// Split by document, each content once.
    Documents(Vec<Document>),
    /// Split by instance.
    Generated(Generated),
}

/// Documents that are not used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Longer than the manifest allows.
    pub too_long: u64,
    /// Binary, not UTF-8, or white space alone.
    pub not_text: u64,
    /// Equal to another document.
    pub duplicates: u64,
}

/// The two parts of a corpus, each in its fixed order.
pub(crate) struct Split {
    pub train: Documents,
    pub held_out: Documents,
    pub left_out: LeftOut,
    /// What stands before every document.
    pub tag: Option<String>,
}

/// The documents of one part.
pub(crate) enum Documents {
    /// All of them.
    Listed(Vec<Document>),
    /// Made one after the other.
    Generated(Generated, Part),
}

impl Documents {
    /// Their size, bytes; without end, the largest number.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Documents::Listed(documents) => documents.iter().map(|document| document.bytes).sum(),
            Documents::Generated(generated, _) => match generated.pool {
                Some(pool) => (pool as f64 * generated.mean_bytes()) as u64,
                None => u64::MAX,
            },
        }
    }

    /// Those that are listed.
    #[cfg(test)]
    pub(crate) fn listed(&self) -> &[Document] {
        match self {
            Documents::Listed(documents) => documents,
            Documents::Generated(..) => &[],
        }
    }
}

/// The folders of this machine that corpora come from.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    pub registry: PathBuf,
    /// Asked only where it is needed: it starts a process.
    pub rust_docs: fn() -> Option<PathBuf>,
}

impl Corpus {
    /// Finds the text that `spec` describes; relative paths start at `base`, the folder of the file that
    /// holds the spec. Crates are only looked up; files of a person's own are read once, for their hashes.
    ///
    /// # Errors
    /// Whatever keeps the text from being found and split, each with its mend: see [`DataError`].
    pub fn open(name: &str, spec: &CorpusSpec, base: &Path) -> Result<Corpus, DataError> {
        let folders = Folders { registry: registry::source_folder(), rust_docs: rust_docs::find };
        Corpus::open_in(name, spec, base, &folders)
    }

    pub(crate) fn open_in(
        name: &str,
        spec: &CorpusSpec,
        base: &Path,
        folders: &Folders,
    ) -> Result<Corpus, DataError> {
        let share = spec.held_out.unwrap_or(DEFAULT_SHARE);
        if !(share > 0.0 && share < 1.0) {
            return Err(DataError::BadShare { corpus: name.to_string(), share });
        }
        let mut note = None;
        if spec.max_documents.is_some()
            && matches!(spec.source, CorpusSource::Registry { .. } | CorpusSource::Generated(_))
        {
            return Err(DataError::NoMaxDocuments { corpus: name.to_string() });
        }
        let listed = match &spec.source {
            CorpusSource::Generated(generated) => {
                let content = Content::Generated(Generated::new(name, generated)?);
                let identity = hash_of(&json!({ "generated": generated, "format": GENERATED_FORMAT }));
                let left_out = LeftOut::default();
                return Ok(Corpus {
                    name: name.to_string(),
                    identity,
                    share,
                    content,
                    left_out,
                    note: None,
                    named_tag: tag_of(name, spec),
                    tag: None,
                });
            }
            CorpusSource::Wordnet(entries) => {
                entries_of(files::list(name, entries, base), spec, name, wordnet::entries)?
            }
            CorpusSource::Metamath(entries) => {
                entries_of(files::list(name, entries, base), spec, name, metamath::entries)?
            }
            CorpusSource::Registry { extensions, crates } => {
                if let Some(found) = registry::find(name, &folders.registry, crates)? {
                    return Ok(Corpus::of_crates(name, spec, share, (extensions, crates), found));
                }
                let stand_in = rust_docs::stand_in(extensions);
                let root = match (folders.rust_docs)() {
                    Some(root) if !stand_in.is_empty() => root,
                    _ => {
                        let folder = folders.registry.clone();
                        return Err(DataError::NoRegistry { corpus: name.to_string(), folder });
                    }
                };
                note = Some(format!(
                    "corpus `{name}`: `{}` holds none of its crates, so the toolchain's documentation stands in; \
                     losses cannot be compared with those on the crates",
                    folders.registry.display()
                ));
                look_at(rust_docs::pages(name, &root, &stand_in)?.into_iter().map(Place::Html).collect())?
            }
            CorpusSource::RustDocs { folders: pages } => {
                let root = (folders.rust_docs)().ok_or(DataError::NoRustDocs { corpus: name.to_string() })?;
                look_at(rust_docs::pages(name, &root, pages)?.into_iter().map(Place::Html).collect())?
            }
            CorpusSource::Files(entries) => {
                let places: Result<Vec<_>, _> =
                    files::list(name, entries, base)?.into_par_iter().map(files::places_of).collect();
                look_at(places?.into_iter().flatten().collect())?
            }
            CorpusSource::Jsonl { files: entries, field } => {
                let field = field.as_str().into();
                let files = files::list(name, entries, base)?;
                let listed: Result<Vec<_>, _> =
                    files.iter().map(|path| jsonl::documents_of(path, &field)).collect();
                listed?.into_iter().flatten().collect()
            }
        };
        Corpus::of_documents(name, spec, share, listed, note)
    }

    fn of_crates(
        name: &str,
        spec: &CorpusSpec,
        share: f64,
        (extensions, pins): (&[String], &BTreeMap<String, String>),
        folders: Vec<(String, PathBuf)>,
    ) -> Corpus {
        // A published version never changes, so name and version say what the text is.
        let identity = hash_of(&json!({
            "crates": pins,
            "extensions": extensions,
            "max_document_bytes": spec.max_document_bytes,
            "held_out": share,
        }));
        let crates = PinnedCrates {
            folders,
            extensions: extensions.to_vec(),
            max_document_bytes: spec.max_document_bytes,
        };
        let (content, left_out) = (Content::Crates(crates), LeftOut::default());
        Corpus {
            name: name.to_string(),
            identity,
            share,
            content,
            left_out,
            note: None,
            named_tag: tag_of(name, spec),
            tag: None,
        }
    }

    fn of_documents(
        name: &str,
        spec: &CorpusSpec,
        share: f64,
        listed: Vec<Listed>,
        note: Option<String>,
    ) -> Result<Corpus, DataError> {
        let empty = |why: String| DataError::EmptyCorpus { corpus: name.to_string(), why };
        let Some(first) = listed.first().map(|listed| listed.place.path().to_path_buf()) else {
            return Err(empty("there is no file, or only empty ones".to_string()));
        };
        let mut left_out = LeftOut::default();
        let mut documents = Vec::new();
        let mut seen: HashSet<Digest> = HashSet::new();
        for Listed { place, text } in listed {
            match text {
                None => left_out.not_text += 1,
                Some((_, bytes)) if spec.max_document_bytes.is_some_and(|most| bytes > most) => {
                    left_out.too_long += 1;
                }
                Some((content, _)) if !seen.insert(content) => left_out.duplicates += 1,
                Some((content, bytes)) => {
                    documents.push(Document {
                        place,
                        order: order_of(&content),
                        bytes,
                        content: Some(content),
                    });
                }
            }
        }
        match documents.len() {
            0 if left_out.too_long > 0 => {
                return Err(empty(format!("{} are longer than `max-document-bytes`", left_out.too_long)));
            }
            0 => {
                return Err(empty(format!(
                    "`{}` and all others are binary, not UTF-8 or blank",
                    first.display()
                )));
            }
            1 => {
                let hint = "split it into several files, or write it as JSONL with a document per line";
                return Err(DataError::OneUnit { corpus: name.to_string(), unit: "document", hint });
            }
            _ => {}
        }
        documents.sort_by_key(|document| document.order);
        if let Some(most) = spec.max_documents {
            documents.truncate(most.max(2) as usize);
        }
        let mut contents: Vec<Digest> = documents.iter().filter_map(|document| document.content).collect();
        contents.sort_unstable();
        let contents = blake3::hash(&contents.concat()).to_hex().to_string();
        let identity = hash_of(&json!({ "documents": contents, "held_out": share }));
        let content = Content::Documents(documents);
        Ok(Corpus {
            name: name.to_string(),
            identity,
            share,
            content,
            left_out,
            note,
            named_tag: tag_of(name, spec),
            tag: None,
        })
    }

    /// The same corpus with `<tag>` before every document: other text, so another identity.
    #[must_use]
    pub fn tagged(self, tag: &str) -> Corpus {
        let identity = hash_of(&json!({ "corpus": self.identity, "tag": tag }));
        Corpus { identity, tag: Some(format!("<{tag}>")), ..self }
    }

    /// The same with the tag that its manifest names, its name where that names none.
    #[must_use]
    pub fn with_its_tag(self) -> Corpus {
        let tag = self.named_tag.clone();
        self.tagged(&tag)
    }

    /// What stands before every document; nothing where the corpus is not tagged.
    pub fn tag(&self) -> &str {
        self.tag.as_deref().unwrap_or_default()
    }

    /// The exact amounts of chance in it, where a generator makes it.
    pub fn entropy(&self) -> Option<SkillEntropy> {
        self.generated().map(|generated| generated.task.entropy())
    }

    /// Bytes of a training document on average, where a generator makes them.
    pub fn mean_document_bytes(&self) -> Option<f64> {
        self.generated().map(Generated::mean_bytes)
    }

    pub(crate) fn generated(&self) -> Option<&Generated> {
        match &self.content {
            Content::Generated(generated) => Some(generated),
            Content::Crates(_) | Content::Documents(_) => None,
        }
    }

    /// The name that it was opened by; it is no part of its identity.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// 64 hex digits: the hash of its documents and of the way in which they are split.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// What a person should know before using it: that other text stands in for the one asked for.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Lists the documents of both parts.
    ///
    /// # Errors
    /// `Io`, `EmptyCorpus`, `OneUnit`.
    pub(crate) fn split(&self) -> Result<Split, DataError> {
        let mut left_out = self.left_out;
        // Units: rank, bytes, documents.
        let mut units: Vec<(Digest, u64, Vec<Document>)> = match &self.content {
            Content::Crates(crates) => crates
                .documents()?
                .into_iter()
                .map(|listed| {
                    left_out.too_long += listed.n_too_long;
                    let bytes = listed.documents.iter().map(|document| document.bytes).sum();
                    (split::rank_of(listed.name.as_bytes()), bytes, listed.documents)
                })
                .collect(),
            Content::Documents(documents) => documents
                .iter()
                .map(|document| {
                    (
                        split::rank_of(&document.content.unwrap_or_default()),
                        document.bytes,
                        vec![document.clone()],
                    )
                })
                .collect(),
            Content::Generated(generated) => {
                return Ok(Split {
                    train: Documents::Generated(generated.clone(), Part::Train),
                    held_out: Documents::Generated(generated.clone(), Part::HeldOut),
                    left_out,
                    tag: self.tag.clone(),
                });
            }
        };
        match units.len() {
            0 => {
                let why = "no file of its crates has one of its extensions".to_string();
                return Err(DataError::EmptyCorpus { corpus: self.name.clone(), why });
            }
            1 => {
                let hint = "name a second crate";
                return Err(DataError::OneUnit { corpus: self.name.clone(), unit: "crate", hint });
            }
            _ => units.sort_by_key(|unit| unit.0),
        }
        let bytes: Vec<u64> = units.iter().map(|unit| unit.1).collect();
        let train = units.split_off(split::n_held_out(&bytes, self.share));
        let in_order = |units: Vec<(Digest, u64, Vec<Document>)>| {
            let mut documents: Vec<Document> = units.into_iter().flat_map(|unit| unit.2).collect();
            documents.sort_by_key(|document| document.order);
            Documents::Listed(documents)
        };
        Ok(Split { train: in_order(train), held_out: in_order(units), left_out, tag: self.tag.clone() })
    }
}

/// What a corpus is tagged by where a sweep tags its sources.
fn tag_of(name: &str, spec: &CorpusSpec) -> String {
    spec.tag.clone().unwrap_or_else(|| name.to_string())
}

/// Version of the generators: part of the identity of what they make.
const GENERATED_FORMAT: u32 = 1;

/// The entries of some files, each a document.
fn entries_of(
    files: Result<Vec<PathBuf>, DataError>,
    spec: &CorpusSpec,
    corpus: &str,
    parse: fn(&Path, &str) -> Result<Vec<String>, DataError>,
) -> Result<Vec<Listed>, DataError> {
    let files = match files {
        Err(DataError::NoSuchPath { .. } | DataError::NoMatch { .. }) if spec.obtain.is_some() => {
            let corpus = corpus.to_string();
            let elsewhere =
                spec.obtain.as_ref().map_or_else(String::new, |package| package.elsewhere.clone());
            return Err(DataError::NotObtained { corpus, elsewhere });
        }
        files => files?,
    };
    let mut listed = Vec::new();
    for path in files {
        let bytes = fs::read(&path).map_err(DataError::io("read", &path))?;
        let entries = parse(&path, &String::from_utf8_lossy(&bytes))?;
        let path: Arc<Path> = path.into();
        listed.extend(
            entries
                .into_par_iter()
                .map(|text| {
                    let content = text_of_bytes(text.as_bytes().to_vec());
                    Listed::new(Place::Entry { path: path.clone(), text: text.into() }, content)
                })
                .collect::<Vec<_>>(),
        );
    }
    Ok(listed)
}

/// Reads every place once, for its hash.
fn look_at(places: Vec<Place>) -> Result<Vec<Listed>, DataError> {
    places
        .into_par_iter()
        .map(|place| {
            let text = place.read()?;
            Ok(Listed::new(place, text))
        })
        .collect()
}

/// 64 hex digits of blake3 over the canonical JSON of `value`.
pub(crate) fn hash_of(value: &serde_json::Value) -> String {
    blake3::hash(to_canonical_json(value).as_bytes()).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::testing::{folder, no_folders, open_files, registry, spec, text};

    fn jsonl(base: &Path, file: &str) -> Result<Corpus, DataError> {
        let source = CorpusSource::Jsonl { files: vec![file.to_string()], field: "text".to_string() };
        Corpus::open_in("mine", &spec(source), base, &no_folders())
    }

    #[test]
    fn bad_text_is_refused_with_its_name_and_the_mend() {
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
        check(&["a[.txt"], &["`a[.txt` is no glob"]);
        check(&["nothing"], &["no documents", "no file"]);
        check(&["image.png"], &["image.png", "binary"]);
        check(&["blank"], &["blank"]);
        check(&["one.txt"], &["one document only", "hint"]);
        let check = |file: &str, expected: &[&str]| {
            let error = jsonl(base.path(), file).unwrap_err().to_string();
            assert!(expected.iter().all(|part| error.contains(part)), "{file}: {error}");
        };
        check("broken.jsonl", &["broken.jsonl:3: no JSON"]);
        check("lacking.jsonl", &["lacking.jsonl:2: there is no field `text`", "`body`, `id`"]);
        check("number.jsonl", &["number.jsonl:1: the field `text` is no string"]);
        check("list.jsonl", &["list.jsonl:1: no JSON object"]);
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
        assert!(matches!(split.train.listed()[0].read(), Err(DataError::Changed { .. })));
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
                let path = document.place.path().strip_prefix(folder.path()).unwrap().to_path_buf();
                path.iter().nth(1).unwrap().to_string_lossy().into_owned()
            };
            documents.iter().map(name).collect()
        };
        assert_eq!((split.train.listed().len(), split.held_out.listed().len()), (56, 24));
        assert_eq!(crates_of(split.held_out.listed()).len(), 12);
        assert!(crates_of(split.train.listed()).is_disjoint(&crates_of(split.held_out.listed())));
        // A larger share keeps what is held out.
        spec.held_out = Some(0.5);
        let larger = Corpus::open_in("code", &spec, Path::new(""), &folders).unwrap().split().unwrap();
        assert!(crates_of(larger.held_out.listed()).is_superset(&crates_of(split.held_out.listed())));
    }

    #[test]
    fn a_missing_crate_is_named_and_a_missing_registry_is_replaced_or_refused() {
        let file: &[(&str, &str)] = &[("lib.rs", "fn a() {}")];
        let (folder, mut spec) = registry(&[("aa", "1.0.0", file), ("bb", "1.0.0", file)]);
        let folders = Folders { registry: folder.path().to_path_buf(), ..no_folders() };
        let open =
            |spec: &CorpusSpec, folders: &Folders| Corpus::open_in("code", spec, Path::new(""), folders);
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
                assert!(corpus.note().unwrap().contains("stands in"));
                let split = corpus.split().unwrap();
                let first = split.train.listed()[0].read().unwrap().unwrap().text;
                assert!(first.contains("fn ") && !first.contains("data-nosnippet"), "{first}");
            }
        }
    }
}
