//! Measures the time of steps apart from that of checkpoints and evaluations.

use std::time::{Duration, Instant};

use scalelaw_schema::metrics;

use super::Values;

/// The clock of one attempt. It counts for the run from the start on, and for the throughput in windows, each
/// ended by a row of the metrics.
pub struct Clock {
    /// Seconds of earlier attempts.
    before: f64,
    began: Instant,
    window_began: Instant,
    /// Time of the window before `window_began`.
    window: Duration,
    tokens: u64,
    flops: f64,
}

impl Clock {
    /// Starts, after `before` seconds of earlier attempts.
    pub fn new(before: f64) -> Clock {
        let now = Instant::now();
        Clock { before, began: now, window_began: now, window: Duration::ZERO, tokens: 0, flops: 0.0 }
    }

    /// Seconds of the run over all attempts.
    pub fn wall_seconds(&self) -> f64 {
        self.before + self.began.elapsed().as_secs_f64()
    }

    /// Counts the work of a step into the window.
    pub fn count(&mut self, tokens: u64, flops: f64) {
        self.tokens += tokens;
        self.flops += flops;
    }

    /// What follows is no training, until [`Clock::resume`].
    pub fn pause(&mut self) {
        self.window += self.window_began.elapsed();
    }

    /// Training goes on.
    pub fn resume(&mut self) {
        self.window_began = Instant::now();
    }

    /// Begins a new window.
    pub fn reset(&mut self) {
        self.window = Duration::ZERO;
        self.tokens = 0;
        self.flops = 0.0;
    }

    /// Throughput of the window, and MFU where the device's rate of matrix products is known.
    pub fn values(&self, matmul_peak: Option<f64>) -> Values {
        let seconds = self.window.as_secs_f64();
        let mut values = Values::new();
        values.insert(metrics::TOKENS_PER_SECOND.to_string(), self.tokens as f64 / seconds);
        if let Some(peak) = matmul_peak {
            values.insert(metrics::MFU.to_string(), self.flops / seconds / peak);
        }
        values
    }
}
