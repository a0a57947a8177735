//! The order in which facts are stated: each equally often, or by Zipf's law.

use scalelaw_schema::generator::Exposures;

use crate::error::skills::TaskError;
use crate::permutation::{mix, permuted};
use crate::skills::draws::{Draws, Purpose, sub_key};

/// An endless order of `n` facts.
#[derive(Debug, Clone)]
pub(crate) struct FactOrder {
    n: u64,
    key: u64,
    /// Cumulative weights of the facts, if they differ.
    cumulative: Option<Vec<f64>>,
}

impl FactOrder {
    pub(crate) fn new(n: u64, exposures: Option<Exposures>, key: u64) -> Result<FactOrder, TaskError> {
        if n == 0 {
            return Err(TaskError::NoFacts);
        }
        let cumulative = match exposures.unwrap_or(Exposures::Uniform) {
            Exposures::Uniform => None,
            Exposures::Zipf(a) if !(a.is_finite() && a >= 0.0) => {
                return Err(TaskError::BadZipf { exponent: a });
            }
            Exposures::Zipf(a) => {
                let weights = (1..=n).map(|rank| (rank as f64).powf(-a));
                let sums = weights.scan(0.0, |sum, weight| {
                    *sum += weight;
                    Some(*sum)
                });
                Some(sums.collect())
            }
        };
        Ok(FactOrder { n, key, cumulative })
    }

    /// The fact at a place of the order. If all are stated equally often, the places `k·n` to `(k+1)·n` hold each of
    /// them once.
    pub(crate) fn fact(&self, purpose: Purpose, place: u64) -> u64 {
        match &self.cumulative {
            None => {
                let pass_key = mix(sub_key(self.key, purpose) ^ mix(place / self.n));
                permuted(place % self.n, self.n, pass_key)
            }
            Some(sums) => {
                let total = sums.last().copied().unwrap_or_default();
                let at = Draws::new(self.key, purpose, place).unit() * total;
                sums.partition_point(|&sum| sum <= at) as u64
            }
        }
    }

    /// The fact that item `idx` asks for: `n` items ask for each fact once, however often it is stated.
    pub(crate) fn asked(&self, idx: u64) -> u64 {
        permuted(idx % self.n, self.n, sub_key(self.key, Purpose::Questions))
    }
}
