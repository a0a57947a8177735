//! A sweep's folder and the folders of its runs: what they hold, who may write there, and what follows from it for
//! other runs. The content of checkpoints is the trainer's business.

mod ending;
mod listing;
mod run_toml;
mod write_lock;

pub mod attempts;
pub mod early_stop;
pub mod holder;
pub mod lease;
pub mod status;
pub mod trunk;

#[cfg(test)]
pub(crate) mod testing;

pub use ending::{Ending, ended_runs, is_ended, read_ending, reopen_if_stopped};
pub use listing::{checkpoint_steps, checkpoints, id_in_name, run_folders};
pub use run_toml::{prepare, read_run};
pub use write_lock::{WriteLock, check_writable, lock_for_writing};
