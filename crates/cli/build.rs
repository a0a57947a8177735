//! Tells the program which commit it was built from, where there is a repository.

use std::process::Command;

fn main() {
    let git = |args: &[&str]| -> Option<String> {
        let output = Command::new("git").args(args).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_string())
    };
    if let Some(folder) = git(&["rev-parse", "--absolute-git-dir"]) {
        // The reflog of HEAD grows with each commit and each change of branch.
        println!("cargo::rerun-if-changed={folder}/logs/HEAD");
    }
    let commit = git(&["rev-parse", "HEAD"]).unwrap_or_default();
    println!("cargo::rustc-env=SCALELAW_GIT_COMMIT={commit}");
}
