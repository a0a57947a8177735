//! The rows of a sweep as texts: which skills and held-out corpora the runs were judged by, and which of the runs
//! differ in nothing but their size.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use scalelaw_results::{Collected, LossColumn, ResultsError};
use scalelaw_schema::count::CountRule;
use scalelaw_schema::plan::Plan;
use scalelaw_schema::record::Outcome;
use scalelaw_schema::table::{LossTable, ResultRow};

use super::{SkillAsk, column_of};

/// Shares closer than this are one share: they are quotients of written weights.
const SAME_SHARE: f64 = 1e-6;

/// The runs and the texts that they were judged by.
pub(super) struct Texts<'a> {
    pub collected: &'a Collected,
    pub rule: CountRule,
    pub source: &'a str,
    /// What plays the aggregate.
    pub aggregate: LossColumn,
    /// Skills that any run was judged by.
    pub skills: Vec<String>,
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
        let texts = Texts {
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
            .skills
            .iter()
            .map(|skill| LossColumn::Skill(skill.clone()))
            .filter(|column| *column != self.aggregate)
            .map(|column| self.table(&column))
            .collect();
        Ok((self.table(&self.aggregate)?, skills?))
    }

    /// Every text that could be a validation set: the skills, then held-out text.
    pub fn columns(&self) -> Vec<LossColumn> {
        let skills = self.skills.iter().map(|skill| LossColumn::Skill(skill.clone()));
        skills.chain(self.corpora.iter().map(|corpus| LossColumn::Corpus(corpus.clone()))).collect()
    }

    /// The tables of [`Self::columns`].
    pub fn sets(&self) -> Result<Vec<LossTable>, ResultsError> {
        self.columns().iter().map(|column| self.table(column)).collect()
    }

    /// Runs that took all their steps.
    pub fn finished(&self) -> impl Iterator<Item = &'a ResultRow> {
        self.collected.rows.iter().filter(|row| row.outcome == Outcome::Finished)
    }

    /// Why the runs cannot be compared by size alone: they were trained on different mixtures.
    pub fn mixed(&self) -> Option<String> {
        let mut mixtures: Vec<&BTreeMap<String, f64>> = Vec::new();
        for row in self.finished() {
            if !mixtures.iter().any(|known| is_same(known, &row.shares)) {
                mixtures.push(&row.shares);
            }
        }
        (mixtures.len() > 1).then(|| {
            format!(
                "the runs were trained on {} mixtures, and sizes are compared on one (hint: `--where` takes the runs of one, by `share/NAME`)",
                mixtures.len()
            )
        })
    }
}

/// Whether a text is meant by `name`: a skill's name, else a held-out corpus'.
pub(super) fn is_of(text: &str, name: &str) -> bool {
    text == name || text.strip_prefix("loss/") == Some(name)
}

/// The value of a column on one row.
pub(super) fn value(row: &ResultRow, column: &LossColumn) -> Option<f64> {
    match column {
        LossColumn::Skill(name) => row.skills.get(name).map(|score| score.nll.value),
        LossColumn::Corpus(name) => row.losses.get(name).copied(),
        _ => None,
    }
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
