//! What was spent on a sweep.

use std::collections::BTreeSet;

use super::figure::Figure;
use crate::input::ReportInput;
use crate::runs::{Run, Status};
use crate::text;

/// Runs by their outcome, and compute, time and devices of the training.
pub fn figures(input: &ReportInput, runs: &[Run]) -> Vec<Figure> {
    let count = |of: fn(&Status) -> bool| runs.iter().filter(|run| of(&run.status)).count();
    let kinds = [
        (count(|s| *s == Status::Finished), "finished"),
        (count(|s| matches!(s, Status::Diverged { .. })), "diverged"),
        (count(|s| matches!(s, Status::Stopped { .. })), "stopped early"),
        (count(|s| matches!(s, Status::Failed { .. })), "failed"),
        (count(|s| *s == Status::Waiting), "not run yet"),
    ];
    let kinds: Vec<String> =
        kinds.iter().filter(|(n, _)| *n > 0).map(|(n, kind)| format!("{n} {kind}")).collect();
    let mut figures = vec![Figure::plain("Runs", text::count(runs.len() as u64), kinds.join(", "))];
    if !input.rows.is_empty() {
        let flops: f64 = input.rows.iter().map(|row| row.flops_spent).sum();
        let seconds: f64 = input.rows.iter().map(|row| row.wall_seconds).sum();
        let devices: BTreeSet<&str> = input.rows.iter().map(|row| row.device.as_str()).collect();
        let note = match input.rows.iter().any(|row| row.cluster != row.run_id) {
            true => {
                let separate: f64 = input.rows.iter().map(|row| row.flops_path.total()).sum();
                format!(
                    "FLOPs spent on training by trunks and branches, {} as separate runs",
                    text::flops(separate)
                )
            }
            false => "FLOPs spent on training".to_string(),
        };
        figures.push(Figure::plain("Compute", text::flops(flops), note));
        figures.push(Figure::plain(
            "Time",
            text::duration(seconds),
            "of training, summed over the runs".to_string(),
        ));
        let names = devices.into_iter().collect::<Vec<_>>();
        figures.push(Figure::plain(
            if names.len() == 1 { "Device" } else { "Devices" },
            names.first().map_or(String::new(), |first| (*first).to_string()),
            match names.len() {
                0 | 1 => String::new(),
                n => format!("and {}: {}", n - 1, names[1..].join(", ")),
            },
        ));
    }
    figures
}
