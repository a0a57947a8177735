//! The terminal: how wide it is, whether it takes colours, and the place of the progress bars.

use std::sync::LazyLock;

use indicatif::{MultiProgress, ProgressDrawTarget};

use crate::args::ColorWhen;

/// All progress bars, on standard error; hidden where that is no terminal. Messages are written above them by the same
/// object, so that neither tears the other.
pub static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Columns where standard output is no terminal: what every terminal and every mail shows unbroken.
const DEFAULT_WIDTH: usize = 80;
/// Narrower tables have no room for their columns.
const MIN_WIDTH: usize = 60;

/// Columns to print results in: those of the terminal, else of `COLUMNS`, else 80.
pub fn width() -> usize {
    let of_terminal = || console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns));
    let of_environment = || std::env::var("COLUMNS").ok()?.parse().ok();
    of_terminal().or_else(of_environment).unwrap_or(DEFAULT_WIDTH).max(MIN_WIDTH)
}

/// Decides on colours for everything that is printed, bars included. Returns whether standard error has them.
pub fn set_colors(when: ColorWhen) -> bool {
    match when {
        ColorWhen::Auto => {}
        ColorWhen::Always => anstream::ColorChoice::Always.write_global(),
        ColorWhen::Never => anstream::ColorChoice::Never.write_global(),
    }
    let is_coloured = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    console::set_colors_enabled(is_coloured);
    console::set_colors_enabled_stderr(is_coloured);
    is_coloured
}

/// Draws no bars from now on.
pub fn hide_bars() {
    BARS.set_draw_target(ProgressDrawTarget::hidden());
}
