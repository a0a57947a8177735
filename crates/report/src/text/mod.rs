//! Values as text, the same on the page, in Markdown and on a terminal: `166K` parameters, `2.70e12` FLOPs, losses
//! with the digits that their interval bears.

pub mod intervals;
pub mod numbers;
pub mod units;

pub mod wrap;

pub mod equation;
pub mod html;
pub mod markdown;

pub mod table;

pub use intervals::{ends, estimate, interval, interval_method, level, or_not_bounded, si_interval};
pub use numbers::{
    UNKNOWN, capitalised, count, counted, fixed, flops, loss, or_unknown, percent, plural, residual, si,
    significant,
};
pub use units::{bytes, duration, flop_rate};
pub use wrap::wrap;
