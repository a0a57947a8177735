//! The `validation` grid: the runs of an IsoFLOP grid, evaluated on two or more texts.

use std::collections::BTreeSet;

use scalelaw_schema::sweep::SweepSpec;

use crate::error::PlanError;

/// Refuses a `validation` grid whose runs are evaluated on fewer than two texts: corpora that every run is evaluated
/// on, and skills.
pub(crate) fn check_texts(sweep: &SweepSpec) -> Result<(), PlanError> {
    let mut mixtures = sweep.data.mixture.0.iter().map(|mixture| mixture.keys().collect::<BTreeSet<_>>());
    let mut corpora = mixtures.next().unwrap_or_default();
    for mixture in mixtures {
        corpora.retain(|name| mixture.contains(name));
    }
    corpora.extend(sweep.eval.iter().flat_map(|eval| eval.corpora.iter().flatten()));
    let skills = sweep.measure.iter().flat_map(|measure| &measure.skills);
    let texts: Vec<String> = corpora.into_iter().chain(skills).map(|name| format!("`{name}`")).collect();
    if texts.len() >= 2 {
        return Ok(());
    }
    let found = match texts.as_slice() {
        [] => "no text is common to all runs".to_string(),
        texts => format!("all runs are evaluated only on {}", texts.join(", ")),
    };
    Err(PlanError::at(
        "grid.kind",
        format!(
            "a `validation` grid compares two or more texts, but {found} (hint: name skills in `measure.skills`, or corpora in `eval.corpora`)"
        ),
    ))
}
