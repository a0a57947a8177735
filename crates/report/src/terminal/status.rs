//! Progress of a sweep.

use scalelaw_schema::status::{RunState, SweepStatus};

/// The progress of a sweep as a table of 80 columns.
pub fn to_table(status: &SweepStatus) -> String {
    let counts = &status.counts;
    let named = [
        (counts.finished, "finished"),
        (counts.diverged, "diverged"),
        (counts.stopped, "stopped early"),
        (counts.running, "running"),
        (counts.paused, "paused"),
        (counts.failed, "failed"),
        (counts.broken, "broken"),
        (counts.waiting, "waiting"),
    ];
    let named: Vec<String> =
        named.iter().filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}")).collect();
    let mut text = format!(
        "{}: {}, {:.1} % of the FLOPs done\n{}\n",
        status.sweep,
        counted(status.runs.len(), "run"),
        100.0 * status.flops_done,
        named.join(", ")
    );
    match status.not_planned.len() {
        0 => {}
        1 => text += "1 run folder is not in the plan\n",
        n => text += &format!("{n} run folders are not in the plan\n"),
    }
    text += &format!("\n{:<42} {:<8} {:>13} {:>7} {:>5}\n", "run", "state", "step", "loss", "tries");
    for run in &status.runs {
        let state = match &run.state {
            RunState::Finished => "finished",
            RunState::Diverged { .. } => "diverged",
            RunState::Stopped { .. } => "stopped",
            RunState::Running { .. } => "running",
            RunState::Paused => "paused",
            RunState::Failed => "failed",
            RunState::Broken { .. } => "broken",
            RunState::Waiting => "waiting",
        };
        let step = run.step.map_or_else(|| "-".to_string(), |step| step.to_string());
        let loss = run.loss.map_or_else(|| "-".to_string(), |loss| format!("{loss:.4}"));
        let tries = if run.failed_attempts > 0 { run.failed_attempts.to_string() } else { String::new() };
        let row = format!(
            "{:<42} {state:<8} {:>13} {loss:>7} {tries:>5}",
            shortened(&run.folder, 42),
            format!("{step}/{}", run.total_steps)
        );
        text += row.trim_end();
        text.push('\n');
        let why = match &run.state {
            RunState::Broken { why } | RunState::Stopped { why, .. } => Some(why),
            RunState::Failed => run.last_failure.as_ref(),
            _ => None,
        };
        if let Some(why) = why {
            text += &format!("    {}\n", why.replace('\n', " "));
        }
    }
    text
}

fn counted(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// Cuts out the middle, since a name ends with its id.
fn shortened(name: &str, width: usize) -> String {
    let n_chars = name.chars().count();
    if n_chars <= width {
        return name.to_string();
    }
    const ID_WIDTH: usize = 13;
    let start: String = name.chars().take(width - ID_WIDTH - 2).collect();
    let end: String = name.chars().skip(n_chars - ID_WIDTH).collect();
    format!("{start}..{end}")
}

#[cfg(test)]
mod tests {
    use scalelaw_schema::SCHEMA_VERSION;
    use scalelaw_schema::status::{RunStatus, StatusCounts};

    use super::*;

    fn run(seed: u64, state: RunState) -> RunStatus {
        RunStatus {
            run: "0123456789ab".parse().unwrap(),
            folder: format!("n123M-L4-d128-b1024-lr0.00123-t30.0M-s{seed}-0123456789ab"),
            state,
            step: Some(20),
            total_steps: 60,
            loss: Some(1.23456),
            tokens_per_second: None,
            failed_attempts: 0,
            last_failure: None,
        }
    }

    #[test]
    fn the_table_has_a_line_per_run_and_the_reason_of_each_that_failed_broke_or_was_stopped() {
        let failed = RunStatus {
            failed_attempts: 2,
            last_failure: Some("its trunk\nfailed".to_string()),
            ..run(1, RunState::Failed)
        };
        let waiting = RunStatus { step: None, loss: None, ..run(2, RunState::Waiting) };
        let stopped = run(3, RunState::Stopped { step: 20, why: "loss 5 above 3 of a".to_string() });
        let runs = vec![failed, waiting, stopped];
        let mut status = SweepStatus {
            schema_version: SCHEMA_VERSION,
            sweep: "quickstart".to_string(),
            counts: StatusCounts::of(&runs),
            flops_done: 0.25,
            runs,
            not_planned: vec!["old".to_string()],
        };
        let expected = "\
quickstart: 3 runs, 25.0 % of the FLOPs done
1 stopped early, 1 failed, 1 waiting
1 run folder is not in the plan

run                                        state             step    loss tries
n123M-L4-d128-b1024-lr0.001..-0123456789ab failed           20/60  1.2346     2
    its trunk failed
n123M-L4-d128-b1024-lr0.001..-0123456789ab waiting           -/60       -
n123M-L4-d128-b1024-lr0.001..-0123456789ab stopped          20/60  1.2346
    loss 5 above 3 of a
";
        assert_eq!(to_table(&status), expected);
        status.runs.truncate(1);
        status.not_planned.push("older".to_string());
        let table = to_table(&status);
        assert!(table.starts_with("quickstart: 1 run, "), "{table}");
        assert!(table.contains("2 run folders are not in the plan"), "{table}");
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    }
}
