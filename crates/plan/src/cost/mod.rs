//! What runs cost, before anything is started.

mod energy;
pub(crate) mod estimate;
pub mod limits;
pub(crate) mod memory;
pub mod packing;
pub(crate) mod total;
