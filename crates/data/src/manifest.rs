//! Manifests: the built-in ones, and how others are read.

use scalelaw_schema::corpus::CorpusSpec;
use scalelaw_schema::skill::SkillManifest;
use scalelaw_schema::source::{Layers, TomlText};
use serde::de::DeserializeOwned;

use crate::error::DataError;

const BUILTIN: [(&str, &str); 2] = [
    ("code", include_str!("../../../datasets/code.toml")),
    ("prose", include_str!("../../../datasets/prose.toml")),
];

const BUILTIN_SKILLS: [(&str, &str); 9] = [
    ("lookup", include_str!("../../../datasets/skills/lookup.toml")),
    ("biographies", include_str!("../../../datasets/skills/biographies.toml")),
    ("dictionary", include_str!("../../../datasets/skills/dictionary.toml")),
    ("mano", include_str!("../../../datasets/skills/mano.toml")),
    ("depo", include_str!("../../../datasets/skills/depo.toml")),
    ("metamath", include_str!("../../../datasets/skills/metamath.toml")),
    ("programs", include_str!("../../../datasets/skills/programs.toml")),
    ("code", include_str!("../../../datasets/skills/code.toml")),
    ("prose", include_str!("../../../datasets/skills/prose.toml")),
];

/// The built-in skills, by name.
pub fn builtin_skills() -> Vec<(&'static str, SkillManifest)> {
    BUILTIN_SKILLS
        .iter()
        .map(|&(name, text)| {
            let file = format!("datasets/skills/{name}.toml");
            (name, parse_manifest(&file, text).expect("a test reads all of them"))
        })
        .collect()
}

/// The built-in corpora, by name.
pub fn builtin_manifests() -> Vec<(&'static str, CorpusSpec)> {
    BUILTIN
        .iter()
        .map(|&(name, text)| {
            let spec = parse_manifest(&format!("datasets/{name}.toml"), text).expect("a test reads both");
            (name, spec)
        })
        .collect()
}

/// Parses a manifest of a corpus or of a skill; errors show it as `file`.
///
/// # Errors
/// `Manifest`, with file, line and a suggestion.
pub fn parse_manifest<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, DataError> {
    let mut layers = Layers::default();
    layers.push(TomlText { name: file.to_string(), text: text.to_string() })?;
    Ok(layers.parse()?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use scalelaw_schema::corpus::CorpusSource;

    use super::*;

    #[test]
    fn every_pinned_crate_is_in_the_lock_file() {
        let lock: toml::Table = include_str!("../../../Cargo.lock").parse().unwrap();
        let locked: BTreeSet<(&str, &str)> = lock["package"]
            .as_array()
            .unwrap()
            .iter()
            .map(|package| (package["name"].as_str().unwrap(), package["version"].as_str().unwrap()))
            .collect();
        for (name, spec) in builtin_manifests() {
            let CorpusSource::Registry { crates, .. } = spec.source else {
                panic!("{name} is of the registry")
            };
            assert!(crates.len() > 100, "{name}: {} crates", crates.len());
            for (krate, version) in &crates {
                assert!(
                    locked.contains(&(krate, version)),
                    "{name}: {krate} {version} is not locked; run scripts/pin-corpora"
                );
            }
        }
    }

    #[test]
    fn the_builtin_corpora_are_on_this_machine_with_enough_held_out_text() {
        let cache = tempfile::TempDir::new().unwrap();
        for (name, spec) in builtin_manifests() {
            let corpus = match crate::Corpus::open(name, &spec, std::path::Path::new("")) {
                // A vendored build has no registry folder; a missing crate, on the other hand, is a wrong pin.
                Err(DataError::NoRegistry { .. }) => {
                    println!("skipped: cargo's registry folder is absent");
                    return;
                }
                opened => opened.unwrap(),
            };
            let needed = crate::Needed { train_tokens: 1, held_out_tokens: 1 << 16 };
            let bytes = crate::testing::bytes();
            let facts = crate::ensure_tokens(&corpus, &bytes, cache.path(), needed, &mut |_, _| {}).unwrap();
            assert_eq!(facts.train_tokens, 1 << 20, "{name}");
            assert!(facts.corpus_tokens > 3e6, "{name}: {}", facts.corpus_tokens);
        }
    }

    #[test]
    fn a_misspelt_key_is_shown_with_its_line_and_a_hint() {
        let error = parse_manifest::<CorpusSpec>("my.toml", "licens = \"MIT\"\n[source]\nfiles = [\"a\"]\n")
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("my.toml:1") && text.contains("did you mean `licence`"), "{text}");
    }
}
