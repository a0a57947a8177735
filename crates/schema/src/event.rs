//! What the runner and its workers tell each other: one JSON value per line.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::record::{Failure, Outcome};
use crate::run_id::RunId;

/// From the runner to a worker, on its standard input. The end of the input asks it to leave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// Train these runs; today always one. The runner holds their leases.
    Train {
        /// Run folders, each with its `run.toml`.
        folders: Vec<PathBuf>,
        /// Sequences to compute at once; the whole batch where absent.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        micro_batch: Option<usize>,
        /// The loss to hold the run against; never stopped early where absent.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        bar: Option<Bar>,
    },
}

/// What a run must not exceed where its [`crate::run::EarlyStop`] looks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bar {
    /// The finished run of the same budget that had the lowest loss there.
    pub peer: RunId,
    /// Its loss, nats per token; the margin comes on top.
    pub loss: f64,
}

/// From a worker to the runner, on its standard output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Event {
    /// The device is open; commands can come.
    Ready {
        /// Its name.
        device: String,
    },
    /// A run begins or is resumed.
    Started {
        /// The run.
        run: RunId,
        /// Steps already taken.
        step: u64,
        /// Steps in all.
        total_steps: u64,
    },
    /// A logged step.
    Step {
        /// The run.
        run: RunId,
        /// Steps taken.
        step: u64,
        /// Training loss of the step, nats per token.
        loss: f64,
        /// Since the last event of this kind.
        tokens_per_second: f64,
    },
    /// A checkpoint is on the disk.
    Checkpoint {
        /// The run.
        run: RunId,
        /// Steps taken.
        step: u64,
    },
    /// Steps of the run were skipped because their gradient was not finite; told once, before its end.
    Skipped {
        /// The run.
        run: RunId,
        /// How many.
        n_steps: u64,
    },
    /// The record is on the disk.
    Done {
        /// The run.
        run: RunId,
        /// How it ended.
        outcome: Outcome,
    },
    /// The attempt failed; the folder is as its last checkpoint left it.
    Failed {
        /// The run.
        run: RunId,
        /// What the runner should do.
        failure: Failure,
        /// The message.
        why: String,
    },
    /// Something that a person should read.
    Warning {
        /// The text.
        text: String,
    },
    /// Sent after each command.
    Idle {
        /// Resident memory now, bytes; the runner recycles a worker that grows.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        resident_bytes: Option<u64>,
    },
}
