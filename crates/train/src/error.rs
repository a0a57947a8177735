//! What can go wrong while a run trains or is evaluated, and what the runner should do about it.

use std::any::Any;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensorError};
use scalelaw_data::DataError;
use scalelaw_disk::DiskError;
use scalelaw_schema::SchemaError;
use scalelaw_schema::record::Failure;
use scalelaw_schema::run_id::RunId;
use thiserror::Error;

/// Why a run could not be trained or evaluated. The folder is as its last checkpoint left it.
#[derive(Debug, Error)]
pub enum TrainError {
    /// The device that was asked for is missing.
    #[error("device `{choice}` is missing: {why} (hint: `scalelaw doctor` lists the devices)")]
    MissingDevice {
        /// What was asked for.
        choice: String,
        /// The reason.
        why: String,
    },
    /// The device has no products of the precision that was asked for.
    #[error(
        "device `{device}` cannot compute in bf16, which needs a processor with AVX512_BF16 (hint: leave `precision` out, or `--device cpu`)"
    )]
    Precision {
        /// Its name.
        device: String,
    },
    /// The device has too little memory for the micro-batch.
    #[error("the device is out of memory: {why} (hint: a smaller micro-batch needs less)")]
    OutOfMemory {
        /// The reason.
        why: String,
    },
    /// The device went away or refuses all further work.
    #[error("the device was lost: {why} (hint: a new process gets a new device)")]
    DeviceLost {
        /// The reason.
        why: String,
    },
    /// The run was asked to stop; a checkpoint was written first.
    #[error("interrupted at step {step}; will resume from there")]
    Interrupted {
        /// Steps taken.
        step: u64,
    },
    /// A file could not be read or written.
    #[error("cannot {action} `{path}`: {source} (hint: {hint})")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What to do.
        hint: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file holds something else than it should.
    #[error("`{path}` {why} (hint: {hint})")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
        /// What to do.
        hint: &'static str,
    },
    /// Text that a run asks for is missing or damaged.
    #[error(transparent)]
    Text(#[from] DataError),
    /// An evaluation on text that was not opened with the run.
    #[error("token set {tokens} was not opened: it is neither in the run's mixture nor in its evaluations")]
    NotOpened {
        /// Content hash of the token set.
        tokens: String,
    },
    /// A token that the model's vocabulary does not have.
    #[error(
        "corpus `{tokens}` has {tokens_vocab} tokens, the model only {model_vocab} (hint: `vocab-size` of the model must be at least the tokenizer's)"
    )]
    Vocabulary {
        /// Content hash of the token set.
        tokens: String,
        /// Tokens that the corpus uses.
        tokens_vocab: usize,
        /// Tokens that the model has.
        model_vocab: usize,
    },
    /// The run's own description is impossible.
    #[error(transparent)]
    Spec(#[from] SchemaError),
    /// A branch cannot resume from its trunk.
    #[error(
        "run {parent} has no checkpoint of step {step} to branch from: {why} (hint: where it is damaged, delete it; the next `scalelaw run` then plans this run without it)"
    )]
    NoTrunk {
        /// The trunk.
        parent: String,
        /// Where the branch begins.
        step: u64,
        /// The reason.
        why: CheckpointError,
    },
    /// The backend failed for a reason of its own.
    #[error("the backend failed: {why}")]
    Backend {
        /// The reason.
        why: String,
    },
}

/// Why a checkpoint cannot be used.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// It could not be read.
    #[error(transparent)]
    Unreadable(#[from] std::io::Error),
    /// Its run is not in this sweep.
    #[error("it has no folder beside this one")]
    NoFolder,
    /// It is not a whole safetensors file.
    #[error("it is damaged ({0})")]
    Damaged(#[from] SafeTensorError),
    /// It lacks the description that every checkpoint has.
    #[error("it does not say what it is")]
    NoHead,
    /// Its content is not what was saved.
    #[error("its checksum is wrong")]
    WrongChecksum,
    /// It was copied from another run.
    #[error("it belongs to run {0}")]
    OtherRun(RunId),
    /// A tensor that the model does not have.
    #[error("tensor `{name}` {why}")]
    OtherTensor {
        /// Its name.
        name: String,
        /// How it differs.
        why: TensorMismatch,
    },
}

/// A saved tensor that is not of the model's shape, or not in f32.
#[derive(Debug, Error)]
#[error("is {found:?} of {found_shape:?} instead of F32 of {expected_shape:?}")]
pub struct TensorMismatch {
    /// The type of its numbers.
    pub found: Dtype,
    /// Its shape.
    pub found_shape: Vec<usize>,
    /// The shape that the model needs.
    pub expected_shape: Vec<usize>,
}

impl TrainError {
    /// What the runner should do next.
    pub fn failure(&self) -> Failure {
        match self {
            TrainError::OutOfMemory { .. } => Failure::OutOfMemory,
            TrainError::DeviceLost { .. } => Failure::DeviceLost,
            TrainError::Interrupted { .. } => Failure::Interrupted,
            _ => Failure::Error,
        }
    }

    /// An error of the file system, with the mend that its kind suggests.
    pub(crate) fn file(action: &'static str, path: &Path, source: std::io::Error) -> TrainError {
        use std::io::ErrorKind;
        let hint = match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                "the disk is full: free some space and start again, finished steps are kept"
            }
            ErrorKind::ReadOnlyFilesystem | ErrorKind::PermissionDenied => {
                "make it writable or choose another folder with --runs"
            }
            ErrorKind::NotFound => "was the run folder moved or deleted meanwhile?",
            _ => "check the disk and start again, finished steps are kept",
        };
        TrainError::File { action, path: path.to_path_buf(), hint, source }
    }

    /// An error of the backend, sorted by its message: the backends have no types for these.
    pub(crate) fn backend(why: &str) -> TrainError {
        let lower = why.to_lowercase();
        let says = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
        // The message without the backtrace that cubecl appends.
        let why = why.split("\nBacktrace").next().unwrap_or(why).trim().to_string();
        if says(&[
            "out of memory",
            "out-of-memory",
            "out of device memory",
            "outofmemory",
            "memory allocation",
            // A buffer larger than the device can bind: fewer sequences at once help as well.
            "can't allocate buffer",
            "buffertoobig",
            "max_buffer_size",
            "max_storage_buffer_binding_size",
        ]) {
            TrainError::OutOfMemory { why }
        } else if says(&["device lost", "device is lost", "devicelost", "poisoned", "device was lost"]) {
            TrainError::DeviceLost { why }
        } else {
            TrainError::Backend { why }
        }
    }

    /// The error behind a panic of the backend: burn reports most faults of a device so.
    pub(crate) fn panic(payload: &(dyn Any + Send)) -> TrainError {
        let why = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without a message");
        TrainError::backend(why)
    }
}

impl From<DiskError> for TrainError {
    fn from(DiskError { action, path, source }: DiskError) -> TrainError {
        TrainError::file(action, &path, source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backends_message_decides_what_the_runner_does() {
        for (message, expected) in [
            ("out of device memory allocating 4096 bytes\n  at x", Failure::OutOfMemory),
            ("wgpu error: Out of Memory", Failure::OutOfMemory),
            ("can't allocate buffer of size: 9", Failure::OutOfMemory),
            ("Parent device is lost", Failure::DeviceLost),
            ("The device is poisoned\nCaused by:\n  a trap", Failure::DeviceLost),
            ("index out of bounds", Failure::Error),
        ] {
            let payload: Box<dyn Any + Send> = Box::new(message.to_string());
            assert_eq!(TrainError::panic(payload.as_ref()).failure(), expected, "{message}");
        }
    }
}
