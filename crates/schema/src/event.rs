//! The protocol between a launcher and its workers: one JSON value per line.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::record::{Failure, Outcome};
use crate::run_id::RunId;

/// Environment variable with the launcher's process id, by which a worker notices that it is orphaned.
pub const LAUNCHER_PID: &str = "SCALELAW_LAUNCHER_PID";

/// From the launcher to a worker, on its standard input. The end of the input asks it to exit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// Train these runs; today always one. The launcher holds their leases.
    Train {
        /// Run folders, each with its `run.toml`.
        folders: Vec<PathBuf>,
        /// Tokens to compute at once, in whole sequences. Defaults to the whole batch.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        micro_batch_tokens: Option<u64>,
        /// The loss to compare the run's with. Defaults to none: the run is not stopped early.
        #[serde(rename = "bar", skip_serializing_if = "Option::is_none", default)]
        threshold: Option<EarlyStopThreshold>,
    },
}

/// The loss that a run is compared with at the step of its [`crate::run::EarlyStop`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopThreshold {
    /// The finished run of the same budget that had the lowest loss there.
    pub peer: RunId,
    /// Its loss, nats per token. The run is stopped if its own is higher by more than the margin.
    pub loss: f64,
}

/// From a worker to the launcher, on its standard output.
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
        /// What the launcher should do.
        failure: Failure,
        /// The message.
        why: String,
    },
    /// Something that the user should read.
    Warning {
        /// The text.
        text: String,
    },
    /// Sent after each command.
    Idle {
        /// Resident memory now, bytes; the launcher replaces a worker that grows.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        resident_bytes: Option<u64>,
    },
}
