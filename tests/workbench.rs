use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A folder of its own, with text and a way to start the program in it.
pub struct Workbench {
    folder: TempDir,
}

impl Workbench {
    /// With `notes/`: about 600 kB of made text, enough for 65536 held-out bytes.
    pub fn new() -> Workbench {
        let folder = tempfile::tempdir().unwrap();
        let notes = folder.path().join("notes");
        std::fs::create_dir(&notes).unwrap();
        let mut state = 7u64;
        for file_idx in 0..60 {
            let mut text = String::new();
            while text.len() < 10_000 {
                // A chain over a few words: there is something to learn, and it takes a while.
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                let words =
                    ["the", "model", "learns", "a", "law", "of", "loss", "and", "scale", "from", "data"];
                let word = words[(state >> 33) as usize % words.len()];
                text.push_str(word);
                text.push(if state >> 60 == 0 { '\n' } else { ' ' });
                if state >> 59 == 3 {
                    text.push_str(&format!("{} ", (state >> 40) % 97 + file_idx));
                }
            }
            std::fs::write(notes.join(format!("note-{file_idx:02}.txt")), text).unwrap();
        }
        Workbench { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file and gives its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Two sizes times two horizons on the notes, seconds on one core.
    pub fn tiny_sweep(&self, name: &str) -> PathBuf {
        self.write(
            &format!("{name}.toml"),
            r#"
[grid]
kind = "product"
horizon = { steps = [20, 60] }

[model]
d-model = [16, 32]
n-layer = 2
context-len = 32

[data]
tokenizer = "bytes"
mixture = { notes = 1 }

[train]
batch-sequences = 4
lr = 3e-3
warmup = { steps = 5 }

[corpus.notes]
source = { files = ["notes"] }
"#,
        )
    }

    /// The program in this folder, on the CPU, with a cache of its own.
    pub fn scalelaw(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_scalelaw"));
        command.current_dir(self.path()).args(args);
        for name in ["SCALELAW_RUNS", "NO_COLOR", "RUST_LOG", "COLUMNS"] {
            command.env_remove(name);
        }
        command.env("SCALELAW_CACHE", self.path().join("cache")).env("SCALELAW_DEVICE", "cpu");
        command
    }

    /// Runs it and expects this exit code.
    pub fn expect(&self, code: i32, args: &[&str]) -> Said {
        Said::of(self.scalelaw(args).output().unwrap(), code, args)
    }

    /// Runs it with `--json` and reads what it prints.
    pub fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        let said = self.expect(0, &args);
        serde_json::from_str(&said.stdout)
            .unwrap_or_else(|error| panic!("{args:?}: {error}\n{}", said.stdout))
    }

    /// Folders of runs in a sweep's folder.
    pub fn run_folders(&self, sweep: &str) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = std::fs::read_dir(self.path().join("runs").join(sweep))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.join("run.toml").exists())
            .collect();
        folders.sort();
        folders
    }
}

/// What the program said.
#[derive(Debug)]
pub struct Said {
    pub stdout: String,
    pub stderr: String,
}

impl Said {
    pub fn of(output: Output, code: i32, args: &[&str]) -> Said {
        let said = Said {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{}\n{}", said.stdout, said.stderr);
        said
    }

    /// Expects every part on standard error.
    pub fn names(&self, parts: &[&str]) -> &Said {
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not named in\n{}", self.stderr);
        }
        self
    }
}
