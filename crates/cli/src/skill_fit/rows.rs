//! The rows of a sweep as texts: which skills and held-out corpora the runs were judged by, and which of the runs
//! differ in nothing but their size.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use scalelaw_results::{Collected, ResultsError};
use scalelaw_schema::count::CountRule;
use scalelaw_schema::measure::LossColumn;
use scalelaw_schema::plan::Plan;
use scalelaw_schema::record::Outcome;
use scalelaw_schema::table::{LossTable, ResultRow};

use super::{SkillAsk, column_of};

/// Shares closer than this are one share: they are quotients of written weights.
pub(super) const SAME_SHARE: f64 = 1e-6;

/// The runs and the texts that they were judged by.
pub(super) struct Texts<'a> {
    pub collected: &'a Collected,
    pub rule: CountRule,
    pub source: &'a str,
    /// What plays the aggregate.
    pub aggregate: LossColumn,
    /// Skills that any run was judged by.
    pub skills: Vec<String>,
    /// Those of them that no run shows any of, each with the reason: what their loss does is no law of the skill.
    pub unlearned: BTreeMap<String, String>,
    /// Corpora that any run was judged by on held-out text.
    pub corpora: Vec<String>,
}

impl<'a> Texts<'a> {
    /// `None` where no run was judged by a skill.
    pub fn of(plan: &'a Plan, collected: &'a Collected, ask: &SkillAsk) -> Result<Option<Texts<'a>>> {
        let skills: BTreeSet<&String> = collected.rows.iter().flat_map(|row| row.skills.keys()).collect();
        if skills.is_empty() {
            return Ok(None);
        }
        let corpora: BTreeSet<&String> = collected.rows.iter().flat_map(|row| row.losses.keys()).collect();
        let skills: Vec<String> = skills.into_iter().cloned().collect();
        let aggregate = ask.aggregate.as_deref().map_or(LossColumn::Mean, |name| column_of(name, &skills));
        let unlearned =
            skills.iter().filter_map(|skill| Some((skill.clone(), at_chance(collected, skill)?))).collect();
        let texts = Texts {
            unlearned,
            collected,
            rule: ask.count_rule.unwrap_or(plan.count_rule),
            source: &plan.sweep,
            aggregate,
            skills,
            corpora: corpora.into_iter().cloned().collect(),
        };
        // A name that is not there is told before anything is fitted.
        texts.table(&texts.aggregate)?;
        Ok(Some(texts))
    }

    pub fn table(&self, column: &LossColumn) -> Result<LossTable, ResultsError> {
        Ok(self.collected.loss_table(self.rule, column, self.source)?.table)
    }

    /// The aggregate and the skills beside it.
    pub fn tables(&self) -> Result<(LossTable, Vec<LossTable>), ResultsError> {
        let skills: Result<Vec<LossTable>, ResultsError> = self
            .learned()
            .map(|skill| LossColumn::Skill(skill.clone()))
            .filter(|column| *column != self.aggregate)
            .map(|column| self.table(&column))
            .collect();
        Ok((self.table(&self.aggregate)?, skills?))
    }

    /// Skills that some run shows something of.
    fn learned(&self) -> impl Iterator<Item = &String> {
        self.skills.iter().filter(|skill| !self.unlearned.contains_key(*skill))
    }

    /// Every text that could be a validation set: the skills, then held-out text of corpora that are no such skill.
    pub fn columns(&self) -> Vec<LossColumn> {
        let skills: Vec<&String> = self.learned().collect();
        let corpora = self.corpora.iter().filter(|corpus| !skills.contains(corpus));
        let corpora = corpora.map(|corpus| LossColumn::Corpus(corpus.clone()));
        skills.iter().map(|skill| LossColumn::Skill((*skill).clone())).chain(corpora).collect()
    }

    /// The tables of [`Self::columns`].
    pub fn sets(&self) -> Result<Vec<LossTable>, ResultsError> {
        self.columns().iter().map(|column| self.table(column)).collect()
    }

    /// Runs that took all their steps.
    pub fn finished(&self) -> impl Iterator<Item = &'a ResultRow> {
        finished(self.collected)
    }

    /// Why the runs cannot be compared by size alone: they were trained on different mixtures.
    pub fn mixed(&self) -> Option<String> {
        let n_mixtures = mixtures(self.finished()).len();
        (n_mixtures > 1).then(|| {
            format!(
                "the runs were trained on {n_mixtures} mixtures, and sizes are compared on one (hint: `--where` takes the runs of one, by `share/NAME`)"
            )
        })
    }
}

fn finished(collected: &Collected) -> impl Iterator<Item = &ResultRow> {
    collected.rows.iter().filter(|row| row.outcome == Outcome::Finished)
}

/// Why nothing can be said of a skill: not one run is above chance, by a one-sided test at 5 % over all of them
/// (Bonferroni). The loss of such a skill still moves with size and data, as surer or vaguer guesses do, and a law
/// would take that for the skill's. `None` where accuracy or chance is not known.
fn at_chance(collected: &Collected, skill: &str) -> Option<String> {
    let scores = || finished(collected).filter_map(|row| row.skills.get(skill));
    let n_runs = scores().count();
    let z = scalelaw_fit::quantile::normal(1.0 - 0.05 / n_runs.max(1) as f64);
    let mut best: Option<f64> = None;
    for score in scores() {
        let (accuracy, chance) = (score.accuracy?, score.chance?);
        if accuracy.value - chance > z * accuracy.se? {
            return None;
        }
        best = Some(best.map_or(accuracy.value, |best| best.max(accuracy.value)));
    }
    let chance = scores().next()?.chance?;
    Some(format!(
        "its answers are at chance, {chance:.3}, in each of {n_runs} runs (accuracy {:.3} at most): how its loss moves is no law of the skill (hint: an easier skill, a larger share of it, or larger budgets)",
        best?
    ))
}

/// Whether a text is meant by `name`: a skill's name, else a held-out corpus'.
pub(super) fn is_of(text: &str, name: &str) -> bool {
    text == name || text.strip_prefix("loss/") == Some(name)
}

/// The mixtures of some runs, each once.
pub(super) fn mixtures<'a>(rows: impl Iterator<Item = &'a ResultRow>) -> Vec<&'a BTreeMap<String, f64>> {
    let mut mixtures: Vec<&BTreeMap<String, f64>> = Vec::new();
    for row in rows {
        if !mixtures.iter().any(|known| is_same(known, &row.shares)) {
            mixtures.push(&row.shares);
        }
    }
    mixtures
}

/// Whether two mixtures have the same sources in the same shares.
pub(super) fn is_same(one: &BTreeMap<String, f64>, other: &BTreeMap<String, f64>) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|((name, share), (other_name, other_share))| {
            name == other_name && (share - other_share).abs() < SAME_SHARE
        })
}

/// A mixture without one of its sources, made to sum to 1; empty where there is no other.
pub(super) fn without(shares: &BTreeMap<String, f64>, source: &str) -> BTreeMap<String, f64> {
    let others = shares.iter().filter(|(name, share)| *name != source && **share > SAME_SHARE);
    let sum: f64 = others.clone().map(|(_, share)| share).sum();
    others.map(|(name, share)| (name.clone(), share / sum)).collect()
}
