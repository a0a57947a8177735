//! Sweeps over mixtures: N* against the fraction of each corpus, mixing laws at one size, and the best mixture for
//! each use.

use std::collections::{BTreeMap, BTreeSet};

use scalelaw_schema::measure::LossColumn;
use scalelaw_schema::plan::Plan;
use scalelaw_schema::table::{LossTable, ResultRow};
use serde::{Deserialize, Serialize};

use super::best::{BestMixture, best_mixture};
use super::fraction::{AtFraction, FractionCurve, against_fraction};
use super::mixing_law::{MixingConclusion, MixtureRun, MixtureRuns, mixing_laws};
use crate::error::FindingsError;
use crate::skills::SkillSpec;
use crate::texts::{Absences, SAME_SHARE, Texts, is_of, is_same, mixtures, without};

/// The best mixture for a use that the sweep names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UseMixture {
    /// The use.
    pub name: String,
    /// Its mixture.
    pub mixture: BestMixture,
}

/// What the runs say of mixtures.
#[derive(Debug, Default)]
pub(crate) struct MixtureAnswer {
    /// N* against the fraction of each corpus.
    pub fractions: Vec<FractionCurve>,
    /// Mixing laws.
    pub mixing: Option<MixingConclusion>,
    /// Best mixture for each use.
    pub best: Vec<UseMixture>,
}

/// Fractions, mixing laws and best mixtures, where the runs were trained on more than one mixture.
pub(crate) fn answer(
    plan: &Plan,
    texts: &Texts,
    spec: &SkillSpec,
    absent: &mut Absences,
) -> Result<MixtureAnswer, FindingsError> {
    let mut found = MixtureAnswer::default();
    if texts.mixed().is_none() {
        let why = "the runs were trained on one mixture (hint: a grid of kind `mix`)";
        for name in plan.uses.keys() {
            absent.add(format!("best: {name}"), why.to_string());
        }
        return Ok(found);
    }
    for corpus in sources(texts) {
        found.fractions.extend(fractions(&corpus, texts, spec, absent)?);
    }
    let (runs, trained) = at_one_size(texts);
    found.mixing = absent.unless_refused("mixing", mixing_laws(&runs, spec))?;
    let Some(mixing) = &found.mixing else { return Ok(found) };
    for (name, weights) in &plan.uses {
        let weights: Vec<(String, f64)> = weights
            .iter()
            .map(|(text, weight)| {
                let known = runs.texts.iter().find(|known| is_of(known, text));
                (known.unwrap_or(text).clone(), *weight)
            })
            .collect();
        let best = best_mixture(mixing, &trained, &weights);
        if let Some(mixture) = absent.unless_refused(&format!("best: {name}"), best)? {
            found.best.push(UseMixture { name: name.clone(), mixture });
        }
    }
    Ok(found)
}

/// Corpora that any run was trained on.
fn sources(texts: &Texts) -> BTreeSet<String> {
    texts.finished().flat_map(|row| row.shares.keys().cloned()).collect()
}

/// N* against the fraction of one corpus, where it was swept with the others in fixed proportion.
fn fractions(
    corpus: &str,
    texts: &Texts,
    spec: &SkillSpec,
    absent: &mut Absences,
) -> Result<Option<FractionCurve>, FindingsError> {
    let Some(sweep) = sweep_of(corpus, texts.finished()) else { return Ok(None) };
    // By the skill of its name where there is one, else by its held-out text.
    let preferred = [LossColumn::Skill(corpus.to_string()), LossColumn::Corpus(corpus.to_string())];
    let columns = texts.columns();
    let Some(column) = preferred.into_iter().find(|column| columns.contains(column)) else { return Ok(None) };
    let all = texts.table(&column);
    let tables: Vec<(f64, LossTable)> = sweep
        .into_iter()
        .map(|(fraction, names)| {
            let rows = all.rows.iter().filter(|row| names.contains(row.name.as_str())).cloned().collect();
            (fraction, LossTable { rows, excluded: Vec::new(), ..all.clone() })
        })
        .collect();
    let runs: Vec<AtFraction> =
        tables.iter().map(|(fraction, table)| AtFraction { fraction: *fraction, table }).collect();
    let found = against_fraction(&column.title(), &runs, None, spec);
    absent.unless_refused(&format!("fractions: {corpus}"), found)
}

/// The runs in which a corpus alone was swept, by its fraction: of all proportions of the other corpora the one
/// with the most fractions. A run on the corpus alone belongs to any. `None` with fewer than two fractions.
pub(crate) fn sweep_of<'a>(
    corpus: &str,
    rows: impl Iterator<Item = &'a ResultRow>,
) -> Option<Vec<(f64, BTreeSet<&'a str>)>> {
    let mut groups: Vec<(BTreeMap<String, f64>, Fractions)> = Vec::new();
    let mut alone = Fractions::default();
    for row in rows {
        let Some(&fraction) = row.shares.get(corpus) else { continue };
        let others = without(&row.shares, corpus);
        if others.is_empty() {
            alone.add(fraction, row);
            continue;
        }
        match groups.iter_mut().find(|(known, _)| is_same(known, &others)) {
            Some((_, group)) => group.add(fraction, row),
            None => {
                let mut group = Fractions::default();
                group.add(fraction, row);
                groups.push((others, group));
            }
        }
    }
    // The first of the largest, so that the order of the runs decides and not chance.
    let largest = groups.iter().map(|(_, group)| group.0.len()).max()?;
    let (_, mut group) = groups.into_iter().find(|(_, group)| group.0.len() == largest)?;
    group.0.extend(alone.0);
    group.0.sort_by(|one, other| one.0.total_cmp(&other.0));
    (group.0.len() >= 2).then_some(group.0)
}

/// Runs by fraction.
#[derive(Default)]
struct Fractions<'a>(Vec<(f64, BTreeSet<&'a str>)>);

impl<'a> Fractions<'a> {
    fn add(&mut self, fraction: f64, row: &'a ResultRow) {
        let name = row.run_id.as_str();
        match self.0.iter_mut().find(|(known, _)| (known - fraction).abs() < SAME_SHARE) {
            Some((_, names)) => _ = names.insert(name),
            None => self.0.push((fraction, BTreeSet::from([name]))),
        }
    }
}

/// Runs that differ in their mixture alone, with the mixtures: of all shapes and horizons the one with the most
/// mixtures; of several such, of the largest horizon the middle size.
pub(crate) fn at_one_size(texts: &Texts) -> (MixtureRuns, Vec<Vec<f64>>) {
    let mut cells: BTreeMap<(u64, u64, usize, usize), Vec<&ResultRow>> = BTreeMap::new();
    for row in texts.finished() {
        // Budgets fix D for a size; without them D itself does.
        let horizon = row.budget_flops.map_or(row.tokens, |budget| budget as u64);
        cells.entry((horizon, row.params.total(), row.n_layer, row.d_model)).or_default().push(row);
    }
    let n_mixtures = |rows: &[&ResultRow]| mixtures(rows.iter().copied()).len();
    let most = cells.values().map(|rows| n_mixtures(rows)).max().unwrap_or(0);
    cells.retain(|_, rows| n_mixtures(rows) == most);
    let longest = cells.keys().map(|key| key.0).max();
    let mut longest: Vec<Vec<&ResultRow>> =
        cells.into_iter().filter(|(key, _)| Some(key.0) == longest).map(|(_, rows)| rows).collect();
    let middle = longest.len() / 2;
    let rows = if longest.is_empty() { Vec::new() } else { longest.swap_remove(middle) };
    let sources: BTreeSet<&String> = rows.iter().flat_map(|row| row.shares.keys()).collect();
    let sources: Vec<String> = sources.into_iter().cloned().collect();
    let shares_of = |shares: &BTreeMap<String, f64>| -> Vec<f64> {
        sources.iter().map(|source| shares.get(source).copied().unwrap_or(0.0)).collect()
    };
    let columns = texts.columns();
    let runs = MixtureRuns {
        source: texts.evidence.plan.sweep.clone(),
        texts: columns.iter().map(LossColumn::title).collect(),
        runs: rows
            .iter()
            .map(|row| MixtureRun {
                name: row.run_id.to_string(),
                shares: shares_of(&row.shares),
                losses: columns.iter().map(|column| row.value(column)).collect(),
            })
            .collect(),
        sources: sources.clone(),
    };
    let trained = mixtures(rows.iter().copied()).into_iter().map(shares_of).collect();
    (runs, trained)
}
