//! Coverage of the intervals on simulated sweeps: `coverage [DRAWS] [RESAMPLES] [DECADES] [DESIGN]`. Prints a row per
//! design, noise and truth: the share of draws whose 95 % interval holds the truth, for alpha, beta, the
//! frontier's exponent and log N* at the largest budget, its median width, and the share refused.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use scalelaw_fit::conclusion::Interval;
use scalelaw_fit::{ComputeModel, FitError, FitSpec, KnownLaw, parse_law_with_params};
use scalelaw_schema::measure::Measure;
use scalelaw_schema::table::{Counting, LossRow, LossTable};

const NAMES: [&str; 4] = ["alpha", "beta", "a", "log10_n_at_largest_budget"];

fn main() {
    let number = |idx: usize, default: f64| {
        std::env::args().nth(idx).and_then(|arg| arg.parse().ok()).unwrap_or(default)
    };
    let (n_draws, n_resamples, decades) =
        (number(1, 200.0) as u64, number(2, 400.0) as usize, number(3, 3.0));
    println!(
        "budgets over {decades} decades from 1e16, sizes over one decade about the optimum, {n_draws} draws, {n_resamples} resamples"
    );
    println!("truth    design noise method   refused |  alpha   beta      a   logN | widths");
    for (label, law) in [
        ("equal", "chinchilla:E=1.8,A=480,B=800,alpha=0.35,beta=0.35"),
        ("unequal", "chinchilla:E=1.8172,A=2000,B=400,alpha=0.45,beta=0.28"),
        ("besiro", "chinchilla:E=1.8172,A=482.01,B=2085.43,alpha=0.3478,beta=0.3658"),
    ] {
        let known = parse_law_with_params(law).expect("the law is written above");
        for design in [(3, 5, 1), (4, 5, 2), (5, 7, 3)] {
            for noise in [0.005, 0.01, 0.02] {
                let table = |known: &KnownLaw, draw| sweep(known, design, decades, draw);
                let name = format!("{}x{}x{}", design.0, design.1, design.2);
                study(label, &name, &known, noise, n_draws, n_resamples, 1e16 * 10f64.powf(decades), &table);
            }
        }
        // Enough runs for the bootstrap's percentiles to be what is reported.
        let table = |known: &KnownLaw, draw| sweep(known, (8, 10, 3), decades, draw);
        let largest = 1e16 * 10f64.powf(decades);
        study(label, "8x10x3", &known, 0.01, n_draws / 4, n_resamples, largest, &table);
        let table = |known: &KnownLaw, draw| ladder(known, 6, &[5.0, 20.0, 80.0, 320.0], draw);
        let largest = table(&known, 0).rows.iter().map(|row| row.c).fold(0.0, f64::max);
        study(label, "l6x4x1", &known, 0.01, n_draws, n_resamples, largest, &table);
        let table = |known: &KnownLaw, draw| {
            heavy(
                sweep(&KnownLaw { noise: 0.0, ..known.clone() }, (4, 5, 2), decades, draw),
                known.noise,
                draw,
            )
        };
        study(label, "h4x5x2", &known, 0.01, n_draws, n_resamples, 1e16 * 10f64.powf(decades), &table);
        for (n_sizes, n_seeds) in [(6, 1), (7, 3)] {
            let table = |known: &KnownLaw, draw| trunks(known, n_sizes, n_seeds, draw);
            let largest = table(&known, 0).rows.iter().map(|row| row.c).fold(0.0, f64::max);
            study(
                label,
                &format!("t{n_sizes}x4x{n_seeds}"),
                &known,
                0.01,
                n_draws,
                n_resamples,
                largest,
                &table,
            );
        }
    }
}

/// Draws the losses of a simulated table by a law and a number.
type Draw<'a> = &'a (dyn Fn(&KnownLaw, u64) -> LossTable + Sync);

#[allow(clippy::too_many_arguments)]
fn study(
    label: &str,
    design: &str,
    known: &KnownLaw,
    noise: f64,
    n_draws: u64,
    n_resamples: usize,
    largest: f64,
    table: Draw,
) {
    if std::env::args().nth(4).is_some_and(|only| !design.starts_with(&only)) {
        return;
    }
    let known = KnownLaw { noise, ..known.clone() };
    let compute = ComputeModel { ln_k: 6f64.ln(), kappa: 1.0 };
    let trade_off = known.law.trade_off(&known.params).expect("it is Chinchilla's");
    let (a, ln_n) = compute.optimum(&trade_off, largest.ln()).expect("it has an optimum");
    let truths = [trade_off.alpha, trade_off.beta, a, ln_n / std::f64::consts::LN_10];
    let spec = FitSpec { bootstrap: n_resamples, ..FitSpec::new() };
    type Covered = Option<[[Option<(bool, f64)>; 4]; 2]>;
    let draws: Vec<Covered> = (0..n_draws)
        .into_par_iter()
        .map(|draw| match scalelaw_fit::fit(&table(&known, draw), &spec) {
            Err(FitError::Refused { .. }) => None,
            Err(other) => panic!("{other}"),
            Ok(found) => {
                let fit = &found.fits[0];
                let frontier = fit.optimum.as_ref().map(|found| &found.intervals);
                let profiles = fit.diagnostics.as_ref().map(|found| &found.profiles);
                let cover = |idx: usize, interval: Option<&Interval>| {
                    interval.map(|i| (i.low <= truths[idx] && truths[idx] <= i.high, i.high - i.low))
                };
                let reported = std::array::from_fn(|idx| {
                    let name = NAMES[idx];
                    cover(idx, fit.intervals.get(name).or(frontier.and_then(|found| found.get(name))))
                });
                let profiled =
                    std::array::from_fn(|idx| cover(idx, profiles.and_then(|found| found.get(NAMES[idx]))));
                Some([reported, profiled])
            }
        })
        .collect();
    let kept: Vec<_> = draws.iter().flatten().collect();
    let refused = 1.0 - kept.len() as f64 / n_draws as f64;
    for (method, name) in ["reported", "profile"].iter().enumerate() {
        print!("{label:<8} {design:<6} {noise:<5} {name:<8} {:>6.1}% |", 100.0 * refused);
        let mut widths = Vec::new();
        for idx in 0..4 {
            let found: Vec<(bool, f64)> = kept.iter().filter_map(|draw| draw[method][idx]).collect();
            let covered = found.iter().filter(|found| found.0).count();
            print!(" {:>6.3}", covered as f64 / found.len().max(1) as f64);
            let missing = kept.len() - found.len();
            if missing > 0 {
                print!("({missing})");
            }
            let mut all: Vec<f64> = found.iter().map(|found| found.1).collect();
            all.sort_by(f64::total_cmp);
            widths.push(all.get(all.len() / 2).copied().unwrap_or(f64::NAN));
        }
        println!(" | {}", widths.iter().map(|w| format!("{w:.3}")).collect::<Vec<_>>().join(" "));
    }
}

/// Sizes by tokens per parameter, each run by itself, no budgets.
fn ladder(known: &KnownLaw, n_sizes: i32, ratios: &[f64], draw: u64) -> LossTable {
    let mut table = trunks(&KnownLaw { noise: 0.0, ..known.clone() }, n_sizes, 1, draw);
    table.rows.retain(|row| ratios.iter().any(|ratio| (row.d / row.n - ratio).abs() < 1e-6 * ratio));
    let mut rng = ChaCha8Rng::seed_from_u64(900_000 + draw);
    for row in &mut table.rows {
        row.cluster = None;
        row.loss = known.draw(row.n, row.d, &mut rng);
    }
    table
}

/// Adds noise with Student's tails, 3 degrees of freedom, of standard deviation `sd`.
fn heavy(mut table: LossTable, sd: f64, draw: u64) -> LossTable {
    let mut rng = ChaCha8Rng::seed_from_u64(700_000 + draw);
    let unit = parse_law_with_params("power-n:A=1,alpha=0,noise=1").expect("the law is written here");
    let mut normal = || unit.draw(1.0, 1.0, &mut rng).ln();
    for row in &mut table.rows {
        let scale = (0..3).map(|_| normal().powi(2)).sum::<f64>() / 3.0;
        // The variance of Student's t is df/(df − 2).
        row.loss *= (sd * normal() / (3.0 * scale).sqrt()).exp();
    }
    table
}

/// Trunks of each size and seed with branches at four numbers of tokens: a trunk's branches share nine tenths of
/// the noise's variance, and its cluster.
fn trunks(known: &KnownLaw, n_sizes: i32, n_seeds: usize, draw: u64) -> LossTable {
    let mut rng = ChaCha8Rng::seed_from_u64(500_000 + draw);
    let parts = |share: f64| KnownLaw { noise: known.noise * share.sqrt(), ..known.clone() };
    let (shared, own) = (parts(0.9), parts(0.1));
    let mut rows = Vec::new();
    for size in 0..n_sizes {
        let n = 1e6 * 2f64.powi(size);
        for seed in 0..n_seeds {
            let of_trunk = shared.draw(n, n, &mut rng) / shared.loss(n, n);
            for ratio in [5.0, 20.0, 80.0, 320.0] {
                let d = ratio * n;
                rows.push(LossRow {
                    name: format!("row {}", rows.len()),
                    n,
                    d,
                    c: 6.0 * n * d,
                    loss: own.draw(n, d, &mut rng) * of_trunk,
                    budget: None,
                    cluster: Some(format!("trunk {size} {seed}")),
                    seed: Some(seed as u64),
                    unique_tokens: None,
                });
            }
        }
    }
    table_of(rows)
}

/// Budgets evenly in the logarithm, sizes over one decade about each budget's optimum, seeds of noise.
fn sweep(
    known: &KnownLaw,
    (n_budgets, n_sizes, n_seeds): (usize, usize, usize),
    decades: f64,
    draw: u64,
) -> LossTable {
    let mut rng = ChaCha8Rng::seed_from_u64(1000 + draw);
    let compute = ComputeModel { ln_k: 6f64.ln(), kappa: 1.0 };
    let trade_off = known.law.trade_off(&known.params).expect("it is Chinchilla's");
    let mut rows = Vec::new();
    for budget in 0..n_budgets {
        let c = 1e16 * 10f64.powf(decades * budget as f64 / (n_budgets - 1) as f64);
        let (_, ln_n) = compute.optimum(&trade_off, c.ln()).expect("it has an optimum");
        for size in 0..n_sizes {
            let n = ln_n.exp() * 10f64.powf(size as f64 / (n_sizes - 1) as f64 - 0.5);
            for seed in 0..n_seeds {
                let d = c / (6.0 * n);
                rows.push(LossRow {
                    name: format!("row {}", rows.len()),
                    n,
                    d,
                    c,
                    loss: known.draw(n, d, &mut rng),
                    budget: Some(c),
                    cluster: None,
                    seed: Some(seed as u64),
                    unique_tokens: None,
                });
            }
        }
    }
    table_of(rows)
}

fn table_of(rows: Vec<LossRow>) -> LossTable {
    LossTable { rows, ..LossTable::new("simulated", Counting::AsGivenSixNd, Measure::of_user("loss")) }
}
