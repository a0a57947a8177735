//! The mixtures of a `mix` grid: the share of one source swept, the others in their ratios (Roberts et al. 2025,
//! arXiv:2503.10061). Sizes and steps are those of the IsoFLOP grid, whatever the mixture.

use std::collections::BTreeSet;

use scalelaw_schema::canonical::rounded;
use scalelaw_schema::mixture::{Mixture, MixtureSource};
use scalelaw_schema::sweep::{MixGrid, SweepSpec};

use crate::error::PlanError;
use crate::resolve::Choices;
use crate::resolve::mixtures::MixtureChoice;
use crate::resolve::values::{check_product, numbers};

/// Replaces the one mixture of the sweep by those that the grid makes of it, under each tokenizer.
pub(crate) fn sweep_shares(
    sweep: &SweepSpec,
    grid: &MixGrid,
    choices: &mut Choices,
) -> Result<(), PlanError> {
    check(sweep, grid)?;
    for of_tokenizer in choices.mixtures.values_mut() {
        if let [base] = of_tokenizer.as_slice() {
            *of_tokenizer = mixtures(grid, base)?;
        }
    }
    choices.check_n_runs(choices.settings.len())
}

/// Refuses what a `mix` grid can make nothing of.
fn check(sweep: &SweepSpec, grid: &MixGrid) -> Result<(), PlanError> {
    let [base] = sweep.data.mixture.0.as_slice() else {
        return Err(PlanError::at(
            "data.mixture",
            "a `mix` grid varies one mixture, so `data.mixture` cannot be a list (hint: keep one table; `swept` and `fractions` in `[grid]` make the others)",
        ));
    };
    if base.len() == 1 {
        return Err(PlanError::at(
            "data.mixture",
            "a `mix` grid needs two or more sources (hint: add a source that takes the rest)",
        ));
    }
    if grid.swept.is_empty() {
        return Err(PlanError::at(
            "grid.swept",
            "`swept` is empty, so no share would change (hint: name a source of `data.mixture`)",
        ));
    }
    for (swept_idx, name) in grid.swept.iter().enumerate() {
        let path = format!("grid.swept[{swept_idx}]");
        if !base.contains_key(name) {
            let known: Vec<String> = base.keys().map(|name| format!("`{name}`")).collect();
            let message =
                format!("unknown source `{name}`, expected one in the mixture: {}", known.join(", "));
            return Err(PlanError::at(path, message));
        }
        if grid.swept[..swept_idx].contains(name) {
            return Err(PlanError::at(path, format!("`{name}` is listed twice")));
        }
    }
    if sweep.train.as_ref().is_some_and(|train| train.early_stop.is_some()) {
        return Err(PlanError::at(
            "train.early-stop",
            "`early-stop` cannot be combined with a `mix` grid: runs of a budget have different mixtures, so their losses cannot be compared (hint: remove it)",
        ));
    }
    Ok(())
}

/// The mixtures made of `base`, in the order of `swept` and `fractions`, equal ones once: source s has the share f,
/// and every other source i has `(1 − f) · base_i / (1 − base_s)`. Each is evaluated on the corpora of `base`.
///
/// At f = 1 the others would be missing, and neither a ratio of shares nor a law of the mixture could be found there,
/// so every share stays between 0 and 1.
fn mixtures(grid: &MixGrid, base: &MixtureChoice) -> Result<Vec<MixtureChoice>, PlanError> {
    let fractions = numbers(
        Some(&grid.fractions),
        0.0,
        "grid.fractions",
        "above 0 and below 1, since every source keeps a share (hint: `[0.05, 0.1, 0.2, 0.4, 0.8]`)",
        |f| f > 0.0 && f < 1.0,
    )?;
    check_product("grid.fractions", &[grid.swept.len(), fractions.len()])?;
    let mut seen = BTreeSet::new();
    let mut mixtures = Vec::new();
    for name in &grid.swept {
        let Some(swept) = base.corpora.iter().find(|corpus| corpus.name == *name) else { continue };
        let rest: f64 = others(base, &swept.tokens).map(|source| source.weight).sum();
        for &fraction in &fractions {
            // Rounded: equal mixtures come out equal whichever way they are reached.
            let mut sources: Vec<MixtureSource> = others(base, &swept.tokens)
                .map(|source| MixtureSource {
                    tokens: source.tokens.clone(),
                    weight: rounded((1.0 - fraction) * source.weight / rest, 12),
                })
                .collect();
            sources.push(MixtureSource { tokens: swept.tokens.clone(), weight: rounded(fraction, 12) });
            let mixture =
                Mixture::new(sources).map_err(|error| PlanError::at("grid.fractions", error.to_string()))?;
            let shares: Vec<u64> = mixture.sources.iter().map(|source| source.weight.to_bits()).collect();
            if seen.insert(shares) {
                mixtures.push(MixtureChoice { mixture, corpora: base.corpora.clone() });
            }
        }
    }
    Ok(mixtures)
}

fn others<'a>(base: &'a MixtureChoice, tokens: &'a str) -> impl Iterator<Item = &'a MixtureSource> {
    base.mixture.sources.iter().filter(move |source| source.tokens != tokens)
}
