//! One file per verb.

pub mod data;
pub mod doctor;
pub mod eval;
pub mod export;
pub mod fit;
pub mod init;
pub mod plan;
pub mod power;
pub mod report;
pub mod run;
pub mod status;
pub mod train_one;
pub mod worker;
