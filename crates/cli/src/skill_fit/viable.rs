//! The least investment for each target, with its time and money at the rates of the sweep's own runs.

use std::collections::BTreeMap;

use anyhow::Result;
use scalelaw_advise::{Rates, Surface, Target};
use scalelaw_fit::conclusion::Fit;
use scalelaw_fit::skills::link::{Link, LinkPoint, link};
use scalelaw_fit::{FitError, FitSpec};
use scalelaw_results::LossColumn;
use scalelaw_schema::plan::Plan;
use scalelaw_schema::sweep::SkillTarget;
use scalelaw_schema::table::LossRow;

use super::rows::Texts;
use super::{SkillAsk, SkillFindings, SkillViable};
use crate::exit::UsageError;

/// Probability with which a target is to be reached.
const PROBABILITY: f64 = 0.9;

pub(super) fn conclude(
    plan: &Plan,
    texts: &Texts,
    ask: &SkillAsk,
    findings: &mut SkillFindings,
) -> Result<()> {
    for skill in ask.targets.keys() {
        if !texts.skills.contains(skill) {
            let known = texts.skills.join("`, `");
            return Err(
                UsageError(format!("no run was judged by a skill `{skill}` (known: `{known}`)")).into()
            );
        }
    }
    let targets: BTreeMap<&String, SkillTarget> =
        plan.targets.iter().chain(&ask.targets).map(|(skill, goal)| (skill, *goal)).collect();
    if targets.is_empty() {
        return Ok(());
    }
    let rates = rates(plan, texts)?;
    for (skill, goal) in targets {
        let part = format!("viable: {skill}");
        if !texts.skills.contains(skill) {
            findings.leave_out(part, format!("no run was judged by a skill `{skill}`"));
            continue;
        }
        if let Some(why) = texts.mixed() {
            findings.leave_out(part, why);
            continue;
        }
        let reached = reach(skill, goal, texts, ask);
        let Some((link, loss)) = findings.unless_refused(&part, reached)? else { continue };
        let law = law(skill, texts, ask, findings)?;
        let Some(fit) = findings.unless_refused(&part, law)? else { continue };
        let found =
            Surface::new(&fit).and_then(|surface| surface.viable(Target { loss, probability: PROBABILITY }));
        match found {
            Some(found) => findings.viable.push(SkillViable {
                skill: skill.clone(),
                goal,
                link,
                found: found.priced(&rates),
            }),
            None => findings.leave_out(part, "its law cannot tell what more of N or of D brings".to_string()),
        }
    }
    Ok(())
}

/// The likelihood that a target asks for, with the link where it is an accuracy.
fn reach(
    skill: &str,
    goal: SkillTarget,
    texts: &Texts,
    ask: &SkillAsk,
) -> Result<(Option<Link>, f64), FitError> {
    let accuracy = match goal {
        SkillTarget::Nll(nll) => return Ok((None, nll)),
        SkillTarget::Accuracy(accuracy) => accuracy,
    };
    let scores = || texts.finished().filter_map(|row| row.skills.get(skill));
    let points: Vec<LinkPoint> = scores()
        .filter_map(|score| Some(LinkPoint { nll: score.nll.value, accuracy: score.accuracy?.value }))
        .collect();
    // Where chance is unknown the logistic falls to nothing.
    let chance = scores().find_map(|score| score.chance).unwrap_or(0.0);
    let found = link(&points, chance, ask.spec.seed)?;
    let nll = found.nll(accuracy, ask.spec.level)?.nll;
    Ok((Some(found), nll))
}

/// The law of a skill: that of its optima, or a fit of its own where the runs have no budgets.
fn law(
    skill: &str,
    texts: &Texts,
    ask: &SkillAsk,
    findings: &SkillFindings,
) -> Result<Result<Fit, FitError>> {
    let judged = findings.skills.iter().flat_map(|found| found.skills.iter().chain([&found.aggregate]));
    if let Some(text) = judged.into_iter().find(|text| text.name == skill)
        && let Some(fit) = &text.fit
    {
        return Ok(Ok(fit.clone()));
    }
    let table = texts.table(&LossColumn::Skill(skill.to_string()))?;
    let spec = FitSpec { level: ask.spec.level, seed: ask.spec.seed, ..FitSpec::new() };
    Ok(scalelaw_fit::fit(&table, &spec).map(|mut conclusion| conclusion.fits.swap_remove(0)))
}

/// FLOPs per second of the runs, under the rule by which they are fitted, and what their time cost.
fn rates(plan: &Plan, texts: &Texts) -> Result<Rates> {
    let table = texts.table(&texts.aggregate)?;
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
    Ok(Rates {
        speeds,
        money_per_second: (seconds > 0.0).then(|| money / seconds),
        currency: plan.total.currency.clone(),
    })
}
