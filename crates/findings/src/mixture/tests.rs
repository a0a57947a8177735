//! Tests: mixtures of known laws give back their slopes, parameters and best mixture.

use scalelaw_schema::table::LossTable;

use super::best::best_mixture;
use super::fraction::{AtFraction, against_fraction};
use super::mixing_law::{MixtureRun, MixtureRuns, mixing_laws};
use crate::skills::SkillSpec;
use crate::skills::simulate::{SkillGrid, draw_losses};
use scalelaw_fit::stats::standard_normal;
use scalelaw_fit::stats::stream;
use scalelaw_fit::{KnownLaw, parse_law_with_params};

const FRACTIONS: [f64; 5] = [0.05, 0.1, 0.2, 0.4, 0.8];

/// Runs of a skill that learns from its own tokens alone.
fn fraction_runs(fraction: f64, noise: f64) -> LossTable {
    // B/(f·D)^beta = (B/f^beta)/D^beta.
    let beta = 0.35;
    let base = parse_law_with_params("chinchilla:E=0.8,A=40,B=60,alpha=0.35,beta=0.35").unwrap();
    let mut params = base.params.clone();
    params[2] /= f64::powf(fraction, beta);
    let law = KnownLaw { params, noise, ..base };
    // Sizes about each fraction's own optimum, as a planner that knows them would take.
    let grid = SkillGrid { budgets: vec![1e13], n_sizes: 7, span_decades: 0.7, n_seeds: 2 };
    let mut table =
        draw_losses(&grid.runs(&law), &[("skill", law)], 0.0, (1000.0 * fraction) as u64).remove(0);
    for row in &mut table.rows {
        row.name = format!("{fraction} {}", row.name);
    }
    table
}

fn curve(noise: f64) -> super::fraction::FractionCurve {
    let tables: Vec<LossTable> = FRACTIONS.iter().map(|fraction| fraction_runs(*fraction, noise)).collect();
    let runs: Vec<AtFraction> =
        FRACTIONS.iter().zip(&tables).map(|(&fraction, table)| AtFraction { fraction, table }).collect();
    against_fraction("skill", &runs, None, &SkillSpec { draws: 400, ..SkillSpec::new() }).unwrap()
}

#[test]
fn n_star_rises_with_the_fraction_by_the_theorys_slope() {
    let found = curve(0.01);
    // beta/(alpha + beta) = 0.5.
    for (value, interval) in
        [(found.slope, &found.slope_interval), (found.slope_by_law, &found.slope_by_law_interval)]
    {
        let interval = interval.as_ref().unwrap();
        assert!(interval.low < 0.5 && 0.5 < interval.high, "{value:?} {interval:?}");
        assert!(interval.high - interval.low < 0.4, "{interval:?}");
    }
    let exact = curve(0.0);
    assert!((exact.slope.unwrap() - 0.5).abs() < 1e-3 && (exact.slope_by_law.unwrap() - 0.5).abs() < 1e-4);
}

#[test]
fn a_fraction_out_of_range_is_refused() {
    let table = fraction_runs(0.5, 0.01);
    let runs = [AtFraction { fraction: 0.0, table: &table }];
    let error = against_fraction("skill", &runs, None, &SkillSpec::new()).unwrap_err();
    assert!(error.to_string().contains("not above 0"), "{error}");
}

/// Losses of three texts over 21 mixtures of three sources; text i is taught by source i.
fn mixture_runs(noise: f64) -> MixtureRuns {
    let mut rng = stream(9, 0);
    let mut runs = Vec::new();
    for i in 0..6 {
        for j in 0..6 - i {
            let shares = [0.05 + 0.17 * f64::from(i), 0.05 + 0.17 * f64::from(j)];
            let shares = vec![shares[0], shares[1], 1.0 - shares[0] - shares[1]];
            let losses = (0..3)
                .map(|text| Some(truth(text, &shares) * (noise * standard_normal(&mut rng)).exp()))
                .collect();
            runs.push(MixtureRun { name: format!("mixture {}", runs.len()), shares, losses });
        }
    }
    MixtureRuns {
        source: "simulated".into(),
        sources: vec!["a".into(), "b".into(), "c".into()],
        texts: vec!["of a".into(), "of b".into(), "of c".into()],
        runs,
    }
}

/// `1 + 2·exp(−3·r_text)`.
fn truth(text: usize, shares: &[f64]) -> f64 {
    1.0 + 2.0 * (-3.0 * shares[text]).exp()
}

fn spec() -> SkillSpec {
    SkillSpec { draws: 300, ..SkillSpec::new() }
}

#[test]
fn the_mixing_law_gives_back_its_parameters_and_predicts_what_is_held_out() {
    let exact = mixing_laws(&mixture_runs(0.0), &spec()).unwrap();
    for (idx, law) in exact.laws.iter().enumerate() {
        assert!((law.c - 1.0).abs() < 1e-3, "c: {}", law.c);
        // −3 for its own source and 0 for the others, shifted to sum to zero.
        for (source, t) in law.t.iter().enumerate() {
            let expected = if source == idx { -2.0 } else { 1.0 };
            assert!((t - expected).abs() < 5e-3, "text {idx}, source {source}: {t}");
        }
        let k = 2.0 * (-3.0 * law.mean[idx]).exp();
        assert!((law.k / k - 1.0).abs() < 2e-3, "k: {}, by hand {k}", law.k);
        assert!(law.held_out_mae < 1e-3 && law.baseline_mae > 0.1, "{law:?}");
    }
    let noisy = mixing_laws(&mixture_runs(0.01), &spec()).unwrap();
    assert_eq!(noisy.laws.len(), 3);
    for (idx, law) in noisy.laws.iter().enumerate() {
        let c = law.c_interval.as_ref().unwrap();
        let t = law.t_intervals[idx].as_ref().unwrap();
        assert!(c.low < 1.0 && 1.0 < c.high && t.low < -2.0 && -2.0 < t.high, "{c:?} {t:?}");
        // Noise of 1 % of losses of about 2 nats.
        assert!(law.held_out_mae < 0.04, "{}", law.held_out_mae);
    }
}

#[test]
fn the_best_mixture_is_that_of_the_laws_and_nothing_is_extrapolated_silently() {
    let runs = mixture_runs(0.0);
    let found = mixing_laws(&runs, &spec()).unwrap();
    let trained: Vec<Vec<f64>> = runs.runs.iter().map(|run| run.shares.clone()).collect();
    let alike: Vec<(String, f64)> = runs.texts.iter().map(|text| (text.clone(), 1.0)).collect();
    // By symmetry a third of each.
    let best = best_mixture(&found, &trained, &alike).unwrap();
    for share in &best.shares {
        assert!((share.share - 1.0 / 3.0).abs() < 2e-3 && !share.on_boundary, "{share:?}");
        let interval = share.interval.as_ref().unwrap();
        assert!(interval.low <= share.share && share.share <= interval.high);
    }
    assert!(best.gain >= 0.0 && best.extrapolated.is_none());
    // With weights 4 : 1 and a third text that counts nothing: r_a − r_b = ln 4/3 with r_a + r_b = 1 − r_c.
    let two = [(runs.texts[0].clone(), 4.0), (runs.texts[1].clone(), 1.0)];
    let best = best_mixture(&found, &trained, &two).unwrap();
    let difference = best.shares[0].share - best.shares[1].share;
    assert!((difference - 4f64.ln() / 3.0).abs() < 5e-3, "{difference}");
    // Source c would be given nothing, but 0.05 was the least that was tried.
    assert!((best.shares[2].share - 0.05).abs() < 1e-6 && best.shares[2].on_boundary);
    let extrapolated = best.extrapolated.unwrap();
    assert!(
        extrapolated.outside.contains(&"c".to_owned()) && extrapolated.shares[2] < 1e-6,
        "{extrapolated:?}"
    );
    assert!(best_mixture(&found, &trained, &[("unknown".to_owned(), 1.0)]).is_err());
}

#[test]
fn shares_that_do_not_sum_and_mixtures_too_few_are_refused() {
    let mut runs = mixture_runs(0.01);
    runs.runs.truncate(4);
    let found = mixing_laws(&runs, &spec()).unwrap();
    assert!(found.laws.is_empty() && found.refused[0].1.contains("cannot identify"), "{:?}", found.refused);
    runs.runs[2].shares[0] += 0.2;
    assert!(mixing_laws(&runs, &spec()).unwrap_err().to_string().contains("mixture 2"));
}
