//! Charts: what they hold, their scales and colours, and SVG of them.

pub mod scale;

pub mod color;

pub mod chart;
pub mod glyph;

pub mod svg;
