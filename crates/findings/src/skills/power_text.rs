//! What a planned sweep will tell of its labels, as text for a terminal.

use super::power::{LabelPower, SweepLabels};
use scalelaw_fit::text::wrap;

/// Columns of what is described.
const NAME_WIDTH: usize = 27;

/// What to expect of the labels, at `width` columns.
pub fn render_labels(labels: &SweepLabels, width: usize) -> String {
    let width = width.clamp(40, 120);
    let mut out = String::new();
    let SweepLabels { n_skills, tie, skill } = labels;
    let head = format!(
        "labels of {n_skills} {} over {} simulated sweeps; a residual is the mean over the budgets of ln N*(skill) - ln N*(aggregate)",
        if *n_skills == 1 { "skill" } else { "skills" },
        tie.draws
    );
    wrap(&mut out, &head, 0, width);
    let strictest = 1.0 - (1.0 - tie.level) / (*n_skills).max(1) as f64;
    out.push_str("\na skill that wants what the aggregate wants (a tie)\n");
    line(&mut out, &format!("{} interval", percent(tie.level)), &widths(tie), width);
    line(&mut out, "holds the truth in", &percent(tie.coverage), width);
    line(
        &mut out,
        "labelled wrongly in",
        &format!(
            "{}, by the {:.2} % interval that the strictest step of Holm's procedure takes",
            percent(tie.wrong),
            100.0 * strictest
        ),
        width,
    );
    line(&mut out, "labelled four times in five", &format!("a residual of {}", ratio(tie.detectable)), width);
    missing(&mut out, tie, width);
    if let Some(skill) = skill {
        out.push_str("\na skill of the assumed law\n");
        line(&mut out, "residual", &ratio(skill.truth), width);
        line(&mut out, &format!("{} interval", percent(skill.level)), &widths(skill), width);
        line(&mut out, "holds the truth in", &percent(skill.coverage), width);
        line(&mut out, "labelled in", &percent(skill.labelled), width);
        line(&mut out, "labelled wrongly in", &percent(skill.wrong), width);
        missing(&mut out, skill, width);
    }
    out.push('\n');
    wrap(
        &mut out,
        "the errors of a run in skill and aggregate are drawn apart, which is cautious: luck that a run has in both cancels in the residual",
        0,
        width,
    );
    out
}

fn line(out: &mut String, name: &str, text: &str, width: usize) {
    wrap(out, &format!("{name:<NAME_WIDTH$}  {text}"), 2, width);
}

fn missing(out: &mut String, power: &LabelPower, width: usize) {
    if power.missing > 0.0 {
        line(out, "no interval in", &percent(power.missing), width);
    }
}

fn widths(power: &LabelPower) -> String {
    format!("width: median {:.2}, 90 % of the sweeps below {:.2}", power.width, power.width90)
}

fn ratio(residual: f64) -> String {
    format!("{residual:.2} (sizes {:.2} times apart)", residual.abs().exp())
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}
