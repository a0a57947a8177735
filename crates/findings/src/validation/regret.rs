//! The regret of one text for the size that another one chooses, in nats and in compute.

use scalelaw_fit::conclusion::Interval;
use serde::{Deserialize, Serialize};

use crate::skills::budget::Budget;
use crate::skills::draws::Draws;
use crate::skills::text_law::TextLaw;

/// Training at one budget the size that `chosen` finds best, where `target` is what counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Regret {
    /// FLOPs.
    pub budget: f64,
    /// The text that counts.
    pub target: String,
    /// The text by which the size was chosen.
    pub chosen: String,
    /// Loss of the target above its best at this budget, nats per token.
    pub nats: f64,
    /// Its interval.
    pub nats_interval: Option<Interval>,
    /// Share of the budget that the right size would have spared; absent where the target's own optimum lies
    /// at the edge of the sizes.
    pub flops_share: Option<f64>,
    /// Its interval.
    pub flops_interval: Option<Interval>,
}

/// A function of the parameters of the target's and of the chosen text's law.
type OfBoth<'a> = &'a dyn Fn(&[f64], &[f64]) -> Option<f64>;

/// Of training, at one budget, the size that `chosen` finds best where `target` counts.
pub(crate) fn regret(
    budget: &Budget,
    (target_name, target): (&str, &TextLaw),
    (chosen_name, chosen): (&str, &TextLaw),
    level: f64,
) -> Option<Regret> {
    let nats = |of_target: &[f64], of_chosen: &[f64]| -> Option<f64> {
        let best = target.best(of_target, budget)?;
        let wrong = chosen.best(of_chosen, budget)?;
        let loss = |ln_n: f64| target.loss(of_target, ln_n, budget.ln_c);
        // The sizes' edges may hold both at one place.
        Some((loss(wrong) - loss(best)).max(0.0))
    };
    let share = |of_target: &[f64], of_chosen: &[f64]| -> Option<f64> {
        let wrong = chosen.best(of_chosen, budget)?;
        let loss = target.loss(of_target, wrong, budget.ln_c);
        spared(target, of_target, loss, budget.ln_c)
    };
    let is_inside = budget.edge(target.best(&target.params, budget)?).is_none();
    let draws = |of: OfBoth, high: f64| {
        let drawn: Vec<f64> = target
            .drawn
            .iter()
            .zip(&chosen.drawn)
            .map(|(t, c)| t.as_ref().zip(c.as_ref()).and_then(|(t, c)| of(t, c)).unwrap_or(f64::NAN))
            .collect();
        let method = "wild bootstrap of both laws, runs drawn jointly";
        let (estimate, df) = (of(&target.params, &chosen.params)?, target.df.min(chosen.df));
        let found = Draws::new(estimate, drawn, df, &target.gaussians, method);
        Some(found.within(0.0, high))
    };
    let nats = draws(&nats, f64::INFINITY)?;
    let share = if is_inside { draws(&share, 1.0) } else { None };
    Some(Regret {
        budget: budget.flops,
        target: target_name.to_owned(),
        chosen: chosen_name.to_owned(),
        nats: nats.estimate,
        nats_interval: nats.interval(level),
        flops_share: share.as_ref().map(|draws| draws.estimate),
        flops_interval: share.and_then(|draws| draws.interval(level)),
    })
}

/// Share of `C` that the best size would have spared: `1 − C'/C` with the least loss at C' equal to `loss`.
fn spared(law: &TextLaw, params: &[f64], loss: f64, ln_c: f64) -> Option<f64> {
    let trade_off = law.law.trade_off(params)?;
    let least = |ln_c: f64| {
        let (_, ln_n) = law.compute.optimum(&trade_off, ln_c)?;
        Some(law.loss(params, ln_n, ln_c)).filter(|loss| loss.is_finite())
    };
    if loss <= least(ln_c)? {
        return Some(0.0);
    }
    // A millionth of the budget is the least that is compared.
    let (mut low, mut high) = (ln_c - 1e6_f64.ln(), ln_c);
    if least(low)? < loss {
        return None;
    }
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if least(middle)? > loss { low = middle } else { high = middle }
    }
    Some(1.0 - (0.5 * (low + high) - ln_c).exp())
}
