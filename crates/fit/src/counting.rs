//! The same runs under several ways of counting N and C: how the exponent of the frontier depends on them.
//! This is how Kaplan's and Chinchilla's exponents are reconciled (Porian et al. 2024, arXiv:2406.19146;
//! Pearce and Song 2024, arXiv:2406.12907).

use scalelaw_schema::table::{Counting, LossTable};
use serde::{Deserialize, Serialize};

use crate::conclusion::Interval;
use crate::error::FitError;
use crate::law_fit;
use crate::spec::FitSpec;

/// The frontier's exponent under one way of counting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountedExponent {
    /// The table's counting rule.
    pub count_rule: Counting,
    /// Exponent of N* by the parametric law.
    pub a: Option<f64>,
    /// Its interval.
    pub interval: Option<Interval>,
    /// Exponent of N* by Approach 2.
    pub a_isoflop: Option<f64>,
    /// Its interval.
    pub interval_isoflop: Option<Interval>,
    /// Why the fit was refused, where it was.
    pub refused: Option<String>,
}

/// Fits each table as `spec` says, in order.
///
/// # Errors
/// What is wrong with `spec`; a refusal is part of the answer.
pub fn exponents_by_count(tables: &[LossTable], spec: &FitSpec) -> Result<Vec<CountedExponent>, FitError> {
    let exponent = |table: &LossTable| {
        let none = CountedExponent {
            count_rule: table.count_rule,
            a: None,
            interval: None,
            a_isoflop: None,
            interval_isoflop: None,
            refused: None,
        };
        match law_fit::fit(table, spec) {
            Err(FitError::Refused { why, .. }) => Ok(CountedExponent { refused: Some(why), ..none }),
            Err(other) => Err(other),
            Ok(found) => {
                let law = found.fits[0].optimum.as_ref();
                let minima = found.approach2.as_ref().and_then(|approach2| approach2.frontier.as_ref());
                Ok(CountedExponent {
                    a: law.map(|frontier| frontier.a),
                    interval: law.and_then(|frontier| frontier.intervals.get("a").cloned()),
                    a_isoflop: minima.map(|frontier| frontier.a),
                    interval_isoflop: minima.and_then(|frontier| frontier.intervals.get("a").cloned()),
                    ..none
                })
            }
        }
    };
    tables.iter().map(exponent).collect()
}

#[cfg(test)]
mod tests {
    use scalelaw_schema::count::CountRule;

    use super::*;
    use crate::testing::isoflop_sweep;

    #[test]
    fn leaving_embeddings_out_of_n_raises_the_exponent() {
        // Pearce and Song: at small sizes N without embeddings grows faster than N, so N* seems to as well.
        let law = "chinchilla:E=1.8,A=480,B=800,alpha=0.35,beta=0.35,noise=0.001";
        let total = isoflop_sweep(law, &[1e15, 1e16, 1e17, 1e18], 7, 2, 0);
        let mut body = total.clone();
        for row in &mut body.rows {
            let embedding = 12_000.0 * row.n.powf(1.0 / 3.0);
            row.n -= embedding.min(0.9 * row.n);
            row.c = 6.0 * row.n * row.d;
        }
        body.count_rule = Counting::Rule(CountRule::SixNNonEmbedding);
        let spec = FitSpec { bootstrap: 0, ..FitSpec::new() };
        let found = exponents_by_count(&[total, body], &spec).unwrap();
        assert!((found[0].a.unwrap() - 0.5).abs() < 0.02, "{found:?}");
        assert!(found[1].a.unwrap() > found[0].a.unwrap() + 0.02, "{found:?}");
        assert_eq!(found[1].count_rule, Counting::Rule(CountRule::SixNNonEmbedding));
    }
}
