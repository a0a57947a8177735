//! Skills: the same runs judged by several texts, and what each of them wants more of.
//!
//! For every text the compute-optimal size N*(C) is found twice: by the fitted law, L = E + A/N^alpha +
//! B/D^beta, and by the parabola of each budget. The residual of a skill is `ln N*_skill − ln N*_aggregate`
//! (Roberts et al. 2025, arXiv:2503.10061). Its interval uses the pairing: the runs' noise is drawn once for
//! all texts (`noise`). Along a budget nothing beyond the sizes that were trained is believed: an optimum at
//! their edge is absent, and in a residual it counts as the edge, which makes that residual a bound.
//!
//! Reading order: what comes out ([`conclusion`]); the draws (`noise`, `draws`); the two approaches (`surface`,
//! `budget`); the labels (`label`); what a wrong choice of text costs ([`validation`]); what a design will tell
//! ([`power`]); sweeps with known skills ([`simulate`]).

pub mod conclusion;

pub(crate) mod draws;
pub(crate) mod noise;

pub(crate) mod budget;
pub(crate) mod surface;

mod label;

pub mod power;
pub mod simulate;
mod text;
pub mod validation;

#[cfg(test)]
mod tests;

use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::table::LossTable;

use crate::laws::{self, ScalingLaw};
use crate::spec::FitError;
use budget::{Budget, Curve};
use conclusion::{
    Approach, Bound, BudgetSizes, Edge, JudgedText, Residual, ResidualBy, SkillConclusion, SkillOptimum,
    SkillResidual,
};
use draws::Draws;
use label::Evidence;
use noise::SharedNoise;
use surface::Surface;
pub use text::render;

/// How skills are fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct SkillSpec {
    /// Name of the law; one that trades N against D.
    pub law: String,
    /// Draws of the runs' noise.
    pub draws: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// Level of the intervals and of the family of labels, such as 0.95.
    pub level: f64,
}

impl SkillSpec {
    /// Chinchilla's law, 2,000 draws, 95 %.
    pub fn new() -> Self {
        Self { law: "chinchilla".into(), draws: 2000, seed: 0, level: 0.95 }
    }
}

impl Default for SkillSpec {
    fn default() -> Self {
        Self::new()
    }
}

/// Optima, residuals and labels of `skills` against `aggregate`.
///
/// The tables hold the same runs under the same names (or clusters); a run that one of them lacks is
/// missing there alone. `loss_name` is the text's name.
///
/// # Errors
/// [`FitError::Refused`] where there is no skill or no budget; [`FitError::UnknownLaw`] and
/// [`FitError::BadSetting`] for what is wrong with `spec`. A text whose law cannot be told says so in its own
/// [`JudgedText::why_no_fit`].
pub fn skills(
    aggregate: &LossTable,
    skills: &[LossTable],
    spec: &SkillSpec,
) -> Result<SkillConclusion, FitError> {
    let law = check(spec)?;
    if skills.is_empty() {
        return refuse("there is no skill beside the aggregate", "name at least one skill or text");
    }
    let aggregate = crate::finite_rows(aggregate);
    let skills: Vec<LossTable> = skills.iter().map(crate::finite_rows).collect();
    let budgets = Budget::all(&aggregate);
    if budgets.is_empty() {
        return refuse(
            "no run of the aggregate names a budget: skills are compared along budgets of compute",
            "train a grid of kind `isoflop`, or name the column of budgets",
        );
    }
    let all: Vec<&LossTable> = std::iter::once(&aggregate).chain(&skills).collect();
    let noise = SharedNoise::of(&all, spec.draws, spec.seed);
    let judges: Vec<Judge> =
        all.iter().map(|table| Judge::of(table, law, &budgets, &noise, spec.level)).collect();
    let (of_aggregate, of_skills) = judges.split_first().expect("the aggregate is among them");
    let pairs: Vec<Pair> = of_skills.iter().map(|skill| Pair::of(skill, of_aggregate, &budgets)).collect();
    let residuals = residuals(&skills, &pairs, spec.level);
    let warnings = warnings(&aggregate, &skills, &budgets);
    let texts: Vec<JudgedText> =
        all.iter().zip(&judges).map(|(table, judge)| judge.describe(table, &budgets, spec.level)).collect();
    let mut texts = texts.into_iter();
    Ok(SkillConclusion {
        schema_version: SCHEMA_VERSION,
        source: aggregate.source.clone(),
        count_rule: aggregate.count_rule.clone(),
        budgets: budgets.iter().map(sizes).collect(),
        aggregate: texts.next().expect("the aggregate is among them"),
        skills: texts.collect(),
        residuals,
        rule: rule(spec.level),
        level: spec.level,
        draws: spec.draws,
        warnings,
    })
}

/// The rule of the labels, in words.
pub fn rule(level: f64) -> String {
    format!(
        "capacity-hungry where the interval of ln N*(skill) - ln N*(aggregate), the mean over the budgets, lies above zero; \
         data-hungry where it lies below; undecided otherwise, and where the law and the parabolas contradict each other. \
         By the fitted law, by the parabolas where a law is missing. Holm's procedure holds the chance of any wrong label \
         below {:.0} %: the interval that decides is taken at the level that it gives the skill",
        100.0 * (1.0 - level)
    )
}

pub(crate) fn refuse<T>(why: &str, settle: &str) -> Result<T, FitError> {
    crate::identify::refuse(why.to_owned(), vec![settle.to_owned()])
}

/// The law that `spec` names.
pub(crate) fn check(spec: &SkillSpec) -> Result<&'static dyn ScalingLaw, FitError> {
    let bad = |what, value, why| Err(FitError::BadSetting { what, value, why });
    if !(spec.level > 0.0 && spec.level < 1.0) {
        return bad("the level", spec.level, "it must lie between 0 and 1 (hint: 0.95)");
    }
    if spec.draws < draws::LEAST_DRAWS {
        return bad("the number of draws", spec.draws as f64, "fewer than 100 show no interval (hint: 2000)");
    }
    let law = laws::find(&spec.law)?;
    let unit = vec![1.0; law.param_names().len()];
    if law.trade_off(&unit).is_none() {
        return refuse(
            &format!("law `{}` does not trade N against D, so it has no optimum", spec.law),
            "take `chinchilla` or `chinchilla-tied`",
        );
    }
    Ok(law)
}

fn sizes(budget: &Budget) -> BudgetSizes {
    let (low, high) = budget.ln_n;
    BudgetSizes { budget: budget.flops, smallest: low.exp(), largest: high.exp() }
}

/// One text with its fits.
pub(crate) struct Judge {
    pub surface: Result<Surface, FitError>,
    /// One for each budget; why there is none where there is none.
    curves: Vec<Result<Curve, String>>,
}

impl Judge {
    pub fn of(
        table: &LossTable,
        law: &'static dyn ScalingLaw,
        budgets: &[Budget],
        noise: &SharedNoise,
        level: f64,
    ) -> Self {
        let rows = crate::isoflop::by_budget(table);
        let curves = budgets
            .iter()
            .map(|budget| {
                let rows = rows.get(&budget.flops.to_bits()).map_or(&[][..], Vec::as_slice);
                Curve::of(rows, budget, noise)
            })
            .collect();
        Self { surface: Surface::of(table, law, noise, level), curves }
    }

    /// ln N* at each budget by one approach, held inside of the sizes.
    fn best(&self, by: Approach, budgets: &[Budget]) -> Vec<Option<Draws>> {
        match by {
            Approach::Minima => {
                self.curves.iter().map(|curve| curve.as_ref().ok().map(|c| c.best.clone())).collect()
            }
            Approach::Surface => budgets
                .iter()
                .map(|budget| {
                    let surface = self.surface.as_ref().ok()?;
                    let draws = surface.of_params(|params| surface.best(params, budget))?;
                    Some(draws.within(budget.ln_n.0, budget.ln_n.1))
                })
                .collect(),
        }
    }

    fn describe(&self, table: &LossTable, budgets: &[Budget], level: f64) -> JudgedText {
        let by_minima = budgets
            .iter()
            .zip(&self.curves)
            .map(|(budget, curve)| optimum_of(budget, curve, level))
            .collect();
        let by_surface = match &self.surface {
            Err(_) => Vec::new(),
            Ok(surface) => budgets
                .iter()
                .zip(self.best(Approach::Surface, budgets))
                .map(|(budget, draws)| match draws {
                    None => SkillOptimum {
                        why_none: Some("the fitted law does not depend on N or D".to_owned()),
                        ..absent(budget)
                    },
                    Some(draws) => {
                        let loss = |ln_n: f64| surface.loss(&surface.params, ln_n, budget.ln_c);
                        optimum(budget, &draws, &loss, level)
                    }
                })
                .collect(),
        };
        JudgedText {
            name: table.loss_name.clone(),
            n_rows: table.rows.len(),
            by_minima,
            by_surface,
            fit: self.surface.as_ref().ok().map(|surface| surface.fit.clone()),
            why_no_fit: self.surface.as_ref().err().map(ToString::to_string),
            excluded: table.excluded.clone(),
        }
    }
}

/// The optimum of a budget's parabola.
pub(crate) fn optimum_of(budget: &Budget, curve: &Result<Curve, String>, level: f64) -> SkillOptimum {
    match curve {
        Err(why) => SkillOptimum { why_none: Some(why.clone()), ..absent(budget) },
        Ok(curve) => {
            let loss = |ln_n: f64| budget::value(&curve.parabola, ln_n).exp();
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
    let edge = edge(best.estimate, budget);
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
                d_interval: interval.clone().map(|i| crate::conclusion::Interval {
                    low: d(i.high),
                    high: d(i.low),
                    ..i
                }),
                n_interval: interval.map(|i| crate::conclusion::Interval {
                    low: i.low.exp(),
                    high: i.high.exp(),
                    ..i
                }),
                loss: Some(loss(best.estimate)).filter(|loss| loss.is_finite()),
                ..found
            }
        }
    }
}

fn edge(ln_n: f64, budget: &Budget) -> Option<Edge> {
    if ln_n <= budget.ln_n.0 {
        Some(Edge::Smallest)
    } else {
        (ln_n >= budget.ln_n.1).then_some(Edge::Largest)
    }
}

/// Residuals of one skill by both approaches.
struct Pair {
    surface: PairBy,
    minima: PairBy,
}

struct PairBy {
    budgets: Vec<Option<(Draws, Option<Bound>)>>,
    pooled: Option<(Draws, Option<Bound>, usize)>,
}

impl Pair {
    fn of(skill: &Judge, aggregate: &Judge, budgets: &[Budget]) -> Self {
        let by = |by| PairBy::of(&skill.best(by, budgets), &aggregate.best(by, budgets), budgets, by);
        Self { surface: by(Approach::Surface), minima: by(Approach::Minima) }
    }
}

impl PairBy {
    fn of(skill: &[Option<Draws>], aggregate: &[Option<Draws>], budgets: &[Budget], by: Approach) -> Self {
        let found: Vec<Option<(Draws, Option<Bound>)>> = budgets
            .iter()
            .zip(skill.iter().zip(aggregate))
            .map(|(budget, (skill, aggregate))| {
                let (skill, aggregate) = (skill.as_ref()?, aggregate.as_ref()?);
                if edge(aggregate.estimate, budget).is_some() {
                    return None;
                }
                let bound = edge(skill.estimate, budget).map(|edge| match edge {
                    Edge::Smallest => Bound::AtMost,
                    Edge::Largest => Bound::AtLeast,
                });
                Some((skill.less(aggregate), bound))
            })
            .collect();
        let kept: Vec<&(Draws, Option<Bound>)> = found.iter().flatten().collect();
        let bounds: Vec<Bound> = kept.iter().filter_map(|(_, bound)| *bound).collect();
        let bound = bounds
            .first()
            .map(|first| if bounds.iter().all(|bound| bound == first) { *first } else { Bound::Mixed });
        let draws: Vec<&Draws> = kept.iter().map(|(draws, _)| draws).collect();
        // The law's residuals are of one fit; those of the parabolas add their degrees of freedom.
        let df = match by {
            Approach::Surface => draws.iter().map(|draws| draws.df()).fold(f64::INFINITY, f64::min),
            Approach::Minima => draws.iter().map(|draws| draws.df().max(0.0)).sum(),
        };
        let pooled = Draws::mean(&draws, df).map(|pooled| (pooled, bound, kept.len()));
        Self { budgets: found, pooled }
    }

    fn describe(&self, level: f64) -> ResidualBy {
        let residual = |draws: &Draws, bound: Option<Bound>, n_budgets| Residual {
            log_ratio: draws.estimate,
            interval: draws.interval(level),
            bound,
            n_budgets,
        };
        ResidualBy {
            budgets: self
                .budgets
                .iter()
                .map(|found| found.as_ref().map(|(draws, bound)| residual(draws, *bound, 1)))
                .collect(),
            pooled: self.pooled.as_ref().map(|(draws, bound, n)| residual(draws, *bound, *n)),
        }
    }
}

fn residuals(skills: &[LossTable], pairs: &[Pair], level: f64) -> Vec<SkillResidual> {
    let described: Vec<(ResidualBy, ResidualBy)> =
        pairs.iter().map(|pair| (pair.surface.describe(level), pair.minima.describe(level))).collect();
    let evidence: Vec<Option<Evidence>> = pairs
        .iter()
        .zip(&described)
        .map(|(pair, (_, minima))| match (&pair.surface.pooled, &pair.minima.pooled) {
            (Some((draws, ..)), _) => {
                Some(Evidence { by: Approach::Surface, draws, other: minima.pooled.as_ref() })
            }
            (None, Some((draws, ..))) => Some(Evidence { by: Approach::Minima, draws, other: None }),
            (None, None) => None,
        })
        .collect();
    let labels = label::labels(&evidence, level);
    skills
        .iter()
        .zip(&described)
        .zip(evidence.iter().zip(labels))
        .map(|((table, (by_surface, by_minima)), (evidence, labelled))| SkillResidual {
            skill: table.loss_name.clone(),
            by_surface: by_surface.clone(),
            by_minima: by_minima.clone(),
            label: labelled.label,
            label_by: evidence.as_ref().map(|evidence| evidence.by),
            label_interval: labelled.interval,
            p_holm: labelled.p,
            why: labelled.why,
        })
        .collect()
}

fn warnings(aggregate: &LossTable, skills: &[LossTable], budgets: &[Budget]) -> Vec<String> {
    let mut warnings: Vec<String> = skills
        .iter()
        .filter(|skill| skill.rows.len() != aggregate.rows.len())
        .map(|skill| {
            format!(
                "`{}` is known of {} runs and the aggregate `{}` of {}: they are paired where both are",
                skill.loss_name,
                skill.rows.len(),
                aggregate.loss_name,
                aggregate.rows.len()
            )
        })
        .collect();
    let narrow = budgets.iter().filter(|budget| budget.ln_n.1 - budget.ln_n.0 < 10f64.ln()).count();
    if narrow > 0 {
        warnings.push(format!(
            "at {narrow} of {} budgets the sizes span less than a decade: optima of skills are then poorly told apart (hint: 0.7 decades on each side)",
            budgets.len()
        ));
    }
    warnings
}
