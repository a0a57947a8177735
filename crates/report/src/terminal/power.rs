//! What a planned sweep will be able to tell: intervals of the law, labels of skills.

use scalelaw_findings::skills::power::{LabelPower, SweepLabels};
use scalelaw_fit::Power;
use scalelaw_schema::LEVEL;

use crate::text::table::Table;
use crate::text::{self, wrap};

/// Intervals to expect of the law; `largest` is the compute of the largest planned run.
pub fn text(power: &Power, largest: f64, width: usize) -> String {
    let rows = power
        .expected
        .iter()
        .map(|(name, expected)| {
            let name = match name.as_str() {
                "log10_n_at_largest_budget" => "log10 N*, largest budget",
                "loss at prediction 1" => "loss at ten times the compute",
                other => other,
            };
            vec![
                name.to_string(),
                text::or_unknown(expected.truth, |truth| text::fixed(truth, 4)),
                text::ends([expected.low, expected.high], |x| text::fixed(x, 4)),
                text::fixed(expected.width, 4),
            ]
        })
        .collect();
    let level = power.expected.values().next().map_or(LEVEL, |expected| expected.level);
    let interval = format!("#{} % interval", text::level(level));
    let title = format!(
        "What {} would tell, over {}",
        text::counted(power.runs, "run"),
        text::counted(power.draws, "simulated sweep")
    );
    let mut out = Table::new(title, &["Quantity", "#Truth", &interval, "#Width"], rows)
        .with_note(format!(
            "Largest planned run: {} FLOPs; ends and widths are medians over the sweeps.",
            text::flops(largest)
        ))
        .terminal(width);
    if power.refused > 0.0 {
        let why = power.why_refused.as_deref().unwrap_or("no reason was given");
        let share = text::percent(power.refused, 0);
        out.push_str(&wrap(&format!("refused in {share} of them, mostly: {why}"), 2, width));
    }
    out
}

/// What to expect of the labels of skills.
pub fn labels(labels: &SweepLabels, width: usize) -> String {
    let SweepLabels { n_skills, tie, skill } = labels;
    let mut out = wrap(
        &format!(
            "Labels of {} over {}; a residual is the mean over the budgets of ln N*(skill) - ln N*(aggregate)",
            text::counted(*n_skills, "skill"),
            text::counted(tie.draws, "simulated sweep")
        ),
        0,
        width,
    );
    let strictest = 1.0 - (1.0 - tie.level) / (*n_skills).max(1) as f64;
    let mut rows = vec![interval(tie)];
    rows.push(row("holds the truth in", text::percent(tie.coverage, 0)));
    rows.push(row(
        "labelled wrongly in",
        format!(
            "{}, by the {} % interval that the strictest step of Holm's procedure takes",
            text::percent(tie.wrong, 0),
            text::level(strictest)
        ),
    ));
    rows.push(row("labelled four times in five", format!("a residual of {}", ratio(tie.detectable))));
    rows.extend(missing(tie));
    out.push('\n');
    out.push_str(&block("A skill that wants what the aggregate wants (a tie)", rows, width));
    if let Some(skill) = skill {
        let mut rows = vec![row("residual", ratio(skill.truth)), interval(skill)];
        rows.push(row("holds the truth in", text::percent(skill.coverage, 0)));
        rows.push(row("labelled in", text::percent(skill.labelled, 0)));
        rows.push(row("labelled wrongly in", text::percent(skill.wrong, 0)));
        rows.extend(missing(skill));
        out.push('\n');
        out.push_str(&block("A skill of the assumed law", rows, width));
    }
    out.push('\n');
    out.push_str(&wrap(
        "The errors of a run in skill and aggregate are drawn independently, which is cautious: luck that a run has in both cancels in the residual.",
        0,
        width,
    ));
    out
}

fn block(title: &str, rows: Vec<[String; 2]>, width: usize) -> String {
    Table::new(title, &["", ""], rows.into_iter().map(Vec::from).collect()).terminal(width)
}

fn row(name: &str, what: String) -> [String; 2] {
    [name.to_string(), what]
}

fn interval(power: &LabelPower) -> [String; 2] {
    let name = format!("{} % interval", text::level(power.level));
    let widths = [power.width, power.width90].map(|x| text::fixed(x, 2));
    [name, format!("width: median {}, 90 % of the sweeps below {}", widths[0], widths[1])]
}

fn missing(power: &LabelPower) -> Option<[String; 2]> {
    (power.missing > 0.0).then(|| row("no interval in", text::percent(power.missing, 0)))
}

fn ratio(residual: f64) -> String {
    format!("{} (sizes {} times apart)", text::fixed(residual, 2), text::fixed(residual.abs().exp(), 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_told_in_lines_that_fit_and_with_holms_strictest_level() {
        let tie = LabelPower {
            runs: 40,
            draws: 30,
            truth: 0.0,
            width: 0.31,
            width90: 0.44,
            coverage: 0.93,
            level: 0.95,
            labelled: 0.07,
            wrong: 0.03,
            detectable: 0.27,
            missing: 0.0,
        };
        let skill = LabelPower { truth: 0.7068, labelled: 0.9, missing: 0.02, ..tie.clone() };
        let found = SweepLabels { n_skills: 4, tie, skill: Some(skill) };
        let shown = labels(&found, 80);
        assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
        for part in [
            "Labels of 4 skills",
            "98.75 %",
            "median 0.31",
            "0.27 (sizes 1.31 times apart)",
            "0.71 (sizes 2.03 times apart)",
            "no interval in",
        ] {
            assert!(shown.contains(part), "`{part}`\n{shown}");
        }
        assert!(!labels(&SweepLabels { skill: None, ..found }, 80).contains("assumed law"));
    }
}
