//! Text made by generators: seeded, endless, with exactly known entropies. Each task is one file here and one variant
//! of [`Task`].

use std::sync::Arc;

use scalelaw_schema::generator::{GeneratedSpec, Task};

use task::{Generate, Part};

mod biographies;
mod depo;
pub(crate) mod draws;
mod facts;
mod instances;
mod lookup;
mod mano;
mod programs;
pub(crate) mod task;
mod words;

pub use crate::error::skills::TaskError;
pub use task::SkillEntropy;

/// Documents that a mean length is taken over; it is then known to one per cent.
const MEAN_OF: u64 = 1000;

/// A generated corpus, ready to return any document.
#[derive(Debug, Clone)]
pub(crate) struct Generated {
    pub task: Arc<dyn Generate>,
    /// Number of distinct training documents; `None` if they are endless.
    pub pool: Option<u64>,
}

impl Generated {
    pub(crate) fn new(spec: &GeneratedSpec) -> Result<Generated, TaskError> {
        let key = draws::key_of(spec.seed.unwrap_or(0));
        if spec.pool == Some(0) {
            return Err(TaskError::EmptyPool);
        }
        let task: Arc<dyn Generate> = match &spec.task {
            Task::Lookup(task) => Arc::new(lookup::Lookup::new(task, key)?),
            Task::Biographies(task) => Arc::new(biographies::Biographies::new(task, key)?),
            Task::Mano(task) => Arc::new(mano::Mano::new(task, key)?),
            Task::Depo(task) => Arc::new(depo::Depo::new(task, key)?),
            Task::Programs(task) => Arc::new(programs::Programs::new(task, key)?),
        };
        Ok(Generated { task, pool: spec.pool })
    }

    /// Mean length of a training document, bytes, over the first ones.
    pub(crate) fn mean_bytes(&self) -> f64 {
        let n = self.pool.map_or(MEAN_OF, |pool| pool.min(MEAN_OF));
        let bytes: usize = (0..n).map(|idx| self.task.document(Part::Train, idx).text.len()).sum();
        bytes as f64 / n as f64
    }
}

#[cfg(test)]
mod tests;
