//! The peak learning rate if a sweep names none.

use scalelaw_schema::canonical::rounded;
use scalelaw_schema::lr_rule::RulePoint;

use crate::grid::cell::Cell;
use crate::resolve::settings::Setting;

/// Peak rate of a model with [`REFERENCE_N`] parameters. With it the rule lies between the best rates of 2.7e4
/// parameters (about twice the rule's) and of 1.4e5 (about three quarters of it), as `configs/lr-rule.toml`
/// measured them: three rates at either size, batches of 1024 tokens; the README has the losses. Beyond 1e6
/// parameters nothing was measured.
const LR_AT_REFERENCE: f64 = 3.5e-3;
/// Size that [`LR_AT_REFERENCE`] belongs to, all parameters.
const REFERENCE_N: f64 = 1e6;
/// Exponent of the size: −1/3 as in the tuned runs of Porian et al. 2024 (arXiv:2406.19146), 5e6 to 9e8
/// parameters.
const EXPONENT: f64 = -1.0 / 3.0;
/// Largest rate that the rule gives: below about 5e3 parameters the power law asks for more.
const LR_MAX: f64 = 2e-2;

/// Peak learning rate by rule: `min(LR_MAX, LR_AT_REFERENCE · (N / REFERENCE_N)^(−1/3))`.
///
/// N is every parameter whatever the sweep's count rule, so that another rule changes no run.
/// Porian et al. have 0.0047 · (N / 1.08e8)^(−1/3), which is 0.022 at 1e6 parameters; their batch grows with
/// the size and ours does not, so only the exponent is taken from there. The horizon does not enter.
///
/// Outside of the standard parametrisation a rate is that of the base model, and so is the N to ask for.
///
/// Rounded to three digits: no rate is known better, and an id must not depend on the last bit of a machine's power
/// function.
pub fn lr_by_rule(n_total: f64) -> f64 {
    let lr = LR_AT_REFERENCE * (n_total / REFERENCE_N).powf(EXPONENT);
    rounded(lr, 3).min(LR_MAX)
}

/// The point at which a measured rule is evaluated for the runs of a cell.
pub(crate) fn rule_point(cell: &Cell, setting: &Setting) -> RulePoint {
    RulePoint {
        n: cell.model.params().total() as f64,
        d: cell.recipe_steps as f64 * setting.batch_tokens(),
        batch_tokens: setting.batch_tokens(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_falls_by_half_when_the_size_grows_eightfold_and_is_capped() {
        assert_eq!(lr_by_rule(1e6), 3.5e-3);
        assert_eq!(lr_by_rule(8e6), 1.75e-3);
        assert_eq!(lr_by_rule(1e5), 7.54e-3);
        assert_eq!(lr_by_rule(5e3), LR_MAX);
    }
}
