//! The documentation of the Rust toolchain, as text and as a replacement for cargo's registry.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::DataError;
use crate::sources::files;

/// The books, which replace Markdown files.
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

/// The source pages of the standard library, which replace Rust files.
const SOURCES: [&str; 1] = ["src"];

/// Pages that repeat others.
const REPEATS: [&str; 3] = ["print.html", "toc.html", "404.html"];

/// The folder `share/doc/rust/html` of the toolchain that `rustc` belongs to, if it is installed.
pub(crate) fn find() -> Option<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().ok()?;
    let sysroot = String::from_utf8(output.stdout).ok()?;
    let folder = Path::new(sysroot.trim()).join("share/doc/rust/html");
    folder.is_dir().then_some(folder)
}

/// The folders whose pages replace files of these extensions.
pub(crate) fn replacement_for(extensions: &[String]) -> Vec<String> {
    let folders = extensions.iter().flat_map(|extension| match extension.as_str() {
        "rs" => &SOURCES[..],
        "md" => &BOOKS[..],
        _ => &[],
    });
    folders.map(ToString::to_string).collect()
}

/// The pages below `folders` of the documentation at `root`.
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
