//! The name of a run's folder.

use crate::run_id::RunId;
use crate::text::si;
use crate::train_spec::{Start, TrainSpec};

/// The readable part of a run's folder: size, shape, horizon and seed, such as
/// `n1.20M-L4-d128-t30.0M-s0`. It is for people; only the hash identifies the run.
pub fn readable(spec: &TrainSpec) -> String {
    let branch = match spec.start {
        Start::Init => "",
        Start::Branch { .. } => "-branch",
    };
    format!(
        "n{}-{}-t{}-s{}{branch}",
        si(spec.model.params().total() as f64),
        spec.model.label().replace(' ', "-"),
        si(spec.tokens() as f64),
        spec.seed
    )
}

/// Name of the run's folder: `readable-hash12`.
pub fn folder_name(spec: &TrainSpec) -> String {
    format!("{}-{}", readable(spec), RunId::of(spec))
}
