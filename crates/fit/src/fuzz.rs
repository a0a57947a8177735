//! Tests with random and malformed tables: no panic, and every number in the result is finite.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use scalelaw_schema::table::LossTable;

use crate::error::FitError;
use crate::objective::Objective;
use crate::spec::{FitSpec, LawChoice, PredictAt};
use crate::stats::stream;
use crate::testing::{isoflop_sweep, row, table_of};

#[test]
fn fifteen_noisy_runs_are_fitted_with_wide_intervals_or_refused() {
    let mut n_fitted = 0;
    for seed in 0..40 {
        let law = "chinchilla:A=30,B=150,E=1.2,alpha=0.3,beta=0.3,noise=0.03";
        let table = isoflop_sweep(law, &[3e11, 9e11, 2.7e12], 5, 1, seed);
        match crate::fit(&table, &FitSpec { bootstrap: 200, ..FitSpec::new() }) {
            Ok(found) => {
                n_fitted += 1;
                // Noise may leave an exponent unbounded; then a note says so in place of the interval.
                match found.fits[0].intervals.get("alpha") {
                    Some(alpha) => assert!(alpha.high - alpha.low > 0.05, "{seed}: {alpha:?}"),
                    None => {
                        let says =
                            |note: &String| note.contains("do not determine") && note.contains("alpha");
                        assert!(found.fits[0].notes.iter().any(says))
                    }
                }
                check_numbers(&format!("{found:?}"));
            }
            Err(FitError::Refused { why, settle }) => assert!(!why.is_empty() && !settle.is_empty()),
            Err(other) => panic!("{other}"),
        }
    }
    println!("{n_fitted} of 40 fitted");
}

#[test]
fn no_input_makes_a_panic_or_a_nan() {
    for case in 0..70 {
        let mut rng = stream(11, case);
        let table = wild_table(&mut rng);
        let spec = FitSpec {
            law: if case % 3 == 0 { LawChoice::All } else { LawChoice::Auto },
            objective: [Objective::LogHuber(1e-3), Objective::LogMse, Objective::Huber(1e-2)]
                [case as usize % 3],
            bootstrap: 45,
            seed: case,
            level: 0.9,
            holdout_compute: (case % 2 == 0).then_some(0.8),
            predict: vec![PredictAt::ND(1e9, 1e11), PredictAt::C(1e25), PredictAt::C(1e-3)],
        };
        match crate::fit(&table, &spec) {
            Ok(found) => check_numbers(&format!("{found:?}")),
            Err(FitError::Refused { why, settle }) => assert!(!why.is_empty() && !settle.is_empty()),
            Err(other) => panic!("{case}: {other}"),
        }
    }
}

fn wild_table(rng: &mut ChaCha8Rng) -> LossTable {
    let n_rows = [0, 1, 3, 8, 15, 30, 60][rng.random_range(0..7)];
    let style = rng.random_range(0..6);
    let special = [f64::NAN, f64::INFINITY, 0.0, -1.0, 1e-300, 1e300, f64::MIN_POSITIVE];
    let mut rows = Vec::new();
    for idx in 0..n_rows {
        let n = 10f64.powf(rng.random_range(3.0..9.0));
        let d = 10f64.powf(rng.random_range(5.0..11.0));
        let mut loss = match style {
            0 => rng.random_range(0.1..10.0),
            1 => 2.0,
            2 => 1.0 + 1e3 * n.powf(-0.9),
            3 => 1e-5 + (n * d).powf(0.1),
            _ => 1.7 + 400.0 * n.powf(-0.34) + 400.0 * d.powf(-0.28),
        };
        let (mut n, mut d) = (n, d);
        if style == 4 {
            // Values far apart in magnitude, and a poisoned one here and there.
            n = n.powf(rng.random_range(0.1..8.0));
            if rng.random_bool(0.2) {
                loss = special[rng.random_range(0..special.len())];
            }
            if rng.random_bool(0.1) {
                d = special[rng.random_range(0..special.len())];
            }
        }
        if style == 5 {
            n = [1e5, 1e6][rng.random_range(0..2)];
        }
        let budget = rng.random_bool(0.5).then(|| 10f64.powi(rng.random_range(12..16)));
        let mut row = row(idx, n, d, loss, budget);
        row.cluster = rng.random_bool(0.5).then(|| format!("c{}", rng.random_range(0..4)));
        row.seed = rng.random_bool(0.5).then_some(1);
        row.unique_tokens = rng.random_bool(0.3).then(|| d / rng.random_range(0.5..20.0));
        rows.push(row);
    }
    table_of(rows)
}

/// `Debug` prints a number that is not finite as `NaN` or `inf`.
fn check_numbers(debug: &str) {
    for word in ["NaN", "inf"] {
        for (at, _) in debug.match_indices(word) {
            // `inf` is also the beginning of a word.
            let follows = debug[at + 3..].chars().next();
            if !follows.is_some_and(char::is_alphabetic) {
                panic!("{word} in …{}…", &debug[at.saturating_sub(120)..(at + 40).min(debug.len())]);
            }
        }
    }
}
