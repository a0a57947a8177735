//! Trains and judges language models: the only crate that names burn.
pub mod device;
pub mod error;
pub mod init;
pub mod layout;
pub mod model;
pub mod optimizer;
pub mod steps;
#[cfg(test)]
mod testing;
