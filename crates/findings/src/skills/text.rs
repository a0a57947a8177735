//! A skill conclusion as text for a terminal.

use std::fmt::Write;

use super::conclusion::{Bound, Edge, Residual, SkillConclusion, SkillOptimum, TextFit};
use scalelaw_fit::conclusion::Interval;
use scalelaw_fit::text::{number, wrap};

/// The conclusion at `width` columns, without colour.
pub fn render(found: &SkillConclusion, width: usize) -> String {
    let width = width.clamp(40, 120);
    let mut out = String::new();
    let head = format!(
        "{}: {} skills against `{}` over {} runs, N and C counted as `{}`",
        found.source,
        found.skills.len(),
        found.aggregate.name,
        found.aggregate.n_rows,
        found.count_rule
    );
    wrap(&mut out, &head, 0, width);
    let name_width =
        found.skills.iter().map(|skill| skill.name.chars().count()).max().unwrap_or(5).clamp(5, 24);
    let _ = writeln!(out, "\nN* of the skill over N* of the aggregate, mean over the budgets");
    for residual in &found.residuals {
        let skill: String = residual.skill.chars().take(name_width).collect();
        let text = residual.pooled().map_or("not known".to_owned(), ratio);
        let _ = writeln!(out, "  {skill:<name_width$}  {text:<28}  {}", residual.label.name());
        let why = match &residual.label_interval {
            Some(interval) => format!(
                "{}; interval of the label {} (level {:.2} %)",
                residual.why,
                ratio_ends(interval),
                100.0 * interval.level
            ),
            None => residual.why.clone(),
        };
        wrap(&mut out, &why, 4, width);
    }
    for text in std::iter::once(&found.aggregate).chain(&found.skills) {
        out.push('\n');
        optima(&mut out, text, width);
    }
    out.push('\n');
    wrap(&mut out, &format!("labels: {}", found.rule), 0, width);
    let method = format!(
        "intervals: {:.0} %, wild bootstrap, {} draws shared by all texts",
        100.0 * found.level,
        found.draws
    );
    wrap(&mut out, &method, 0, width);
    for warning in &found.warnings {
        wrap(&mut out, &format!("warning: {warning}"), 0, width);
    }
    out
}

fn optima(out: &mut String, text: &TextFit, width: usize) {
    let _ = writeln!(out, "{}", text.name);
    let _ = writeln!(out, "  {:>10}  {:<32}  N* by the parabola", "budget", "N* by the law");
    for (idx, minimum) in text.by_minima.iter().enumerate() {
        let by_law = text.by_surface.get(idx).map_or("-".to_owned(), size);
        let _ = writeln!(out, "  {:>10}  {by_law:<32}  {}", format!("{:.3e}", minimum.budget), size(minimum));
    }
    if let Some(why) = &text.why_no_fit {
        wrap(out, why, 2, width);
    }
}

fn size(optimum: &SkillOptimum) -> String {
    match (optimum.n, optimum.edge) {
        (Some(n), _) => {
            let ends = optimum.n_interval.as_ref().map_or(String::new(), |interval| {
                format!(" [{}, {}]", number(interval.low), number(interval.high))
            });
            format!("{}{ends}", number(n))
        }
        (None, Some(Edge::Smallest)) => "none: at the smallest size".to_owned(),
        (None, Some(Edge::Largest)) => "none: at the largest size".to_owned(),
        (None, None) => "none".to_owned(),
    }
}

fn ratio(residual: &Residual) -> String {
    let sign = match residual.bound {
        None => "",
        Some(Bound::AtLeast) => ">= ",
        Some(Bound::AtMost) => "<= ",
        Some(Bound::Mixed) => "about ",
    };
    let ends = residual.interval.as_ref().map_or(String::new(), |i| format!(" {}", ratio_ends(i)));
    format!("{sign}{:.2}{ends}", residual.ratio())
}

fn ratio_ends(interval: &Interval) -> String {
    format!("[{:.2}, {:.2}]", interval.low.exp(), interval.high.exp())
}
