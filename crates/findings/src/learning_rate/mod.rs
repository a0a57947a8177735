//! The best learning rate: per size (and horizon, batch and beta2) by a quadratic in ln lr (`quadratic`), and over sizes
//! by a power law through those optima (`law`). What comes out is the rule of later sweeps. Beside it the critical batch
//! sizes ([`critical_batch`]).

mod answer;
mod conclusion;
pub mod critical_batch;
mod law;
mod quadratic;

#[cfg(test)]
mod tests;

pub use answer::{answer, rule};
pub use conclusion::{LrConclusion, LrLaw, LrOptimum, LrRow, RateLoss};

use std::collections::BTreeMap;

use law::{law, mark_best_beta2};
use quadratic::{Group, Noise};

/// Optima and the law through them. `critical_batches` is left to the caller, who has the curves.
pub fn best_learning_rates(source: &str, rows: &[LrRow], level: f64) -> LrConclusion {
    let mut groups: BTreeMap<(String, [u64; 4]), Vec<&LrRow>> = BTreeMap::new();
    for row in rows {
        // Positive floats are ordered as their bits are.
        let key = [row.n, row.d, row.batch_tokens, row.beta2].map(f64::to_bits);
        groups.entry((row.variant.clone(), key)).or_default().push(row);
    }
    let groups: Vec<Group> = groups.into_values().map(Group::of).collect();
    let (squares, df) = groups
        .iter()
        .filter_map(|group| group.fit.as_ref().ok())
        .fold((0.0, 0.0), |(squares, df), fit| (squares + fit.linear.squares, df + fit.n_rows as f64 - 3.0));
    let noise = (df > 0.0).then(|| (squares / df).sqrt());
    let noise_of = noise.map(|sd| Noise { sd, df });
    let mut optima: Vec<LrOptimum> = groups.iter().map(|group| group.optimum(noise_of, level)).collect();
    mark_best_beta2(&mut optima);
    let mut warnings = Vec::new();
    if noise.is_none() {
        warnings.push(
            "no quadratic has a residual degree of freedom, so best rates have no intervals (hint: five rates, or two seeds)"
                .to_string(),
        );
    }
    let law = law(&optima, noise_of, level, &mut warnings);
    LrConclusion {
        schema_version: scalelaw_schema::SCHEMA_VERSION,
        source: source.to_string(),
        level,
        optima,
        noise,
        law,
        critical_batches: None,
        warnings,
    }
}
