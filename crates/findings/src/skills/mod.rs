//! Skills: the same runs evaluated on several texts, and what each of them wants more of.
//!
//! For every text the compute-optimal size N*(C) is found twice: by the fitted law, L = E + A/N^alpha +
//! B/D^beta, and by the parabola of each budget. The residual of a skill is `ln N*_skill − ln N*_aggregate`
//! (Roberts et al. 2025, arXiv:2503.10061). Its interval uses the pairing: the runs' noise is drawn once for
//! all texts (`noise`). Along a budget nothing is extrapolated beyond the sizes that were trained: an optimum at
//! their edge is absent, and in a residual it counts as the edge, which makes that residual a bound.
//!
//! Reading order: what comes out ([`conclusion`]) and what is asked ([`SkillSpec`]); the draws (`noise`, `draws`); the
//! two approaches (`text_law`, `budget`); one text (`fitted_text`), a skill beside the aggregate (`pair`), the labels
//! (`label`); the power of a design ([`power`]); sweeps with known skills ([`simulate`]).

pub mod conclusion;

pub(crate) mod draws;
pub(crate) mod noise;
mod spec;

pub(crate) mod budget;
pub(crate) mod text_law;

pub(crate) mod fitted_text;
mod label;
mod pair;

pub mod power;
pub mod simulate;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use spec::SkillSpec;
pub(crate) use spec::{check, refuse};

use scalelaw_fit::FitError;
use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::table::LossTable;

use budget::Budget;
use conclusion::{Approach, ResidualBy, SkillConclusion, SkillResidual, TextFit};
use fitted_text::FittedText;
use label::Evidence;
use noise::SharedNoise;
use pair::Pair;

/// Optima, residuals and labels of `skills` against `aggregate`.
///
/// The tables hold the same runs under the same names (or clusters); a run that one of them lacks is
/// missing there alone. `loss_name` is the text's name.
///
/// # Errors
/// [`FitError::Refused`] where there is no skill or no budget; [`FitError::UnknownLaw`] and
/// [`FitError::BadSetting`] for what is wrong with `spec`. A text without a law has the reason in
/// [`TextFit::why_no_fit`].
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
    let fitted: Vec<FittedText> =
        all.iter().map(|table| FittedText::of(table, law, &budgets, &noise, spec.level)).collect();
    let (of_aggregate, of_skills) = fitted.split_first().expect("the aggregate is among them");
    let pairs: Vec<Pair> = of_skills.iter().map(|skill| Pair::of(skill, of_aggregate, &budgets)).collect();
    let residuals = residuals(&skills, &pairs, spec.level);
    let warnings = warnings(&aggregate, &skills, &budgets);
    let texts: Vec<TextFit> =
        all.iter().zip(&fitted).map(|(table, text)| text.describe(table, &budgets, spec.level)).collect();
    let mut texts = texts.into_iter();
    Ok(SkillConclusion {
        schema_version: SCHEMA_VERSION,
        source: aggregate.source.clone(),
        count_rule: aggregate.count_rule,
        budgets: budgets.iter().map(Budget::sizes).collect(),
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
                "`{}` was evaluated on {} runs and the aggregate `{}` on {}: only runs with both are paired",
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
            "at {narrow} of {} budgets the sizes span less than a decade: differences between the optima of skills are then poorly resolved (hint: 0.7 decades on each side)",
            budgets.len()
        ));
    }
    warnings
}
