//! One text with its fits: the law, and the parabola of every budget.

use scalelaw_schema::table::LossTable;

use super::budget::{Budget, Curve};
use super::conclusion::{Approach, Edge, SkillOptimum, TextFit};
use super::draws::Draws;
use super::noise::SharedNoise;
use super::text_law::TextLaw;
use scalelaw_fit::FitError;
use scalelaw_fit::conclusion::Interval;
use scalelaw_fit::isoflop::{NoMinimum, by_budget, parabola_at};
use scalelaw_fit::laws::ScalingLaw;

/// One text with its fits.
pub(crate) struct FittedText {
    pub law: Result<TextLaw, FitError>,
    /// One for each budget, or why there is none.
    curves: Vec<Result<Curve, NoMinimum>>,
}

impl FittedText {
    pub fn of(
        table: &LossTable,
        law: &'static dyn ScalingLaw,
        budgets: &[Budget],
        noise: &SharedNoise,
        level: f64,
    ) -> Self {
        let rows = by_budget(table);
        let curves = budgets
            .iter()
            .map(|budget| {
                let rows = rows.get(&budget.flops.to_bits()).map_or(&[][..], Vec::as_slice);
                Curve::of(rows, budget, noise)
            })
            .collect();
        Self { law: TextLaw::of(table, law, noise, level), curves }
    }

    /// ln N* at each budget by one approach, held inside the sizes.
    pub fn best(&self, by: Approach, budgets: &[Budget]) -> Vec<Option<Draws>> {
        match by {
            Approach::Minima => {
                self.curves.iter().map(|curve| curve.as_ref().ok().map(|c| c.best.clone())).collect()
            }
            Approach::Surface => budgets
                .iter()
                .map(|budget| {
                    let text_law = self.law.as_ref().ok()?;
                    let draws = text_law.of_params(|params| text_law.best(params, budget))?;
                    Some(draws.within(budget.ln_n.0, budget.ln_n.1))
                })
                .collect(),
        }
    }

    pub fn describe(&self, table: &LossTable, budgets: &[Budget], level: f64) -> TextFit {
        let by_minima = budgets
            .iter()
            .zip(&self.curves)
            .map(|(budget, curve)| optimum_of(budget, curve, level))
            .collect();
        let by_surface = match &self.law {
            Err(_) => Vec::new(),
            Ok(text_law) => budgets
                .iter()
                .zip(self.best(Approach::Surface, budgets))
                .map(|(budget, draws)| match draws {
                    None => SkillOptimum {
                        why_none: Some("the fitted law does not depend on N or D".to_owned()),
                        ..absent(budget)
                    },
                    Some(draws) => {
                        let loss = |ln_n: f64| text_law.loss(&text_law.params, ln_n, budget.ln_c);
                        optimum(budget, &draws, &loss, level)
                    }
                })
                .collect(),
        };
        TextFit {
            name: table.loss_name.clone(),
            n_rows: table.rows.len(),
            by_minima,
            by_surface,
            fit: self.law.as_ref().ok().map(|text_law| text_law.fit.clone()),
            why_no_fit: self.law.as_ref().err().map(ToString::to_string),
            excluded: table.excluded.clone(),
        }
    }
}

/// The optimum of a budget's parabola.
pub(crate) fn optimum_of(budget: &Budget, curve: &Result<Curve, NoMinimum>, level: f64) -> SkillOptimum {
    match curve {
        Err(why) => SkillOptimum { why_none: Some(why.to_string()), ..absent(budget) },
        Ok(curve) => {
            let loss = |ln_n: f64| parabola_at(&curve.parabola, ln_n).exp();
            let found = optimum(budget, &curve.best, &loss, level);
            SkillOptimum { parabola: Some(curve.parabola), ..found }
        }
    }
}

fn absent(budget: &Budget) -> SkillOptimum {
    SkillOptimum {
        budget: budget.flops,
        n: None,
        n_interval: None,
        d: None,
        d_interval: None,
        loss: None,
        edge: None,
        why_none: None,
        parabola: None,
    }
}

fn optimum(budget: &Budget, best: &Draws, loss: &dyn Fn(f64) -> f64, level: f64) -> SkillOptimum {
    let found = absent(budget);
    let edge = budget.edge(best.estimate);
    let at = |idx: usize| ["smallest", "largest"][idx];
    match edge {
        Some(edge) => SkillOptimum {
            edge: Some(edge),
            why_none: Some(format!(
                "N* lies at or beyond the {} size",
                at(usize::from(edge == Edge::Largest))
            )),
            ..found
        },
        None => {
            let interval = best.interval(level);
            let d = |ln_n: f64| budget.ln_d(ln_n).exp();
            SkillOptimum {
                n: Some(best.estimate.exp()),
                d: Some(d(best.estimate)),
                // D falls as N rises along a budget.
                d_interval: interval.clone().map(|i| Interval { low: d(i.high), high: d(i.low), ..i }),
                n_interval: interval.map(|i| Interval { low: i.low.exp(), high: i.high.exp(), ..i }),
                loss: Some(loss(best.estimate)).filter(|loss| loss.is_finite()),
                ..found
            }
        }
    }
}
