//! The rows of a sweep as texts: which skills and held-out corpora the runs were evaluated on, and which of the runs
//! differ in nothing but their size.

use std::collections::{BTreeMap, BTreeSet};

use scalelaw_fit::FitError;
use scalelaw_schema::measure::LossColumn;
use scalelaw_schema::table::{LossTable, ResultRow};
use serde::{Deserialize, Serialize};

use crate::error::FindingsError;
use crate::evidence::Evidence;

/// A part that the rows do not allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absent {
    /// The part: a key of this object, with the skill or the use where it is of one.
    pub part: String,
    /// Why.
    pub why: String,
}

/// The parts that the rows do not allow.
#[derive(Debug, Default)]
pub(crate) struct Absences(pub Vec<Absent>);

impl Absences {
    /// Says why a part is absent.
    pub fn add(&mut self, part: impl Into<String>, why: String) {
        self.0.push(Absent { part: part.into(), why });
    }

    /// A refusal is a reason to leave a part out, any other error an error.
    pub fn unless_refused<T>(
        &mut self,
        part: &str,
        found: Result<T, FitError>,
    ) -> Result<Option<T>, FindingsError> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(FitError::Refused { why, settle }) => {
                let settle = settle.join("; ");
                let hint = if settle.is_empty() { String::new() } else { format!(" (hint: {settle})") };
                self.add(part, format!("{why}{hint}"));
                Ok(None)
            }
            Err(other) => Err(other.into()),
        }
    }
}

/// Shares closer than this are one share: they are quotients of written weights.
pub(crate) const SAME_SHARE: f64 = 1e-6;

/// The runs and the texts that they were evaluated on.
pub(crate) struct Texts<'a> {
    pub evidence: &'a Evidence,
    /// Skills that any run was evaluated on.
    pub skills: Vec<String>,
    /// Those of them that no run shows any of, each with the reason: what their loss does is no law of the skill.
    pub unlearned: BTreeMap<String, String>,
    /// Corpora that any run was evaluated on by held-out text.
    pub corpora: Vec<String>,
}

impl<'a> Texts<'a> {
    /// `None` where no run was evaluated on a skill.
    pub fn of(evidence: &'a Evidence) -> Option<Texts<'a>> {
        let skills: BTreeSet<&String> = evidence.rows.iter().flat_map(|row| row.skills.keys()).collect();
        if skills.is_empty() {
            return None;
        }
        let corpora: BTreeSet<&String> = evidence.rows.iter().flat_map(|row| row.losses.keys()).collect();
        let skills: Vec<String> = skills.into_iter().cloned().collect();
        let unlearned =
            skills.iter().filter_map(|skill| Some((skill.clone(), at_chance(evidence, skill)?))).collect();
        Some(Texts { evidence, unlearned, skills, corpora: corpora.into_iter().cloned().collect() })
    }

    /// The table of a text that some run was evaluated on.
    pub fn table(&self, column: &LossColumn) -> &'a LossTable {
        self.evidence.text(column).expect("the evidence has a table of every text of its rows")
    }

    /// The aggregate and the skills beside it.
    pub fn tables(&self) -> (LossTable, Vec<LossTable>) {
        let skills = self
            .learned()
            .map(|skill| LossColumn::Skill(skill.clone()))
            .filter(|column| *column != self.evidence.column)
            .map(|column| self.table(&column).clone())
            .collect();
        (self.evidence.table.clone(), skills)
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
    pub fn sets(&self) -> Vec<LossTable> {
        self.columns().iter().map(|column| self.table(column).clone()).collect()
    }

    /// Runs that took all their steps.
    pub fn finished(&self) -> impl Iterator<Item = &'a ResultRow> + use<'a> {
        self.evidence.finished()
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

/// Why nothing can be said of a skill: not one run is above chance, by a one-sided test at 5 % over all of them
/// (Bonferroni). The loss of such a skill still moves with size and data, as surer or vaguer guesses do, and a law
/// would take that for the skill's. `None` where accuracy or chance is not known.
fn at_chance(evidence: &Evidence, skill: &str) -> Option<String> {
    let scores = || evidence.finished().filter_map(|row| row.skills.get(skill));
    let n_runs = scores().count();
    let z = scalelaw_fit::stats::quantile::normal(1.0 - 0.05 / n_runs.max(1) as f64);
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
pub(crate) fn is_of(text: &str, name: &str) -> bool {
    text == name || text.strip_prefix("loss/") == Some(name)
}

/// The mixtures of some runs, each once.
pub(crate) fn mixtures<'a>(rows: impl Iterator<Item = &'a ResultRow>) -> Vec<&'a BTreeMap<String, f64>> {
    let mut mixtures: Vec<&BTreeMap<String, f64>> = Vec::new();
    for row in rows {
        if !mixtures.iter().any(|known| is_same(known, &row.shares)) {
            mixtures.push(&row.shares);
        }
    }
    mixtures
}

/// Whether two mixtures have the same sources in the same shares.
pub(crate) fn is_same(one: &BTreeMap<String, f64>, other: &BTreeMap<String, f64>) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|((name, share), (other_name, other_share))| {
            name == other_name && (share - other_share).abs() < SAME_SHARE
        })
}

/// A mixture without one of its sources, made to sum to 1; empty where there is no other.
pub(crate) fn without(shares: &BTreeMap<String, f64>, source: &str) -> BTreeMap<String, f64> {
    let others = shares.iter().filter(|(name, share)| *name != source && **share > SAME_SHARE);
    let sum: f64 = others.clone().map(|(_, share)| share).sum();
    others.map(|(name, share)| (name.clone(), share / sum)).collect()
}
