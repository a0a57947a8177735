use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Crate to the names of its `[dependencies]`, from the manifests.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        let folder = entry.unwrap().path();
        let text = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        let names = manifest
            .get("dependencies")
            .and_then(|section| section.as_table())
            .map(|section| section.keys().cloned().collect())
            .unwrap_or_default();
        found.insert(folder.file_name().unwrap().to_string_lossy().into_owned(), names);
    }
    found
}

/// Whether the module's declaration stands under `#[cfg(test)]`.
fn is_for_tests(path: &Path) -> bool {
    let declaration = format!("mod {};", path.file_stem().unwrap().to_string_lossy());
    ["lib.rs", "mod.rs"]
        .iter()
        .filter_map(|parent| std::fs::read_to_string(path.with_file_name(parent)).ok())
        .any(|parent| {
            let lines: Vec<&str> = parent.lines().map(str::trim).collect();
            lines.iter().position(|line| *line == declaration).is_some_and(|line_idx| {
                lines[..line_idx]
                    .iter()
                    .rev()
                    .take_while(|line| line.starts_with('#'))
                    .any(|line| *line == "#[cfg(test)]")
            })
        })
}

/// Lines of the crate's sources outside of tests and comments that hold one of `needles`.
fn lines_with(krate: &str, needles: &[&str]) -> Vec<String> {
    let mut hits = Vec::new();
    let mut folders = vec![root().join("crates").join(krate).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let is_code = path.extension().is_some_and(|extension| extension == "rs");
            if !is_code || is_for_tests(&path) {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for (line_idx, line) in code.lines().enumerate() {
                let is_comment = line.trim_start().starts_with("//");
                if !is_comment && needles.iter().any(|needle| line.contains(needle)) {
                    hits.push(format!("{}:{}: {}", path.display(), line_idx + 1, line.trim()));
                }
            }
        }
    }
    hits
}

#[test]
fn crates_import_only_what_the_drawing_allows() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("schema", &[][..]),
        ("disk", &[][..]),
        ("plan", &["schema"][..]),
        ("runner", &["schema", "disk"][..]),
        ("results", &["schema", "disk"][..]),
        ("data", &["schema", "disk"][..]),
        ("fit", &["schema"][..]),
        ("findings", &["schema", "fit"][..]),
        ("report", &["schema", "fit", "findings"][..]),
        ("train", &["schema", "disk", "data"][..]),
    ]);
    let found = dependencies();
    for (krate, names) in &found {
        let ours = names.iter().filter_map(|name| name.strip_prefix("scalelaw-"));
        if krate == "cli" {
            continue;
        }
        let allowed =
            allowed.get(krate.as_str()).unwrap_or_else(|| panic!("`{krate}` is not in the drawing"));
        for import in ours {
            assert!(allowed.contains(&import), "`{krate}` imports `{import}`, allowed are {allowed:?}");
        }
    }
    assert_eq!(found.len(), allowed.len() + 1, "a crate of the drawing is missing: {:?}", found.keys());
}

#[test]
fn heavy_libraries_are_named_by_one_crate_each() {
    for (library, owner) in
        [("burn", "train"), ("polars", "results"), ("tokenizers", "data"), ("wgpu", "train")]
    {
        for (krate, names) in dependencies() {
            assert!(
                krate == owner || !names.contains(library),
                "`{krate}` names `{library}`, only `{owner}` may"
            );
        }
    }
}

#[test]
fn pure_crates_have_no_files_no_clock_and_no_global_random_state() {
    let needles = [
        "std::fs",
        "File::",
        "Instant::now",
        "SystemTime",
        "rand::rng()",
        "thread_rng",
        "std::env",
        "println!",
    ];
    for krate in ["schema", "plan", "fit", "findings", "report"] {
        let hits = lines_with(krate, &needles);
        assert!(hits.is_empty(), "`{krate}` is pure, but has\n{}", hits.join("\n"));
    }
}

#[test]
fn the_trainer_touches_files_in_two_places() {
    // `device.rs`, `cuda.rs` and `memory.rs` read what the kernel tells under /proc, which is no file of ours.
    let allowed = ["checkpoint.rs", "folder.rs", "device.rs", "cuda.rs", "memory.rs", "MetricsFile::"];
    let hits: Vec<String> = lines_with("train", &["std::fs", "File::", "fs::"])
        .into_iter()
        .filter(|hit| !allowed.iter().any(|allowed| hit.contains(allowed)))
        .collect();
    assert!(hits.is_empty(), "outside of train/checkpoint.rs and train/folder.rs:\n{}", hits.join("\n"));
}
