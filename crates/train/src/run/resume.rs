//! Where an attempt starts: at the newest checkpoint, at the trunk's, or at initial weights.

use scalelaw_schema::event::Event;
use scalelaw_schema::train_spec::Start;
use tracing::warn;

use super::TrainJob;
use crate::checkpoint::Checkpoints;
use crate::error::TrainError;
use crate::folder::{self, Attempts, MetricsFile};
use crate::models::Model;
use crate::steps::{LossSum, Progress, TrainState};
use crate::time::now;

/// The newest checkpoint, or the trunk's for a branch, or initial weights.
pub fn resume_or_init(
    job: &TrainJob,
    checkpoints: &Checkpoints,
    on_event: &mut (dyn FnMut(Event) + Send),
) -> Result<TrainState, TrainError> {
    let train = &job.run.train;
    let device = &job.device.device;
    let mut on_warning = |text: String| {
        warn!("{text}");
        on_event(Event::Warning { text });
    };
    if let Some(state) = checkpoints.load_newest(&train.model, device, &mut on_warning)? {
        return Ok(state);
    }
    match &train.start {
        Start::Init => Ok(TrainState::new(Model::initial(train, device))),
        Start::Branch { parent, step } => {
            let no_trunk = |why| TrainError::NoTrunk { parent: parent.to_string(), step: *step, why };
            let state = Checkpoints::of_sibling(job.folder, parent)
                .and_then(|trunk| trunk.load_step(*step, &train.model, device))
                .map_err(no_trunk)?;
            // As in a run of its own, but for what is counted from here on: time, and the mean losses.
            let progress = Progress {
                wall_seconds: 0.0,
                row: LossSum::default(),
                tail: LossSum::default(),
                ..state.progress
            };
            Ok(TrainState { progress, ..state })
        }
    }
}

/// Cuts the metrics back to the state and counts the attempt.
pub fn begin_attempt(job: &TrainJob, state: &mut TrainState) -> Result<(MetricsFile, Attempts), TrainError> {
    let progress = &mut state.progress;
    let (metrics_file, last_row) = MetricsFile::cut_back(job.folder, progress.step)?;
    // Steps that the last attempt took beyond its last checkpoint were computed and are computed again.
    let lost_until = last_row.as_ref().map_or(0, |last| last.step);
    let lost = job.run.train.flops_of(progress.step..lost_until);
    progress.wall_seconds = last_row.map_or(0.0, |last| last.wall_seconds).max(progress.wall_seconds);
    Ok((metrics_file, folder::begin_attempt(job.folder, &now(), &lost)?))
}
