//! Claims about the whole page, over reports of every kind.

use std::time::Instant;

use scalelaw_findings::CurveHealth;
use scalelaw_findings::curve_health::{Comparison, OffCurve};

use crate::testing::learning_rate::{learning_rates, lr_rule};
use crate::testing::{input, refusal, refused, skills, sweep};
use crate::{Refusal, ReportInput, SkillReport, html, markdown, svgs, terminal};

/// Every kind of report, by name, given to `check`.
fn for_each_kind(check: impl Fn(&str, &ReportInput)) {
    let sweep = sweep::sweep(3, 5);
    let concluded = sweep.fitted();
    let refusal = refusal();
    let refused = refused(&refusal);
    check("concluded", &input(&sweep, Ok(concluded)));
    // As slow to fit as a hundred pages to write: once for all claims.
    static SKILLS: std::sync::OnceLock<skills::SimulatedSkills> = std::sync::OnceLock::new();
    let skills = SKILLS.get_or_init(|| skills::simulate(150, ""));
    let report = skills.report();
    check("skills", &ReportInput { skills: Some(&report), ..input(&sweep, Ok(concluded)) });
    let bare = SkillReport { tables: &[], ..report.clone() };
    check("skills without their runs", &ReportInput { skills: Some(&bare), ..input(&sweep, refused) });
    check("no skills", &ReportInput { skills: Some(&SkillReport::default()), ..input(&sweep, refused) });
    check("refused", &input(&sweep, refused));
    check("without curves", &ReportInput { curves: &[], ..input(&sweep, Ok(concluded)) });
    check(
        "a user's own table",
        &ReportInput { plan: None, rows: &[], curves: &[], problems: &[], ..input(&sweep, Ok(concluded)) },
    );

    let mut waiting = sweep::sweep(3, 5);
    waiting.rows.clear();
    waiting.curves.clear();
    waiting.table.rows.clear();
    waiting.table.excluded.clear();
    check("nothing finished", &input(&waiting, refused));

    let one = sweep::sweep(1, 5);
    check("one budget", &input(&one, refused));
    let single = sweep::sweep(1, 1);
    check("one run", &input(&single, refused));

    let mut diverged = sweep::sweep(3, 5);
    for row in &mut diverged.rows {
        row.outcome = scalelaw_schema::record::Outcome::Diverged { step: 3 };
        row.loss = None;
    }
    diverged.table.rows.clear();
    check("all diverged", &input(&diverged, refused));

    let rates = learning_rates(&sweep);
    check("an lr sweep", &ReportInput { learning_rate: Some(&rates), ..input(&sweep, refused) });
    let mut by_rule = sweep::sweep(3, 5);
    by_rule.plan.lr_rule = Some(lr_rule());
    check("rates by a measured rule", &input(&by_rule, refused));

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

#[test]
fn every_run_is_shown_with_its_distance_from_the_best_rate() {
    let sweep = sweep::sweep(3, 5);
    let refusal = refusal();
    let refused = refused(&refusal);
    let rates = learning_rates(&sweep);
    let report = markdown(&ReportInput { learning_rate: Some(&rates), ..input(&sweep, refused) });
    // Half the best rate costs 0.02·ln²2 of ln loss: 0.97 %.
    let rows: Vec<&str> = report.lines().filter(|line| line.contains(" 0.50 | 0.97 % |")).collect();
    assert!(rows.len() == 1, "{report}");
    assert!(report.contains("none: the largest rate"), "{report}");

    let mut sweep = sweep;
    sweep.plan.lr_rule = Some(lr_rule());
    let report = markdown(&input(&sweep, refused));
    let ratio = sweep.plan.runs[0].run.train.recipe.lr_peak / 4e-3;
    let cost = 100.0 * (0.02 * ratio.ln().powi(2)).exp_m1();
    assert!(report.contains(&format!("| {ratio:.2} | {cost:.2} % |")), "{ratio} {cost}\n{report}");
    assert!(report.contains("probe &lt;of> rates"), "{report}");

    // Nothing is known of a best rate, so nothing is said.
    assert!(!markdown(&input(&sweep::sweep(3, 5), refused)).contains("best learning rate"));
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
            html(input).replace(include_str!("page/script.js"), ""),
            markdown(input),
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
        let texts = [html(input), markdown(input)];
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
    let mut sweep = sweep::sweep(3, 5);
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
    let mut conclusion = sweep.fitted().clone();
    conclusion.warnings.push(EVIL.to_string());
    conclusion.fits[0].notes.push(EVIL.to_string());
    conclusion.fits[0].law = EVIL.to_string();
    conclusion.loss_name = EVIL.to_string();
    let skills = skills::simulate(150, EVIL);
    let report = skills.report();
    let settle = [EVIL.to_string()];
    for conclusion in [Ok(&conclusion), Err(Refusal { why: EVIL, settle: &settle })] {
        let input = ReportInput {
            generated: EVIL,
            program: EVIL,
            skills: Some(&report),
            ..input(&sweep, conclusion)
        };
        let page = html(&input).replace(include_str!("page/script.js"), "");
        assert_eq!(page.matches("<script>").count(), 1, "the page's own");
        assert!(!page.contains("alert(1)</script>"));
        let markdown = markdown(&input);
        assert!(!markdown.contains("<script>"), "{markdown}");
        assert!(svgs(&input).iter().all(|(_, svg)| !svg.contains("<script>")));
    }
    conclusion.fits[0].equation = EVIL.to_string();
    let page = html(&input(&sweep, Ok(&conclusion))).replace(include_str!("page/script.js"), "");
    assert_eq!(page.matches("<script>").count(), 1, "the page's own");
}

#[test]
fn the_parts_come_in_their_order() {
    let sweep = sweep::sweep(3, 5);
    let page = html(&input(&sweep, Ok(sweep.fitted())));
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

    let (why, settle) = &refusal();
    let page = html(&input(&sweep, Err(Refusal { why, settle })));
    // Without a law there is neither a residual nor a frontier to show, but the runs are.
    assert!(!page.contains("id=\"residuals\"") && page.contains("id=\"isoflop\""));
}

#[test]
fn a_refusal_of_the_fit_says_what_would_settle_it_wherever_it_is_written() {
    let sweep = sweep::sweep(3, 5);
    let (why, settle) = &refusal();
    assert!(!settle.is_empty(), "{why}");
    let input = input(&sweep, Err(Refusal { why, settle }));
    for text in [html(&input), markdown(&input), terminal::scaling::text(input.scaling, 500)] {
        let text = text.replace("<code>", "`").replace("</code>", "`");
        assert!(text.to_lowercase().contains("what would settle it"), "{text}");
        for sentence in settle.iter().chain([why]) {
            let end = &sentence[1..];
            assert!(text.contains(end), "{sentence}\n{text}");
        }
    }
}

#[test]
fn a_run_is_tied_together_over_all_charts_and_the_table() {
    let sweep = sweep::sweep(3, 5);
    let page = html(&input(&sweep, Ok(sweep.fitted())));
    // Two curves with their ends, the IsoFLOP point, three losses, two residuals, three frontiers, a row.
    assert_eq!(page.matches(" data-r=\"0\"").count(), 4 + 1 + 3 + 2 + 3 + 1);
}

#[test]
fn excluded_runs_are_named_with_their_reason() {
    let sweep = sweep::sweep(3, 5);
    let text = visible(&html(&input(&sweep, Ok(sweep.fitted()))));
    for reason in
        ["The loss diverged at step 412", "out of memory at a micro-batch of 1", "142 steps are fewer"]
    {
        assert!(text.contains(reason), "{reason}");
    }
}

#[test]
fn a_thousand_runs_stay_small_and_quick() {
    let mut sweep = sweep::sweep(3, 5);
    let (runs, rows, curves, losses) =
        (sweep.plan.runs.clone(), sweep.rows.clone(), sweep.curves.clone(), sweep.table.rows.clone());
    let conclusion = sweep.fitted().clone();
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

#[test]
fn a_run_off_its_siblings_is_named_on_the_page_in_markdown_and_in_the_terminal() {
    let sweep = sweep::sweep(3, 5);
    let refusal = refusal();
    let run = sweep.plan.runs[0].run.id.clone();
    let off = vec![OffCurve { run, folder: "n1M-abc".to_string(), offset: 0.1, t: 7.5, n_siblings: 2 }];
    let compared = Comparison { n_compared: 9, n_not_compared: 3, seed_sd: 0.01, df: 6, off };
    let health = CurveHealth::Compared(compared.clone());
    let report = ReportInput { curve_health: Some(&health), ..input(&sweep, refused(&refusal)) };
    for text in [html(&report), markdown(&report), terminal::curve_health::text(&health, 80)] {
        assert!(text.contains("n1M-abc") && text.contains("+10.00 %") && text.contains("1 is off"), "{text}");
    }
    assert!(markdown(&report).contains("3 runs with fewer than two siblings are not compared"));
    let healthy = CurveHealth::Compared(Comparison { off: Vec::new(), ..compared });
    assert!(terminal::curve_health::text(&healthy, 80).contains("none is off"));
    let unknown = CurveHealth::Unknown { why: "the spread of seeds is not known".to_string() };
    assert_eq!(terminal::curve_health::text(&unknown, 80), "");
    let report = ReportInput { curve_health: Some(&unknown), ..input(&sweep, refused(&refusal)) };
    assert!(html(&report).contains("The spread of seeds is not known"));
}
