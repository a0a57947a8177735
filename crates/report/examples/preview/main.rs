//! Writes the page of a simulated sweep: `cargo run -p scalelaw-report --example preview -- report.html`.
//! After the path: `refusal` for a fit that refused, `skills` for a sweep evaluated skill by skill, `lr` for learning
//! rates, or numbers of budgets and sizes.

mod testing;

use scalelaw_report::ReportInput;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let path = arguments.first().map_or("report.html", String::as_str);
    let number = |idx: usize, usual: usize| arguments.get(idx).and_then(|x| x.parse().ok()).unwrap_or(usual);
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let mut sweep = testing::sweep::sweep(number(1, 3), number(2, 5));
    let rates = has("lr").then(|| testing::learning_rate::learning_rates(&sweep));
    sweep.plan.lr_rule = has("lr").then(testing::learning_rate::lr_rule);
    let skills = has("skills").then(|| testing::skills::simulate(1000, ""));
    let skills = skills.as_ref().map(|skills| skills.report());
    let refusal = testing::refusal();
    let scaling = if has("refusal") { testing::refused(&refusal) } else { Ok(sweep.fitted()) };
    let input = ReportInput {
        learning_rate: rates.as_ref(),
        skills: skills.as_ref(),
        ..testing::input(&sweep, scaling)
    };
    std::fs::write(path, scalelaw_report::html(&input))?;
    let stem = path.trim_end_matches(".html");
    std::fs::write(format!("{stem}.md"), scalelaw_report::markdown(&input))?;
    let mut text = scalelaw_report::terminal::scaling::text(scaling, 80);
    text.extend(rates.iter().map(|rates| scalelaw_report::terminal::learning_rate::text(rates, 80)));
    text.extend(skills.iter().map(|skills| scalelaw_report::terminal::skills::text(skills, 80)));
    std::fs::write(format!("{stem}.txt"), text)?;
    for (name, svg) in scalelaw_report::svgs(&input) {
        std::fs::write(format!("{stem}-{name}.svg"), svg)?;
    }
    Ok(())
}
