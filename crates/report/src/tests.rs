//! Claims about the whole page, over reports of every kind.

use std::time::Instant;

use scalelaw_findings::learning_rate::{LrConclusion, LrRow, best_learning_rates};
use scalelaw_fit::conclusion::Conclusion;
use scalelaw_schema::count::CountRule;
use scalelaw_schema::lr_rule::{Beta2Rule, LrRule, RuleExponents, RulePoint, RuleRange};
use scalelaw_schema::recipe::{Parametrisation, Schedule};
use scalelaw_schema::sweep::TokenizerChoice;

use crate::simulated::{self, Simulated};
use crate::simulated_skills;
use crate::skills::SkillReport;
use crate::{ReportInput, csv, html, markdown, svgs};

const REFUSAL: &str = "the fit is refused: 4 runs cannot tell 5 parameters (hint: add a budget; add sizes)";

fn input<'a>(simulated: &'a Simulated, conclusion: Result<&'a Conclusion, &'a str>) -> ReportInput<'a> {
    ReportInput {
        plan: Some(&simulated.plan),
        rows: &simulated.rows,
        curves: &simulated.curves,
        problems: &simulated.problems,
        table: &simulated.table,
        learning_rate: None,
        conclusion,
        skills: None,
        generated: "2026-11-22 14:05 UTC",
        program: "scalelaw 0.1.0 (6b60c00)",
    }
}

/// Every kind of report, by name, given to `check`.
fn for_each_kind(check: impl Fn(&str, &ReportInput)) {
    let sweep = simulated::sweep(3, 5);
    let concluded = sweep.conclusion.as_ref().expect("thirteen runs of a known law are fitted");
    check("concluded", &input(&sweep, Ok(concluded)));
    // As slow to fit as a hundred pages to write: once for all claims.
    static SKILLS: std::sync::OnceLock<simulated_skills::SimulatedSkills> = std::sync::OnceLock::new();
    let skills = SKILLS.get_or_init(|| simulated_skills::simulate(150, ""));
    let report = skills.report();
    check("skills", &ReportInput { skills: Some(&report), ..input(&sweep, Ok(concluded)) });
    let bare = SkillReport { tables: &[], ..report };
    check("skills without their runs", &ReportInput { skills: Some(&bare), ..input(&sweep, Err(REFUSAL)) });
    check("no skills", &ReportInput { skills: Some(&SkillReport::default()), ..input(&sweep, Err(REFUSAL)) });
    check("refused", &input(&sweep, Err(REFUSAL)));
    check("without curves", &ReportInput { curves: &[], ..input(&sweep, Ok(concluded)) });
    check(
        "a user's own table",
        &ReportInput { plan: None, rows: &[], curves: &[], problems: &[], ..input(&sweep, Ok(concluded)) },
    );

    let mut waiting = simulated::sweep(3, 5);
    waiting.rows.clear();
    waiting.curves.clear();
    waiting.table.rows.clear();
    waiting.table.excluded.clear();
    check("nothing finished", &input(&waiting, Err(REFUSAL)));

    let one = simulated::sweep(1, 5);
    check("one budget", &input(&one, Err(REFUSAL)));
    let single = simulated::sweep(1, 1);
    check("one run", &input(&single, Err(REFUSAL)));

    let mut diverged = simulated::sweep(3, 5);
    for row in &mut diverged.rows {
        row.outcome = scalelaw_schema::record::Outcome::Diverged { step: 3 };
        row.loss = None;
    }
    diverged.table.rows.clear();
    check("all diverged", &input(&diverged, Err(REFUSAL)));

    let rates = learning_rates(&sweep);
    check("an lr sweep", &ReportInput { learning_rate: Some(&rates), ..input(&sweep, Err(REFUSAL)) });
    let mut by_rule = simulated::sweep(3, 5);
    by_rule.plan.lr_rule = Some(lr_rule());
    check("rates by a measured rule", &input(&by_rule, Err(REFUSAL)));

    // What no fit should hand over must still not reach a reader.
    let mut broken = concluded.clone();
    let fit = &mut broken.fits[0];
    fit.resamples.clear();
    fit.intervals.clear();
    fit.rms_log_residual = f64::NAN;
    fit.residuals[0].residual = f64::INFINITY;
    fit.residuals[0].fitted = f64::NAN;
    if let Some(optimum) = &mut fit.optimum {
        optimum.intervals.clear();
        (optimum.a, optimum.n_coefficient) = (f64::NAN, f64::NAN);
    }
    fit.diagnostics = None;
    for minimum in broken.approach2.iter_mut().flat_map(|approach| &mut approach.minima) {
        minimum.parabola = [f64::NAN; 3];
        minimum.loss = Some(f64::NAN);
    }
    check("numbers that are none", &input(&sweep, Ok(&broken)));
    broken.fits.clear();
    check("no fit", &input(&sweep, Ok(&broken)));
}

/// As if the first two runs had been trained at five rates each, the second with its best rate at the grid's edge.
fn learning_rates(sweep: &Simulated) -> LrConclusion {
    let mut rows = Vec::new();
    for (planned, best) in sweep.plan.runs.iter().zip([2.0, 16.0]) {
        let train = &planned.run.train;
        for factor in [0.25, 0.5, 1.0, 2.0, 4.0f64] {
            let off = (factor / best).ln();
            rows.push(LrRow {
                name: planned.run.id.to_string(),
                n: train.model.params().total() as f64,
                d: train.tokens() as f64,
                batch_tokens: train.phase_at(0).batch_tokens() as f64,
                beta2: 0.95,
                variant: String::new(),
                lr: factor * train.recipe.lr_peak,
                loss: Some(2.5 * (0.02 * off * off).exp()),
            });
        }
    }
    best_learning_rates("simulated", &rows, 0.95)
}

fn lr_rule() -> LrRule {
    LrRule {
        schema_version: 1,
        sweep: "probe <of> rates".to_string(),
        program: "0.1.0".to_string(),
        count_rule: CountRule::Exact,
        lr: 4e-3,
        lr_interval: None,
        level: 0.95,
        rms_ln_residual: 0.01,
        n_optima: 1,
        curvature: 0.02,
        reference: RulePoint { n: 1e5, d: 1e6, batch_tokens: 1024.0 },
        exponents: RuleExponents::default(),
        range: RuleRange { n: [1e5; 2], d: [1e6; 2], batch_tokens: [1024.0; 2] },
        beta2: Beta2Rule { beta2: 0.95, batch_tokens: 1024.0, measured: false },
        schedule: Schedule::Constant,
        context_len: vec![128],
        tokenizer: vec![TokenizerChoice::Bytes],
        parametrisation: Parametrisation::Standard,
    }
}

#[test]
fn every_run_is_shown_with_its_distance_from_the_best_rate() {
    let sweep = simulated::sweep(3, 5);
    let rates = learning_rates(&sweep);
    let report = markdown(&ReportInput { learning_rate: Some(&rates), ..input(&sweep, Err(REFUSAL)) });
    // Half the best rate costs 0.02·ln²2 of ln loss: 0.97 %.
    let rows: Vec<&str> = report.lines().filter(|line| line.contains(" 0.97 % |")).collect();
    assert!(rows.len() == 1 && rows[0].contains(" 0.50 |"), "{report}");
    assert!(report.contains("none: the largest rate"), "{report}");

    let mut sweep = sweep;
    sweep.plan.lr_rule = Some(lr_rule());
    let report = markdown(&input(&sweep, Err(REFUSAL)));
    let ratio = sweep.plan.runs[0].run.train.recipe.lr_peak / 4e-3;
    let cost = 100.0 * (0.02 * ratio.ln().powi(2)).exp_m1();
    assert!(report.contains(&format!("| {ratio:.2} | {cost:.2} % |")), "{ratio} {cost}\n{report}");
    assert!(report.contains("probe &lt;of> rates"), "{report}");

    // Nothing is known of a best rate, so nothing is said.
    assert!(!markdown(&input(&simulated::sweep(3, 5), Err(REFUSAL))).contains("best learning rate"));
}

/// The text of a page without its tags, style and script.
fn visible(page: &str) -> String {
    let page = without(&without(page, "<style>", "</style>"), "<script>", "</script>");
    let mut text = String::new();
    let mut is_tag = false;
    for c in page.chars() {
        match c {
            '<' => is_tag = true,
            '>' => {
                is_tag = false;
                text.push(' ');
            }
            c if !is_tag => text.push(c),
            _ => {}
        }
    }
    text
}

fn without(text: &str, from: &str, to: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once(from) {
        out.push_str(before);
        rest = inside.split_once(to).map_or("", |(_, after)| after);
    }
    out + rest
}

#[test]
fn a_page_loads_nothing_from_anywhere() {
    for_each_kind(|kind, input| {
        let page = html(input);
        for load in ["http://", "https://", "src=", "@import", "url(http", "<link", "fetch("] {
            assert!(!page.contains(load), "{kind}: {load}");
        }
    });
}

#[test]
fn no_report_shows_a_number_that_is_none() {
    for_each_kind(|kind, input| {
        let mut texts = vec![
            visible(&html(input)),
            html(input).replace(include_str!("script.js"), ""),
            markdown(input),
            csv(input),
        ];
        texts.extend(svgs(input).into_iter().map(|(_, svg)| svg));
        for (idx, text) in texts.iter().enumerate() {
            let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
            for word in ["NaN", "nan", "null", "inf", "Inf", "infinity", "undefined", "None", "Some"] {
                if let Some(at) = words.iter().position(|found| *found == word) {
                    panic!(
                        "{kind}, text {idx}: {word} in … {} …",
                        words[at.saturating_sub(8)..at + 1].join(" ")
                    );
                }
            }
        }
    });
}

#[test]
fn every_run_stands_in_every_report() {
    for_each_kind(|kind, input| {
        let texts = [html(input), markdown(input), csv(input)];
        let planned = input.plan.iter().flat_map(|plan| &plan.runs).map(|planned| planned.run.id.as_str());
        let named = input.table.rows.iter().map(|row| row.name.as_str());
        for id in planned.chain(named) {
            for text in &texts {
                assert!(text.contains(id), "{kind}: {id}");
            }
        }
    });
}

#[test]
fn tags_are_balanced() {
    const EMPTY: [&str; 2] = ["meta", "!doctype"];
    for_each_kind(|kind, input| {
        let page = html(input);
        let markup = without(&without(&page, "<style>", "</style>"), "<script>", "</script>");
        let mut pictures: Vec<String> = svgs(input).into_iter().map(|(_, svg)| svg).collect();
        pictures.push(markup);
        for text in pictures {
            let mut open: Vec<&str> = Vec::new();
            for tag in text.split('<').skip(1) {
                let (tag, _) = tag.split_once('>').expect("a tag ends");
                let name = tag
                    .trim_start_matches('/')
                    .split([' ', '\n'])
                    .next()
                    .unwrap_or_default()
                    .trim_end_matches('/');
                if let Some(closed) = tag.strip_prefix('/') {
                    assert_eq!(open.pop(), Some(closed), "{kind}");
                } else if !tag.ends_with('/') && !EMPTY.contains(&name) {
                    open.push(name);
                }
            }
            assert!(open.is_empty(), "{kind}: {open:?}");
        }
    });
}

#[test]
fn ids_are_unique() {
    for_each_kind(|kind, input| {
        let page = html(input);
        let mut ids: Vec<&str> =
            page.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let n_ids = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), n_ids, "{kind}: {ids:?}");
    });
}

#[test]
fn text_of_a_user_is_never_markup() {
    const EVIL: &str = "<script>alert(1)</script>\"' onload=x & <b>";
    let mut sweep = simulated::sweep(3, 5);
    sweep.plan.sweep = EVIL.to_string();
    sweep.plan.question = Some(EVIL.to_string());
    sweep.plan.dropped[0].cell = EVIL.to_string();
    sweep.plan.dropped[0].why = EVIL.to_string();
    sweep.plan.warnings.push(EVIL.to_string());
    sweep.plan.runs[0].run.corpora[0].name = EVIL.to_string();
    sweep.problems[0].why = EVIL.to_string();
    sweep.table.loss_name = EVIL.to_string();
    sweep.table.source = EVIL.to_string();
    for row in &mut sweep.rows {
        row.device = EVIL.to_string();
        row.program = EVIL.to_string();
        row.losses.insert(EVIL.to_string(), 1.0);
    }
    let mut conclusion = sweep.conclusion.clone().unwrap();
    conclusion.warnings.push(EVIL.to_string());
    conclusion.fits[0].notes.push(EVIL.to_string());
    conclusion.fits[0].law = EVIL.to_string();
    conclusion.loss_name = EVIL.to_string();
    let skills = simulated_skills::simulate(150, EVIL);
    let report = skills.report();
    for conclusion in [Ok(&conclusion), Err(EVIL)] {
        let input = ReportInput {
            generated: EVIL,
            program: EVIL,
            skills: Some(&report),
            ..input(&sweep, conclusion)
        };
        let page = html(&input).replace(include_str!("script.js"), "");
        assert_eq!(page.matches("<script>").count(), 1, "the page's own");
        assert!(!page.contains("alert(1)</script>"));
        let markdown = markdown(&input);
        assert!(!markdown.contains("<script>"), "{markdown}");
        assert!(svgs(&input).iter().all(|(_, svg)| !svg.contains("<script>")));
    }
    conclusion.fits[0].equation = EVIL.to_string();
    let page = html(&input(&sweep, Ok(&conclusion))).replace(include_str!("script.js"), "");
    assert_eq!(page.matches("<script>").count(), 1, "the page's own");
}

#[test]
fn the_parts_come_in_their_order_and_a_refusal_says_what_would_settle_it() {
    let sweep = simulated::sweep(3, 5);
    let page = html(&input(&sweep, sweep.conclusion.as_ref().map_err(String::as_str)));
    let places: Vec<usize> = [
        "results",
        "plan",
        "curves",
        "isoflop",
        "loss",
        "residuals",
        "frontier",
        "runs",
        "provenance",
        "reading",
    ]
    .iter()
    .map(|id| page.find(&format!("<section id=\"{id}\">")).unwrap_or_else(|| panic!("no {id}")))
    .collect();
    assert!(places.is_sorted(), "{places:?}");

    let refused = html(&input(&sweep, Err(REFUSAL)));
    let text = visible(&refused);
    assert!(text.contains("4 runs cannot tell 5 parameters") && text.contains("What would settle it"));
    // Without a law there is neither a residual nor a frontier to show, but the runs are.
    assert!(!refused.contains("id=\"residuals\"") && refused.contains("id=\"isoflop\""));
}

#[test]
fn a_run_is_tied_together_over_all_charts_and_the_table() {
    let sweep = simulated::sweep(3, 5);
    let page = html(&input(&sweep, sweep.conclusion.as_ref().map_err(String::as_str)));
    // Two curves with their ends, the IsoFLOP point, three losses, two residuals, three frontiers, a row.
    assert_eq!(page.matches(" data-r=\"0\"").count(), 4 + 1 + 3 + 2 + 3 + 1);
}

#[test]
fn what_was_left_out_is_said_with_its_reason() {
    let sweep = simulated::sweep(3, 5);
    let text = visible(&html(&input(&sweep, sweep.conclusion.as_ref().map_err(String::as_str))));
    for reason in
        ["left every bound at step 412", "out of memory at a micro-batch of 1", "142 steps are fewer"]
    {
        assert!(text.contains(reason), "{reason}");
    }
}

#[test]
fn a_thousand_runs_stay_small_and_quick() {
    let mut sweep = simulated::sweep(3, 5);
    let (runs, rows, curves, losses) =
        (sweep.plan.runs.clone(), sweep.rows.clone(), sweep.curves.clone(), sweep.table.rows.clone());
    let conclusion = sweep.conclusion.clone().unwrap();
    for copy in 1..72u64 {
        // Other seeds of the same cells: new ids, the same lengths.
        let id_of = |old: &str| -> scalelaw_schema::run_id::RunId {
            let digits = u64::from_str_radix(old, 16).unwrap().wrapping_add(copy << 20) & 0xffff_ffff_ffff;
            format!("{digits:012x}").parse().unwrap()
        };
        for planned in &runs {
            let mut planned = planned.clone();
            planned.run.id = id_of(planned.run.id.as_str());
            sweep.plan.runs.push(planned);
        }
        sweep.rows.extend(rows.iter().cloned().map(|mut row| {
            row.run_id = id_of(row.run_id.as_str());
            row
        }));
        sweep.curves.extend(curves.iter().cloned().map(|mut point| {
            point.run_id = id_of(point.run_id.as_str());
            point
        }));
        sweep.table.rows.extend(losses.iter().cloned().map(|mut row| {
            row.name = id_of(&row.name).to_string();
            row
        }));
    }
    assert!(sweep.plan.runs.len() > 1000);
    let start = Instant::now();
    let page = html(&input(&sweep, Ok(&conclusion)));
    println!("{} runs: {:.1} MB in {:?}", sweep.plan.runs.len(), page.len() as f64 / 1e6, start.elapsed());
    assert!(page.len() < 10_000_000, "{} bytes", page.len());
}
