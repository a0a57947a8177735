//! Coverage of the residuals' intervals and the rate of wrong labels on simulated sweeps with known skills:
//! `skill_coverage [SWEEPS] [DRAWS] [WORLD]`. A row per grid, noise and correlation: for the pooled residual by the laws and
//! by the parabolas, coverage and median width (in ln N) over all skills; share of the skills that differ which are
//! labelled rightly; share of the sweeps with any wrong label, where one skill is a tie.

use rayon::prelude::*;
use scalelaw_findings::skills::conclusion::{Label, ResidualBy};
use scalelaw_findings::skills::simulate::{SkillGrid, draw_losses};
use scalelaw_findings::skills::{SkillSpec, skills};
use scalelaw_findings::validation::mixed;
use scalelaw_fit::{KnownLaw, parse_law_with_params};
use scalelaw_schema::table::LossTable;

/// Aggregate, then skills; the last has the aggregate's N* at every budget, by another law.
struct World {
    name: &'static str,
    aggregate: &'static str,
    skills: [&'static str; 3],
    /// The aggregate is the mean of the skills' losses instead: no law of the form that is fitted.
    is_mean: bool,
}

const WORLDS: [World; 3] = [
    World {
        name: "equal",
        aggregate: "chinchilla:E=1.2,A=30,B=150,alpha=0.35,beta=0.35",
        skills: [
            "chinchilla:E=0.8,A=40,B=150,alpha=0.35,beta=0.35",
            "chinchilla:E=0.9,A=30,B=200,alpha=0.35,beta=0.35",
            "chinchilla:E=0.5,A=60,B=300,alpha=0.35,beta=0.35",
        ],
        is_mean: false,
    },
    World {
        name: "unequal",
        aggregate: "chinchilla:E=1.2,A=60,B=60,alpha=0.42,beta=0.28",
        skills: [
            "chinchilla:E=0.8,A=80,B=60,alpha=0.42,beta=0.28",
            "chinchilla:E=0.9,A=90,B=60,alpha=0.5,beta=0.25",
            "chinchilla:E=0.5,A=120,B=120,alpha=0.42,beta=0.28",
        ],
        is_mean: false,
    },
    World {
        name: "mean",
        aggregate: "chinchilla:E=1.2,A=30,B=150,alpha=0.35,beta=0.35",
        skills: [
            "chinchilla:E=0.8,A=60,B=100,alpha=0.42,beta=0.3",
            "chinchilla:E=0.9,A=20,B=300,alpha=0.3,beta=0.4",
            "chinchilla:E=0.5,A=60,B=300,alpha=0.35,beta=0.35",
        ],
        is_mean: true,
    },
];

fn main() {
    let number = |idx: usize, usual: usize| {
        std::env::args().nth(idx).and_then(|arg| arg.parse().ok()).unwrap_or(usual)
    };
    let (n_sweeps, draws) = (number(1, 300), number(2, 600));
    println!(
        "{n_sweeps} sweeps each, {draws} draws of the noise, budgets 1e12 to 2.7e13, sizes +-0.7 decades"
    );
    println!(
        "world    grid   noise  corr | laws: coverage  width | parabolas: coverage  width | labelled  any wrong"
    );
    let only = std::env::args().nth(3);
    for world in WORLDS.iter().filter(|world| only.as_ref().is_none_or(|only| only == world.name)) {
        for (n_budgets, n_sizes, n_seeds) in [(4, 5, 2), (4, 5, 1), (3, 7, 1)] {
            for (noise, correlation) in [(0.003, 0.5), (0.01, 0.0), (0.01, 0.8), (0.03, 0.5)] {
                let budgets =
                    (0..n_budgets).map(|i| 1e12 * 27f64.powf(f64::from(i) / f64::from(n_budgets - 1)));
                let grid = SkillGrid { budgets: budgets.collect(), n_sizes, span_decades: 0.7, n_seeds };
                let name = format!("{n_budgets}x{n_sizes}x{n_seeds}");
                study(world, &grid, &name, noise, correlation, n_sweeps, draws);
            }
        }
    }
}

/// Whether an interval holds the truth, and its width; absent without an interval.
type Held = Option<(bool, f64)>;

/// Of one sweep: for each skill and approach whether the truth is held, and the width; labels right and wrong.
struct Seen {
    surface: Vec<Held>,
    minima: Vec<Held>,
    n_right: usize,
    any_wrong: bool,
}

fn study(
    world: &World,
    grid: &SkillGrid,
    name: &str,
    noise: f64,
    correlation: f64,
    n_sweeps: usize,
    draws: usize,
) {
    let law = |text: &str| KnownLaw { noise, ..parse_law_with_params(text).expect("written above") };
    let runs = grid.runs(&law(world.aggregate));
    let exact = |noise: f64, correlation: f64, seed: u64| -> (LossTable, Vec<LossTable>) {
        let mut truths = vec![("aggregate", KnownLaw { noise, ..law(world.aggregate) })];
        truths.extend(world.skills.iter().map(|text| (*text, KnownLaw { noise, ..law(text) })));
        let mut tables = draw_losses(&runs, &truths, correlation, seed);
        let mut aggregate = tables.remove(0);
        if world.is_mean {
            let parts: Vec<(&LossTable, f64)> = tables.iter().map(|table| (table, 1.0)).collect();
            aggregate = mixed(&parts, "mean").expect("there are skills");
        }
        (aggregate, tables)
    };
    let truths = truths(world, grid);
    let seen: Vec<Seen> = (0..n_sweeps)
        .into_par_iter()
        .map(|sweep| {
            let (aggregate, tables) = exact(noise, correlation, sweep as u64);
            let spec = SkillSpec { draws, seed: sweep as u64, ..SkillSpec::new() };
            let found = skills(&aggregate, &tables, &spec).expect("the runs have budgets");
            let held = |by: &ResidualBy, truth: f64| {
                let interval = by.pooled.as_ref()?.interval.clone()?;
                Some((interval.low <= truth && truth <= interval.high, interval.high - interval.low))
            };
            let pairs = || found.residuals.iter().zip(&truths);
            let is_wrong = |label: Label, truth: f64| match label {
                Label::Undecided => false,
                Label::CapacityHungry => truth < 1e-3,
                Label::DataHungry => truth > -1e-3,
            };
            Seen {
                surface: pairs().map(|(residual, truth)| held(&residual.by_surface, *truth)).collect(),
                minima: pairs().map(|(residual, truth)| held(&residual.by_minima, *truth)).collect(),
                n_right: pairs()
                    .filter(|(residual, truth)| {
                        residual.label != Label::Undecided && !is_wrong(residual.label, **truth)
                    })
                    .count(),
                any_wrong: pairs().any(|(residual, truth)| is_wrong(residual.label, *truth)),
            }
        })
        .collect();
    let summary = |of: fn(&Seen) -> &Vec<Held>| {
        let all: Vec<(bool, f64)> = seen.iter().flat_map(|seen| of(seen).iter().flatten()).copied().collect();
        let mut widths: Vec<f64> = all.iter().map(|found| found.1).collect();
        widths.sort_by(f64::total_cmp);
        let covered = all.iter().filter(|found| found.0).count() as f64 / all.len().max(1) as f64;
        (covered, widths.get(widths.len() / 2).copied().unwrap_or(f64::NAN))
    };
    let (surface, minima) = (summary(|seen| &seen.surface), summary(|seen| &seen.minima));
    let n_differ = truths.iter().filter(|truth| truth.abs() > 1e-3).count() * n_sweeps;
    let right = seen.iter().map(|seen| seen.n_right).sum::<usize>() as f64 / n_differ.max(1) as f64;
    let wrong = seen.iter().filter(|seen| seen.any_wrong).count() as f64 / n_sweeps as f64;
    println!(
        "{:<8} {name:<6} {noise:<5} {correlation:>5} |          {:.3}  {:.3} |               {:.3}  {:.3} |    {right:.3}      {wrong:.3}",
        world.name, surface.0, surface.1, minima.0, minima.1
    );
}

/// Mean over the budgets of ln N* of each skill less ln N* of the aggregate, without noise, between the sizes.
fn truths(world: &World, grid: &SkillGrid) -> Vec<f64> {
    let law = |text: &str| parse_law_with_params(text).expect("written above");
    let aggregate = law(world.aggregate);
    let skills: Vec<KnownLaw> = world.skills.iter().map(|text| law(text)).collect();
    let runs = grid.runs(&aggregate);
    let mut sums = vec![0.0; skills.len()];
    for &budget in &grid.budgets {
        let of_budget = || runs.rows.iter().filter(|row| row.budget == Some(budget)).map(|row| row.n.ln());
        let (low, high) =
            (of_budget().fold(f64::INFINITY, f64::min), of_budget().fold(f64::NEG_INFINITY, f64::max));
        let best = |loss: &dyn Fn(f64, f64) -> f64| {
            let at = |i: i32| low + (high - low) * f64::from(i) / 40_000.0;
            let loss = |ln_n: f64| loss(ln_n.exp(), budget / (6.0 * ln_n.exp()));
            (0..=40_000).map(at).min_by(|x, y| loss(*x).total_cmp(&loss(*y))).unwrap_or(low)
        };
        let of_aggregate = if world.is_mean {
            best(&|n, d| skills.iter().map(|skill| skill.loss(n, d)).sum::<f64>())
        } else {
            best(&|n, d| aggregate.loss(n, d))
        };
        for (sum, skill) in sums.iter_mut().zip(&skills) {
            *sum += (best(&|n, d| skill.loss(n, d)) - of_aggregate) / grid.budgets.len() as f64;
        }
    }
    sums
}
