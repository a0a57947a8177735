//! Skills: the same runs judged by several texts, and what each of them wants more of.
//!
//! For every text the compute-optimal size N*(C) is found twice: by the fitted law, L = E + A/N^alpha +
//! B/D^beta, and by the parabola of each budget. The residual of a skill is `ln N*_skill − ln N*_aggregate`
//! (Roberts et al. 2025, arXiv:2503.10061). Its interval uses the pairing: the runs' noise is drawn once for
//! all texts (`noise`). Along a budget nothing beyond the sizes that were trained is believed: an optimum at
//! their edge is absent, and in a residual it counts as the edge, which makes that residual a bound.
//!
//! Reading order: what comes out ([`conclusion`]); the draws (`noise`, `draws`); the two approaches (`surface`,
//! `budget`); one text (`judge`), a skill beside the aggregate (`pair`), the labels (`label`); accuracy as a function of likelihood ([`link`]); what a wrong choice of text costs ([`validation`]); what a design will tell
//! ([`power`]); sweeps with known skills ([`simulate`]).

pub mod conclusion;

pub(crate) mod draws;
pub(crate) mod noise;

pub(crate) mod budget;
pub(crate) mod surface;

mod judge;
mod label;
pub mod link;
mod pair;

pub mod power;
mod regret;
pub mod simulate;
pub mod validation;

#[cfg(test)]
mod tests;

use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::table::LossTable;

use budget::Budget;
use conclusion::{Approach, BudgetSizes, JudgedText, ResidualBy, SkillConclusion, SkillResidual};
use judge::Judge;
pub(crate) use judge::optimum_of;
use label::Evidence;
use noise::SharedNoise;
use pair::Pair;
use scalelaw_fit::laws::{self, ScalingLaw};
use scalelaw_fit::spec::FitError;

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
    let aggregate = scalelaw_fit::finite_rows(aggregate);
    let skills: Vec<LossTable> = skills.iter().map(scalelaw_fit::finite_rows).collect();
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
        "capacity-hungry where the interval of N*(skill) / N*(aggregate), the geometric mean over the budgets, lies above 1; \
         data-hungry where it lies below; undecided otherwise, and where the law and the parabolas contradict each other. \
         By the fitted law, by the parabolas where a law is missing. Holm's procedure holds the chance of any wrong label \
         below {:.0} %: the interval that decides is taken at the level that it gives the skill",
        100.0 * (1.0 - level)
    )
}

pub(crate) fn refuse<T>(why: &str, settle: &str) -> Result<T, FitError> {
    scalelaw_fit::identify::refuse(why.to_owned(), vec![settle.to_owned()])
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
