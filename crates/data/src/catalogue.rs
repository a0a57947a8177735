//! Corpora and skills by name: a sweep's own, the built-in ones, or those of a manifest beside the sweep.

use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::LN_2;
use std::fs;
use std::path::{Path, PathBuf};

use scalelaw_schema::corpus::{CorpusSpec, DebianPackage};
use scalelaw_schema::listing::{ListedCorpus, ListedSkill, Listing};
use scalelaw_schema::overlap::OverlapReport;
use scalelaw_schema::skill::SkillManifest;

use crate::corpus::Corpus;
use crate::error::DataError;
use crate::manifest::{builtin_manifests, builtin_skills, parse_manifest};
use crate::sources::download;
use crate::suite::items::Suite;
use crate::suite::overlap::drop_overlapping;

/// Where names are looked up.
#[derive(Debug, Clone, Copy)]
pub struct Catalogue<'a> {
    /// The sweep's own corpora.
    pub corpora: &'a BTreeMap<String, CorpusSpec>,
    /// The sweep's own skills.
    pub skills: &'a BTreeMap<String, SkillManifest>,
    /// The folder of the sweep's file.
    pub base: &'a Path,
    /// The folder of tokens and of downloaded files.
    pub cache: &'a Path,
}

/// A skill, and the folder that its relative paths start at.
#[derive(Debug, Clone)]
pub struct FoundSkill {
    /// What is trained on and what is asked.
    pub manifest: SkillManifest,
    /// The folder of its manifest.
    pub base: PathBuf,
}

/// A skill's items without those that occur in the training text.
#[derive(Debug, Clone)]
pub struct CleanSuite {
    /// The items that are left.
    pub suite: Suite,
    /// What precedes each item.
    pub tag: String,
    /// What was searched and found; `None` if nothing had to be searched.
    pub overlap: Option<OverlapReport>,
}

impl Catalogue<'_> {
    /// Opens a corpus by its name (of the sweep's own, a built-in one, a manifest `datasets/NAME.toml` beside the sweep
    /// or one folder up, or the corpus of the skill of this name) or by the path of its manifest.
    ///
    /// # Errors
    /// `UnknownCorpus`, `SkillWithoutCorpus`; those of [`Corpus::open`].
    pub fn corpus(&self, name: &str) -> Result<Corpus, DataError> {
        if let Some(spec) = self.corpora.get(name) {
            return self.open(name, spec, self.base);
        }
        let skill = self.skill(name)?;
        if let Some(FoundSkill { manifest: SkillManifest { corpus: Some(spec), .. }, base }) = &skill {
            return self.open(name, spec, base);
        }
        if let Some(spec) = builtin_manifest(name) {
            return self.open(name, &spec, self.base);
        }
        if skill.is_some() && name.ends_with(".toml") {
            return Err(DataError::SkillWithoutCorpus { name: name.to_string() });
        }
        let manifests = [format!("datasets/{name}.toml"), format!("../datasets/{name}.toml")];
        let beside = manifests.iter().map(|manifest| self.base.join(manifest)).find(|path| path.is_file());
        let path = beside.unwrap_or_else(|| self.base.join(name));
        if path.extension().is_some_and(|extension| extension == "toml") {
            let spec: CorpusSpec = parse_manifest(&path.display().to_string(), &read_manifest(&path)?)?;
            return self.open(&stem(&path), &spec, path.parent().unwrap_or(self.base));
        }
        let own = self.corpora.keys().chain(self.skills.keys()).cloned();
        let builtin = builtin_manifests().into_iter().map(|(name, _)| name.to_string());
        let builtin_skills = builtin_skills().into_iter().map(|(name, _)| name.to_string());
        let known: BTreeSet<String> = own.chain(builtin).chain(builtin_skills).collect();
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        Err(DataError::UnknownCorpus { name: name.to_string(), known })
    }

    /// The skill of this name: `[skill.NAME]`, a built-in one, `datasets/skills/NAME.toml` beside the sweep or one
    /// folder up, or a manifest's path; `None` if there is none.
    ///
    /// # Errors
    /// `UnreadableManifest`, `Manifest`.
    pub fn skill(&self, name: &str) -> Result<Option<FoundSkill>, DataError> {
        let builtin = || builtin_skills().into_iter().find(|(builtin, _)| *builtin == name);
        if let Some(manifest) = self.skills.get(name).cloned().or_else(|| Some(builtin()?.1)) {
            return Ok(Some(FoundSkill { manifest, base: self.base.to_path_buf() }));
        }
        let beside = [format!("datasets/skills/{name}.toml"), format!("../datasets/skills/{name}.toml")];
        let as_path = name.ends_with(".toml").then(|| self.base.join(name));
        let path = beside.iter().map(|path| self.base.join(path)).chain(as_path).find(|path| path.is_file());
        let Some(path) = path else { return Ok(None) };
        let text = read_manifest(&path)?;
        // The manifest of a corpus has no items.
        if !text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("suite")) {
            return Ok(None);
        }
        let manifest = parse_manifest(&path.display().to_string(), &text)?;
        Ok(Some(FoundSkill { manifest, base: path.parent().unwrap_or(self.base).to_path_buf() }))
    }

    /// The items of a skill, and the corpus that it trains on, if it has one.
    ///
    /// # Errors
    /// `UnknownSkill`; those of [`Suite::open`] and [`Catalogue::corpus`].
    pub fn suite(&self, name: &str) -> Result<(Suite, Option<Corpus>), DataError> {
        let Some(found) = self.skill(name)? else {
            let own = self.skills.keys().cloned();
            let builtin = builtin_skills().into_iter().map(|(name, _)| name.to_string());
            let known = own.chain(builtin).collect::<Vec<_>>().join(", ");
            return Err(DataError::UnknownSkill { name: name.to_string(), known });
        };
        let corpus = match &found.manifest.corpus {
            Some(_) => Some(self.corpus(name)?),
            // A user's own items need no corpus of the skill's name.
            None => self.corpus(name).ok(),
        };
        let suite = Suite::open(name, &found.manifest, corpus.as_ref(), &found.base)?;
        Ok((suite, corpus))
    }

    /// The items of a skill without those that occur in the training text of `trained_on`. If `is_tagged`, documents
    /// begin with their source's tag, and so do the items.
    ///
    /// # Errors
    /// Those of [`Catalogue::suite`] and [`drop_overlapping`].
    pub fn clean_suite(
        &self,
        name: &str,
        is_tagged: bool,
        trained_on: &[&Corpus],
    ) -> Result<CleanSuite, DataError> {
        let (mut suite, own) = self.suite(name)?;
        let overlap = drop_overlapping(&mut suite, trained_on, self.cache)?;
        let tag = match (is_tagged, own) {
            (true, Some(corpus)) => corpus.with_its_tag().tag().to_string(),
            _ => String::new(),
        };
        Ok(CleanSuite { suite, tag, overlap })
    }

    /// The name and the package of a corpus or skill whose files can be downloaded.
    ///
    /// # Errors
    /// `NothingToDownload`; those of [`Catalogue::skill`].
    pub fn package(&self, name: &str) -> Result<(String, DebianPackage), DataError> {
        let path = Path::new(name);
        let corpus = match self.skill(name)? {
            Some(skill) => skill.manifest.corpus,
            None if name.ends_with(".toml") => Some(parse_manifest(name, &read_manifest(path)?)?),
            None => builtin_manifest(name),
        };
        let Some(package) = corpus.and_then(|corpus| corpus.obtain) else {
            let has_package = |manifest: &SkillManifest| {
                manifest.corpus.as_ref().is_some_and(|corpus| corpus.obtain.is_some())
            };
            let known: Vec<&str> = builtin_skills()
                .into_iter()
                .filter(|(_, manifest)| has_package(manifest))
                .map(|(name, _)| name)
                .collect();
            return Err(DataError::NothingToDownload { name: name.to_string(), known: known.join(" and ") });
        };
        Ok((stem(path), package))
    }

    /// A corpus by its spec; the relative paths of downloaded files start in the cache.
    fn open(&self, name: &str, spec: &CorpusSpec, base: &Path) -> Result<Corpus, DataError> {
        Corpus::open(name, spec, &download::base_of(self.cache, name, spec, base))
    }
}

/// The built-in corpora and skills, and whether this machine has them.
pub fn list(cache: &Path) -> Listing {
    let (corpora, skills) = (BTreeMap::new(), BTreeMap::new());
    let catalogue = Catalogue { corpora: &corpora, skills: &skills, base: Path::new("."), cache };
    let open = |name: &str, spec: &CorpusSpec| catalogue.open(name, spec, catalogue.base);
    let corpora: Vec<ListedCorpus> = builtin_manifests()
        .into_iter()
        .map(|(name, spec)| ListedCorpus {
            name: name.to_string(),
            missing: open(name, &spec).err().map(|error| error.to_string()),
            description: spec.description,
            licence: spec.licence,
        })
        .collect();
    let skills = builtin_skills()
        .into_iter()
        .map(|(name, manifest)| {
            let (licence, missing, corpus) = match &manifest.corpus {
                Some(spec) => match open(name, spec) {
                    Ok(corpus) => (spec.licence.clone(), None, Some(corpus)),
                    Err(error) => (spec.licence.clone(), Some(error.to_string()), None),
                },
                // It trains on the built-in corpus of its name.
                None => {
                    let listed = corpora.iter().find(|corpus| corpus.name == name);
                    let licence = listed.and_then(|corpus| corpus.licence.clone());
                    (licence, listed.and_then(|corpus| corpus.missing.clone()), None)
                }
            };
            let entropy = corpus.as_ref().and_then(Corpus::entropy);
            ListedSkill {
                name: name.to_string(),
                family: manifest.family,
                description: manifest.description,
                licence,
                fact_bits: entropy.map(|entropy| entropy.facts / LN_2).filter(|&bits| bits > 0.0),
                naive_nats_per_answer: entropy.map(|entropy| entropy.answer),
                document_bytes: corpus.and_then(|corpus| corpus.mean_document_bytes()),
                missing,
            }
        })
        .collect();
    Listing { corpora, skills }
}

fn builtin_manifest(name: &str) -> Option<CorpusSpec> {
    builtin_manifests().into_iter().find(|(builtin, _)| *builtin == name).map(|(_, spec)| spec)
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

fn read_manifest(path: &Path) -> Result<String, DataError> {
    fs::read_to_string(path)
        .map_err(|source| DataError::UnreadableManifest { path: path.to_path_buf(), source })
}
