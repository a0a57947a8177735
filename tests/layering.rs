use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
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

/// A source file of a crate without its tests: what is left of it has the same lines.
struct Source {
    path: PathBuf,
    code: String,
}

/// Every source file of the crate outside of tests.
fn sources(krate: &str) -> Vec<Source> {
    let src = root().join("crates").join(krate).join("src");
    let mut texts = BTreeMap::new();
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                texts.insert(path.clone(), code_alone(&std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    // A module in a file of its own is for tests where its declaration says so.
    let is_for_tests = |path: &Path| {
        let within = path.strip_prefix(&src).unwrap();
        let parts: Vec<String> = within
            .with_extension("")
            .components()
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .filter(|part| part != "mod")
            .collect();
        (0..parts.len()).any(|depth| {
            let parent = parts[..depth].iter().fold(src.clone(), |path, part| path.join(part));
            let declaration = format!("mod {};", parts[depth]);
            [
                parent.join("lib.rs"),
                parent.join("main.rs"),
                parent.join("mod.rs"),
                parent.with_extension("rs"),
            ]
            .iter()
            .filter_map(|parent| texts.get(parent))
            .any(|code| test_items(code).iter().any(|item| code[item.clone()].ends_with(&declaration)))
        })
    };
    texts
        .iter()
        .filter(|(path, _)| !is_for_tests(path))
        .map(|(path, code)| Source { path: path.clone(), code: without(code, &test_items(code)) })
        .collect()
}

/// The text with comments and the content of strings and characters blanked, so that braces and names in it are code.
fn code_alone(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut blank: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        let before = at.checked_sub(1).map(|before| bytes[before]);
        let is_in_word = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let hashes = rest.strip_prefix('r').map(|rest| rest.len() - rest.trim_start_matches('#').len());
        let raw = hashes.filter(|n| !is_in_word && rest[1 + n..].starts_with('"'));
        let (start, end) = if rest.starts_with("//") {
            (0, rest.find('\n').unwrap_or(rest.len()))
        } else if rest.starts_with("/*") {
            (0, rest.find("*/").map_or(rest.len(), |end| end + 2))
        } else if let Some(n) = raw {
            let close = format!("\"{}", "#".repeat(n));
            (n + 2, n + 2 + rest[n + 2..].find(&close).expect("a raw string ends"))
        } else if rest.starts_with('"') {
            let mut end = 1;
            while bytes[at + end] != b'"' {
                end += if bytes[at + end] == b'\\' { 2 } else { 1 };
            }
            (1, end)
        } else if rest.starts_with("'\\") {
            (1, 3 + rest[3..].find('\'').expect("a character ends"))
        } else if rest.starts_with('\'') && rest.chars().nth(2) == Some('\'') {
            (1, 1 + rest[1..].chars().next().map_or(0, char::len_utf8))
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
            continue;
        };
        blank.push(at + start..at + end);
        // Past the quotes and hashes that close it.
        at += end.max(1) + raw.map_or(0, |n| n) + usize::from(start > 0);
    }
    without(text, &blank)
}

/// The text with these ranges blanked; line ends stay.
fn without(text: &str, ranges: &[Range<usize>]) -> String {
    let mut left = String::with_capacity(text.len());
    let mut at = 0;
    for range in ranges.iter().filter(|range| range.start < range.end) {
        left.push_str(&text[at..range.start]);
        left.extend(text[range.clone()].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        at = range.end;
    }
    left.push_str(&text[at..]);
    left
}

/// The items under `#[cfg(test)]`: up to their closing brace, or to their semicolon where they have none.
fn test_items(code: &str) -> Vec<Range<usize>> {
    const ATTRIBUTE: &str = "#[cfg(test)]";
    let mut items = Vec::new();
    let mut at = 0;
    while let Some(found) = code[at..].find(ATTRIBUTE) {
        let start = at + found;
        let mut depth = 0;
        let end = code[start + ATTRIBUTE.len()..].char_indices().find_map(|(idx, c)| {
            match c {
                '{' | '[' | '(' => depth += 1,
                '}' | ']' | ')' => depth -= 1,
                _ => {}
            }
            (depth == 0 && matches!(c, '}' | ';')).then_some(start + ATTRIBUTE.len() + idx + 1)
        });
        let end = end.unwrap_or(code.len());
        items.push(start..end);
        at = end;
    }
    items
}

/// Lines of the crate's sources outside of tests, comments and strings that hold one of `needles`.
fn lines_with(krate: &str, needles: &[&str]) -> Vec<String> {
    let mut hits = Vec::new();
    for Source { path, code } in sources(krate) {
        for (line_idx, line) in code.lines().enumerate() {
            if needles.iter().any(|needle| line.contains(needle)) {
                hits.push(format!("{}:{}: {}", path.display(), line_idx + 1, line.trim()));
            }
        }
    }
    hits
}

/// Each module to the siblings that it names outside of tests, itself or in a module below it. A module is its path
/// from the crate's root, as in `sources/files`.
fn imports(krate: &str) -> BTreeMap<String, BTreeSet<String>> {
    let src = root().join("crates").join(krate).join("src");
    let sources: Vec<(Vec<String>, String)> = sources(krate)
        .into_iter()
        .map(|source| {
            let within = source.path.strip_prefix(&src).unwrap().with_extension("");
            let parts = within.components().map(|part| part.as_os_str().to_string_lossy().into_owned());
            (parts.filter(|part| !["mod", "lib", "main"].contains(&part.as_str())).collect(), source.code)
        })
        .collect();
    let modules: BTreeSet<&[String]> =
        sources.iter().flat_map(|(parts, _)| (1..=parts.len()).map(|depth| &parts[..depth])).collect();
    // What a module names again, as in `pub use error::TrainError`, with the module that it stands in.
    let mut aliases: BTreeMap<(&[String], String), String> = BTreeMap::new();
    for (parts, code) in &sources {
        for path in paths(code) {
            let names = match path[0].as_str() {
                "self" => &path[1..],
                "crate" if path[1..].starts_with(parts) => &path[1 + parts.len()..],
                _ => &path[..],
            };
            if let [module, .., name] = names
                && modules.contains(&[&parts[..], std::slice::from_ref(module)].concat()[..])
            {
                aliases.insert((parts, name.clone()), module.clone());
            }
        }
    }
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (parts, code) in &sources {
        for path in paths(code) {
            let n_up = path.iter().take_while(|name| *name == "super").count();
            let target = match path[0].as_str() {
                "crate" => path[1..].to_vec(),
                "super" if n_up <= parts.len() => [&parts[..parts.len() - n_up], &path[n_up..]].concat(),
                _ => continue,
            };
            // The first name in which the two differ.
            let depth = parts.iter().zip(&target).take_while(|(own, other)| own == other).count();
            let (Some(own), Some(other)) = (parts.get(depth), target.get(depth)) else { continue };
            let parent = &parts[..depth];
            let is_module = modules.contains(&target[..=depth]);
            let other = if is_module { Some(other) } else { aliases.get(&(parent, other.clone())) };
            if let Some(other) = other.filter(|other| *other != own) {
                let to = [parent, std::slice::from_ref(other)].concat();
                found.entry(parts[..=depth].join("/")).or_default().insert(to.join("/"));
            }
        }
    }
    found
}

/// Every path of `::` in the code, those in braces one by one.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    // The path up to each open brace; `None` where the brace is no list of paths.
    let mut prefixes: Vec<Vec<String>> = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let mut is_joined = false;
    let mut rest = code;
    while let Some(c) = rest.chars().next() {
        let word_len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if word_len > 0 {
            if !is_joined {
                if path.len() > 1 {
                    found.push(path.clone());
                }
                path = prefixes.last().cloned().unwrap_or_default();
            }
            path.push(rest[..word_len].to_string());
            is_joined = false;
            rest = &rest[word_len..];
        } else if let Some(after) = rest.strip_prefix("::") {
            is_joined = true;
            rest = after;
        } else {
            if c == '{' || !c.is_whitespace() {
                let is_list = c == '{' && is_joined;
                if path.len() > 1 && !is_list {
                    found.push(path.clone());
                }
                match c {
                    '{' => prefixes.push(if is_list { path.clone() } else { Vec::new() }),
                    '}' => drop(prefixes.pop()),
                    _ => {}
                }
                path.clear();
                is_joined = false;
            }
            rest = &rest[c.len_utf8()..];
        }
    }
    found
}

/// Groups of modules each of which reaches every other of its group.
fn circles(imports: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<BTreeSet<String>> {
    let reached = |from: &String| {
        let mut reached = BTreeSet::new();
        let mut next = vec![from];
        while let Some(module) = next.pop() {
            for import in imports.get(module).into_iter().flatten() {
                if reached.insert(import.clone()) {
                    next.push(import);
                }
            }
        }
        reached
    };
    let all: BTreeMap<&String, BTreeSet<String>> =
        imports.keys().map(|module| (module, reached(module))).collect();
    all.iter()
        .filter(|(module, reached)| reached.contains(**module))
        .map(|(module, reached)| {
            let returns = |other: &&String| all.get(*other).is_some_and(|back| back.contains(*module));
            reached.iter().filter(returns).cloned().collect()
        })
        .collect()
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
fn pure_crates_have_no_files_no_clock_no_environment_no_global_random_state_and_print_nothing() {
    // `train` has a test of its own.
    let impure = ["disk", "runner", "results", "data", "train", "cli"];
    let needles = [
        "fs::",
        "File::",
        ".exists()",
        "Instant::",
        "SystemTime",
        "env::",
        "rand::rng()",
        "rand::random",
        "thread_rng",
        "os_rng",
        "print!",
        "println!",
        "dbg!",
        "io::stdout",
        "io::stderr",
        "process::",
        "net::",
    ];
    let pure: Vec<String> =
        dependencies().into_keys().filter(|krate| !impure.contains(&krate.as_str())).collect();
    assert_eq!(pure, ["findings", "fit", "plan", "report", "schema"]);
    for krate in pure {
        let hits = lines_with(&krate, &needles);
        assert!(hits.is_empty(), "`{krate}` is pure, but has\n{}", hits.join("\n"));
    }
}

#[test]
fn the_trainer_touches_files_in_two_places() {
    // `device/` and `memory.rs` read what the kernel tells under /proc, which is no file of ours.
    let allowed = ["checkpoint.rs", "folder.rs", "device/", "memory.rs", "MetricsFile::"];
    let hits: Vec<String> = lines_with("train", &["std::fs", "File::", "fs::"])
        .into_iter()
        .filter(|hit| !allowed.iter().any(|allowed| hit.contains(allowed)))
        .collect();
    assert!(hits.is_empty(), "outside of train/checkpoint.rs and train/folder.rs:\n{}", hits.join("\n"));
}

#[test]
fn modules_do_not_import_each_other_in_circles() {
    // The verbs of `cli` may share a function; its circles are only printed.
    let mut failed = Vec::new();
    for krate in dependencies().into_keys() {
        let imports = imports(&krate);
        for circle in circles(&imports) {
            let arrows = circle.iter().flat_map(|from| {
                let circle = &circle;
                imports[from]
                    .iter()
                    .filter(move |to| circle.contains(*to))
                    .map(move |to| format!("{from} -> {to}"))
            });
            let text = format!("{krate}: {}", arrows.collect::<Vec<_>>().join(", "));
            if krate == "cli" {
                println!("{text}");
            } else {
                failed.push(text);
            }
        }
    }
    assert!(failed.is_empty(), "modules import each other in circles:\n{}", failed.join("\n"));
}

#[test]
fn the_tests_of_this_file_see_code_and_only_code() {
    let text = r##"
use crate::{alpha, beta::{Gamma, self as delta}};
// use crate::comment;
const TEXT: &str = "crate::string { \" ";
const RAW: &str = r#"crate::raw " {"#;
const BRACE: char = '{';
fn life<'a>(x: &'a str) { crate::zeta::call() }
#[cfg(test)]
fn helper(x: [u8; 2]) { std::fs::read("x") }
fn after() { super::eta::Theta }
#[cfg(test)]
mod tests {
    use crate::tests_alone;
}
fn last() { std::fs::write() }
"##;
    let code = code_alone(text);
    let code = without(&code, &test_items(&code));
    assert_eq!(code.lines().count(), text.lines().count());
    let found: Vec<String> = paths(&code).iter().map(|path| path.join("::")).collect();
    for expected in [
        "crate::alpha",
        "crate::beta::Gamma",
        "crate::beta::self",
        "crate::zeta::call",
        "super::eta::Theta",
        "std::fs::write",
    ] {
        assert!(found.contains(&expected.to_string()), "{expected} is missing: {found:?}");
    }
    for hidden in ["comment", "string", "raw", "tests_alone", "read"] {
        assert!(!found.iter().any(|path| path.contains(hidden)), "{hidden} is no code: {found:?}");
    }
    let arrows = |arrows: &[(&str, &str)]| {
        let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in arrows {
            imports.entry(from.to_string()).or_default().insert(to.to_string());
        }
        circles(&imports).into_iter().map(|circle| circle.into_iter().collect::<String>()).collect::<Vec<_>>()
    };
    assert_eq!(arrows(&[("a", "b"), ("b", "c"), ("a", "c")]), Vec::<String>::new());
    assert_eq!(
        arrows(&[("a", "b"), ("b", "a"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "c")]),
        ["ab", "cde"]
    );
}
