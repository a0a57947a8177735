//! All answers of a sweep in one value: what `findings.json` holds, and what page, Markdown and terminal render.

use scalelaw_fit::FitSpec;
use scalelaw_schema::SCHEMA_VERSION;
use scalelaw_schema::canonical::hash12;
use scalelaw_schema::count::CountRule;
use scalelaw_schema::plan::Plan;
use serde::{Deserialize, Serialize};

use crate::curve_health::{self, CurveHealth};
use crate::error::FindingsError;
use crate::evidence::Evidence;
use crate::learning_rate::{self, LrConclusion};
use crate::scaling::{self, Verdict};
use crate::skill_findings::{self, SkillAsk, SkillFindings};

/// A question that a sweep can answer, in the order in which [`conclude`] asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Which law does the loss follow, and what is compute-optimal?
    Scaling,
    /// Which learning rate is best?
    LearningRate,
    /// Is any run's learning curve off those of its siblings?
    CurveHealth,
    /// What does each skill want more of: optima, mixtures, validation sets, capacity, targets?
    Skills,
}

/// How the questions are asked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ask {
    /// The fit of the law.
    pub fit: FitSpec,
    /// The fits of skills.
    pub skills: SkillAsk,
}

/// Which rows an answer is of, and which program gave it. An answer of another origin is made again, not shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Hash of the plan.
    pub plan: String,
    /// Program with version and commit.
    pub program: String,
    /// Name of the fitted column.
    pub column: String,
    /// How N and C are counted.
    pub count_rule: CountRule,
    /// Runs that had completed.
    pub n_runs: usize,
}

impl Origin {
    /// Of answers to be given now.
    pub fn of(evidence: &Evidence, program: &str) -> Origin {
        Origin {
            plan: plan_hash(&evidence.plan),
            program: program.to_string(),
            column: evidence.column.to_string(),
            count_rule: evidence.count_rule,
            n_runs: evidence.rows.len(),
        }
    }
}

/// Twelve hex digits that differ where the planned runs do. What they cost is not part of it: a second look at the
/// same sweep may know the machine's speed better.
pub fn plan_hash(plan: &Plan) -> String {
    let runs: Vec<_> =
        plan.runs.iter().map(|planned| (&planned.run, planned.n, planned.d, planned.c)).collect();
    hash12(&(&plan.sweep, &plan.kind, plan.count_rule, runs, &plan.uses, &plan.targets))
}

/// What a sweep says, question by question. Without its evidence it is the content of `findings.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// Version of this format.
    pub schema_version: u32,
    /// The sweep.
    pub sweep: String,
    /// Which rows and which program; absent in files of earlier versions.
    pub origin: Option<Origin>,
    /// The law, or why there is none.
    pub scaling: Verdict,
    /// Best learning rates, of an `lr` sweep.
    pub learning_rate: Option<LrConclusion>,
    /// Whether learning curves of equal runs agree; absent in files of earlier versions.
    #[serde(default)]
    pub curve_health: Option<CurveHealth>,
    /// What its skills show, where any run was evaluated on one.
    pub skills: Option<SkillFindings>,
}

/// Asks a sweep every question; `on_question` is told each one before it is answered.
///
/// # Errors
/// Where what was asked names what is not there, or a setting is wrong.
pub fn conclude(
    evidence: &Evidence,
    ask: &Ask,
    program: &str,
    on_question: &mut dyn FnMut(Question),
) -> Result<Findings, FindingsError> {
    on_question(Question::Scaling);
    let scaling = scaling::answer(evidence, &ask.fit)?;
    on_question(Question::LearningRate);
    let learning_rate = learning_rate::answer(evidence);
    on_question(Question::CurveHealth);
    let curve_health = Some(curve_health::answer(evidence));
    on_question(Question::Skills);
    let skills = skill_findings::answer(evidence, &ask.skills)?;
    Ok(Findings {
        schema_version: SCHEMA_VERSION,
        sweep: evidence.plan.sweep.clone(),
        origin: Some(Origin::of(evidence, program)),
        scaling,
        learning_rate,
        curve_health,
        skills,
    })
}
