//! The documentation that comes with the Rust toolchain, for machines without cargo's registry folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::DataError;
use crate::files;

/// The books: what stands in for Markdown.
const BOOKS: [&str; 10] = [
    "book",
    "cargo",
    "clippy",
    "edition-guide",
    "embedded-book",
    "nomicon",
    "reference",
    "rust-by-example",
    "rustc",
    "rustdoc",
];

/// The pages of the standard library's sources: what stands in for Rust.
const SOURCES: [&str; 1] = ["src"];

/// Pages that repeat others.
const REPEATS: [&str; 3] = ["print.html", "toc.html", "404.html"];

/// The folder `share/doc/rust/html` of the toolchain that `rustc` belongs to, where it is installed.
pub(crate) fn find() -> Option<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().ok()?;
    let sysroot = String::from_utf8(output.stdout).ok()?;
    let folder = Path::new(sysroot.trim()).join("share/doc/rust/html");
    folder.is_dir().then_some(folder)
}

/// Folders that hold what stands in for files of these extensions.
pub(crate) fn stand_in(extensions: &[String]) -> Vec<String> {
    let folders = extensions.iter().flat_map(|extension| match extension.as_str() {
        "rs" => &SOURCES[..],
        "md" => &BOOKS[..],
        _ => &[],
    });
    folders.map(ToString::to_string).collect()
}

/// The pages below `folders` of the documentation `root`.
///
/// # Errors
/// `Io`, `NoSuchPath`.
pub(crate) fn pages(corpus: &str, root: &Path, folders: &[String]) -> Result<Vec<PathBuf>, DataError> {
    let mut pages = Vec::new();
    for folder in folders {
        let folder = root.join(folder);
        if !folder.is_dir() {
            return Err(DataError::NoSuchPath { corpus: corpus.to_string(), path: folder });
        }
        pages.extend(files::below(&folder, &|name| !REPEATS.contains(&name))?);
    }
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "html"));
    Ok(pages)
}
