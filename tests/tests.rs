//! The whole program, as a person uses it. This file is the table of contents.

/// Wrong files and full disks: each error names the thing, the place and the mend.
mod bad_input;
/// The command line: exit codes, JSON, completions.
mod command_line;
/// Twenty kills at random moments change no bit.
mod kill;
/// Who may import whom, who may see burn, polars and the file system.
mod layering;
/// Best learning rates: a sweep that finds them, and one that uses them.
mod learning_rate;
/// What is told on standard error and in the log of a run, as text and as JSON; help and version.
mod logging;
/// A simulated sweep through plan, runner, results, fit and report.
mod pipeline;
/// Faults that a person once saw, each by what was wrong.
mod regression;
/// Skills: items of one's own, bad ones named with their line, planted ones found, tags, what can be got.
mod skills;
/// Real training: losses fall with N and with D, nothing is trained twice, evaluations of finished runs.
mod training;
/// Trunks and branches: the bits of separate runs for fewer FLOPs; runs that fall behind are stopped early.
mod trunk;
/// The GPU path on software Vulkan.
mod wgpu;
/// A folder to use the program in.
mod workbench;
