//! The mixtures of a `mix` grid: the share of one source swept, the others in their ratios (Roberts et al. 2025,
//! arXiv:2503.10061). Sizes and steps are those of the IsoFLOP grid, whatever the mixture.

use std::collections::BTreeSet;

use scalelaw_schema::mixture::{Mixture, MixtureSource};
use scalelaw_schema::sweep::{MixGrid, SweepSpec};

use crate::blends::Blend;
use crate::error::PlanError;
use crate::values::{check_product, numbers};

/// Refuses what a `mix` grid can make nothing of.
pub(crate) fn check(sweep: &SweepSpec, grid: &MixGrid) -> Result<(), PlanError> {
    let [base] = sweep.data.mixture.0.as_slice() else {
        return Err(PlanError::at(
            "data.mixture",
            "a `mix` grid makes its mixtures from one (hint: leave one table; `swept` and `fractions` in `[grid]` make the others)",
        ));
    };
    if base.len() == 1 {
        return Err(PlanError::at(
            "data.mixture",
            "one source always has all of the text (hint: add a source that takes the rest)",
        ));
    }
    if grid.swept.is_empty() {
        return Err(PlanError::at(
            "grid.swept",
            "it names no source, so no share would change (hint: a name in `data.mixture`)",
        ));
    }
    for (swept_idx, name) in grid.swept.iter().enumerate() {
        let path = format!("grid.swept[{swept_idx}]");
        if !base.contains_key(name) {
            let known: Vec<String> = base.keys().map(|name| format!("`{name}`")).collect();
            let message = format!(
                "unknown source `{name}`, expected one of those in the mixture: {}",
                known.join(", ")
            );
            return Err(PlanError::at(path, message));
        }
        if grid.swept[..swept_idx].contains(name) {
            return Err(PlanError::at(path, format!("`{name}` stands twice")));
        }
    }
    if sweep.train.as_ref().is_some_and(|train| train.early_stop.is_some()) {
        return Err(PlanError::at(
            "train.early-stop",
            "it holds a run against the best of its budget, and here that has another mixture: their losses are of different text (hint: leave it out)",
        ));
    }
    Ok(())
}

/// The mixtures made of `base`, in the order of `swept` and `fractions`, equal ones once: source s has the share f,
/// and every other source i has `(1 − f) · base_i / (1 − base_s)`. Each is judged on the corpora of `base`.
///
/// At f = 1 the others would be missing, and neither a ratio of shares nor a law of the mixture could be told there,
/// so every share stays between 0 and 1.
pub(crate) fn blends(grid: &MixGrid, base: &Blend) -> Result<Vec<Blend>, PlanError> {
    let fractions = numbers(
        Some(&grid.fractions),
        0.0,
        "grid.fractions",
        "above 0 and below 1, since every source keeps a share (hint: `[0.05, 0.1, 0.2, 0.4, 0.8]`)",
        |f| f > 0.0 && f < 1.0,
    )?;
    check_product("grid.fractions", &[grid.swept.len(), fractions.len()])?;
    let mut seen = BTreeSet::new();
    let mut blends = Vec::new();
    for name in &grid.swept {
        let Some(swept) = base.corpora.iter().find(|corpus| corpus.name == *name) else { continue };
        let rest: f64 = others(base, &swept.tokens).map(|source| source.weight).sum();
        for &fraction in &fractions {
            let mut sources: Vec<MixtureSource> = others(base, &swept.tokens)
                .map(|source| MixtureSource {
                    tokens: source.tokens.clone(),
                    weight: to_12_digits((1.0 - fraction) * source.weight / rest),
                })
                .collect();
            sources.push(MixtureSource { tokens: swept.tokens.clone(), weight: to_12_digits(fraction) });
            let mixture =
                Mixture::new(sources).map_err(|error| PlanError::at("grid.fractions", error.to_string()))?;
            let shares: Vec<u64> = mixture.sources.iter().map(|source| source.weight.to_bits()).collect();
            if seen.insert(shares) {
                blends.push(Blend { mixture, corpora: base.corpora.clone() });
            }
        }
    }
    Ok(blends)
}

fn others<'a>(base: &'a Blend, tokens: &'a str) -> impl Iterator<Item = &'a MixtureSource> {
    base.mixture.sources.iter().filter(move |source| source.tokens != tokens)
}

/// Equal mixtures come out equal on whichever way they are reached, and an id does not hang on the last bit.
fn to_12_digits(share: f64) -> f64 {
    format!("{share:.11e}").parse().unwrap_or(share)
}
