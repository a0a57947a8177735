//! A wish to stop, from a signal handler to the scheduler.

use std::sync::atomic::{AtomicUsize, Ordering};

/// How often a person (or the system) has asked to stop. Once: finish the step, write a checkpoint, leave.
/// Twice: leave at once.
#[derive(Debug, Default)]
pub struct Stop {
    n_asked: AtomicUsize,
}

impl Stop {
    /// Nobody has asked yet.
    pub const fn new() -> Stop {
        Stop { n_asked: AtomicUsize::new(0) }
    }

    /// Asks to stop; safe in a signal handler.
    pub fn ask(&self) {
        self.n_asked.fetch_add(1, Ordering::Relaxed);
    }

    /// Asked at least once.
    pub fn is_asked(&self) -> bool {
        self.n_asked.load(Ordering::Relaxed) > 0
    }

    /// Asked again.
    pub fn is_urgent(&self) -> bool {
        self.n_asked.load(Ordering::Relaxed) > 1
    }
}
