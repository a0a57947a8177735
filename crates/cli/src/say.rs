//! Words on standard error: messages, warnings, and progress bars where a person watches.

use std::io::IsTerminal;

use crate::args::Shared;

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Say {
    quiet: bool,
    /// More than the usual.
    pub verbose: bool,
}

impl Say {
    pub fn new(shared: &Shared) -> Say {
        Say { quiet: shared.quiet, verbose: shared.verbose }
    }

    /// A line, unless `--quiet`.
    pub fn line(&self, text: &str) {
        if !self.quiet {
            anstream::eprintln!("{text}");
        }
    }

    /// A line with `--verbose` only.
    pub fn detail(&self, text: &str) {
        if self.verbose {
            anstream::eprintln!("{text}");
        }
    }

    /// Something a person should read even in a log.
    pub fn warn(&self, text: &str) {
        self.line(&format!("warning: {text}"));
    }

    /// Whether bars may be drawn.
    pub fn has_bars(&self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }
}
