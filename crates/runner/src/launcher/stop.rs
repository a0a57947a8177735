//! A stop request, from a signal handler to the scheduler.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts how often the user (or the system) has asked to stop. Once: finish the step, write a checkpoint, exit.
/// Twice: exit at once.
#[derive(Debug, Default)]
pub struct Stop {
    n_requests: AtomicUsize,
}

impl Stop {
    /// Without a request.
    pub const fn new() -> Stop {
        Stop { n_requests: AtomicUsize::new(0) }
    }

    /// Requests a stop; safe in a signal handler.
    pub fn request(&self) {
        self.n_requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a stop was requested.
    pub fn is_requested(&self) -> bool {
        self.n_requests.load(Ordering::Relaxed) > 0
    }

    /// Whether it was requested again.
    pub fn is_forced(&self) -> bool {
        self.n_requests.load(Ordering::Relaxed) > 1
    }
}
