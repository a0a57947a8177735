//! The least investment for each target, with its time and money at the rates of the sweep's own runs.

use std::collections::BTreeMap;

use scalelaw_fit::conclusion::Fit;
use scalelaw_fit::{FitError, FitSpec};
use scalelaw_schema::measure::LossColumn;
use scalelaw_schema::plan::Plan;
use scalelaw_schema::sweep::SkillTarget;
use scalelaw_schema::table::LossRow;

use serde::{Deserialize, Serialize};

use super::link::{Link, LinkPoint, link};
use super::{Rates, Target, Viable};
use crate::error::FindingsError;
use crate::scaling::Surface;
use crate::skills::SkillSpec;
use crate::skills::conclusion::SkillConclusion;
use crate::texts::{Absences, Texts};

/// Probability with which a target is to be reached.
const PROBABILITY: f64 = 0.9;

/// The least investment by which a skill reaches its target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SkillViable {
    /// The skill.
    pub skill: String,
    /// What it is to reach.
    pub goal: SkillTarget,
    /// How an accuracy was turned into a likelihood, where one was asked for.
    pub link: Option<Link>,
    /// What reaches it.
    pub found: Viable,
}

/// The least investment for each target of the plan and of `asked`, which has precedence.
pub(crate) fn answer(
    plan: &Plan,
    texts: &Texts,
    asked: &BTreeMap<String, SkillTarget>,
    spec: &SkillSpec,
    skills: Option<&SkillConclusion>,
    absent: &mut Absences,
) -> Result<Vec<SkillViable>, FindingsError> {
    let mut answers = Vec::new();
    for skill in asked.keys() {
        if !texts.skills.contains(skill) {
            let known = texts.skills.join("`, `");
            return Err(FindingsError::UnknownSkill { skill: skill.clone(), known });
        }
    }
    let targets: BTreeMap<&String, SkillTarget> =
        plan.targets.iter().chain(asked).map(|(skill, goal)| (skill, *goal)).collect();
    if targets.is_empty() {
        return Ok(answers);
    }
    let rates = rates(plan, texts);
    for (skill, goal) in targets {
        let part = format!("viable: {skill}");
        if !texts.skills.contains(skill) {
            absent.add(part, format!("no run was evaluated on a skill `{skill}`"));
            continue;
        }
        if let Some(why) = texts.mixed().or_else(|| texts.unlearned.get(skill).cloned()) {
            absent.add(part, why);
            continue;
        }
        let reached = reach(skill, goal, texts, spec);
        let Some((link, asked)) = absent.unless_refused(&part, reached)? else { continue };
        let law = law(skill, texts, spec, skills);
        let Some(fit) = absent.unless_refused(&part, law)? else { continue };
        let found = Surface::new(&fit).and_then(|surface| surface.viable(asked));
        match found {
            Some(found) => answers.push(SkillViable {
                skill: skill.clone(),
                goal,
                link,
                // What is promised of the goal itself.
                found: Viable {
                    target: Target { probability: PROBABILITY, ..found.target },
                    ..found.priced(&rates)
                },
            }),
            None => absent.add(part, "its law cannot tell what more of N or of D brings".to_string()),
        }
    }
    Ok(answers)
}

/// What is asked of the law, with the link where the goal is an accuracy. Then link and law may both err: each is held
/// to half of the doubt, so that both hold with [`PROBABILITY`] (Bonferroni).
fn reach(
    skill: &str,
    goal: SkillTarget,
    texts: &Texts,
    spec: &SkillSpec,
) -> Result<(Option<Link>, Target), FitError> {
    let accuracy = match goal {
        SkillTarget::Nll(loss) => return Ok((None, Target { loss, probability: PROBABILITY })),
        SkillTarget::Accuracy(accuracy) => accuracy,
    };
    let scores = || texts.finished().filter_map(|row| row.skills.get(skill));
    let points: Vec<LinkPoint> = scores()
        .filter_map(|score| Some(LinkPoint { nll: score.nll.value, accuracy: score.accuracy?.value }))
        .collect();
    // Where chance is unknown the logistic falls to nothing.
    let chance = scores().find_map(|score| score.chance).unwrap_or(0.0);
    let found = link(&points, chance, spec.seed)?;
    let half = 0.5 * (1.0 - PROBABILITY);
    // The lower end of this interval errs on one side, with half of what the interval leaves out.
    let Some(interval) = found.nll(accuracy, 1.0 - 2.0 * half)?.interval else {
        return Err(FitError::Refused {
            why: format!("the runs do not bound the likelihood that an accuracy of {accuracy} takes"),
            settle: vec!["evaluate more runs, or give a target in nats".to_string()],
        });
    };
    Ok((Some(found), Target { loss: interval.low, probability: 1.0 - half }))
}

/// The law of a skill: that of its optima, or a fit of its own where the runs have no budgets.
fn law(
    skill: &str,
    texts: &Texts,
    spec: &SkillSpec,
    skills: Option<&SkillConclusion>,
) -> Result<Fit, FitError> {
    let found = skills.iter().flat_map(|found| found.skills.iter().chain([&found.aggregate]));
    if let Some(text) = found.into_iter().find(|text| text.name == skill)
        && let Some(fit) = &text.fit
    {
        return Ok(fit.clone());
    }
    let table = texts.table(&LossColumn::Skill(skill.to_string()));
    let fit_spec = FitSpec { level: spec.level, seed: spec.seed, ..FitSpec::new() };
    scalelaw_fit::fit(table, &fit_spec).map(|mut conclusion| conclusion.fits.swap_remove(0))
}

/// FLOPs per second of the runs, under the rule by which they are fitted, and what their time cost.
fn rates(plan: &Plan, texts: &Texts) -> Rates {
    let table = &texts.evidence.table;
    let rows: BTreeMap<&str, &LossRow> = table.rows.iter().map(|row| (row.name.as_str(), row)).collect();
    let speeds = texts
        .finished()
        .filter(|row| row.wall_seconds > 0.0)
        .filter_map(|row| {
            let fitted = rows.get(row.run_id.as_str())?;
            // A branch computes only its own part of the path that its C counts.
            let own_share = row.flops_spent / row.flops_path.total();
            Some([fitted.n, fitted.c * own_share / row.wall_seconds])
        })
        .collect();
    let estimates = || plan.runs.iter().map(|planned| &planned.estimate);
    let priced = || estimates().filter_map(|estimate| estimate.money.zip(estimate.seconds));
    let (money, seconds) = priced().fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    Rates {
        speeds,
        money_per_second: (seconds > 0.0).then(|| money / seconds),
        currency: plan.total.currency.clone(),
    }
}
