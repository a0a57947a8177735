//! How N and C are counted. The rule is always named, because it moves the exponents.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::SchemaError;
use crate::model::ModelSpec;

/// Which parameters are N and which FLOPs are C.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CountRule {
    /// N: every parameter. C: every matrix product of training, head and causal scores included.
    Exact,
    /// N: every parameter. C = 6·N·D (Hoffmann et al. 2022).
    SixNTotal,
    /// N: matrices of the blocks. C = 6·N·D (Kaplan et al. 2020).
    SixNNonEmbedding,
    /// N: matrices of the blocks and the head. C = 6·N·D (the first correction of Porian et al. 2024).
    SixNWithHead,
    /// N: matrices of the blocks and the head. C: every matrix product (attention's scores included).
    WithHeadExact,
}

impl CountRule {
    /// All rules, the default first.
    pub const ALL: [CountRule; 5] = [
        CountRule::Exact,
        CountRule::SixNTotal,
        CountRule::SixNNonEmbedding,
        CountRule::SixNWithHead,
        CountRule::WithHeadExact,
    ];

    /// The name written in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            CountRule::Exact => "exact",
            CountRule::SixNTotal => "six-n-total",
            CountRule::SixNNonEmbedding => "six-n-non-embedding",
            CountRule::SixNWithHead => "six-n-with-head",
            CountRule::WithHeadExact => "with-head-exact",
        }
    }

    /// N of `model`.
    pub fn n(self, model: &ModelSpec) -> f64 {
        let count = model.params();
        let n = match self {
            CountRule::Exact | CountRule::SixNTotal => count.total(),
            CountRule::SixNNonEmbedding => count.non_embedding(),
            CountRule::SixNWithHead | CountRule::WithHeadExact => {
                count.non_embedding() + model.output_params()
            }
        };
        n as f64
    }

    /// C of training `model` on `tokens` tokens in sequences of `context_len`.
    pub fn c(self, model: &ModelSpec, context_len: usize, tokens: f64) -> f64 {
        match self {
            CountRule::Exact | CountRule::WithHeadExact => {
                model.train_flops(context_len).total() * (tokens / context_len as f64)
            }
            CountRule::SixNTotal | CountRule::SixNNonEmbedding | CountRule::SixNWithHead => {
                6.0 * self.n(model) * tokens
            }
        }
    }
}

impl fmt::Display for CountRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CountRule {
    type Err = SchemaError;

    fn from_str(text: &str) -> Result<Self, SchemaError> {
        CountRule::ALL.into_iter().find(|rule| rule.name() == text).ok_or_else(|| SchemaError::UnknownName {
            what: "count rule",
            name: text.to_string(),
            known: CountRule::ALL.map(CountRule::name).join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Head, ModelShape};

    #[test]
    fn every_rule_counts_what_its_name_says() {
        let tokens = 30.0;
        let model = ModelSpec::Transformer(ModelShape {
            n_layer: 2,
            d_model: 8,
            n_head: 2,
            d_ff: 20,
            vocab_size: 11,
            head: Head::Untied,
        });
        for (rule, n, c) in [
            (CountRule::Exact, 1688.0, 29232.0 * 10.0),
            (CountRule::SixNTotal, 1688.0, 6.0 * 1688.0 * 30.0),
            (CountRule::SixNNonEmbedding, 1472.0, 6.0 * 1472.0 * 30.0),
            (CountRule::SixNWithHead, 1560.0, 6.0 * 1560.0 * 30.0),
            (CountRule::WithHeadExact, 1560.0, 29232.0 * 10.0),
        ] {
            assert_eq!(rule.n(&model), n, "{rule}");
            assert_eq!(rule.c(&model, 3, tokens), c, "{rule}");
            assert_eq!(rule.name().parse::<CountRule>().unwrap(), rule);
        }
    }
}
