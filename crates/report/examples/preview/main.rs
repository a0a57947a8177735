//! Writes the page of a simulated sweep: `cargo run -p scalelaw-report --example preview -- report.html`.
//! After the path: `refusal` for a fit that refused, `skills` for a sweep judged by skills, or numbers of budgets
//! and sizes.

mod simulated;
mod simulated_skills;

use scalelaw_report::ReportInput;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().map_or("report.html", String::as_str);
    let number = |idx: usize, usual: usize| arguments.get(idx).and_then(|x| x.parse().ok()).unwrap_or(usual);
    let simulated = simulated::sweep(number(1, 3), number(2, 5));
    let refusal = "the fit is refused: the interval of alpha reaches both bounds (hint: two more sizes per budget, half a decade further out; a fourth budget of 8.1e12 FLOPs)";
    let is_refused = arguments.iter().any(|argument| argument == "refusal");
    let skills =
        arguments.iter().any(|argument| argument == "skills").then(|| simulated_skills::simulate(1000, ""));
    let skills = skills.as_ref().map(|skills| skills.report());
    let input = ReportInput {
        plan: Some(&simulated.plan),
        rows: &simulated.rows,
        curves: &simulated.curves,
        problems: &simulated.problems,
        table: &simulated.table,
        learning_rate: None,
        conclusion: if is_refused {
            Err(refusal)
        } else {
            simulated.conclusion.as_ref().map_err(String::as_str)
        },
        skills: skills.as_ref(),
        generated: "2026-11-22 14:05 UTC",
        program: "scalelaw 0.1.0 (6b60c00)",
    };
    std::fs::write(path, scalelaw_report::html(&input))?;
    let stem = path.trim_end_matches(".html");
    std::fs::write(format!("{stem}.md"), scalelaw_report::markdown(&input))?;
    for (name, svg) in scalelaw_report::svgs(&input) {
        std::fs::write(format!("{stem}-{name}.svg"), svg)?;
    }
    Ok(())
}
