//! A measured rule of the peak learning rate: what an `lr` sweep leaves and later sweeps read.

use serde::{Deserialize, Serialize};

use crate::SchemaError;
use crate::canonical::rounded;
use crate::count::CountRule;
use crate::recipe::{Parametrisation, Schedule};
use crate::sweep::TokenizerChoice;

/// The content of `lr-rule.toml`: `lr* = lr · (N/N₀)^a · (D/D₀)^b · (B/B₀)^g` at `reference`, the middle of what
/// was measured.
///
/// N is every parameter whatever a sweep's count rule, so that another rule changes no run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LrRule {
    /// Version of this format.
    pub schema_version: u32,
    /// Name of the sweep that measured it.
    pub sweep: String,
    /// Version and commit of the program that fitted it.
    pub program: String,
    /// How `n` is counted: always every parameter.
    pub count_rule: CountRule,
    /// Best peak rate at `reference`.
    pub lr: f64,
    /// Interval of `lr`, if the data bound it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lr_interval: Option<[f64; 2]>,
    /// Level of all intervals.
    pub level: f64,
    /// Root mean square of `ln lr* − ln rule` over the measured optima: how far the rule misses them, as the ln of a
    /// factor.
    pub rms_ln_residual: f64,
    /// Number of optima that it was fitted to.
    pub n_optima: usize,
    /// Half the second derivative of ln loss in ln lr: `ln(loss / best) ≈ curvature · ln(lr / lr*)²`.
    pub curvature: f64,
    /// The point at which the best rate is `lr`.
    pub reference: RulePoint,
    /// Exponents. `None` for what the sweep did not vary, which counts as 0.
    pub exponents: RuleExponents,
    /// Smallest and largest of what was measured.
    pub range: RuleRange,
    /// AdamW's second decay.
    pub beta2: Beta2Rule,
    /// Schedule of the measured runs, the longest one's.
    pub schedule: Schedule,
    /// Tokens of one sequence in the measured runs.
    pub context_len: Vec<usize>,
    /// Tokenizers of the measured runs.
    pub tokenizer: Vec<TokenizerChoice>,
    /// Parametrisation of the measured runs.
    pub parametrisation: Parametrisation,
}

/// A size, a horizon and a batch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RulePoint {
    /// Every parameter.
    pub n: f64,
    /// Training tokens.
    pub d: f64,
    /// Tokens of one step.
    pub batch_tokens: f64,
}

/// Exponents of the rule, each with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RuleExponents {
    /// Of N.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub n: Option<RuleExponent>,
    /// Of D.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub d: Option<RuleExponent>,
    /// Of the batch's tokens.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub batch: Option<RuleExponent>,
}

/// An exponent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RuleExponent {
    /// Its value.
    pub value: f64,
    /// Lower and upper end, if the data bound it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub interval: Option<[f64; 2]>,
}

/// What a rule was measured on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RuleRange {
    /// N.
    pub n: [f64; 2],
    /// D.
    pub d: [f64; 2],
    /// Tokens of one step.
    pub batch_tokens: [f64; 2],
}

/// AdamW's second decay by batch: `beta2(B) = beta2^(B/B₀)`, which keeps the half-life of the second moment constant
/// in tokens (Marek et al. 2025, arXiv:2507.07101; Porian et al. 2024 need a higher one at small batches too).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Beta2Rule {
    /// The decay at `batch-tokens`.
    pub beta2: f64,
    /// B₀.
    pub batch_tokens: f64,
    /// Whether the sweep compared several values; otherwise it is the one that it used.
    pub measured: bool,
}

/// Bounds of the second decay, whatever the batch.
const BETA2_RANGE: [f64; 2] = [0.9, 0.9999];

impl LrRule {
    /// Best peak rate of a run, rounded to three digits: no rate is known better, and an id must not depend on the
    /// last bit of a machine's power function.
    pub fn lr(&self, at: RulePoint) -> f64 {
        let power = |exponent: Option<RuleExponent>, ratio: f64| {
            exponent.map_or(1.0, |exponent| ratio.powf(exponent.value))
        };
        let (reference, exponents) = (&self.reference, &self.exponents);
        let lr = self.lr
            * power(exponents.n, at.n / reference.n)
            * power(exponents.d, at.d / reference.d)
            * power(exponents.batch, at.batch_tokens / reference.batch_tokens);
        rounded(lr, 3)
    }

    /// Second decay for a batch of so many tokens, to four digits of `1 − beta2`.
    pub fn beta2(&self, batch_tokens: f64) -> f64 {
        let beta2 = self.beta2.beta2.powf(batch_tokens / self.beta2.batch_tokens);
        let [low, high] = BETA2_RANGE;
        let beta2 = beta2.clamp(low.min(self.beta2.beta2), high.max(self.beta2.beta2));
        if beta2 == self.beta2.beta2 { beta2 } else { (beta2 * 1e5).round() / 1e5 }
    }

    /// Names of what lies outside the measured range by more than a factor of two, such as `N 1.2e7`.
    pub fn outside(&self, at: RulePoint) -> Vec<String> {
        let range = &self.range;
        [("N", at.n, range.n), ("D", at.d, range.d), ("batch tokens", at.batch_tokens, range.batch_tokens)]
            .into_iter()
            .filter(|(_, x, [low, high])| *x < low / RANGE_SLACK || *x > high * RANGE_SLACK)
            .map(|(name, x, [low, high])| format!("{name} {x:.3e} (measured: {low:.3e} to {high:.3e})"))
            .collect()
    }

    /// Refuses numbers that no rate could be computed from.
    ///
    /// # Errors
    /// `BadLrRule`, naming the invalid number.
    pub fn check(&self) -> Result<(), SchemaError> {
        let bad = |why: String| Err(SchemaError::BadLrRule { why });
        if self.schema_version > crate::SCHEMA_VERSION {
            return bad(format!("`schema-version` {} was written by a newer program", self.schema_version));
        }
        for (name, x) in [
            ("lr", self.lr),
            ("curvature", self.curvature),
            ("reference.n", self.reference.n),
            ("reference.d", self.reference.d),
            ("reference.batch-tokens", self.reference.batch_tokens),
            ("beta2.batch-tokens", self.beta2.batch_tokens),
        ] {
            if !(x.is_finite() && x > 0.0) {
                return bad(format!("`{name}` {x} must be positive"));
            }
        }
        let exponents = [self.exponents.n, self.exponents.d, self.exponents.batch];
        if exponents.iter().flatten().any(|exponent| !exponent.value.is_finite()) {
            return bad("all exponents must be finite".to_string());
        }
        if !(self.beta2.beta2 > 0.0 && self.beta2.beta2 < 1.0) {
            return bad(format!("`beta2.beta2` {} must be between 0 and 1", self.beta2.beta2));
        }
        self.parametrisation.check()
    }
}

/// How far beyond its range a rule is used without a warning: a factor of two moves a rate by less than its interval.
const RANGE_SLACK: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;

    pub fn rule() -> LrRule {
        LrRule {
            schema_version: 1,
            sweep: "lr".to_string(),
            program: "0.1.0".to_string(),
            count_rule: CountRule::Exact,
            lr: 4e-3,
            lr_interval: Some([3e-3, 5e-3]),
            level: 0.95,
            rms_ln_residual: 0.05,
            n_optima: 4,
            curvature: 0.02,
            reference: RulePoint { n: 1e5, d: 2e6, batch_tokens: 1024.0 },
            exponents: RuleExponents {
                n: Some(RuleExponent { value: -0.5, interval: Some([-0.6, -0.4]) }),
                d: Some(RuleExponent { value: 0.25, interval: None }),
                batch: None,
            },
            range: RuleRange { n: [3e4, 3e5], d: [6e5, 6e6], batch_tokens: [1024.0, 1024.0] },
            beta2: Beta2Rule { beta2: 0.95, batch_tokens: 1024.0, measured: false },
            schedule: Schedule::Cosine { final_fraction: 0.1 },
            context_len: vec![128],
            tokenizer: vec![TokenizerChoice::Bytes, TokenizerChoice::Bpe(512)],
            parametrisation: Parametrisation::MuP { base_width: 64 },
        }
    }

    #[test]
    fn the_rate_follows_its_exponents_from_the_reference() {
        let at = |n: f64, d: f64, batch_tokens: f64| rule().lr(RulePoint { n, d, batch_tokens });
        assert_eq!(at(1e5, 2e6, 1024.0), 4e-3);
        assert_eq!(at(4e5, 2e6, 1024.0), 2e-3);
        assert_eq!(at(1e5, 16.0 * 2e6, 1024.0), 8e-3);
        // The batch was not varied: nothing is known of it.
        assert_eq!(at(1e5, 2e6, 4096.0), 4e-3);
        assert_eq!(at(3e5, 2e6, 1024.0), 2.31e-3);
    }

    #[test]
    fn the_half_life_of_the_second_moment_is_constant_in_tokens() {
        let rule = rule();
        let half_life = |batch: f64| batch * 0.5f64.ln() / rule.beta2(batch).ln();
        assert_eq!(rule.beta2(1024.0), 0.95);
        for batch in [128.0, 512.0, 2048.0] {
            // beta2 is given to five decimals.
            assert!((half_life(batch) / half_life(1024.0) - 1.0).abs() < 2e-3, "{batch}");
        }
        assert_eq!((rule.beta2(1e9), rule.beta2(1.0)), (0.9, 0.9999));
    }

    #[test]
    fn what_lies_outside_of_the_range_is_named() {
        let at = |n: f64, d: f64, batch_tokens: f64| rule().outside(RulePoint { n, d, batch_tokens });
        assert!(at(5e5, 1e7, 2048.0).is_empty());
        let outside = at(7e5, 1e7, 4096.0);
        assert!(outside.len() == 2 && outside[0].starts_with("N 7") && outside[1].starts_with("batch"));
    }

    #[test]
    fn a_rule_is_read_as_it_was_written_and_a_bad_one_is_refused_by_name() {
        let text = toml::to_string(&rule()).unwrap();
        assert_eq!(toml::from_str::<LrRule>(&text).unwrap(), rule());
        assert!(rule().check().is_ok());
        for (change, part) in [
            (Box::new(|rule: &mut LrRule| rule.lr = 0.0) as Box<dyn Fn(&mut LrRule)>, "`lr` 0"),
            (Box::new(|rule| rule.curvature = f64::NAN), "`curvature`"),
            (Box::new(|rule| rule.beta2.beta2 = 1.0), "beta2"),
            (Box::new(|rule| rule.schema_version = 99), "newer"),
        ] {
            let mut rule = rule();
            change(&mut rule);
            let message = rule.check().unwrap_err().to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
