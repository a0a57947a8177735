//! Tests: the cost of the wrong text is that of known laws.

use super::{ValidationConclusion, ValidationMix, mixed, validation};
use crate::skills::SkillSpec;
use crate::skills::simulate::{draw_losses, ln_optimum};
use crate::skills::testing::{AGGREGATE, DATA, HUNGRY, grid, law, sweep};
use scalelaw_fit::KnownLaw;

fn found(noise: f64) -> ValidationConclusion {
    let with = |text: &str| KnownLaw { noise, ..law(text) };
    let truths = [("lookup", with(HUNGRY)), ("sums", with(DATA))];
    let sets = draw_losses(&grid().runs(&law(AGGREGATE)), &truths, 0.3, 6);
    let asked = [ValidationMix { name: "use".into(), weights: vec![0.9, 0.1] }];
    validation(&sets, &asked, &SkillSpec { draws: 300, ..SkillSpec::new() }).unwrap()
}

/// Loss of a law at N along a budget.
fn loss(text: &str, ln_n: f64, c: f64) -> f64 {
    law(text).loss(ln_n.exp(), c / (6.0 * ln_n.exp()))
}

#[test]
fn the_spread_and_the_regret_of_known_laws_are_found() {
    let c = 9e12;
    let (hungry, data) = (ln_optimum(&law(HUNGRY), c).unwrap(), ln_optimum(&law(DATA), c).unwrap());
    let spread = (hungry - data).exp() - 1.0;
    let regret = loss(HUNGRY, data, c) - loss(HUNGRY, hungry, c);
    // Compute at which the right size is as good: by bisection on the closed form.
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        let c1 = c * middle;
        let least = loss(HUNGRY, ln_optimum(&law(HUNGRY), c1).unwrap(), c1);
        if least > loss(HUNGRY, data, c) { low = middle } else { high = middle }
    }
    let spared = 1.0 - low;
    let of = |found: &ValidationConclusion| {
        let spread = found.spreads.iter().find(|spread| spread.budget == c).unwrap().clone();
        let regret = found
            .regrets
            .iter()
            .find(|r| r.budget == c && r.target == "lookup" && r.chosen == "sums")
            .unwrap()
            .clone();
        (spread, regret)
    };
    let (exact_spread, exact) = of(&found(0.0));
    assert!((exact_spread.spread / spread - 1.0).abs() < 1e-3, "{exact_spread:?}, by hand {spread}");
    assert_eq!((exact_spread.largest.as_str(), exact_spread.smallest.as_str()), ("lookup", "sums"));
    assert!((exact.nats - regret).abs() < 1e-4, "{exact:?}, by hand {regret}");
    assert!((exact.flops_share.unwrap() - spared).abs() < 1e-3, "{exact:?}, by hand {spared}");
    let noisy = found(0.01);
    let (noisy_spread, noisy_regret) = of(&noisy);
    for (interval, truth) in [
        (noisy_spread.interval, spread),
        (noisy_regret.nats_interval, regret),
        (noisy_regret.flops_interval, spared),
    ] {
        let interval = interval.unwrap();
        assert!(interval.low < truth && truth < interval.high, "{truth}: {interval:?}");
    }
    // N* of a mixture lies between those of its sets.
    let n = |name: &str| {
        let text = noisy.texts.iter().find(|text| text.name == name).unwrap();
        text.by_surface[2].n.unwrap()
    };
    assert!(n("sums") < n("lookup + sums") && n("lookup + sums") < n("use") && n("use") < n("lookup"));
}

#[test]
fn the_mean_of_losses_is_over_the_runs_that_have_them_all() {
    let (_, tables) = sweep(0.0, 1);
    let mut second = tables[1].clone();
    second.rows.remove(0);
    let table = mixed(&[(&tables[0], 3.0), (&second, 1.0), (&tables[2], 0.0)], "mean").unwrap();
    assert_eq!((table.rows.len(), table.excluded.len()), (39, 1));
    let by_hand = 0.75 * tables[0].rows[1].loss + 0.25 * second.rows[0].loss;
    assert!((table.rows[0].loss - by_hand).abs() < 1e-12);
    assert!(mixed(&[], "nothing").is_none());
}

#[test]
fn weights_that_do_not_sum_are_refused() {
    let (_, tables) = sweep(0.0, 1);
    let asked = [ValidationMix { name: "use".into(), weights: vec![0.9, 0.3, 0.0] }];
    let error = validation(&tables, &asked, &SkillSpec::new()).unwrap_err().to_string();
    assert!(error.contains("`use`"), "{error}");
    assert!(validation(&tables[..1], &[], &SkillSpec::new()).is_err());
}
