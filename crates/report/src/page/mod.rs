//! The report as files: an HTML page and Markdown.

pub mod html;
pub mod markdown;
mod results;
